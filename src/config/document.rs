//! Reading TOML with its line numbers, going on after an error.
//!
//! Deriving a deserializer would stop at the first mistake and could not say which keys come later;
//! an operator deserves all of them at once. A [`Value`] that is wrong reports itself and reads as `None`.

use std::cell::RefCell;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{Place, Problem};
use super::units::{self, Shown};

/// Longest piece of the file that an error repeats, in characters.
const SHOWN_CHARACTERS: usize = 80;

/// The text of a file, and what was found wrong with it so far.
pub(super) struct Document<'d> {
    file: &'d str,
    text: &'d str,
    problems: RefCell<Vec<Problem>>,
    files: RefCell<Vec<PathBuf>>,
    warnings: RefCell<Vec<String>>,
}

impl<'d> Document<'d> {
    pub(super) fn new(file: &'d str, text: &'d str) -> Self {
        Self {
            file,
            text,
            problems: RefCell::default(),
            files: RefCell::default(),
            warnings: RefCell::default(),
        }
    }

    /// Byte offset to line and column.
    pub(super) fn place(&self, at: usize, key: &str) -> Place {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        Place {
            file: self.file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: line.chars().count() + 1,
            key: key.to_owned(),
        }
    }

    pub(super) fn report(&self, place: Place, found: impl Into<String>, expected: impl fmt::Display) {
        self.push(Problem::Key { place, found: found.into(), expected: expected.to_string() });
    }

    pub(super) fn push(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    /// What an operator should know, and may be right all the same.
    pub(super) fn warn(&self, place: &Place, what: &str) {
        let Place { file, line, column, key } = place;
        self.warnings.borrow_mut().push(format!("{file}:{line}:{column}: {key}: {what}"));
    }

    /// All of those.
    pub(super) fn take_warnings(&self) -> Vec<String> {
        self.warnings.take()
    }

    /// Another file that the configuration hangs on.
    pub(super) fn depends_on(&self, file: PathBuf) {
        self.files.borrow_mut().push(file);
    }

    /// All of those.
    pub(super) fn take_files(&self) -> Vec<PathBuf> {
        self.files.take()
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }

    /// The whole file as a section; syntax errors are reported and what could be read goes on.
    pub(super) fn parse(&self) -> Spanned<DeTable<'d>> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in errors {
            let at = error.span().map_or(0, |span| span.start);
            self.report(self.place(at, ""), "a TOML syntax error", error.message().replace('\n', "; "));
        }
        table
    }

    pub(super) fn root<'s>(&'s self, table: &'s Spanned<DeTable<'d>>, keys: Keys) -> Section<'s, 'd> {
        Section::open(self, String::new(), 0, table.get_ref(), keys)
    }
}

/// What may stand in a section.
#[derive(Clone, Copy)]
pub(super) struct Keys {
    /// Read now.
    pub known: &'static [&'static str],
    /// In the contract, but without effect so far: an error, never ignored.
    pub later: &'static [&'static str],
}

/// A table of the file.
pub(super) struct Section<'s, 'd> {
    document: &'s Document<'d>,
    path: String,
    at: usize,
    table: &'s DeTable<'d>,
}

impl<'s, 'd> Section<'s, 'd> {
    /// Reports every key that does not belong here.
    fn open(document: &'s Document<'d>, path: String, at: usize, table: &'s DeTable<'d>, keys: Keys) -> Self {
        let section = Self { document, path, at, table };
        for key in table.keys() {
            let name: &str = key.get_ref();
            if keys.known.contains(&name) {
                continue;
            }
            let place = document.place(key.span().start, &section.full(name));
            if keys.later.contains(&name) {
                document.report(place, "a key that is not supported yet", "it to be left out");
                continue;
            }
            let expected = match routing_rules::nearest(name, keys.known) {
                Some(near) => format!("a known key: did you mean `{near}`?"),
                None => format!("one of: {}", keys.known.join(", ")),
            };
            document.report(place, "an unknown key", expected);
        }
        section
    }

    fn full(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    pub(super) fn document(&self) -> &'s Document<'d> {
        self.document
    }

    /// Where the section begins; `name` is appended to the key.
    pub(super) fn place(&self, name: &str) -> Place {
        let key = if name.is_empty() { self.path.clone() } else { self.full(name) };
        self.document.place(self.at, &key)
    }

    /// The value of a key, if it is there.
    pub(super) fn get(&self, name: &str) -> Option<Value<'s, 'd>> {
        let (_, value) = self.table.iter().find(|(key, _)| key.get_ref() == name)?;
        Some(Value {
            document: self.document,
            key: self.full(name),
            at: value.span().start,
            value: value.get_ref(),
        })
    }

    /// The value of a key that must be there.
    pub(super) fn require(&self, name: &str, expected: &str) -> Option<Value<'s, 'd>> {
        let value = self.get(name);
        if value.is_none() {
            self.document.report(self.place(name), "nothing", expected);
        }
        value
    }

    /// Reads a key; `default` where it is absent, `None` where it is wrong.
    pub(super) fn or<T>(
        &self,
        name: &str,
        default: T,
        read: impl FnOnce(&Value<'s, 'd>) -> Option<T>,
    ) -> Option<T> {
        match self.get(name) {
            Some(value) => read(&value),
            None => Some(default),
        }
    }

    /// Reads a key that may be absent; the outer `None` says that it is there and wrong.
    pub(super) fn maybe<T>(
        &self,
        name: &str,
        read: impl FnOnce(&Value<'s, 'd>) -> Option<T>,
    ) -> Option<Option<At<T>>> {
        match self.get(name) {
            Some(value) => read(&value).map(|inner| Some(At { value: inner, place: value.place() })),
            None => Some(None),
        }
    }

    /// The keys of a table in here, in the order of the file, right or wrong as they may be.
    pub(super) fn names(&self, table: &str) -> Vec<&'s str> {
        let section = self.child(table);
        section
            .map(|section| section.entries().into_iter().map(|(name, ..)| name).collect())
            .unwrap_or_default()
    }

    /// The strings under `name` in each table of a list in here.
    pub(super) fn strings_in(&self, list: &str, name: &str) -> Vec<&'s str> {
        let Some(Value { value: DeValue::Array(items), .. }) = self.get(list) else {
            return Vec::new();
        };
        let named = |item: &'s Spanned<DeValue<'d>>| match item.get_ref().as_table()?.get(name)?.get_ref() {
            DeValue::String(text) => Some(&**text),
            _ => None,
        };
        items.iter().filter_map(named).collect()
    }

    /// The strings under `name` in each table of a list in here, each a string or a list of them.
    pub(super) fn words_in(&self, list: &str, name: &str) -> Vec<&'s str> {
        let Some(Value { value: DeValue::Array(items), .. }) = self.get(list) else {
            return Vec::new();
        };
        let under = items.iter().filter_map(|item| item.get_ref().as_table()?.get(name));
        let mut words: Vec<_> = under.flat_map(|value| words_of(value.get_ref())).collect();
        words.sort_unstable();
        words.dedup();
        words
    }

    /// The strings under `name`, which is a string or a list of them.
    pub(super) fn words(&self, name: &str) -> Vec<&'s str> {
        self.get(name).map(|value| words_of(value.value)).unwrap_or_default()
    }

    /// A table in here, of which nothing is reported.
    pub(super) fn child(&self, table: &str) -> Option<Section<'s, 'd>> {
        let value = self.get(table)?;
        let DeValue::Table(table) = value.value else {
            return None;
        };
        Some(Section { document: self.document, path: value.key, at: value.at, table })
    }

    /// All entries in the order of the file: name, where the name stands, value.
    pub(super) fn entries(&self) -> Vec<(&'s str, Place, Value<'s, 'd>)> {
        let mut entries: Vec<_> = self.table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let entry = |(key, value): (&'s Spanned<_>, &'s Spanned<DeValue<'d>>)| {
            let name: &'s std::borrow::Cow<'d, str> = key.get_ref();
            let full = self.full(name);
            let place = self.document.place(key.span().start, &full);
            let value =
                Value { document: self.document, key: full, at: value.span().start, value: value.get_ref() };
            (&**name, place, value)
        };
        entries.into_iter().map(entry).collect()
    }
}

/// Something read, and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct At<T> {
    pub value: T,
    pub place: Place,
}

fn words_of<'s>(value: &'s DeValue<'s>) -> Vec<&'s str> {
    match value {
        DeValue::Array(words) => words.iter().filter_map(|word| word.get_ref().as_str()).collect(),
        word => word.as_str().into_iter().collect(),
    }
}

/// A value of the file with its key.
pub(super) struct Value<'s, 'd> {
    document: &'s Document<'d>,
    key: String,
    at: usize,
    value: &'s DeValue<'d>,
}

impl<'s, 'd> Value<'s, 'd> {
    pub(super) fn document(&self) -> &'s Document<'d> {
        self.document
    }

    pub(super) fn place(&self) -> Place {
        self.document.place(self.at, &self.key)
    }

    /// Reports the value as not being `expected`.
    pub(super) fn wrong<T>(&self, expected: impl fmt::Display) -> Option<T> {
        self.document.report(self.place(), self.shown(), expected);
        None
    }

    fn shown(&self) -> String {
        match self.value {
            DeValue::String(text) => {
                let mut characters = text.chars();
                let start: String = characters.by_ref().take(SHOWN_CHARACTERS).collect();
                let cut = if characters.next().is_some() { "…" } else { "" };
                format!("{start:?}{cut}")
            }
            DeValue::Integer(number) => number.to_string(),
            DeValue::Float(number) => number.to_string(),
            DeValue::Boolean(value) => value.to_string(),
            DeValue::Datetime(_) => "a date".to_owned(),
            DeValue::Array(_) => "a list".to_owned(),
            DeValue::Table(_) => "a table".to_owned(),
        }
    }

    /// The text of a string that is not empty.
    pub(super) fn text(&self, expected: impl fmt::Display) -> Option<&'s str> {
        match self.value {
            DeValue::String(text) if !text.is_empty() => Some(text),
            _ => self.wrong(expected),
        }
    }

    /// A string that `parse` understands.
    pub(super) fn parsed<T>(&self, expected: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let text = self.text(expected)?;
        parse(text).or_else(|| self.wrong(expected))
    }

    /// One of the listed words.
    pub(super) fn word<T: Copy>(&self, words: &[(&str, T)], later: &[&str]) -> Option<T> {
        let names: Vec<_> = words.iter().map(|(name, _)| *name).collect();
        let expected = format!("one of: {}", names.join(", "));
        let text = self.text(&expected)?;
        if later.contains(&text) {
            return self.wrong(format!("{expected} (this one is not supported yet)"));
        }
        let known = words.iter().find(|(name, _)| *name == text);
        known.map(|(_, word)| *word).or_else(|| self.wrong(expected))
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        match self.value {
            DeValue::Boolean(value) => Some(*value),
            _ => self.wrong("true or false"),
        }
    }

    /// A number written as such, inside `range`.
    pub(super) fn integer(&self, range: RangeInclusive<u32>) -> Option<u32> {
        let number = match self.value {
            DeValue::Integer(number) => u32::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        let inside = number.filter(|number| range.contains(number));
        inside.or_else(|| self.wrong(format!("a whole number from {} to {}", range.start(), range.end())))
    }

    pub(super) fn duration(&self, range: RangeInclusive<Duration>) -> Option<Duration> {
        let (least, most) = (Shown(*range.start()), Shown(*range.end()));
        let expected = format!("a duration from \"{least}\" to \"{most}\"");
        self.parsed(&expected, |text| units::duration(text).filter(|value| range.contains(value)))
    }

    pub(super) fn size(&self, range: RangeInclusive<usize>) -> Option<usize> {
        let expected = format!("a size from \"{}B\" to \"{}KiB\"", range.start(), range.end() >> 10);
        self.parsed(&expected, |text| units::size(text).filter(|value| range.contains(value)))
    }

    /// The items of a list with at most `most` of them.
    pub(super) fn list(&self, most: usize, expected: &str) -> Option<Vec<Value<'s, 'd>>> {
        let DeValue::Array(items) = self.value else {
            return self.wrong(expected);
        };
        if items.len() > most {
            return self.wrong(format!("at most {most} items"));
        }
        let item = |(index, item): (usize, &'s Spanned<DeValue<'d>>)| Value {
            document: self.document,
            key: format!("{}[{index}]", self.key),
            at: item.span().start,
            value: item.get_ref(),
        };
        Some(items.iter().enumerate().map(item).collect())
    }

    /// A list whose items `read` understands; all wrong items are reported.
    pub(super) fn list_of<T>(
        &self,
        most: usize,
        expected: &str,
        read: impl Fn(&Value<'s, 'd>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let items: Vec<_> = self.list(most, expected)?.iter().map(read).collect();
        items.into_iter().collect()
    }

    /// A table with the given keys.
    pub(super) fn section(&self, keys: Keys) -> Option<Section<'s, 'd>> {
        let DeValue::Table(table) = self.value else {
            return self.wrong("a table");
        };
        Some(Section::open(self.document, self.key.clone(), self.at, table, keys))
    }

    /// The same value; `name` in it, if that is a fit name, replaces the number in its key.
    pub(super) fn called_by(self, name: &str, prefix: &str) -> Self {
        let named = self.value.as_table().and_then(|table| table.get(name)?.get_ref().as_str());
        match named.filter(|name| units::label(name)) {
            Some(name) => Self { key: format!("{prefix}.{name}"), ..self },
            None => self,
        }
    }

    /// A table whose keys are names that the operator chose.
    pub(super) fn named(&self) -> Option<Section<'s, 'd>> {
        let DeValue::Table(table) = self.value else {
            return self.wrong("a table");
        };
        Some(Section { document: self.document, path: self.key.clone(), at: self.at, table })
    }

    /// True for `false`, the word that switches something off.
    pub(super) fn is_false(&self) -> bool {
        matches!(self.value, DeValue::Boolean(false))
    }
}
