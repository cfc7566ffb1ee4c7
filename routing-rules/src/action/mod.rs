//! What rules do: one file for each key.

mod reason;
mod reject;
mod route;

use crate::load::{Loader, Table};
use crate::query::Action;
use crate::words::Balance;

const ROUTE: &str = "route";
const REJECT: &str = "reject";
const ONE_ACTION: &str = "exactly one of: route, reject";

/// An action that owns its texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Pool { pool: usize, balance: Option<Balance> },
    Bindings,
    Reject { status: u16, reason: Box<str>, retry_after: Option<u32> },
}

impl Outcome {
    pub(crate) fn action(&self) -> Action<'_> {
        match self {
            &Self::Pool { pool, balance } => Action::Pool { pool, balance },
            Self::Bindings => Action::Bindings,
            Self::Reject { status, reason, retry_after } => {
                Action::Reject { status: *status, reason, retry_after: *retry_after }
            }
        }
    }
}

/// Reads the one action of a rule.
pub(crate) fn read(rule: &Table<'_>, loader: &mut Loader<'_>) -> Option<Outcome> {
    match (rule.get(ROUTE), rule.get(REJECT)) {
        (Some(route), None) => route::read(&route, loader),
        (None, Some(reject)) => reject::read(&reject, loader),
        (Some(route), Some(reject)) => {
            // Both are read for the errors inside them.
            route::read(&route, loader);
            reject::read(&reject, loader);
            reject.refuse_as(loader, "a second action beside route", "exactly one of: route, reject")
        }
        (None, None) if rule.has_foreign_keys => None,
        (None, None) => rule.refuse_missing(loader, ROUTE, ONE_ACTION),
    }
}
