//! Full-size runs of the real program: `make load`.

mod by_call;
mod deaf;
mod faults;
mod flood;
mod kills;
mod open_files;
mod overload;
mod paths;
mod reloads;
mod silent;
mod storm;

pub use self::deaf::{Deafened, deafen};
pub use self::faults::{Failed, fail, stop_process};
pub use self::flood::{Flood, Flooded};
pub use self::kills::{Killed, kills};
pub use self::overload::{Managed, Overloaded, overload, overload_shortly};
pub use self::paths::{Travelled, Way, travel};
pub use self::reloads::{Reloaded, reload};
pub use self::silent::{Silence, Silenced, silence};
pub use self::storm::{Storm, Weather};
