//! The rule language of sbc: which request goes where.
//!
//! [`Rules::parse`] reads a routes file, checks all of it and compiles it; [`Rules::evaluate`] answers a [`Query`] with
//! a [`Decision`]. The language itself is described in `LANGUAGE.md` beside this crate.
//!
//! The crate is pure: no socket, no clock, no file (whoever loads rules reads files for it), no state. It does not know whether a pool is healthy or what a
//! registration looks like; pools and listeners are numbers, the indexes into [`Names`]. Nothing in a routes file is
//! ever silently ignored: what is not understood is a [`RuleError`] with its line, and all errors come at once.
#![forbid(unsafe_code)]

mod action;
mod automaton;
mod compile;
mod describe;
mod error;
mod explain;
mod heads;
mod index;
mod limits;
mod load;
mod matcher;
mod nearest;
mod parse;
mod prefix_file;
mod proof;
mod query;
mod regex_set;
mod rules;
mod unreachable;
mod words;

pub use error::{RuleError, UnknownWord};
pub use explain::{Explanation, Tried};
pub use limits::{
    MAX_FILE_BYTES, MAX_HEADER_BYTES, MAX_PREFIX_FILE_BYTES, MAX_PREFIXES, MAX_RULES, MAX_USER_BYTES,
};
pub use nearest::nearest;
pub use query::{
    Action, Changes, Decision, Given, HeaderChange, Identity, Limit, Lookup, Party, Query, Rate, ToPool,
};
pub use rules::{Rules, Scratch};
pub use words::{Balance, Zone};

/// The names that rules may refer to. A name's index is the id that [`Query`] and [`Action`] use for it.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    /// The configured pools.
    pub pools: &'a [&'a str],
    /// The configured listeners.
    pub listeners: &'a [&'a str],
    /// What the members of each pool are called, in the order of the pools; `None`, and beyond the end: nobody knows,
    /// and any word will do.
    pub members: &'a [Option<Labels<'a>>],
}

impl<'a> Names<'a> {
    /// Pools and listeners; nothing is known of the pools' members.
    pub const fn new(pools: &'a [&'a str], listeners: &'a [&'a str]) -> Self {
        Self { pools, listeners, members: &[] }
    }
}

/// The words that members of one pool have, each once or more.
#[derive(Debug, Clone, Copy, Default)]
pub struct Labels<'a> {
    /// Their tags.
    pub tags: &'a [&'a str],
    /// Their regions.
    pub regions: &'a [&'a str],
}

/// Reads the files that rules name.
pub trait Files {
    /// The text of a file, named as the routes file names it.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn read(&self, name: &str) -> Result<String, String>;
}

/// There are no files.
pub(crate) struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _: &str) -> Result<String, String> {
        Err("no files are at hand".to_owned())
    }
}
