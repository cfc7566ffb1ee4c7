//! Full-size runs of the real program: `make load`.

mod kills;
mod paths;

pub use self::kills::{Killed, kills};
pub use self::paths::{Travelled, Way, travel};
