//! `reject`: a final response of our own.

use super::{Outcome, reason};
use crate::error::quote;
use crate::limits::{MAX_PHRASE_CHARS, MAX_RETRY_AFTER_SECONDS};
use crate::load::{Keys, Loader, Node, Table};

const KEYS: Keys<'_> = Keys { known: &["status", "reason", "retry_after"] };
const STATUS: &str = "a status from 300 to 699";

pub(super) fn read(node: &Node<'_>, loader: &mut Loader<'_>) -> Option<Outcome> {
    let table = node.table(loader, &KEYS)?;
    let status = read_status(&table, loader);
    let reason = read_reason(&table, status, loader);
    let retry_after = read_retry_after(&table, loader);
    Some(Outcome::Reject { status: status?, reason: reason?, retry_after: retry_after? })
}

fn read_status(table: &Table<'_>, loader: &mut Loader<'_>) -> Option<u16> {
    let Some(node) = table.get("status") else {
        return if table.has_foreign_keys { None } else { table.refuse_missing(loader, "status", STATUS) };
    };
    node.integer(loader, 300..=699, STATUS).and_then(|status| u16::try_from(status).ok())
}

/// The phrase of the rule, or the one that the RFCs give the status.
fn read_reason(table: &Table<'_>, status: Option<u16>, loader: &mut Loader<'_>) -> Option<Box<str>> {
    let Some(node) = table.get("reason") else {
        let expected = "a reason phrase, because this status has no usual one";
        return reason::phrase(status?)
            .map(Box::from)
            .or_else(|| table.refuse_missing(loader, "reason", expected));
    };
    let expected = format!("1 to {MAX_PHRASE_CHARS} characters, no control characters");
    let text = node.text(loader, &expected)?;
    // A line break would let the phrase go on as a header of its own.
    if text.trim().is_empty() || text.chars().count() > MAX_PHRASE_CHARS || text.chars().any(char::is_control)
    {
        return node.refuse_as(loader, quote(text), expected);
    }
    Some(text.into())
}

/// The outer `None` is an error, the inner one no header.
fn read_retry_after(table: &Table<'_>, loader: &mut Loader<'_>) -> Option<Option<u32>> {
    let Some(node) = table.get("retry_after") else {
        return Some(None);
    };
    let expected = format!("seconds, a whole number from 1 to {MAX_RETRY_AFTER_SECONDS}");
    node.integer(loader, 1..=MAX_RETRY_AFTER_SECONDS, &expected).map(Some)
}
