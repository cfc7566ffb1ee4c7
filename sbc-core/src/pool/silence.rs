//! How long a member that is down has given no sign of life: what its calls wait for before they are ended.
//!
//! Down says that it answers no probes. Dead it is only when nothing else comes from it either: a request, an
//! answer, a late one to a probe.

use crate::lock::Lock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::gauge::{Gauge, Held};
use crate::time::Time;

/// The silence of one member.
#[derive(Debug, Default)]
pub struct Silence {
    /// Since when, in microseconds; 0: it is not down.
    since: AtomicU64,
    /// Its place among the members whose messages are looked at for signs of life.
    listened_for: Lock<Option<Held>>,
    /// The version of the settings under which its calls are being ended; 0: they are not.
    ending_under: AtomicU64,
    /// Calls ended since that began.
    ended: AtomicU32,
}

impl Silence {
    /// It is down, as it may have been before.
    pub fn goes_on(&self, listened_for: &Gauge, now: Time) {
        let begins =
            self.since.compare_exchange(0, now.as_micros().max(1), Ordering::Relaxed, Ordering::Relaxed);
        if begins.is_ok() {
            *self.listened_for.lock() = Some(listened_for.hold());
        }
    }

    /// It is up.
    pub fn is_over(&self) {
        if self.since.load(Ordering::Relaxed) != 0 {
            self.since.store(0, Ordering::Relaxed);
            *self.listened_for.lock() = None;
        }
    }

    /// A message came from it.
    pub fn is_broken(&self, now: Time) {
        if self.since.load(Ordering::Relaxed) != 0 {
            self.since.store(now.as_micros().max(1), Ordering::Relaxed);
        }
    }

    /// How long it has lasted; `None`: the member is not down.
    pub fn lasted(&self, now: Time) -> Option<Duration> {
        let since = self.since.load(Ordering::Relaxed);
        (since != 0).then(|| now.since(Time::from_micros(since)))
    }

    /// Its calls are to be ended. True for the one caller that is to do it under these settings.
    pub fn begin_ending(&self, version: u64) -> bool {
        self.ending_under.swap(version, Ordering::Relaxed) != version
    }

    /// So many were.
    pub fn ended(&self, calls: usize) {
        self.ended.fetch_add(u32::try_from(calls).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// All were, or the member is back. How many.
    pub fn stop_ending(&self) -> u32 {
        self.ending_under.store(0, Ordering::Relaxed);
        self.ended.swap(0, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_of_life_begins_it_anew_and_an_answered_probe_ends_it() {
        let (silence, listened_for) = (Silence::default(), Gauge::default());
        let at = Time::from_millis;
        silence.is_broken(at(1));
        assert_eq!((silence.lasted(at(2)), listened_for.get()), (None, 0));
        silence.goes_on(&listened_for, at(10));
        silence.goes_on(&listened_for, at(20));
        assert_eq!((silence.lasted(at(30)), listened_for.get()), (Some(Duration::from_millis(20)), 1));
        silence.is_broken(at(40));
        assert_eq!(silence.lasted(at(45)), Some(Duration::from_millis(5)));
        silence.is_over();
        assert_eq!((silence.lasted(at(50)), listened_for.get()), (None, 0));
    }

    #[test]
    fn calls_are_ended_by_one_and_anew_under_other_settings() {
        let silence = Silence::default();
        assert!(silence.begin_ending(1) && !silence.begin_ending(1) && silence.begin_ending(2));
        silence.ended(2);
        silence.ended(1);
        assert_eq!((silence.stop_ending(), silence.stop_ending()), (3, 0));
        assert!(silence.begin_ending(2));
    }
}
