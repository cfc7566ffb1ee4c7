//! Why the rules answer as they do: every rule that was tried, and the key that failed in it.

use crate::query::{Decision, Query};
use crate::rules::{Rules, Scratch};

/// An answer and the way to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation<'a> {
    /// The rules in their order, up to the one that decided.
    pub tried: Vec<Tried<'a>>,
    /// What [`Rules::evaluate`] answers.
    pub decision: Decision<'a>,
}

/// One rule that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried<'a> {
    /// Its name.
    pub rule: &'a str,
    /// Its line in the routes file, counted from 1.
    pub line: usize,
    /// The first key of its `match` that did not hold, such as `user` or `header.x-trunk`; `None`: the rule held.
    pub failed: Option<String>,
}

impl Rules {
    /// Answers as [`Rules::evaluate`] does, by the same code, and says what was tried. Looks at every rule.
    pub fn explain<'s>(&'s self, query: &Query<'_>, scratch: &'s mut Scratch) -> Explanation<'s> {
        let mut tried = Vec::new();
        let decision = self.evaluate_watched(query, scratch, &mut tried);
        Explanation { tried, decision }
    }
}
