//! Dialogs that ended a moment ago: an answer that the BYE has overtaken must not bring them back to life.

use crate::limits;
use crate::lock::Lock;
use crate::time::Time;

use super::DialogKey;

/// The newest ends, each part with a lock of its own.
pub(super) struct Ended(Box<[Lock<Newest>]>);

struct Newest {
    /// The half of the key that does not say which shard, and when.
    ends: [(u64, Time); limits::ENDED_PER_SHARD],
    next: usize,
}

impl Default for Ended {
    fn default() -> Self {
        let newest = || Newest { ends: [(0, Time::ZERO); limits::ENDED_PER_SHARD], next: 0 };
        Self((0..limits::DIALOG_SHARDS).map(|_| Lock::new(newest())).collect())
    }
}

impl Ended {
    fn shard(&self, key: DialogKey) -> &Lock<Newest> {
        &self.0[(key.0 >> 64) as usize % self.0.len()]
    }

    /// A dialog ended.
    pub(super) fn add(&self, key: DialogKey, now: Time) {
        let mut newest = self.shard(key).lock();
        let next = newest.next;
        newest.ends[next] = (key.0 as u64, now);
        newest.next = (next + 1) % limits::ENDED_PER_SHARD;
    }

    /// Whether it ended so lately that answers to its requests may still come.
    pub(super) fn has(&self, key: DialogKey, now: Time) -> bool {
        let newest = self.shard(key).lock();
        newest.ends.iter().any(|(ended, at)| *ended == key.0 as u64 && now.since(*at) < limits::ENDED_KEPT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_known_for_a_while_and_the_newest_are_kept() {
        let ended = Ended::default();
        ended.add(DialogKey(7), Time::from_millis(1));
        assert!(
            ended.has(DialogKey(7), Time::from_millis(2)) && !ended.has(DialogKey(8), Time::from_millis(2))
        );
        assert!(!ended.has(DialogKey(7), Time::from_millis(1) + limits::ENDED_KEPT));
        for other in 100..100 + limits::ENDED_PER_SHARD as u128 {
            ended.add(DialogKey(other), Time::from_millis(1));
        }
        assert!(!ended.has(DialogKey(7), Time::from_millis(2)));
    }
}
