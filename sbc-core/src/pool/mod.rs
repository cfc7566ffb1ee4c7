//! Servers that do the same work: who is alive, and who takes the next request.

mod challenges;
mod choice;
mod health;
mod probe;
mod seat;

pub use challenges::Challenges;
pub use choice::{PoolState, Pools, Tried};
pub use health::{Health, MemberState};
pub use probe::{ProbeDue, Probing};
pub use seat::Seat;
