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

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(value: &str) -> Vec<&str> {
        split(value.as_bytes()).map(|item| std::str::from_utf8(item.text).expect("text")).collect()
    }

    #[test]
    fn commas_in_quotes_and_brackets_do_not_split() {
        assert_eq!(
            texts(r#""a, \", b" <sip:x,y@z>;p="1,2", <sip:q>"#),
            [r#""a, \", b" <sip:x,y@z>;p="1,2""#, "<sip:q>"]
        );
    }

    #[test]
    fn items_are_trimmed_and_empty_ones_skipped() {
        assert_eq!(texts(" a ,, b\r\n ,\t"), ["a", "b"]);
        assert_eq!(texts(""), [] as [&str; 0]);
        assert_eq!(texts(" , "), [] as [&str; 0]);
    }

    #[test]
    fn ranges_point_at_the_items() {
        let value = b" one , <two,2> ,three";
        for item in split(value) {
            assert_eq!(&value[item.range.clone()], item.text);
        }
    }

    #[test]
    fn unclosed_quote_or_bracket_makes_the_rest_one_item() {
        assert_eq!(texts(r#"a, "b, c"#), ["a", r#""b, c"#]);
        assert_eq!(texts("a, <b, c"), ["a", "<b, c"]);
        assert_eq!(texts("a, \"b\\"), ["a", "\"b\\"]);
    }
}
