//! `limit`: how many calls and requests a rule lets through.

use crate::limits::{MAX_CALLS, MAX_RETRY_AFTER_SECONDS};
use crate::load::{Keys, Loader, Node, Table};
use crate::query::{Limit, Rate};

const KEYS: Keys<'_> = Keys { known: &["calls", "rate", "burst", "status", "retry_after"] };
const RATE: &str = "a rate such as 50/s, 300/m or 1000/h";
const STATUS: &str = "a status from 400 to 699";
const USUAL: u16 = 503;

pub(super) fn read(node: &Node<'_>, loader: &mut Loader<'_>) -> Option<Limit> {
    let table = node.table(loader, &KEYS)?;
    let number = |loader: &mut Loader<'_>, key: &str, most: u32, what: &str| match table.get(key) {
        Some(node) => node.integer(loader, 1..=most, &format!("{what}, 1 to {most}")).map(Some),
        None => Some(None),
    };
    let calls = number(loader, "calls", MAX_CALLS, "calls at one time");
    let burst = number(loader, "burst", MAX_CALLS, "requests at once");
    let retry_after = number(loader, "retry_after", MAX_RETRY_AFTER_SECONDS, "seconds");
    let status = match table.get("status") {
        Some(status) => {
            status.integer(loader, 400..=699, STATUS).and_then(|status| u16::try_from(status).ok())
        }
        None => Some(USUAL),
    };
    let rate = read_rate(&table, burst?, loader);
    let limit = Limit { calls: calls?, rate: rate?, status: status?, retry_after: retry_after? };
    if limit.calls.is_none() && limit.rate.is_none() {
        return if table.has_foreign_keys {
            None
        } else {
            node.refuse_as(loader, "no limit", "at least one of: calls, rate")
        };
    }
    Some(limit)
}

/// The outer `None` is an error, the inner one no limit of the rate.
fn read_rate(table: &Table<'_>, burst: Option<u32>, loader: &mut Loader<'_>) -> Option<Option<Rate>> {
    let Some(node) = table.get("rate") else {
        return match table.get("burst") {
            Some(burst) => burst.refuse_as(loader, "a burst without a rate", "rate beside it"),
            None => Some(None),
        };
    };
    let text = node.text(loader, RATE)?;
    let (count, per) = text.split_once('/').unwrap_or((text, ""));
    let seconds = match per {
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3600),
        _ => None,
    };
    let count = count.parse::<u32>().ok().filter(|count| (1..=MAX_CALLS).contains(count));
    match count.zip(seconds) {
        // Without a word about it, what may come in a second may come at once.
        Some((count, seconds)) => {
            Some(Some(Rate { count, seconds, burst: burst.unwrap_or((count / seconds).max(1)) }))
        }
        None => node.refuse(loader, RATE),
    }
}
