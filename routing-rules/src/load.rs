//! Reading a TOML tree without losing where things stand: nodes, tables of known keys, and the list of errors.
//!
//! Readers return `None` after they have reported what is wrong, and go on with the rest, so that one run shows all.

use std::collections::{HashMap, HashSet};

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::compile::Compiled;
use crate::error::{RuleError, UnknownWord, one_line, quote};
use crate::limits::{MAX_ERRORS, MAX_ITEMS};
use crate::{Files, Names};

/// What is known while a file is read, and the errors found so far.
pub(crate) struct Loader<'a> {
    /// The pools and listeners that exist.
    pub(crate) names: &'a Names<'a>,
    /// Reads the files that rules name.
    pub(crate) files: &'a dyn Files,
    /// What rules share: regexes, files of prefixes, names of headers, tags.
    pub(crate) shared: Compiled,
    /// The named sets, and those that a rule uses.
    sets: HashMap<&'a str, &'a [Spanned<DeValue<'a>>]>,
    used_sets: HashSet<&'a str>,
    items: usize,
    file: &'a str,
    text: &'a str,
    line_starts: Vec<usize>,
    rule: Option<String>,
    errors: Vec<RuleError>,
    omitted: usize,
}

impl<'a> Loader<'a> {
    pub(crate) fn new(text: &'a str, file: &'a str, names: &'a Names<'a>, files: &'a dyn Files) -> Self {
        let after_newlines = text.match_indices('\n').map(|(at, _)| at + 1);
        let line_starts = std::iter::once(0).chain(after_newlines).collect();
        Self {
            names,
            files,
            shared: Compiled::default(),
            sets: HashMap::new(),
            used_sets: HashSet::new(),
            items: 0,
            file,
            text,
            line_starts,
            rule: None,
            errors: Vec::new(),
            omitted: 0,
        }
    }

    /// Makes a set known by its name.
    pub(crate) fn add_set(&mut self, name: &'a str, items: &'a [Spanned<DeValue<'a>>]) {
        self.sets.insert(name, items);
    }

    /// Whether a rule uses the set.
    pub(crate) fn is_used(&self, set: &str) -> bool {
        self.used_sets.contains(set)
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
        let place = self.position(at);
        self.report_in(self.file, place, key, found.into(), expected.into());
    }

    /// Reports an error in a file: line and column from 1.
    pub(crate) fn report_in(
        &mut self,
        file: &str,
        (line, column): (usize, usize),
        key: &str,
        found: String,
        expected: String,
    ) {
        if self.errors.len() >= MAX_ERRORS {
            self.omitted += 1;
            return;
        }
        let (file, rule, key) = (file.to_owned(), self.rule.clone(), key.to_owned());
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

    /// All errors in the order of the file, or what rules share when there are none.
    pub(crate) fn finish(mut self) -> Result<Compiled, Vec<RuleError>> {
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
            return Ok(self.shared);
        }
        let own = self.file;
        // The routes file first, then the files that it names.
        self.errors.sort_by(|a, b| {
            let order = |error: &RuleError| (error.file != own, error.line, error.column);
            (order(a).0, &a.file, order(a)).cmp(&(order(b).0, &b.file, order(b)))
        });
        Err(self.errors)
    }
}

/// The keys that a table may have.
pub(crate) struct Keys<'k> {
    /// Keys that exist.
    pub(crate) known: &'k [&'k str],
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
            return self.refuse(loader, UnknownWord::new("", words).expected);
        };
        words.iter().position(|word| *word == text).or_else(|| {
            let wrong = UnknownWord::new(text, words);
            self.refuse_as(loader, wrong.found, wrong.expected)
        })
    }

    /// Reads the value, or each item if it is a list. An empty list is an error: it would never match.
    ///
    /// `{ set = "NAME" }` stands for the items of that set.
    pub(crate) fn each<T>(
        &self,
        loader: &mut Loader<'_>,
        mut read: impl FnMut(&Node<'_>, &mut Loader<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let DeValue::Array(items) = self.value else {
            return self.item(loader, &mut read);
        };
        if items.is_empty() {
            return self.refuse_as(loader, "an empty list", "at least one item, or no such key");
        }
        // All items are read before the first failure counts: their errors are wanted too.
        let read: Vec<Option<Vec<T>>> =
            items.iter().map(|item| Node::new(&self.path, item).item(loader, &mut read)).collect();
        let read: Option<Vec<Vec<T>>> = read.into_iter().collect();
        read.map(|items| items.into_iter().flatten().collect())
    }

    /// One item, or those of the set that it names.
    fn item<T>(
        &self,
        loader: &mut Loader<'_>,
        read: &mut impl FnMut(&Node<'_>, &mut Loader<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let name = match self.value.as_table().filter(|table| table.len() == 1) {
            Some(table) => table.get("set"),
            None => None,
        };
        let Some(name) = name else {
            self.count_items(loader, 1)?;
            return read(self, loader).map(|item| vec![item]);
        };
        let name = Node::new(&join(&self.path, "set"), name);
        let text = name.text(loader, "the name of a set")?;
        let Some((&known, &items)) = loader.sets.get_key_value(text) else {
            let mut names: Vec<&str> = loader.sets.keys().copied().collect();
            names.sort_unstable();
            let wrong = UnknownWord::new(text, &names);
            return name.refuse_as(loader, wrong.found, wrong.expected);
        };
        loader.used_sets.insert(known);
        self.count_items(loader, items.len())?;
        let read: Vec<Option<T>> =
            items.iter().map(|item| read(&Node::new(&self.path, item), loader)).collect();
        read.into_iter().collect()
    }

    fn count_items(&self, loader: &mut Loader<'_>, more: usize) -> Option<()> {
        loader.items = loader.items.saturating_add(more);
        if loader.items > MAX_ITEMS {
            let expected =
                format!("at most {MAX_ITEMS} in all rules together; very many prefixes go into a file");
            return self.refuse_as(loader, "one item more", expected);
        }
        Some(())
    }

    /// The items of a list, or the value alone.
    pub(crate) fn items(&self) -> Vec<Node<'d>> {
        match self.value {
            DeValue::Array(items) => items.iter().map(|item| Node::new(&self.path, item)).collect(),
            _ => vec![self.clone()],
        }
    }

    /// The value as a list, exactly as it stands in the file.
    pub(crate) fn array(&self) -> Option<&'d [Spanned<DeValue<'d>>]> {
        match self.value {
            DeValue::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The value as a number with or without a fraction.
    pub(crate) fn number(&self) -> Option<f64> {
        match self.value {
            DeValue::Float(number) => number.as_str().parse().ok(),
            DeValue::Integer(number) => {
                u32::from_str_radix(number.as_str(), number.radix()).ok().map(f64::from)
            }
            _ => None,
        }
    }

    /// The keys of a table whose names the operator chose, in the order of the file, each with its value.
    pub(crate) fn named(&self, loader: &mut Loader<'_>, expected: &str) -> Option<Vec<(&'d str, Node<'d>)>> {
        let DeValue::Table(table) = self.value else {
            return self.refuse(loader, expected);
        };
        if table.is_empty() {
            return self.refuse_as(loader, "an empty table", expected);
        }
        let mut entries: Vec<_> = table
            .iter()
            .map(|(key, value)| {
                let path = join(&self.path, &one_line(key.get_ref()));
                (
                    key.span().start,
                    key.get_ref().as_ref(),
                    Node { path, at: key.span().start, value: value.get_ref() },
                )
            })
            .collect();
        entries.sort_by_key(|(at, ..)| *at);
        Some(entries.into_iter().map(|(_, key, node)| (key, node)).collect())
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
        let wrong = UnknownWord::new(name, keys.known);
        let path = self.path_of(&one_line(name));
        loader.report(key.span().start, &path, "an unknown key", wrong.expected);
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
