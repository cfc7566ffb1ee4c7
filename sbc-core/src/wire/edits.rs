//! What one hop changes in a message, collected in any order and applied once.
//!
//! Whatever no edit touches leaves byte for byte as it came in.

use std::ops::Range;

use super::text::between;

/// Edits of one message. Reusable: after [`clear`](Self::clear) it keeps its memory.
#[derive(Debug, Default)]
pub struct Edits {
    /// Sorted by where they apply; insertions before the removal that starts at the same place.
    edits: Vec<Edit>,
    /// All new text, one piece after the other.
    text: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Edit {
    start: usize,
    end: usize,
    text_start: usize,
    text_end: usize,
}

impl Edit {
    fn order(&self) -> (usize, bool) {
        (self.start, self.end > self.start)
    }
}

impl Edits {
    /// No edits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forget all edits, keep the memory.
    pub fn clear(&mut self) {
        self.edits.clear();
        self.text.clear();
    }

    /// True when the message leaves as it came in.
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// Remove bytes.
    pub fn delete(&mut self, range: Range<usize>) {
        if !range.is_empty() {
            self.replace_with(range, |_| {});
        }
    }

    /// Put `text` in the place of bytes. An empty range inserts.
    pub fn replace(&mut self, range: Range<usize>, text: &[u8]) {
        self.replace_with(range, |out| out.extend_from_slice(text));
    }

    /// Put `text` before the byte at `at`. Insertions at one place keep the order in which they were made.
    pub fn insert(&mut self, at: usize, text: &[u8]) {
        self.replace_with(at..at, |out| out.extend_from_slice(text));
    }

    /// Like [`replace`](Self::replace), with the text that `write` appends.
    pub fn replace_with(&mut self, range: Range<usize>, write: impl FnOnce(&mut Vec<u8>)) {
        let text_start = self.text.len();
        write(&mut self.text);
        let edit = Edit { start: range.start, end: range.end, text_start, text_end: self.text.len() };
        // Edits are few and come nearly sorted, so finding the place from the end is a step or two.
        let place = self.edits.iter().rposition(|other| other.order() <= edit.order()).map_or(0, |before| before + 1);
        self.edits.insert(place, edit);
    }

    /// Like [`insert`](Self::insert), with the text that `write` appends.
    pub fn insert_with(&mut self, at: usize, write: impl FnOnce(&mut Vec<u8>)) {
        self.replace_with(at..at, write);
    }

    /// Append the edited message to `out`. An edit that starts inside bytes already removed, or beyond the message,
    /// is skipped; one that ends beyond it ends with it.
    pub fn apply(&self, bytes: &[u8], out: &mut Vec<u8>) {
        out.reserve(bytes.len() + self.text.len());
        let mut done = 0;
        for edit in &self.edits {
            if edit.start < done || edit.start > bytes.len() {
                continue;
            }
            out.extend_from_slice(between(bytes, done, edit.start));
            out.extend_from_slice(between(&self.text, edit.text_start, edit.text_end));
            done = edit.end.clamp(edit.start, bytes.len());
        }
        out.extend_from_slice(between(bytes, done, bytes.len()));
    }
}
