//! Many deadlines, one question: which is next?

use std::collections::{BTreeMap, BTreeSet};

use sbc_core::time::Time;

/// At most one deadline for each key.
#[derive(Debug)]
pub(crate) struct Alarms<K> {
    by_time: BTreeSet<(Time, K)>,
    by_key: BTreeMap<K, Time>,
}

impl<K> Default for Alarms<K> {
    fn default() -> Self {
        Self { by_time: BTreeSet::new(), by_key: BTreeMap::new() }
    }
}

impl<K: Ord + Clone> Alarms<K> {
    /// Set, move or (with `None`) take away the deadline of `key`.
    pub(crate) fn set(&mut self, key: &K, at: Option<Time>) {
        if let Some(old) = self.by_key.remove(key) {
            self.by_time.remove(&(old, key.clone()));
        }
        if let Some(at) = at.filter(|at| *at != Time::NEVER) {
            self.by_key.insert(key.clone(), at);
            self.by_time.insert((at, key.clone()));
        }
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Time> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Take one key whose deadline has come.
    pub(crate) fn pop_due(&mut self, now: Time) -> Option<K> {
        if self.next()? > now {
            return None;
        }
        let (_, key) = self.by_time.pop_first()?;
        self.by_key.remove(&key);
        Some(key)
    }
}
