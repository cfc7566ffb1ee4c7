//! `match.transport`: what the request came over.

use super::Condition;
use super::word_set::WordSet;
use crate::load::{Loader, Node};

/// The transports of listeners.
pub(super) const NAMES: [&str; 5] = ["udp", "tcp", "tls", "ws", "wss"];

pub(super) fn read(node: &Node<'_>, loader: &mut Loader<'_>) -> Option<Condition> {
    WordSet::read(node, loader, &NAMES).map(Condition::Transport)
}
