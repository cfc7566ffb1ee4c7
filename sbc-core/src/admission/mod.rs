//! What is let in: an ordered list of small checks that judge and never act.
//!
//! A check says what a request owes; the caller answers and counts, once.

mod access;
mod bans;
mod gate;
mod peers;
mod sanity;
mod scanners;
mod sources;

pub use access::Standing;
pub use bans::{Ban, Bans, network_of};
pub use gate::{Asks, Gate, GateRules, Knock};
pub use peers::is_peer;
pub use sanity::{Refusal, Verdict, admit};
pub use scanners::Scanners;
pub use sources::{Source, Sources};
