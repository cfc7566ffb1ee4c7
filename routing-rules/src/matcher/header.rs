//! `match.header`: headers by name; each of them must hold, by any of its values.

use super::Condition;
use super::texts::{Form, Texts};
use crate::compile::Subject;
use crate::error::quote;
use crate::limits::MAX_HEADER_NAMES;
use crate::load::{Loader, Node};
use crate::words::is_token;

pub(super) fn read(node: &Node<'_>, loader: &mut Loader<'_>, out: &mut Vec<Condition>) -> Option<()> {
    let expected = "a table of header names and values";
    let mut complete = true;
    for (name, value) in node.named(loader, expected)? {
        match read_header(name, &value, loader) {
            Some(condition) => out.push(condition),
            None => complete = false,
        }
    }
    complete.then_some(())
}

fn read_header(name: &str, value: &Node<'_>, loader: &mut Loader<'_>) -> Option<Condition> {
    if !is_token(name) {
        return value.refuse_as(loader, quote(name), "the name of a header");
    }
    let Some(number) = loader.shared.header(name, MAX_HEADER_NAMES) else {
        let expected = format!("at most {MAX_HEADER_NAMES} different headers in all rules together");
        return value.refuse_as(loader, "one header more", expected);
    };
    let subject = Subject::header(number);
    let form = Form {
        subject,
        keys: &["prefix", "regex"],
        one_way: "exactly one of: prefix, regex",
        expected: "a value, or a table with prefix or regex",
        fold_from: str::len,
    };
    Texts::read(value, loader, &form).map(|texts| Condition::Text(subject, texts))
}
