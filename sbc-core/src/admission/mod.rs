//! What is let in: an ordered list of small checks that judge and never act.
//!
//! The order, cheapest and most hostile first:
//!
//! 1. before parsing: who may speak at a listener ([`is_peer`]);
//! 2. framing and syntax: what the index found wrong ([`syntax`]);
//! 3. [`CHECKS`] for requests, [`RESPONSE_CHECKS`] for responses: what the message itself says.
//!
//! All of them say a [`Refusal`]: what the sender is owed, what is counted, and how much it weighs as evidence. One
//! caller answers and counts. What needs a table (transactions, tokens, registrations) is judged where that table is.

pub mod checks;
mod judged;
mod peers;
mod refusal;
mod syntax;

pub use checks::{CHECKS, Check, Outcome, RESPONSE_CHECKS, admit, admit_response, examine};
pub use judged::Judged;
pub use peers::is_peer;
pub use refusal::{Refusal, Verdict};
pub use syntax::syntax;
