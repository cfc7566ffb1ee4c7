//! Full-size runs of the real program: `make load`.

mod faults;
mod kills;
mod paths;
mod reloads;

pub use self::faults::{Failed, fail};
pub use self::kills::{Killed, kills};
pub use self::paths::{Travelled, Way, travel};
pub use self::reloads::{Reloaded, reload};
