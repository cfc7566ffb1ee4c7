//! The one clock of all workers: microseconds since the program started.

use std::time::{Duration, Instant};

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

    /// When `time` will be, for a timer of the runtime; `None`: never.
    pub(super) fn instant(self, time: Time) -> Option<tokio::time::Instant> {
        self.origin.checked_add(Duration::from_micros(time.as_micros())).map(Into::into)
    }
}
