//! `match.region`: the region of this node, so that nodes of several regions can share one file.

use super::Condition;
use crate::load::{Loader, Node};
use crate::words::read_label;

/// Names of regions.
#[derive(Debug)]
pub(crate) struct Regions(Vec<Box<str>>);

pub(super) fn read(node: &Node<'_>, loader: &mut Loader<'_>) -> Option<Condition> {
    let names = node.each(loader, |item, loader| read_label(item, loader, "the name of a region"))?;
    Some(Condition::Region(Regions(names)))
}

impl Regions {
    pub(super) fn contains(&self, region: &str) -> bool {
        self.0.iter().any(|own| **own == *region)
    }

    pub(super) fn covers(&self, other: &Self) -> bool {
        other.0.iter().all(|region| self.contains(region))
    }
}
