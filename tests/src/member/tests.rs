//! The member alone, with agents directly connected.

mod calls;
mod hostile;
mod limits;
mod register;
mod transfer;
