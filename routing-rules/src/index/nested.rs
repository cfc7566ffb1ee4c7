//! Rules by prefixes, in order; the first bytes of each stand close together, so that the search among them stays
//! within memory that is at hand.

use super::filed::{Filed, Lists};
use crate::heads::{HEAD, Heads, head_of};

/// Rules by prefixes.
#[derive(Debug, Default)]
pub(super) struct Nested {
    /// The first bytes of each prefix, in the same order.
    heads: Heads,
    prefixes: Vec<Inside>,
    /// Those of prefixes that are longer than a head, one after the other.
    bytes: Vec<u8>,
    /// Until all is in order.
    unsorted: Vec<(Box<[u8]>, Filed)>,
}

/// A prefix, its rules, and the place of the longest other prefix that is its own beginning.
#[derive(Debug)]
struct Inside {
    length: u32,
    /// Where it begins among the bytes, if it is longer than a head.
    start: u32,
    /// One more than that place; 0: there is none.
    parent: u32,
    filed: Filed,
}

impl Nested {
    /// Files rules under a prefix.
    pub(super) fn insert(&mut self, prefix: &[u8], filed: Filed) {
        self.unsorted.push((prefix.into(), filed));
    }

    /// Puts all in order, when all is filed.
    pub(super) fn build(&mut self) {
        let mut sorted = std::mem::take(&mut self.unsorted);
        sorted.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        self.heads = Heads::new(sorted.iter().map(|(prefix, _)| head_of(prefix)).collect());
        self.prefixes.reserve_exact(sorted.len());
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        // In order, what lies inside a prefix follows it at once: the open ones are a stack.
        let mut open: Vec<usize> = Vec::new();
        for (at, (prefix, filed)) in sorted.iter().enumerate() {
            let inside =
                |outer: &usize| sorted.get(*outer).is_some_and(|(outer, _)| prefix.starts_with(outer));
            while open.last().is_some_and(|outer| !inside(outer)) {
                open.pop();
            }
            let parent = open.last().map_or(0, |outer| number(outer + 1));
            let (start, length) = (number(self.bytes.len()), number(prefix.len()));
            if prefix.len() > HEAD {
                self.bytes.extend_from_slice(prefix);
            }
            self.prefixes.push(Inside { length, start, parent, filed: *filed });
            open.push(at);
        }
    }

    /// Shows the rules of each prefix that the text begins with. All of them are the greatest prefix that is not above
    /// the text, or lie around it.
    pub(super) fn each<'i>(&'i self, text: &[u8], lists: &'i Lists, mut see: impl FnMut(&'i [u32])) {
        let head = head_of(text);
        let mut next = self.not_above(text, head);
        while let Some(at) = next.checked_sub(1) {
            let Some(inside) = self.prefixes.get(at) else { return };
            if self.begins(text, head, at, inside) {
                see(lists.get(&inside.filed));
            }
            next = inside.parent as usize;
        }
    }

    /// How many prefixes are not above the text.
    fn not_above(&self, text: &[u8], head: u128) -> usize {
        let below = self.heads.below(head);
        if self.heads.get(below) != Some(head) {
            return below;
        }
        // Of those with the same head, the first may be no longer than it, and all others are.
        let alike = below..head.checked_add(1).map_or(self.prefixes.len(), |next| self.heads.below(next));
        let alike = self.prefixes.get(alike).unwrap_or_default();
        below + alike.partition_point(|inside| self.is_not_above(text, inside))
    }

    /// Of a prefix with the head of the text: whether it comes before the text, or is it.
    fn is_not_above(&self, text: &[u8], inside: &Inside) -> bool {
        match self.long(inside) {
            Some(prefix) => prefix <= text,
            None => inside.length as usize <= text.len(),
        }
    }

    fn begins(&self, text: &[u8], head: u128, at: usize, inside: &Inside) -> bool {
        match self.long(inside) {
            Some(prefix) => text.starts_with(prefix),
            None => {
                let length = inside.length as usize;
                let beyond = u32::try_from((HEAD - length.min(HEAD)) * 8).unwrap_or(0);
                let differs = self.heads.get(at).unwrap_or_default() ^ head;
                length <= text.len() && differs.checked_shr(beyond).unwrap_or(0) == 0
            }
        }
    }

    /// The bytes of a prefix that is longer than a head.
    fn long(&self, inside: &Inside) -> Option<&[u8]> {
        let length = inside.length as usize;
        let bytes = || self.bytes.get(inside.start as usize..)?.get(..length);
        (length > HEAD).then(bytes).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(prefixes: &[&str]) -> Nested {
        let mut nested = Nested::default();
        for (id, prefix) in (0..).zip(prefixes) {
            nested.insert(prefix.as_bytes(), Lists::default().file(&[id]));
        }
        nested.build();
        nested
    }

    fn found(nested: &Nested, text: &str) -> Vec<u32> {
        let mut found = Vec::new();
        nested.each(text.as_bytes(), &Lists::default(), |ids| found.extend_from_slice(ids));
        found.sort_unstable();
        found
    }

    #[test]
    fn every_beginning_of_a_text_is_found() {
        let long = "a-prefix-of-more-than-sixteen-bytes";
        let longer = format!("{long}-and-more");
        let nested =
            nested(&["a", "ab", "abc", "b", "+49", "+4930", long, &longer, "a-prefix-of-more-", "z\0"]);
        for (text, expected) in [
            ("abcd", &[0, 1, 2][..]),
            ("ab", &[0, 1]),
            ("ac", &[0]),
            ("", &[]),
            ("c", &[]),
            ("+493012", &[4, 5]),
            ("+491", &[4]),
            ("z", &[]),
            ("z\0\0", &[9]),
            (long, &[0, 6, 8]),
            (&format!("{longer}!"), &[0, 6, 7, 8]),
            ("a-prefix-of-more-than-sixteen", &[0, 8]),
        ] {
            assert_eq!(found(&nested, text), expected, "{text}");
        }
    }
}
