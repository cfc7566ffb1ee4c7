//! `match.from` and `match.to`: who calls, and who is called, as the headers say it: `user@host`, or a host alone.

use super::Condition;
use super::texts::{Form, Texts};
use crate::compile::Subject;
use crate::load::{Loader, Node};

const fn form(subject: Subject) -> Form {
    Form {
        subject,
        keys: &["prefix", "regex"],
        one_way: "exactly one of: prefix, regex",
        expected: "an address such as alice@example.com, or a table with prefix or regex",
        // RFC 3261 §19.1.4: a host is the same in any case, a user is not.
        fold_from: |address| address.rfind('@').unwrap_or(0),
    }
}

pub(super) fn read_from(node: &Node<'_>, loader: &mut Loader<'_>) -> Option<Condition> {
    loader.shared.asks.from = true;
    Texts::read(node, loader, &form(Subject::FROM)).map(|texts| Condition::Text(Subject::FROM, texts))
}

pub(super) fn read_to(node: &Node<'_>, loader: &mut Loader<'_>) -> Option<Condition> {
    loader.shared.asks.to = true;
    Texts::read(node, loader, &form(Subject::TO)).map(|texts| Condition::Text(Subject::TO, texts))
}
