//! How often each tag was given. A tag belongs to its name, so it keeps its count when rules are loaded anew.

use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;

use crate::limits;

/// Counts by tag.
#[derive(Default)]
pub struct Tally {
    counts: DashMap<Box<str>, AtomicU64>,
}

impl Tally {
    /// One more request got this tag.
    pub fn add(&self, tag: &str) {
        if let Some(count) = self.counts.get(tag) {
            count.fetch_add(1, Ordering::Relaxed);
        } else if self.counts.len() < limits::TAGS {
            self.counts.entry(tag.into()).or_default().fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often one was given.
    pub fn get(&self, tag: &str) -> u64 {
        self.counts.get(tag).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// All tags given so far with their counts, by name.
    pub fn all(&self) -> Vec<(String, u64)> {
        let one = |entry: dashmap::mapref::multiple::RefMulti<'_, Box<str>, AtomicU64>| {
            (entry.key().to_string(), entry.load(Ordering::Relaxed))
        };
        let mut all: Vec<_> = self.counts.iter().map(one).collect();
        all.sort_unstable();
        all
    }
}
