//! The rules that a request meets: several lists as one.

/// More lists than this are not merged; all rules are tried then. A request gets there only by rules whose prefixes or
/// networks lie inside each other that deeply.
const MAX_LISTS: usize = 64;

/// Numbers of rules, ascending, each once: several lists merged as they are asked for.
pub(crate) struct Candidates<'i> {
    lists: [&'i [u32]; MAX_LISTS],
    len: usize,
    next: u32,
    /// There are too many lists: all rules are candidates.
    all: bool,
    rules: u32,
}

impl<'i> Candidates<'i> {
    /// None of so many yet, and none below a number.
    pub(super) fn new(from: u32, rules: usize) -> Self {
        let rules = u32::try_from(rules).unwrap_or(u32::MAX);
        Self { lists: [&[]; MAX_LISTS], len: 0, next: from, all: false, rules }
    }

    /// All rules from a number on.
    pub(crate) fn all(from: u32, rules: usize) -> Self {
        Self { all: true, ..Self::new(from, rules) }
    }

    /// Whether each of them is one that its key led to.
    pub(crate) fn found(&self) -> bool {
        !self.all
    }

    /// Adds a list.
    pub(super) fn add(&mut self, list: &'i [u32]) {
        // Only the first look begins before all lists do.
        let list = if self.next == 0 {
            list
        } else {
            list.get(list.partition_point(|id| *id < self.next)..).unwrap_or_default()
        };
        if list.is_empty() {
            return;
        }
        match self.lists.get_mut(self.len) {
            Some(place) => {
                *place = list;
                self.len += 1;
            }
            None => self.all = true,
        }
    }
}

impl Iterator for Candidates<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        if self.all {
            let next = self.next;
            self.next += 1;
            return (next < self.rules).then_some(next);
        }
        let lists = self.lists.get_mut(..self.len).unwrap_or_default();
        let least = lists.iter().filter_map(|list| list.first().copied()).min()?;
        for list in lists {
            if let Some((first, rest)) = list.split_first()
                && *first == least
            {
                *list = rest;
            }
        }
        Some(least)
    }
}
