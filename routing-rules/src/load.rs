//! Reading a TOML tree without losing where things stand: nodes, tables of known keys, and the list of errors.
//!
//! Readers return `None` after they have reported what is wrong, and go on with the rest, so that one run shows all.

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::Names;
use crate::error::{RuleError, UnknownWord, one_line, quote};
use crate::limits::MAX_ERRORS;

/// What is known while a file is read, and the errors found so far.
pub(crate) struct Loader<'a> {
    /// The pools and listeners that exist.
    pub(crate) names: &'a Names<'a>,
    /// How many regexes the file has so far.
    pub(crate) regexes: usize,
    file: &'a str,
    text: &'a str,
    line_starts: Vec<usize>,
    rule: Option<String>,
    errors: Vec<RuleError>,
    omitted: usize,
}

impl<'a> Loader<'a> {
    pub(crate) fn new(text: &'a str, file: &'a str, names: &'a Names<'a>) -> Self {
        let after_newlines = text.match_indices('\n').map(|(at, _)| at + 1);
        let line_starts = std::iter::once(0).chain(after_newlines).collect();
        Self { names, regexes: 0, file, text, line_starts, rule: None, errors: Vec::new(), omitted: 0 }
    }

    /// Names the rule that the following errors belong to.
    pub(crate) fn enter_rule(&mut self, name: Option<&str>) {
        self.rule = name.map(str::to_owned);
    }

    /// Reports an error at a byte offset of the text.
    pub(crate) fn report(
        &mut self,
        at: usize,
        key: &str,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) {
        if self.errors.len() >= MAX_ERRORS {
            self.omitted += 1;
            return;
        }
        let (line, column) = self.position(at);
        let (found, expected) = (found.into(), expected.into());
        let (file, rule, key) = (self.file.to_owned(), self.rule.clone(), key.to_owned());
        self.errors.push(RuleError { file, line, column, rule, key, found, expected });
    }

    /// The line of a byte offset, counted from 1.
    pub(crate) fn line(&self, at: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= at)
    }

    fn position(&self, at: usize) -> (usize, usize) {
        let line = self.line(at);
        let start = line.checked_sub(1).and_then(|index| self.line_starts.get(index)).copied().unwrap_or(0);
        let column = self.text.get(start..at).map_or(0, |before| before.chars().count()) + 1;
        (line, column)
    }

    /// All errors in the order of the file, or `Ok` when there are none.
    pub(crate) fn finish(mut self) -> Result<(), Vec<RuleError>> {
        if self.omitted > 0 {
            let last_line = self.line_starts.len();
            self.errors.push(RuleError {
                file: self.file.to_owned(),
                line: last_line,
                column: 1,
                rule: None,
                key: "rule".to_owned(),
                found: format!("{} more errors, not shown", self.omitted),
                expected: "none".to_owned(),
            });
        }
        if self.errors.is_empty() {
            return Ok(());
        }
        self.errors.sort_by_key(|error| (error.line, error.column));
        Err(self.errors)
    }
}

/// The keys that a table may have.
pub(crate) struct Keys<'k> {
    /// Keys that exist.
    pub(crate) known: &'k [&'k str],
    /// Keys that the language has but this version has not: told apart from mistyped ones.
    pub(crate) later: &'k [&'k str],
}

/// A value, where it stands, and what it is called.
#[derive(Clone)]
pub(crate) struct Node<'d> {
    /// The key, with those of the tables around it: `route.pool`.
    pub(crate) path: String,
    /// Its byte offset in the text.
    pub(crate) at: usize,
    value: &'d DeValue<'d>,
}

impl<'d> Node<'d> {
    pub(crate) fn new(path: &str, value: &'d Spanned<DeValue<'d>>) -> Self {
        Self { path: path.to_owned(), at: value.span().start, value: value.get_ref() }
    }

    /// Reports this value as wrong.
    pub(crate) fn refuse<T>(&self, loader: &mut Loader<'_>, expected: impl Into<String>) -> Option<T> {
        self.refuse_as(loader, describe(self.value), expected)
    }

    /// Reports this value as wrong, in other words than its own.
    pub(crate) fn refuse_as<T>(
        &self,
        loader: &mut Loader<'_>,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Option<T> {
        loader.report(self.at, &self.path, found, expected);
        None
    }

    /// Whether the value is a table.
    pub(crate) fn is_table(&self) -> bool {
        self.value.is_table()
    }

    /// The value of a key, when this value is a table that has it.
    pub(crate) fn child(&self, key: &str) -> Option<Node<'d>> {
        let value = self.value.as_table()?.get(key)?;
        Some(Node::new(&join(&self.path, key), value))
    }

    /// The value as a string.
    pub(crate) fn text(&self, loader: &mut Loader<'_>, expected: &str) -> Option<&'d str> {
        self.value.as_str().or_else(|| self.refuse(loader, expected))
    }

    /// The value as `true` or `false`.
    pub(crate) fn boolean(&self, loader: &mut Loader<'_>) -> Option<bool> {
        self.value.as_bool().or_else(|| self.refuse(loader, "true or false"))
    }

    /// The value as a whole number inside `range`.
    pub(crate) fn integer(
        &self,
        loader: &mut Loader<'_>,
        range: std::ops::RangeInclusive<u32>,
        expected: &str,
    ) -> Option<u32> {
        self.value
            .as_integer()
            .and_then(|integer| u32::from_str_radix(integer.as_str(), integer.radix()).ok())
            .filter(|number| range.contains(number))
            .or_else(|| self.refuse(loader, expected))
    }

    /// The index of the value in `words`.
    pub(crate) fn word(&self, loader: &mut Loader<'_>, words: &[&str]) -> Option<usize> {
        let Some(text) = self.value.as_str() else {
            return self.refuse(loader, UnknownWord::new("", words, &[]).expected);
        };
        words.iter().position(|word| *word == text).or_else(|| {
            let wrong = UnknownWord::new(text, words, &[]);
            self.refuse_as(loader, wrong.found, wrong.expected)
        })
    }

    /// Reads the value, or each item if it is a list. An empty list is an error: it would never match.
    pub(crate) fn each<T>(
        &self,
        loader: &mut Loader<'_>,
        mut read: impl FnMut(&Node<'d>, &mut Loader<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let DeValue::Array(items) = self.value else {
            return read(self, loader).map(|item| vec![item]);
        };
        if items.is_empty() {
            return self.refuse_as(loader, "an empty list", "at least one item, or no such key");
        }
        // All items are read before the first failure counts: their errors are wanted too.
        let read: Vec<Option<T>> =
            items.iter().map(|item| read(&Node::new(&self.path, item), loader)).collect();
        read.into_iter().collect()
    }

    /// The value as a table that has only `keys`.
    pub(crate) fn table(&self, loader: &mut Loader<'_>, keys: &Keys<'_>) -> Option<Table<'d>> {
        match self.value {
            DeValue::Table(entries) => Some(Table::new(&self.path, self.at, entries, loader, keys)),
            _ => self.refuse(loader, format!("a table with keys of: {}", keys.known.join(", "))),
        }
    }
}

/// A table whose keys have been checked.
pub(crate) struct Table<'d> {
    path: String,
    /// The byte offset of the table in the text.
    pub(crate) at: usize,
    /// Whether a key was reported: what seems to be missing may be what that key was meant to be.
    pub(crate) has_foreign_keys: bool,
    entries: &'d DeTable<'d>,
}

impl<'d> Table<'d> {
    pub(crate) fn new(
        path: &str,
        at: usize,
        entries: &'d DeTable<'d>,
        loader: &mut Loader<'_>,
        keys: &Keys<'_>,
    ) -> Self {
        let mut table = Self { path: path.to_owned(), at, has_foreign_keys: false, entries };
        for key in entries.keys().filter(|key| !keys.known.contains(&key.get_ref().as_ref())) {
            table.has_foreign_keys = true;
            table.report_key(key, loader, keys);
        }
        table
    }

    fn report_key(&self, key: &Spanned<DeString<'_>>, loader: &mut Loader<'_>, keys: &Keys<'_>) {
        let name = key.get_ref().as_ref();
        let wrong = UnknownWord::new(name, keys.known, keys.later);
        let kind =
            if keys.later.contains(&name) { "a key that is not yet supported" } else { "an unknown key" };
        let path = self.path_of(&one_line(name));
        loader.report(key.span().start, &path, kind, wrong.expected);
    }

    fn path_of(&self, key: &str) -> String {
        join(&self.path, key)
    }

    /// Whether the table has no key at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<Node<'d>> {
        self.entries.get(key).map(|value| Node::new(&self.path_of(key), value))
    }

    /// Reports that a key of this table is missing.
    pub(crate) fn refuse_missing<T>(&self, loader: &mut Loader<'_>, key: &str, expected: &str) -> Option<T> {
        loader.report(self.at, &self.path_of(key), "nothing", expected);
        None
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// A value as an error shows it.
fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => quote(text),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(yes) => yes.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(items) if items.is_empty() => "an empty list".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
