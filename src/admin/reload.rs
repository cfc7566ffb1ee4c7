//! `POST /api/v1/reload`: what is asked and answered.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is to be taken over.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct ReloadRequest {
    /// What ran before the last change, not what the file says.
    #[serde(default)]
    pub previous: bool,
}

/// It was taken over.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Reloaded {
    /// How many rules there are now.
    pub rules: usize,
    /// What is different, rules aside.
    pub changes: Vec<String>,
}

/// It was not, and nothing has changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Problems {
    /// One line each, as `sbc check` writes them.
    pub problems: Vec<String>,
}

/// For people.
impl fmt::Display for Reloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rules, changes } = self;
        writeln!(f, "reloaded: {rules} {}", if *rules == 1 { "rule" } else { "rules" })?;
        changes.iter().try_for_each(|change| writeln!(f, "{change}"))
    }
}
