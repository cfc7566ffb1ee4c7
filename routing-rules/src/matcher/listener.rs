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

/// The bit of a listener; none beyond the 64 first.
pub(super) fn bit_of(listener: usize) -> u64 {
    u32::try_from(listener).ok().and_then(|id| 1_u64.checked_shl(id)).unwrap_or(0)
}

impl Listeners {
    pub(super) fn contains(&self, listener: usize) -> bool {
        self.0.binary_search(&listener).is_ok()
    }

    /// One bit for each listener, if none is beyond the 64 first.
    pub(crate) fn bits(&self) -> Option<u64> {
        self.0.iter().map(|id| bit_of(*id)).try_fold(0, |bits, bit| (bit != 0).then_some(bits | bit))
    }

    pub(super) fn covers(&self, other: &Self) -> bool {
        other.0.iter().all(|listener| self.contains(*listener))
    }
}
