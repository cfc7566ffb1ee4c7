//! `match.user`: the user part of the Request-URI, escapes undone. Its case counts (RFC 3261 §19.1.4).

use regex::bytes::{Regex, RegexBuilder};

use super::Condition;
use super::sorted::{Prefixes, Whole};
use crate::error::quote;
use crate::limits::{MAX_REGEX_BYTES, MAX_REGEXES, MAX_USER_BYTES};
use crate::load::{Keys, Loader, Node, Table};

const KEYS: Keys<'_> = Keys { known: &["prefix", "regex"], later: &["prefixes"] };
const ONE_WAY: &str = "exactly one of: prefix, regex";

/// Users of which any may be the one.
#[derive(Debug)]
pub(super) struct Users {
    whole: Whole,
    prefixes: Prefixes,
    regexes: Vec<Regex>,
}

/// One item of the key.
enum Item {
    Whole(Box<[u8]>),
    Prefixes(Vec<Box<[u8]>>),
    Regex(Regex),
}

pub(super) fn read(node: &Node<'_>, loader: &mut Loader<'_>) -> Option<Condition> {
    let (mut whole, mut prefixes, mut regexes) = (Vec::new(), Vec::new(), Vec::new());
    for item in node.each(loader, read_item)? {
        match item {
            Item::Whole(user) => whole.push(user),
            Item::Prefixes(some) => prefixes.extend(some),
            Item::Regex(regex) => regexes.push(regex),
        }
    }
    let (whole, prefixes) = (Whole::new(whole), Prefixes::new(prefixes));
    Some(Condition::User(Users { whole, prefixes, regexes }))
}

fn read_item(node: &Node<'_>, loader: &mut Loader<'_>) -> Option<Item> {
    if !node.is_table() {
        // The empty user is one too: REGISTER asks for a domain alone.
        return read_bytes(node, loader, 0, "a user, or a table with prefix or regex").map(Item::Whole);
    }
    let table = node.table(loader, &KEYS)?;
    match (table.get("prefix"), table.get("regex")) {
        (Some(prefix), None) => read_prefixes(&prefix, loader).map(Item::Prefixes),
        (None, Some(regex)) => read_regex(&regex, loader).map(Item::Regex),
        (Some(_), Some(regex)) => regex.refuse_as(loader, "a regex beside prefix", ONE_WAY),
        (None, None) => report_no_way(node, &table, loader),
    }
}

fn report_no_way(node: &Node<'_>, table: &Table<'_>, loader: &mut Loader<'_>) -> Option<Item> {
    if table.has_foreign_keys { None } else { node.refuse_as(loader, "an empty table", ONE_WAY) }
}

fn read_prefixes(node: &Node<'_>, loader: &mut Loader<'_>) -> Option<Vec<Box<[u8]>>> {
    node.each(loader, |item, loader| read_bytes(item, loader, 1, "a prefix of at least one character"))
}

fn read_bytes(
    node: &Node<'_>,
    loader: &mut Loader<'_>,
    shortest: usize,
    expected: &str,
) -> Option<Box<[u8]>> {
    let text = node.text(loader, expected)?;
    if text.len() < shortest {
        return node.refuse(loader, expected);
    }
    if text.len() > MAX_USER_BYTES {
        return node.refuse(loader, format!("at most {MAX_USER_BYTES} bytes"));
    }
    Some(text.as_bytes().into())
}

fn read_regex(node: &Node<'_>, loader: &mut Loader<'_>) -> Option<Regex> {
    let pattern = node.text(loader, "a regular expression")?;
    if pattern.is_empty() {
        return node.refuse(loader, "a regular expression of at least one character");
    }
    loader.regexes += 1;
    if loader.regexes > MAX_REGEXES {
        return node.refuse_as(
            loader,
            "one regex more",
            format!("at most {MAX_REGEXES} in all rules together"),
        );
    }
    // Numbers are ASCII: without Unicode `\d` means just that, and the machine stays small.
    match RegexBuilder::new(pattern).unicode(false).size_limit(MAX_REGEX_BYTES).build() {
        Ok(regex) => Some(regex),
        Err(regex::Error::CompiledTooBig(limit)) => {
            node.refuse(loader, format!("a regular expression of less than {limit} bytes when compiled"))
        }
        Err(error) => node.refuse_as(
            loader,
            format!("{}: {}", quote(pattern), why(&error)),
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

impl Users {
    pub(super) fn contains(&self, user: &[u8]) -> bool {
        self.whole.contains_by(|known| known.cmp(user))
            || self.has_prefix_of(user)
            || self.regexes.iter().any(|regex| regex.is_match(user))
    }

    fn has_prefix_of(&self, user: &[u8]) -> bool {
        self.prefixes.candidate_by(|prefix| prefix.cmp(user)).is_some_and(|prefix| user.starts_with(prefix))
    }

    /// Of two regexes only equal ones are known to cover each other.
    pub(super) fn covers(&self, other: &Self) -> bool {
        other.whole.iter().all(|user| self.contains(user))
            && other.prefixes.iter().all(|prefix| self.has_prefix_of(prefix))
            && other
                .regexes
                .iter()
                .all(|theirs| self.regexes.iter().any(|ours| ours.as_str() == theirs.as_str()))
    }
}
