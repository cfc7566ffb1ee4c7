//! Byte strings in order, found by binary search: whole ones, and prefixes.

/// A set of byte strings.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Whole(Vec<Box<[u8]>>);

impl Whole {
    pub(super) fn new(mut strings: Vec<Box<[u8]>>) -> Self {
        strings.sort_unstable();
        strings.dedup();
        Self(strings)
    }

    pub(super) fn contains(&self, text: &[u8]) -> bool {
        self.0.binary_search_by(|string| (**string).cmp(text)).is_ok()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|string| &**string)
    }
}

/// A set of prefixes, none of which is a prefix of another.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Prefixes(Vec<Box<[u8]>>);

impl Prefixes {
    pub(super) fn new(mut prefixes: Vec<Box<[u8]>>) -> Self {
        prefixes.sort_unstable();
        // In order, all that a prefix covers follow it at once.
        prefixes.dedup_by(|later, kept| later.starts_with(kept));
        Self(prefixes)
    }

    /// Whether the text begins with one of them: only the greatest that is not above it can be its beginning.
    pub(super) fn has_prefix_of(&self, text: &[u8]) -> bool {
        let after = self.0.partition_point(|prefix| **prefix <= *text);
        after.checked_sub(1).and_then(|last| self.0.get(last)).is_some_and(|prefix| text.starts_with(prefix))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|prefix| &**prefix)
    }
}
