//! Rules by prefixes, in order; the first bytes of each stand close together, so that the search among them stays
//! within memory that is at hand.

/// Rules by prefixes.
#[derive(Debug, Default)]
pub(super) struct Nested {
    /// The first bytes of each prefix, in the same order.
    heads: Vec<u128>,
    /// How long each is; what is longer than 255 counts as that.
    lengths: Vec<u8>,
    prefixes: Vec<Inside>,
}

/// A prefix, its rules, and the place of the longest other prefix that is its own beginning.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Inside {
    prefix: Box<[u8]>,
    ids: Vec<u32>,
    parent: Option<usize>,
}

/// Bytes in a head.
const HEAD: usize = 16;

/// The beginning of a text as a number: of two texts the smaller has no greater one.
fn head_of(text: &[u8]) -> u128 {
    let mut head = [0; HEAD];
    head.iter_mut().zip(text).for_each(|(byte, own)| *byte = *own);
    u128::from_be_bytes(head)
}

impl Nested {
    /// Files rules, ascending, under a prefix that has none yet.
    pub(super) fn insert(&mut self, prefix: &[u8], ids: Vec<u32>) {
        self.prefixes.push(Inside { prefix: prefix.into(), ids, parent: None });
    }

    /// Puts all in order, when all is filed.
    pub(super) fn build(&mut self) {
        self.prefixes.sort_unstable();
        self.heads = self.prefixes.iter().map(|inside| head_of(&inside.prefix)).collect();
        let length = |inside: &Inside| u8::try_from(inside.prefix.len()).unwrap_or(u8::MAX);
        self.lengths = self.prefixes.iter().map(length).collect();
        // In order, what lies inside a prefix follows it at once: the open ones are a stack.
        let mut open: Vec<usize> = Vec::new();
        for at in 0..self.prefixes.len() {
            let inside = |outer: usize| self.prefixes[at].prefix.starts_with(&self.prefixes[outer].prefix);
            while open.last().is_some_and(|outer| !inside(*outer)) {
                open.pop();
            }
            self.prefixes[at].parent = open.last().copied();
            open.push(at);
        }
    }

    /// Shows the rules of each prefix that the text begins with. All of them are the greatest prefix that is not above
    /// the text, or lie around it.
    pub(super) fn each<'i>(&'i self, text: &[u8], mut see: impl FnMut(&'i [u32])) {
        let head = head_of(text);
        let mut next = self.not_above(text, head).checked_sub(1);
        while let Some(at) = next {
            let Some(inside) = self.prefixes.get(at) else { return };
            if self.may_begin(at, head) && text.starts_with(&inside.prefix) {
                see(&inside.ids);
            }
            next = inside.parent;
        }
    }

    /// How many prefixes are not above the text.
    fn not_above(&self, text: &[u8], head: u128) -> usize {
        let below = self.heads.partition_point(|own| *own < head);
        let alike =
            self.heads.get(below..).unwrap_or_default().iter().take_while(|own| **own == head).count();
        let alike = self.prefixes.get(below..below + alike).unwrap_or_default();
        below + alike.partition_point(|inside| *inside.prefix <= *text)
    }

    /// False where the first bytes say already that the text does not begin so.
    fn may_begin(&self, at: usize, head: u128) -> bool {
        let (Some(own), Some(length)) = (self.heads.get(at), self.lengths.get(at)) else { return false };
        let beyond = HEAD.saturating_sub(usize::from(*length)) * 8;
        (own ^ head).checked_shr(u32::try_from(beyond).unwrap_or(0)).unwrap_or(0) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(prefixes: &[&str]) -> Nested {
        let mut nested = Nested::default();
        for (id, prefix) in (0..).zip(prefixes) {
            nested.insert(prefix.as_bytes(), vec![id]);
        }
        nested.build();
        nested
    }

    fn found(nested: &Nested, text: &str) -> Vec<u32> {
        let mut found = Vec::new();
        nested.each(text.as_bytes(), |ids| found.extend_from_slice(ids));
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
