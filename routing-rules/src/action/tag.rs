//! `tag`: words that logs and metrics carry for what a rule held for.

use crate::limits::MAX_TAGS;
use crate::load::{Loader, Node};
use crate::words::read_label;

pub(super) fn read(node: &Node<'_>, loader: &mut Loader<'_>) -> Option<Vec<u32>> {
    node.each(loader, |item, loader| {
        let tag = read_label(item, loader, "a tag")?;
        loader.shared.tag(&tag, MAX_TAGS).or_else(|| {
            item.refuse_as(
                loader,
                "one tag more",
                format!("at most {MAX_TAGS} different ones in all rules together"),
            )
        })
    })
}
