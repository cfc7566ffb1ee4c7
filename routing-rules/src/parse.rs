//! From the text of a routes file to rules: the document, the rules in it, the keys of a rule.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use toml::de::{DeTable, DeValue};

use crate::error::quote;
use crate::limits::{MAX_FILE_BYTES, MAX_PHRASE_CHARS, MAX_RULES};
use crate::load::{Keys, Loader, Node, Table};
use crate::matcher::Matcher;
use crate::rules::Rule;
use crate::unreachable;
use crate::{Names, RuleError, action};

const DOCUMENT: Keys<'_> = Keys { known: &["rule"], later: &[] };
const RULE: Keys<'_> = Keys {
    known: &["name", "match", "route", "reject"],
    later: &["set", "limit", "next", "redirect", "media", "identity", "percentage", "tag"],
};
const AT_LEAST_ONE: &str = "at least one [[rule]]";

/// A rule and the byte offset of its name, for errors that compare rules.
pub(crate) struct Placed {
    pub(crate) rule: Rule,
    pub(crate) at: usize,
}

/// Reads and checks all rules of a text.
pub(crate) fn rules(text: &str, file: &str, names: &Names<'_>) -> Result<Vec<Rule>, Vec<RuleError>> {
    let mut loader = Loader::new(text, file, names);
    if text.len() > MAX_FILE_BYTES {
        let found = format!("a file of {} bytes", text.len());
        loader.report(0, "toml", found, format!("at most {MAX_FILE_BYTES} bytes"));
        return loader.finish().map(|()| Vec::new());
    }
    let (document, syntax_errors) = DeTable::parse_recoverable(text);
    for error in &syntax_errors {
        report_syntax(text, error, &mut loader);
    }
    // What the parser guessed after a syntax error would only yield misleading errors about keys.
    let mut placed = Vec::new();
    if syntax_errors.is_empty() {
        placed = read_document(document.get_ref(), &mut loader);
        unreachable::report(&placed, &mut loader);
    }
    loader.finish().map(|()| placed.into_iter().map(|placed| placed.rule).collect())
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

fn read_document(document: &DeTable<'_>, loader: &mut Loader<'_>) -> Vec<Placed> {
    let table = Table::new("", 0, document, loader, &DOCUMENT);
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
    let outcome = action::read(&table, loader);
    loader.enter_rule(None);
    let (name, at) = name?;
    Some(Placed { rule: Rule { name: name.into(), matcher: matcher?, outcome: outcome? }, at })
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
