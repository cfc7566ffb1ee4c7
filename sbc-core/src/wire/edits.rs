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
        let place =
            self.edits.iter().rposition(|other| other.order() <= edit.order()).map_or(0, |before| before + 1);
        self.edits.insert(place, edit);
    }

    /// Like [`insert`](Self::insert), with the text that `write` appends.
    pub fn insert_with(&mut self, at: usize, write: impl FnOnce(&mut Vec<u8>)) {
        self.replace_with(at..at, write);
    }

    /// By how many bytes what lies from `at` on grows; less than 0: it shrinks.
    pub fn growth_from(&self, at: usize) -> isize {
        let grown =
            |edit: &Edit| (edit.text_end - edit.text_start) as isize - (edit.end - edit.start) as isize;
        self.edits.iter().filter(|edit| edit.start >= at).map(grown).sum()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(edits: &Edits, text: &str) -> String {
        let mut out = b">".to_vec();
        edits.apply(text.as_bytes(), &mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn no_edits_change_nothing() {
        let mut edits = Edits::new();
        assert!(edits.is_empty());
        edits.delete(3..3);
        assert!(edits.is_empty());
        assert_eq!(applied(&edits, "abc"), ">abc");
    }

    #[test]
    fn edits_apply_in_the_order_of_the_message() {
        let mut edits = Edits::new();
        edits.replace(8..9, b"I");
        edits.delete(2..4);
        edits.insert(0, b"<");
        edits.insert_with(10, |out| write_twice(out, b"end"));
        edits.replace_with(5..6, |out| write_twice(out, b"f"));
        assert_eq!(applied(&edits, "abcdefghij"), "><abeffghIjendend");
    }

    fn write_twice(out: &mut Vec<u8>, text: &[u8]) {
        out.extend_from_slice(text);
        out.extend_from_slice(text);
    }

    #[test]
    fn insertions_at_one_place_keep_their_order_and_precede_its_replacement() {
        let mut edits = Edits::new();
        edits.replace(1..2, b"B");
        edits.insert(1, b"1");
        edits.replace(1..1, b"2");
        edits.insert(1, b"3");
        edits.insert(2, b"4");
        assert_eq!(applied(&edits, "abc"), ">a123B4c");
    }

    #[test]
    fn edit_inside_removed_bytes_is_skipped() {
        let mut edits = Edits::new();
        edits.delete(1..4);
        edits.insert(2, b"lost");
        edits.replace(1..2, b"lost");
        edits.delete(3..6);
        edits.insert(4, b"kept");
        assert_eq!(applied(&edits, "abcdef"), ">akeptef");
    }

    #[test]
    fn ranges_outside_the_message_do_no_harm() {
        let mut edits = Edits::new();
        edits.replace(2..usize::MAX, b"C");
        edits.insert(usize::MAX, b"lost");
        edits.delete(7..9);
        edits.replace_with(Range { start: 1, end: 0 }, |out| out.extend_from_slice(b"x"));
        assert_eq!(applied(&edits, "abc"), ">axbC");
    }

    #[test]
    fn writer_that_takes_text_away_does_no_harm() {
        let mut edits = Edits::new();
        edits.insert(0, b"text");
        edits.insert_with(1, Vec::clear);
        assert_eq!(applied(&edits, "abc"), ">abc");
    }

    #[test]
    fn cleared_edits_start_over() {
        let mut edits = Edits::new();
        edits.insert(0, b"x");
        edits.clear();
        edits.insert(1, b"y");
        assert_eq!(applied(&edits, "ab"), ">ayb");
    }
}
