//! What is wrong with a routes file: where, what was found, what would be right.

use std::fmt;

use crate::limits::MAX_FOUND_CHARS;
use crate::nearest::nearest;

/// One mistake in a routes file. Its `Display` is one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleError {
    /// The file, as the caller named it.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// The name of the rule, when it has one.
    pub rule: Option<String>,
    /// The key inside the rule, such as `route.pool`; `toml` when the file is not TOML at all.
    pub key: String,
    /// What stands there.
    pub found: String,
    /// What would be right.
    pub expected: String,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?;
        if let Some(rule) = &self.rule {
            write!(f, "rule {}: ", quote(rule))?;
        }
        write!(f, "{}: found {}, expected {}", self.key, self.found, self.expected)
    }
}

impl std::error::Error for RuleError {}

/// A word that stands where only certain words may stand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("found {found}, expected {expected}")]
pub struct UnknownWord {
    /// What stands there, quoted.
    pub found: String,
    /// The words that may stand there, and the nearest of them if one is near.
    pub expected: String,
}

impl UnknownWord {
    /// `known` may stand there.
    pub(crate) fn new(word: &str, known: &[&str]) -> Self {
        let hint =
            nearest(word, known).map(|near| format!("; did you mean {}?", quote(near))).unwrap_or_default();
        Self { found: quote(word), expected: one_of(known) + &hint }
    }
}

/// "one of: a, b, c", or the single word that is left.
fn one_of(words: &[&str]) -> String {
    match words {
        [] => "none, because none is configured".to_owned(),
        [only] => quote(only),
        _ => format!("one of: {}", words.join(", ")),
    }
}

/// The text in quotes, on one line and not too long, whatever it holds.
pub(crate) fn quote(text: &str) -> String {
    match text.char_indices().nth(MAX_FOUND_CHARS).and_then(|(end, _)| text.get(..end)) {
        Some(start) => format!("{start:?}…"),
        None => format!("{text:?}"),
    }
}

/// The text without quotes, on one line and not too long: for keys, which are shown bare.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().take(MAX_FOUND_CHARS).flat_map(char::escape_debug).collect()
}
