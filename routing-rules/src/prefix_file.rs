//! `prefixes = "file.csv"`: very many prefixes in little memory.
//!
//! The first column of each line counts; empty lines, lines that begin with `#` and a first line with the word `prefix`
//! do not. No entry may be a prefix of another: one of the two would be without effect, and most likely a mistake.

use crate::error::quote;
use crate::heads::{HEAD, Heads, head_of};
use crate::limits::{MAX_PREFIX_FILE_BYTES, MAX_PREFIXES, MAX_USER_BYTES};

/// Prefixes of one file, none of which is a prefix of another.
#[derive(Debug)]
pub(crate) struct PrefixFile {
    /// Its number among the files of the rules.
    pub(crate) id: u32,
    /// Those that are no longer than a head: a head is all there is to say of one, for no prefix has a byte of zero.
    short: Heads,
    /// The others, in order: far longer than any telephone number, and so most often none.
    long: Vec<Box<[u8]>>,
}

/// What is wrong on one line of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) line: usize,
    pub(crate) found: String,
    pub(crate) expected: String,
}

impl Wrong {
    fn new(line: usize, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { line, found: found.into(), expected: expected.into() }
    }
}

impl PrefixFile {
    /// Reads the text of a file.
    pub(crate) fn read(id: u32, text: &str) -> Result<Self, Vec<Wrong>> {
        if text.len() > MAX_PREFIX_FILE_BYTES {
            let found = format!("a file of {} bytes", text.len());
            return Err(vec![Wrong::new(1, found, format!("at most {MAX_PREFIX_FILE_BYTES} bytes"))]);
        }
        let mut wrong = Vec::new();
        let mut entries: Vec<(u128, &[u8], u32)> = Vec::new();
        for (number, line) in (1_u32..).zip(text.lines()) {
            match read_line(number, line) {
                Ok(Some(prefix)) => entries.push((head_of(prefix.as_bytes()), prefix.as_bytes(), number)),
                Ok(None) => {}
                Err(error) => wrong.push(error),
            }
        }
        if entries.len() > MAX_PREFIXES {
            let found = format!("{} prefixes", entries.len());
            wrong.push(Wrong::new(1, found, format!("at most {MAX_PREFIXES}")));
        } else if entries.is_empty() && wrong.is_empty() {
            wrong.push(Wrong::new(1, "no prefix", "at least one, each on a line of its own"));
        }
        entries.sort_unstable();
        overlaps(&entries, &mut wrong);
        if !wrong.is_empty() {
            wrong.sort_by_key(|wrong| wrong.line);
            return Err(wrong);
        }
        Ok(Self::from_sorted(id, &entries))
    }

    fn from_sorted(id: u32, entries: &[(u128, &[u8], u32)]) -> Self {
        let is_short = |prefix: &[u8]| prefix.len() <= HEAD;
        let mut short = Vec::with_capacity(entries.len());
        short.extend(entries.iter().filter(|(_, prefix, _)| is_short(prefix)).map(|(head, ..)| *head));
        let long = entries.iter().map(|(_, prefix, _)| *prefix).filter(|prefix| !is_short(prefix));
        Self { id, short: Heads::new(short), long: long.map(Box::from).collect() }
    }

    /// Whether the text begins with one of the prefixes: only the greatest that is not above it can be its beginning.
    pub(crate) fn has_prefix_of(&self, text: &[u8]) -> bool {
        let head = head_of(text);
        let below = self.short.below(head);
        let equal = self.short.get(below) == Some(head);
        equal
            || below.checked_sub(1).and_then(|last| self.short.get(last)).is_some_and(|own| begins(head, own))
            || self.has_long_prefix_of(text)
    }

    fn has_long_prefix_of(&self, text: &[u8]) -> bool {
        let after = self.long.partition_point(|prefix| **prefix <= *text);
        after
            .checked_sub(1)
            .and_then(|last| self.long.get(last))
            .is_some_and(|prefix| text.starts_with(prefix))
    }
}

/// Whether a text with this head begins with the prefix that the other head stands for.
fn begins(text: u128, prefix: u128) -> bool {
    let beyond = prefix.trailing_zeros() / 8 * 8;
    (text ^ prefix).checked_shr(beyond).unwrap_or(0) == 0
}

/// The prefix on a line, if it has one.
fn read_line(number: u32, line: &str) -> Result<Option<&str>, Wrong> {
    let first = line.split([',', ';', '\t']).next().unwrap_or_default().trim();
    let prefix = first.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(first);
    if line.trim().is_empty() || line.starts_with('#') || (number == 1 && prefix == "prefix") {
        return Ok(None);
    }
    let is_fit = |byte: u8| byte > b' ' && byte != b'"' && byte != 0x7f;
    if prefix.is_empty() || prefix.len() > MAX_USER_BYTES || !prefix.bytes().all(is_fit) {
        let expected = format!("a prefix of 1 to {MAX_USER_BYTES} bytes without blanks in the first column");
        return Err(Wrong::new(number as usize, quote(line), expected));
    }
    Ok(Some(prefix))
}

/// In order, all that a prefix covers follow it at once.
fn overlaps(entries: &[(u128, &[u8], u32)], wrong: &mut Vec<Wrong>) {
    let mut kept: Option<(&[u8], u32)> = None;
    for (_, prefix, line) in entries {
        match kept.filter(|(earlier, _)| prefix.starts_with(earlier)) {
            Some((earlier, earlier_line)) => {
                let shown = |bytes: &[u8]| quote(&String::from_utf8_lossy(bytes));
                let found =
                    format!("{}, which {} on line {earlier_line} covers", shown(prefix), shown(earlier));
                wrong.push(Wrong::new(*line as usize, found, "one of the two to be taken out"));
            }
            None => kept = Some((prefix, *line)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> PrefixFile {
        PrefixFile::read(0, text).expect("a file of prefixes")
    }

    fn wrong(text: &str) -> Vec<(usize, String)> {
        PrefixFile::read(0, text)
            .expect_err("a mistake")
            .into_iter()
            .map(|one| (one.line, one.found))
            .collect()
    }

    #[test]
    fn what_begins_with_an_entry_is_found() {
        let file =
            read("prefix,comment\n# premium\n+49900,x\r\n\"0900\";y\n+4930123456789\n\n+4930123456780\n");
        for user in ["+49900", "+499001", "0900", "09001234", "+4930123456789", "+49301234567890"] {
            assert!(file.has_prefix_of(user.as_bytes()), "{user}");
        }
        for user in ["", "+", "+4990", "+49901", "090", "1", "+493012345678", "+4930123456788", "z", "prefix"]
        {
            assert!(!file.has_prefix_of(user.as_bytes()), "{user}");
        }
    }

    #[test]
    fn bytes_below_every_entry_do_no_harm() {
        let file = read("1\n22345678\u{e9}\n");
        assert!(file.has_prefix_of(b"1\0"));
        assert!(!file.has_prefix_of(b"\0"));
    }

    #[test]
    fn overlapping_entries_are_named_with_their_lines() {
        assert!(PrefixFile::read(0, "12\n1\n").is_err());
        assert_eq!(
            wrong("49\n1\n4930\n49"),
            [
                (3, "\"4930\", which \"49\" on line 1 covers".to_owned()),
                (4, "\"49\", which \"49\" on line 1 covers".to_owned())
            ]
        );
    }

    #[test]
    fn lines_that_hold_no_prefix_are_named() {
        assert_eq!(wrong("1\n,x\n+49 30\n"), [(2, "\",x\"".to_owned()), (3, "\"+49 30\"".to_owned())]);
        assert_eq!(wrong("# nothing\n"), [(1, "no prefix".to_owned())]);
    }
}
