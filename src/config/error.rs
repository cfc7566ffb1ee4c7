//! What is wrong with a configuration, and where: one line each, all of them at once.

use std::fmt;

use routing_rules::RuleError;

/// A spot in the configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The file as the operator named it.
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
    /// The full key, as `pool.freeswitch.members[1].uri`.
    pub key: String,
}

/// One thing to mend.
#[derive(Debug)]
pub(crate) enum Problem {
    /// In `sbc.toml`.
    Key {
        /// Where.
        place: Place,
        /// What stands there.
        found: String,
        /// What would be right.
        expected: String,
    },
    /// In `routes.toml`.
    Rule(Box<RuleError>),
    /// Right, but not while this process runs.
    Restart {
        /// The file as the operator named it.
        file: String,
        /// What changed.
        why: String,
    },
    /// A file could not be read at all.
    Unreadable {
        /// Which one.
        file: String,
        /// Why.
        why: String,
    },
}

impl Problem {
    /// The order in which a reader meets it.
    pub(super) fn position(&self) -> (bool, usize, usize) {
        match self {
            Self::Unreadable { .. } | Self::Restart { .. } => (false, 0, 0),
            Self::Key { place, .. } => (false, place.line, place.column),
            Self::Rule(error) => (true, error.line, error.column),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key { place, found, expected } => {
                let Place { file, line, column, key } = place;
                write!(f, "{file}:{line}:{column}: ")?;
                if !key.is_empty() {
                    write!(f, "{key}: ")?;
                }
                write!(f, "found {found}, expected {expected}")
            }
            Self::Rule(error) => error.fmt(f),
            Self::Restart { file, why } => write!(f, "{file}: restart needed: {why}"),
            Self::Unreadable { file, why } => write!(f, "{file}: {why}"),
        }
    }
}

/// Everything that is wrong, in the order of the file; never empty.
#[derive(Debug)]
pub(crate) struct Problems(pub(super) Vec<Problem>);

impl Problems {
    /// A single one.
    pub(crate) fn one(place: Place, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self(vec![Problem::Key { place, found: found.into(), expected: expected.into() }])
    }

    /// Several, at least one, in the order of the file.
    pub(crate) fn all(mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(Problem::position);
        Self(problems)
    }

    /// All of `problems`, or `None` when there are none.
    pub(super) fn any(problems: Vec<Problem>) -> Option<Self> {
        (!problems.is_empty()).then(|| Self::all(problems))
    }

    /// One line for each, as [`fmt::Display`] writes them.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
