//! What a reader says about text that does not follow the grammar.

use std::fmt;

/// Text does not follow the grammar of what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadError {
    /// What was found or what would be right, for a log or a Reason phrase. Never a piece of the input.
    pub what: &'static str,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }
}

impl std::error::Error for ReadError {}
