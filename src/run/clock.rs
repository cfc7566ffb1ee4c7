//! The one clock of all workers: microseconds since the program started.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sbc_core::time::Time;

/// Gives the core its time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    /// A clock that begins now.
    pub(crate) fn start() -> Self {
        Self { origin: Instant::now() }
    }

    /// Now.
    pub(crate) fn now(self) -> Time {
        Time::from_micros(u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// Unix time at the clock's beginning, in seconds, by what the clock on the wall shows now.
    pub(super) fn unix_zero(self) -> i64 {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(wall.saturating_sub(self.origin.elapsed()).as_secs()).unwrap_or(0)
    }

    /// When `time` will be, for a timer of the runtime; `None`: never.
    pub(super) fn instant(self, time: Time) -> Option<tokio::time::Instant> {
        self.origin.checked_add(Duration::from_micros(time.as_micros())).map(Into::into)
    }
}
