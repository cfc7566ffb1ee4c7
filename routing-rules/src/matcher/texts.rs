//! Texts of which any may be the one: whole ones, prefixes, regexes, and files of prefixes.

use std::sync::Arc;

use regex::bytes::Regex;

use super::sorted::{Prefixes, Whole};
use super::{Facts, Memo};
use crate::compile::{Pattern, Subject};
use crate::error::quote;
use crate::limits::{MAX_PREFIX_FILES, MAX_REGEX_BYTES, MAX_REGEXES, MAX_USER_BYTES};
use crate::load::{Keys, Loader, Node, Table};
use crate::prefix_file::PrefixFile;
use crate::proof;

/// What a key that compares texts may hold.
pub(super) struct Form {
    pub(super) subject: Subject,
    /// The keys of its table.
    pub(super) keys: &'static [&'static str],
    pub(super) one_way: &'static str,
    /// What a whole text is.
    pub(super) expected: &'static str,
    /// From which byte on case does not count in a whole text; such bytes are compared in lower case.
    pub(super) fold_from: fn(&str) -> usize,
}

/// Texts of which any may be the one.
#[derive(Debug)]
pub(crate) struct Texts {
    pub(crate) whole: Whole,
    pub(crate) prefixes: Prefixes,
    pub(crate) regexes: Vec<Pattern>,
    pub(crate) files: Vec<Arc<PrefixFile>>,
}

/// One item of the key.
enum Item {
    Whole(Box<[u8]>),
    Prefixes(Vec<Box<[u8]>>),
    Regex(Pattern),
    File(Arc<PrefixFile>),
}

impl Texts {
    pub(super) fn read(node: &Node<'_>, loader: &mut Loader<'_>, form: &Form) -> Option<Self> {
        let (mut whole, mut prefixes, mut regexes) = (Vec::new(), Vec::new(), Vec::new());
        let mut files = Vec::new();
        for item in node.each(loader, |item, loader| read_item(item, loader, form))? {
            match item {
                Item::Whole(user) => whole.push(user),
                Item::Prefixes(some) => prefixes.extend(some),
                Item::Regex(regex) => regexes.push(regex),
                Item::File(file) => files.push(file),
            }
        }
        Some(Self { whole: Whole::new(whole), prefixes: Prefixes::new(prefixes), regexes, files })
    }

    pub(super) fn holds(&self, subject: Subject, facts: &Facts, memo: &mut Memo<'_>) -> bool {
        facts.texts(subject).any(|text| self.whole.contains(text) || self.prefixes.has_prefix_of(text))
            || self.files.iter().any(|file| memo.file_holds(file, facts))
            || (!self.regexes.is_empty() && self.has_match(subject, facts, memo))
    }

    fn has_match(&self, subject: Subject, facts: &Facts, memo: &mut Memo<'_>) -> bool {
        self.regexes.iter().any(|pattern| memo.matches_one(subject, pattern, facts))
    }

    /// Whether a text is one of these.
    fn contains(&self, text: &[u8]) -> bool {
        self.whole.contains(text)
            || self.has_prefix_of(text)
            || self.regexes.iter().any(|pattern| pattern.regex.is_match(text))
    }

    fn has_prefix_of(&self, text: &[u8]) -> bool {
        self.prefixes.has_prefix_of(text) || self.files.iter().any(|file| file.has_prefix_of(text))
    }

    /// Of two regexes or files only equal ones are known to cover each other.
    pub(super) fn covers(&self, other: &Self) -> bool {
        other.whole.iter().all(|text| self.contains(text))
            && other.prefixes.iter().all(|prefix| self.has_prefix_of(prefix))
            && other.regexes.iter().all(|theirs| self.regexes.iter().any(|ours| ours.id == theirs.id))
            && other.files.iter().all(|theirs| self.files.iter().any(|ours| ours.id == theirs.id))
    }

    /// The first regex that matches a text of the subject, and that text.
    pub(crate) fn matching<'f>(&self, subject: Subject, facts: &'f Facts) -> Option<(&Regex, &'f [u8])> {
        let found = |pattern: &'_ Pattern| facts.texts(subject).find(|text| pattern.regex.is_match(text));
        self.regexes.iter().find_map(|pattern| Some((&pattern.regex, found(pattern)?)))
    }

    /// The regexes, if there is nothing else: then one of them has matched wherever the key holds.
    pub(crate) fn only_regexes(&self) -> Option<&[Pattern]> {
        let others = self.whole.iter().next().is_some()
            || self.prefixes.iter().next().is_some()
            || !self.files.is_empty();
        (!others).then_some(&self.regexes)
    }
}

fn read_item(node: &Node<'_>, loader: &mut Loader<'_>, form: &Form) -> Option<Item> {
    if !node.is_table() {
        // The empty user is one too: REGISTER asks for a domain alone.
        return read_bytes(node, loader, 0, form.expected, form.fold_from).map(Item::Whole);
    }
    let table = node.table(loader, &Keys { known: form.keys })?;
    let mut ways = form.keys.iter().filter_map(|key| Some((*key, table.get(key)?)));
    let first = ways.next();
    if let (Some((one, _)), Some((other, second))) = (&first, ways.next()) {
        return second.refuse_as(loader, format!("a {other} beside {one}"), form.one_way);
    }
    match first {
        Some(("prefix", prefix)) => read_prefixes(&prefix, loader).map(Item::Prefixes),
        Some(("regex", regex)) => read_regex(&regex, loader, form.subject).map(Item::Regex),
        Some((_, file)) => read_file(&file, loader).map(Item::File),
        None => report_no_way(node, &table, loader, form),
    }
}

fn report_no_way(node: &Node<'_>, table: &Table<'_>, loader: &mut Loader<'_>, form: &Form) -> Option<Item> {
    if table.has_foreign_keys { None } else { node.refuse_as(loader, "an empty table", form.one_way) }
}

fn read_prefixes(node: &Node<'_>, loader: &mut Loader<'_>) -> Option<Vec<Box<[u8]>>> {
    let expected = "a prefix of at least one character";
    node.each(loader, |item, loader| read_bytes(item, loader, 1, expected, str::len))
}

fn read_bytes(
    node: &Node<'_>,
    loader: &mut Loader<'_>,
    shortest: usize,
    expected: &str,
    fold_from: fn(&str) -> usize,
) -> Option<Box<[u8]>> {
    let text = node.text(loader, expected)?;
    if text.len() < shortest {
        return node.refuse(loader, expected);
    }
    if text.len() > MAX_USER_BYTES {
        return node.refuse(loader, format!("at most {MAX_USER_BYTES} bytes"));
    }
    let mut bytes: Box<[u8]> = text.as_bytes().into();
    bytes.get_mut(fold_from(text)..).unwrap_or_default().make_ascii_lowercase();
    Some(bytes)
}

fn read_regex(node: &Node<'_>, loader: &mut Loader<'_>, subject: Subject) -> Option<Pattern> {
    let pattern = node.text(loader, "a regular expression")?;
    if pattern.is_empty() {
        return node.refuse(loader, "a regular expression of at least one character");
    }
    match loader.shared.pattern(subject, pattern) {
        Ok(_) if loader.shared.regexes() > MAX_REGEXES => node.refuse_as(
            loader,
            "one regex more",
            format!("at most {MAX_REGEXES} different ones in all rules together"),
        ),
        Ok(_) if !proof::can_match(pattern) => node.refuse_as(
            loader,
            format!("{}, which no text matches", quote(pattern)),
            "a regular expression that can match",
        ),
        Ok(regex) => Some(regex),
        Err(error) => refuse_regex(node, loader, pattern, &error),
    }
}

fn refuse_regex<T>(
    node: &Node<'_>,
    loader: &mut Loader<'_>,
    pattern: &str,
    error: &regex::Error,
) -> Option<T> {
    match error {
        regex::Error::CompiledTooBig(_) => {
            let expected = format!("a regular expression of less than {MAX_REGEX_BYTES} bytes when compiled");
            node.refuse(loader, expected)
        }
        error => node.refuse_as(
            loader,
            format!("{}: {}", quote(pattern), why(error)),
            "a valid regular expression",
        ),
    }
}

/// The reason, without the drawing of the place that comes before it.
fn why(error: &regex::Error) -> String {
    let text = error.to_string();
    let last_line = text.lines().last().unwrap_or_default().trim();
    last_line.strip_prefix("error: ").unwrap_or(last_line).to_owned()
}

/// A file is read once, and its mistakes are reported once, however many rules name it.
fn read_file(node: &Node<'_>, loader: &mut Loader<'_>) -> Option<Arc<PrefixFile>> {
    let name = node.text(loader, "the name of a file")?;
    if let Some(known) = loader.shared.files.get(name) {
        return known.clone();
    }
    let number = loader.shared.files.len();
    if number >= MAX_PREFIX_FILES {
        return node.refuse_as(loader, "one file more", format!("at most {MAX_PREFIX_FILES} files"));
    }
    let file = match loader.files.read(name) {
        Ok(text) => read_prefix_file(node, loader, name, number, &text),
        Err(why) => {
            let found = format!("{}: {why}", quote(name));
            node.refuse_as(loader, found, "a file that can be read, beside the routes file")
        }
    };
    loader.shared.files.insert(name.to_owned(), file.clone());
    file
}

fn read_prefix_file(
    node: &Node<'_>,
    loader: &mut Loader<'_>,
    name: &str,
    number: usize,
    text: &str,
) -> Option<Arc<PrefixFile>> {
    match PrefixFile::read(u32::try_from(number).ok()?, text) {
        Ok(file) => Some(Arc::new(file)),
        Err(wrong) => {
            for one in wrong {
                loader.report_in(name, (one.line, 1), &node.path, one.found, one.expected);
            }
            None
        }
    }
}
