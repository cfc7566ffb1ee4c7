//! Rates by the generic cell rate algorithm: one number a source says how far ahead of its rate it is.

use std::time::Duration;

use crate::time::Time;

/// So many in a time, and so many at once after a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// From one request to the next when they come evenly.
    interval: Duration,
    /// Requests at once; at least 1.
    burst: u32,
}

/// When the next request would be due if all came evenly (the theoretical arrival time).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Due(Time);

impl Rate {
    /// `requests` in every `time`, and `burst` at once; none of them counts as less than one.
    pub fn new(requests: u32, time: Duration, burst: u32) -> Self {
        let interval = (time / requests.max(1)).max(Duration::from_micros(1));
        Self { interval, burst: burst.max(1) }
    }

    /// `requests` a second, and `burst` at once.
    pub fn per_second(requests: u32, burst: u32) -> Self {
        Self::new(requests, Duration::from_secs(1), burst)
    }

    /// The same with another burst.
    pub fn with_burst(self, burst: u32) -> Self {
        Self { burst: burst.max(1), ..self }
    }

    /// From one request to the next, for somebody who counts as `share` sources.
    fn interval(&self, share: u32) -> Duration {
        (self.interval / share.max(1)).max(Duration::from_micros(1))
    }

    /// How far ahead of its rate a source may be. It stays the same for all shares, so that the burst grows with them.
    fn tolerance(&self) -> Duration {
        self.interval.saturating_mul(self.burst - 1)
    }

    /// Whether one more request at `now` is within the rate; counts it if it is.
    pub fn take(&self, due: &mut Due, now: Time, share: u32) -> bool {
        if self.is_spent(*due, now) {
            return false;
        }
        due.0 = due.0.max(now) + self.interval(share);
        true
    }

    /// How long a request at `now` would have to wait; zero where it would pass.
    pub fn wait(&self, due: Due, now: Time) -> Duration {
        due.0.since(now).saturating_sub(self.tolerance())
    }

    /// Uncount a request that was counted when this was `due`. What time has paid back since is not given back again.
    pub fn give_back(&self, owed: &mut Due, due: Due, now: Time) {
        if !due.is_past(now) {
            owed.0 = Time::ZERO + owed.0.since(Time::ZERO).saturating_sub(self.interval(1));
        }
    }

    /// Whether a request at `now` would be refused.
    pub fn is_spent(&self, due: Due, now: Time) -> bool {
        due.0.since(now) > self.tolerance()
    }
}

impl Due {
    /// Nothing is owed any more: forgetting it changes nothing.
    pub fn is_past(self, now: Time) -> bool {
        self.0 <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate() -> Rate {
        Rate::per_second(10, 5)
    }

    fn taken(share: u32, from_millis: u64, requests: u32, due: &mut Due) -> u32 {
        (0..requests).map(|_| u32::from(rate().take(due, Time::from_millis(from_millis), share))).sum()
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let mut due = Due::default();
        assert_eq!(taken(1, 0, 20, &mut due), 5);
        assert_eq!(taken(1, 100, 20, &mut due), 1);
        assert_eq!(taken(1, 1_000, 20, &mut due), 5);
    }

    #[test]
    fn refused_requests_do_not_prolong_the_wait() {
        let mut due = Due::default();
        taken(1, 0, 100_000, &mut due);
        assert!(rate().is_spent(due, Time::from_millis(50)));
        assert!(!rate().is_spent(due, Time::from_millis(100)));
        assert!(due.is_past(Time::from_millis(500)));
    }

    #[test]
    fn many_behind_one_address_get_more() {
        let mut due = Due::default();
        assert_eq!(taken(4, 0, 100, &mut due), 17);
        assert_eq!(taken(4, 100, 100, &mut due), 4);
    }

    #[test]
    fn the_wait_ends_when_the_next_passes() {
        let mut due = Due::default();
        assert_eq!(rate().wait(due, Time::ZERO), Duration::ZERO);
        taken(1, 0, 5, &mut due);
        assert_eq!(rate().wait(due, Time::ZERO), Duration::from_millis(100));
        assert_eq!(rate().wait(due, Time::from_millis(99)), Duration::from_millis(1));
        assert_eq!((taken(1, 99, 1, &mut due), taken(1, 100, 1, &mut due)), (0, 1));
    }

    #[test]
    fn what_is_given_back_makes_room_for_one_unless_time_has_done_so() {
        let mut due = Due::default();
        taken(1, 0, 1, &mut due);
        let first = due;
        taken(1, 0, 4, &mut due);
        rate().give_back(&mut due, first, Time::from_millis(50));
        assert_eq!(taken(1, 50, 9, &mut due), 1);
        let last = due;
        assert_eq!(taken(1, 2_000, 9, &mut due), 5);
        rate().give_back(&mut due, last, Time::from_millis(2_000));
        assert_eq!(taken(1, 2_000, 9, &mut due), 0);
    }

    #[test]
    fn extreme_rates_do_no_harm() {
        let rate = Rate::per_second(u32::MAX, u32::MAX);
        let mut due = Due::default();
        assert!(rate.take(&mut due, Time::NEVER, u32::MAX));
        let none = Rate::per_second(0, 0);
        let mut due = Due::default();
        assert!(none.take(&mut due, Time::ZERO, 0));
        assert!(!none.take(&mut due, Time::ZERO, 0));
    }
}
