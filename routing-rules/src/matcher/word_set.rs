//! A set of words from a short fixed list, as bits.

use crate::load::{Loader, Node};

/// Which words of a list are meant. The lists have at most 16 words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WordSet(u16);

impl WordSet {
    /// The set without a word.
    pub(super) const NONE: Self = Self(0);

    /// The set of one word, or the empty set if the list does not have it.
    pub(super) fn of(word: &str, words: &[&str]) -> Self {
        words.iter().position(|known| *known == word).map_or(Self(0), Self::of_index)
    }

    /// The set of the word with this index.
    pub(super) fn of_index(index: usize) -> Self {
        Self(u32::try_from(index).ok().and_then(|index| 1_u16.checked_shl(index)).unwrap_or(0))
    }

    /// A word or a list of words.
    pub(super) fn read(node: &Node<'_>, loader: &mut Loader<'_>, words: &[&str]) -> Option<Self> {
        let indexes = node.each(loader, |item, loader| item.word(loader, words))?;
        Some(Self(indexes.into_iter().fold(0, |bits, index| bits | Self::of_index(index).0)))
    }

    /// One bit for each word.
    pub(crate) const fn bits(self) -> u16 {
        self.0
    }

    pub(super) fn overlaps(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether all words of `other` are in this set.
    pub(super) fn covers(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }
}
