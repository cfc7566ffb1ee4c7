//! From the text of a routes file to rules: the document, the rules in it, the keys of a rule.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use toml::de::{DeTable, DeValue};

use crate::action::Outcome;
use crate::error::quote;
use crate::index::Index;
use crate::limits::{MAX_CHANGING_RULES, MAX_FILE_BYTES, MAX_PHRASE_CHARS, MAX_RULES};
use crate::load::{Keys, Loader, Node, Table};
use crate::matcher::Matcher;
use crate::rules::{Rule, Rules};
use crate::unreachable;
use crate::{Files, Names, RuleError, action};

const DOCUMENT: Keys<'_> = Keys { known: &["rule", "sets"] };
const RULE: Keys<'_> = Keys {
    known: &[
        "name", "match", "set", "remove", "identity", "limit", "tag", "media", "route", "reject", "redirect",
        "next",
    ],
};
const AT_LEAST_ONE: &str = "at least one [[rule]]";

/// A rule and the byte offset of its name, for errors that compare rules.
pub(crate) struct Placed {
    pub(crate) rule: Rule,
    pub(crate) at: usize,
}

/// Reads and checks all rules of a text.
pub(crate) fn rules(
    text: &str,
    file: &str,
    names: &Names<'_>,
    files: &dyn Files,
) -> Result<Rules, Vec<RuleError>> {
    if text.len() > MAX_FILE_BYTES {
        let mut loader = Loader::new("", file, names, files);
        let found = format!("a file of {} bytes", text.len());
        loader.report(0, "toml", found, format!("at most {MAX_FILE_BYTES} bytes"));
        return loader.finish().map(|_| Rules::default());
    }
    let (document, syntax_errors) = DeTable::parse_recoverable(text);
    let mut loader = Loader::new(text, file, names, files);
    for error in &syntax_errors {
        report_syntax(text, error, &mut loader);
    }
    if !syntax_errors.is_empty() {
        // What the parser guessed after a syntax error would only yield misleading errors about keys.
        return loader.finish().map(|_| Rules::default());
    }
    let placed = read_document(document.get_ref(), &mut loader);
    count_changing(&placed, &mut loader);
    let regexes = loader.shared.sets().unwrap_or_else(|why| {
        loader.report(
            0,
            "rule",
            "regexes that are too large together",
            format!("fewer or simpler ones ({why})"),
        );
        Vec::new()
    });
    let index = Index::new(placed.iter().map(|placed| &placed.rule.matcher), &regexes);
    unreachable::report(&placed, &index, &regexes, &mut loader);
    let rules = placed.into_iter().map(|placed| placed.rule).collect();
    loader.finish().map(|shared| Rules::new(rules, shared, regexes, index))
}

/// Each rule that changes a request and goes on costs it a second look at what follows.
fn count_changing(placed: &[Placed], loader: &mut Loader<'_>) {
    let changes = |placed: &&Placed| {
        matches!(placed.rule.deeds.outcome, Outcome::Next) && placed.rule.deeds.set.is_some()
    };
    if let Some(one) = placed.iter().filter(changes).nth(MAX_CHANGING_RULES) {
        loader.enter_rule(Some(&one.rule.name));
        let expected = format!("at most {MAX_CHANGING_RULES} rules that change a request and go on");
        loader.report(one.at, "next", "one more", expected);
    }
}

fn report_syntax(text: &str, error: &toml::de::Error, loader: &mut Loader<'_>) {
    let span = error.span().unwrap_or(text.len()..text.len());
    let found = match text.get(span.clone()).unwrap_or_default() {
        "" if text.get(span.start..).is_none_or(str::is_empty) => "the end of the file".to_owned(),
        "" => "a TOML syntax error".to_owned(),
        found => quote(found),
    };
    // One line, whatever the parser says.
    let why = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
    loader.report(span.start, "toml", found, format!("valid TOML ({why})"));
}

fn read_document<'d>(document: &'d DeTable<'d>, loader: &mut Loader<'d>) -> Vec<Placed> {
    let table = Table::new("", 0, document, loader, &DOCUMENT);
    let sets = read_sets(&table, loader);
    let placed = read_rules(&table, document, loader);
    for (name, at) in sets.into_iter().filter(|_| !placed.is_empty()) {
        if !loader.is_used(name) {
            loader.report(
                at,
                &format!("sets.{name}"),
                "a set that no rule uses",
                "a rule that does, or no such set",
            );
        }
    }
    placed
}

/// Makes the named sets known, and returns their names and places.
fn read_sets<'d>(table: &Table<'d>, loader: &mut Loader<'d>) -> Vec<(&'d str, usize)> {
    let Some(sets) = table.get("sets") else { return Vec::new() };
    let mut known = Vec::new();
    for (name, value) in sets.named(loader, "a table of names and lists").unwrap_or_default() {
        match value.array() {
            Some(items) if !items.is_empty() => {
                if value.items().iter().any(|item| item.child("set").is_some()) {
                    value.refuse_as::<()>(loader, "a set inside a set", "its items");
                    continue;
                }
                loader.add_set(name, items);
                known.push((name, value.at));
            }
            _ => {
                value.refuse::<()>(loader, "a list of at least one item");
            }
        }
    }
    known
}

fn read_rules<'d>(table: &Table<'d>, document: &'d DeTable<'d>, loader: &mut Loader<'d>) -> Vec<Placed> {
    match document.get("rule").map(|rules| (rules.span().start, rules.get_ref())) {
        Some((_, DeValue::Array(items))) if !items.is_empty() => {
            if items.len() > MAX_RULES {
                let (found, expected) = (format!("{} rules", items.len()), format!("at most {MAX_RULES}"));
                loader.report(0, "rule", found, expected);
                return Vec::new();
            }
            let mut lines_of_names = HashMap::new();
            let nodes = items.iter().map(|item| Node::new("", item));
            nodes.filter_map(|node| read_rule(&node, &mut lines_of_names, loader)).collect()
        }
        Some((at, DeValue::Table(_))) => {
            loader.report(at, "rule", "a single table", "a list of rules, each opened by [[rule]]");
            Vec::new()
        }
        Some((at, _)) => {
            loader.report(at, "rule", "no table", AT_LEAST_ONE);
            Vec::new()
        }
        None if table.has_foreign_keys => Vec::new(),
        None => table.refuse_missing(loader, "rule", AT_LEAST_ONE).unwrap_or_default(),
    }
}

fn read_rule<'d>(
    node: &Node<'d>,
    lines_of_names: &mut HashMap<&'d str, usize>,
    loader: &mut Loader<'_>,
) -> Option<Placed> {
    loader.enter_rule(None);
    if !node.is_table() {
        loader.report(
            node.at,
            "rule",
            "an item that is no table",
            "a [[rule]] with name, match and an action",
        );
        return None;
    }
    // The name comes first: all other errors of the rule quote it.
    let name = read_name(node, lines_of_names, loader);
    let table = node.table(loader, &RULE)?;
    let matcher = match table.get("match") {
        Some(node) => Matcher::read(&node, loader),
        None => Some(Matcher::default()),
    };
    let deeds = action::read(&table, matcher.as_ref(), loader);
    let line = loader.line(node.at);
    loader.enter_rule(None);
    let (name, at) = name?;
    Some(Placed { rule: Rule { name: name.into(), line, matcher: matcher?, deeds: deeds? }, at })
}

fn read_name<'d>(
    rule: &Node<'d>,
    lines_of_names: &mut HashMap<&'d str, usize>,
    loader: &mut Loader<'_>,
) -> Option<(&'d str, usize)> {
    let expected = format!("a name of 1 to {MAX_PHRASE_CHARS} characters that no other rule has");
    let Some(node) = rule.child("name") else {
        loader.report(rule.at, "name", "nothing", expected);
        return None;
    };
    let name = node.text(loader, &expected)?;
    if name.trim().is_empty() || name.chars().count() > MAX_PHRASE_CHARS || name.chars().any(char::is_control)
    {
        return node.refuse(loader, expected);
    }
    loader.enter_rule(Some(name));
    match lines_of_names.entry(name) {
        Entry::Vacant(entry) => {
            entry.insert(loader.line(node.at));
        }
        Entry::Occupied(first) => {
            let found = format!("{}, the name of the rule on line {}", quote(name), first.get());
            return node.refuse_as(loader, found, "a name of its own");
        }
    }
    Some((name, node.at))
}
