//! Comma-separated header values (RFC 3261 §7.3.1).

use std::ops::Range;

use super::text::{between, from, is_lws, quoted_end, span, trim_end};

/// One value of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item<'a> {
    /// The value without white space around it.
    pub text: &'a [u8],
    /// Where it stands in the text that was split.
    pub range: Range<usize>,
}

/// Split a header value at the commas outside quoted strings and angle brackets. Empty items are skipped.
/// A quote or bracket that never closes makes the rest one item, which its reader then refuses.
pub fn split<'a>(value: &'a [u8]) -> impl Iterator<Item = Item<'a>> + use<'a> {
    Split { value, at: 0 }
}

/// How long the first value of a list is: up to the first comma outside quotes and angle brackets.
pub(super) fn first_len(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(step) = memchr::memchr3(b',', b'"', b'<', from(text, at)) {
        at += step;
        let closed = match text.get(at) {
            Some(b'"') => quoted_end(text, at),
            Some(b'<') => memchr::memchr(b'>', from(text, at)).map(|len| at + len + 1),
            _ => return at,
        };
        match closed {
            Some(next) => at = next,
            None => break,
        }
    }
    text.len()
}

struct Split<'a> {
    value: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Split<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        while self.at < self.value.len() {
            let rest = from(self.value, self.at);
            let len = first_len(rest);
            let lead = span(rest, is_lws).min(len);
            let start = self.at + lead;
            let text = trim_end(between(rest, lead, len));
            self.at += len + 1;
            if !text.is_empty() {
                return Some(Item { text, range: start..start + text.len() });
            }
        }
        None
    }
}
