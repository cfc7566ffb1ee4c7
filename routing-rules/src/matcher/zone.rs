//! `match.zone`: the zone of the listener that the request came in by.

use super::Condition;
use super::word_set::WordSet;
use crate::load::{Loader, Node};
use crate::words::Zone;

pub(super) fn read(node: &Node<'_>, loader: &mut Loader<'_>) -> Option<Condition> {
    WordSet::read(node, loader, &Zone::NAMES).map(Condition::Zone)
}

/// The set that holds one zone.
pub(super) fn set_of(zone: Zone) -> WordSet {
    WordSet::of(zone.as_str(), &Zone::NAMES)
}
