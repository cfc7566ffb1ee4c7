//! New calls a second of one member: a leaky bucket that one atomic number holds (GCRA, ITU-T I.371).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::time::Time;

/// So much of a second's calls may come at once.
const BURST: Duration = Duration::from_millis(100);

/// When the next call would be due if they came evenly.
#[derive(Debug, Default)]
pub(super) struct Pace(AtomicU64);

impl Pace {
    /// Whether one more keeps below `per_second`.
    pub(super) fn allows(&self, per_second: Option<u32>, now: Time) -> bool {
        per_second.is_none() || self.0.load(Ordering::Relaxed) <= (now + BURST).as_micros()
    }

    /// One more.
    pub(super) fn count(&self, per_second: Option<u32>, now: Time) {
        let Some(interval) = per_second.and_then(|per_second| 1_000_000_u64.checked_div(per_second.into()))
        else {
            return;
        };
        let next = |due: u64| Some(due.max(now.as_micros()) + interval);
        // It cannot fail: `next` always has a value.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_keep_to_their_pace_and_pauses_earn_no_more_than_a_burst() {
        let pace = Pace::default();
        let mut taken = 0;
        for millis in 0..10_000 {
            let now = Time::from_millis(60_000 + millis);
            if pace.allows(Some(50), now) {
                pace.count(Some(50), now);
                taken += 1;
            }
        }
        assert!((500..=506).contains(&taken), "{taken}");
        assert!(pace.allows(None, Time::ZERO));
    }
}
