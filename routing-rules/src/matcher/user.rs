//! `match.user`: the user part of the Request-URI, escapes undone. Its case counts (RFC 3261 §19.1.4).

use super::Condition;
use super::texts::{Form, Texts};
use crate::compile::Subject;
use crate::load::{Loader, Node};

const FORM: Form = Form {
    subject: Subject::USER,
    keys: &["prefix", "regex", "prefixes"],
    one_way: "exactly one of: prefix, regex, prefixes",
    expected: "a user, or a table with prefix, regex or prefixes",
    fold_from: str::len,
};

pub(super) fn read(node: &Node<'_>, loader: &mut Loader<'_>) -> Option<Condition> {
    Texts::read(node, loader, &FORM).map(|texts| Condition::Text(Subject::USER, texts))
}
