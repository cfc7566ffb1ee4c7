//! `match.percentage`: a share of all calls, by a hash of the Call-ID. Calls below 10 are also below 50.

use super::Condition;
use crate::load::{Loader, Node};

/// Shares are counted in ten-thousandths.
const PER_PERCENT: f64 = 100.0;

pub(super) fn read(node: &Node<'_>, loader: &mut Loader<'_>) -> Option<Condition> {
    let expected = "a number from 0.01 to 100";
    let Some(share) = node.number().map(|percent| percent * PER_PERCENT) else {
        return node.refuse(loader, expected);
    };
    if !(1.0..=10_000.0).contains(&share) {
        return node.refuse(loader, expected);
    }
    // Inside the range of u16, and rounded: nothing is lost.
    Some(Condition::Percentage(share.round() as u16))
}
