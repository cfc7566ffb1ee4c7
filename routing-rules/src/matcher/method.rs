//! `match.method`: the request's method, as the RFCs spell it.

use super::Condition;
use super::word_set::WordSet;
use crate::load::{Loader, Node};

/// The methods of RFC 3261, 3262, 3265, 3311, 3428, 3515, 3903 and 6086.
pub(super) const NAMES: [&str; 14] = [
    "ACK",
    "BYE",
    "CANCEL",
    "INFO",
    "INVITE",
    "MESSAGE",
    "NOTIFY",
    "OPTIONS",
    "PRACK",
    "PUBLISH",
    "REFER",
    "REGISTER",
    "SUBSCRIBE",
    "UPDATE",
];

pub(super) fn read(node: &Node<'_>, loader: &mut Loader<'_>) -> Option<Condition> {
    WordSet::read(node, loader, &NAMES).map(Condition::Method)
}
