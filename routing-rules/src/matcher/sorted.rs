//! Byte strings in order, found by binary search: whole ones, and prefixes.

use std::cmp::Ordering;

/// A set of byte strings.
#[derive(Debug)]
pub(super) struct Whole(Vec<Box<[u8]>>);

impl Whole {
    pub(super) fn new(mut strings: Vec<Box<[u8]>>) -> Self {
        strings.sort_unstable();
        strings.dedup();
        Self(strings)
    }

    /// `order` compares a string of the set with the one that is looked for.
    pub(super) fn contains_by(&self, order: impl FnMut(&[u8]) -> Ordering) -> bool {
        let mut order = order;
        self.0.binary_search_by(|string| order(string)).is_ok()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|string| &**string)
    }
}

/// A set of prefixes, none of which is a prefix of another.
#[derive(Debug)]
pub(super) struct Prefixes(Vec<Box<[u8]>>);

impl Prefixes {
    pub(super) fn new(mut prefixes: Vec<Box<[u8]>>) -> Self {
        prefixes.sort_unstable();
        // In order, all that a prefix covers follow it at once.
        prefixes.dedup_by(|later, kept| later.starts_with(kept));
        Self(prefixes)
    }

    /// The only prefix that the text can have: the greatest that is not above it. `order` compares a prefix with the
    /// text.
    pub(super) fn candidate_by(&self, order: impl FnMut(&[u8]) -> Ordering) -> Option<&[u8]> {
        let mut order = order;
        let after = self.0.partition_point(|prefix| order(prefix).is_le());
        self.0.get(after.checked_sub(1)?).map(|prefix| &**prefix)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|prefix| &**prefix)
    }
}
