//! `match.listener`: the listener that the request came in by.

use super::Condition;
use crate::load::{Loader, Node};

/// Ids of listeners, in ascending order.
#[derive(Debug)]
pub(crate) struct Listeners(Vec<usize>);

pub(super) fn read(node: &Node<'_>, loader: &mut Loader<'_>) -> Option<Condition> {
    let listeners = loader.names.listeners;
    let mut ids = node.each(loader, |item, loader| item.word(loader, listeners))?;
    ids.sort_unstable();
    ids.dedup();
    Some(Condition::Listener(Listeners(ids)))
}

impl Listeners {
    pub(super) fn contains(&self, listener: usize) -> bool {
        self.0.binary_search(&listener).is_ok()
    }

    pub(super) fn covers(&self, other: &Self) -> bool {
        other.0.iter().all(|listener| self.contains(*listener))
    }
}
