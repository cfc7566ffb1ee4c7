//! `match.registered`: whether this edge knows a binding for the address asked for.

use super::Condition;
use crate::load::{Loader, Node};

pub(super) fn read(node: &Node<'_>, loader: &mut Loader<'_>) -> Option<Condition> {
    loader.shared.asks.registered = true;
    node.boolean(loader).map(Condition::Registered)
}
