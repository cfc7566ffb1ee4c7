//! Handing datagrams to other workers by Call-ID, when one peer's traffic all arrives at one of them.
//!
//! The kernel gives all datagrams of one peer address to one socket, so one carrier or media server can load
//! one worker while the others idle. Under load that worker hands messages on; at rest it keeps them, which is
//! cheaper. An INVITE must not be overtaken by its CANCEL: as long as something handed to a worker is not yet
//! handled there, what belongs to that worker follows it, load or not. So the order within one Call-ID is kept.
//!
//! Pure: no socket and no clock. Every queue is bounded; what does not fit is dropped, as UDP may.

mod call_id;
#[cfg(test)]
mod model;
mod queue;
mod sync;
#[cfg(test)]
mod tests;

pub use call_id::call_id_hash;
pub use queue::{Handed, Handover, MAX_OUTSTANDING, MAX_OUTSTANDING_BYTES, Route};
