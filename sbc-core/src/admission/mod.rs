//! What is let in: an ordered list of small checks that judge and never act.
//!
//! The order, cheapest and most hostile first:
//!
//! 1. before parsing: who may speak at a listener ([`is_peer`]), and the [`Gate`]: access lists, bans, rates;
//! 2. framing and syntax: what the index found wrong ([`syntax`]);
//! 3. [`Scanners`], then [`CHECKS`] for requests, [`RESPONSE_CHECKS`] for responses: what the message itself says;
//! 4. the gate again: what a request asks is charged to its source, its user and its listener.
//!
//! 5. what is new and was let in passes [`Overload`], which turns away what a worker that is behind cannot do.
//!
//! All of them say a [`Refusal`]: what the sender is owed, what is counted, and how much it weighs as evidence. One
//! caller answers and counts. What needs a table (transactions, tokens, registrations) is judged where that table is.

mod access;
mod bans;
pub mod checks;
mod gate;
mod judged;
mod overload;
mod peers;
mod refusal;
mod scanners;
mod sources;
mod syntax;
mod ticket;

pub use access::Standing;
pub use bans::{Ban, Bans, network_of};
pub use checks::{CHECKS, Check, Leniency, Outcome, RESPONSE_CHECKS, admit, admit_response, examine};
pub use gate::{Asks, Gate, GateRules, Knock};
pub use judged::{Judged, is_answerable};
pub use overload::{Class, Overload, WHOLE};
pub use peers::is_peer;
pub use refusal::{Refusal, Verdict};
pub use scanners::Scanners;
pub use sources::{Source, Sources};
pub use syntax::syntax;
pub use ticket::{Bounds, Tickets};
