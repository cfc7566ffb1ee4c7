//! Servers that do the same work: who is alive, and who takes the next request.

mod balance;
mod challenges;
mod choice;
mod health;
mod pace;
mod probe;
mod seat;
mod silence;

pub use challenges::Challenges;
pub use choice::{Places, PoolState, Pools, Standing, Wish};
pub use health::{Health, MemberState, Order};
pub use probe::{ProbeDue, Probing};
pub use seat::Seat;
pub use silence::Silence;
