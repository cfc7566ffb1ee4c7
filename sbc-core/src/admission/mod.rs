//! What is let in: an ordered list of small checks that judge and never act.
//!
//! A check says what a request owes; the caller answers and counts, once.

mod peers;
mod sanity;
mod ticket;

pub use peers::is_peer;
pub use sanity::{Refusal, Verdict, admit};
pub use ticket::{Bounds, Tickets};
