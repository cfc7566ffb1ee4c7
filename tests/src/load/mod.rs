//! Full-size runs of the real program: `make load`.

mod flood;
mod kills;
mod paths;
mod storm;

pub use self::flood::{Flood, Flooded};
pub use self::kills::{Killed, kills};
pub use self::paths::{Travelled, Way, travel};
pub use self::storm::{Storm, Weather};
