//! The member alone, with agents directly connected.

mod calls;
mod limits;
mod register;
mod transfer;
