//! `route`: to a pool, or to the bindings of the address of record.

use super::Outcome;
use crate::limits::MAX_TARGETS;
use crate::load::{Keys, Loader, Node, Table};
use crate::words::{Balance, read_label};

const KEYS: Keys<'_> =
    Keys { known: &["pool", "balance", "fallback", "bindings"], later: &["tag", "region", "fork"] };
const ONE_TARGET: &str = "exactly one of: pool, bindings";

pub(super) fn read(node: &Node<'_>, loader: &mut Loader<'_>) -> Option<Outcome> {
    let table = node.table(loader, &KEYS)?;
    match (table.get("pool"), table.get("bindings")) {
        (Some(pool), None) => read_pool(&pool, &table, loader),
        (None, Some(bindings)) => read_bindings(&bindings, &table, loader),
        (Some(_), Some(bindings)) => bindings.refuse_as(loader, "a second target beside pool", ONE_TARGET),
        (None, None) if table.has_foreign_keys => None,
        (None, None) => node.refuse_as(loader, "no target", ONE_TARGET),
    }
}

fn read_pool(node: &Node<'_>, table: &Table<'_>, loader: &mut Loader<'_>) -> Option<Outcome> {
    let pools = loader.names.pools;
    let pool = node.word(loader, pools);
    let balance = read_balance(table, loader);
    let mut label = |key: &str, what: &str| match table.get(key) {
        Some(node) => read_label(&node, loader, what).map(Some),
        None => Some(None),
    };
    let tag = label("tag", "the tag of members");
    let region = label("region", "the name of a region");
    let fallback = match table.get("fallback") {
        Some(node) => read_fallback(&node, pool, loader),
        None => Some(Box::default()),
    };
    Some(Outcome::Pool { pool: pool?, balance: balance?, tag: tag?, region: region?, fallback: fallback? })
}

fn read_fallback(node: &Node<'_>, first: Option<usize>, loader: &mut Loader<'_>) -> Option<Box<[usize]>> {
    let pools = loader.names.pools;
    let fallback = node.each(loader, |item, loader| item.word(loader, pools))?;
    if fallback.len() > MAX_TARGETS {
        let found = format!("{} pools", fallback.len());
        return node.refuse_as(loader, found, format!("at most {MAX_TARGETS}"));
    }
    let twice = |(at, pool): (usize, &usize)| {
        first == Some(*pool) || fallback.iter().take(at).any(|earlier| earlier == pool)
    };
    if fallback.iter().enumerate().any(twice) {
        return node.refuse_as(loader, "a pool that was tried before", "each pool once");
    }
    Some(fallback.into())
}

/// The outer `None` is an error, the inner one a pool that balances in its own way.
fn read_balance(table: &Table<'_>, loader: &mut Loader<'_>) -> Option<Option<Balance>> {
    let Some(node) = table.get("balance") else {
        return Some(None);
    };
    match node.text(loader, "the name of a balance")?.parse() {
        Ok(balance) => Some(Some(balance)),
        Err(wrong) => node.refuse_as(loader, wrong.found, wrong.expected),
    }
}

fn read_bindings(bindings: &Node<'_>, table: &Table<'_>, loader: &mut Loader<'_>) -> Option<Outcome> {
    for key in ["balance", "tag", "region", "fallback"] {
        if let Some(node) = table.get(key) {
            return node.refuse_as(
                loader,
                format!("a {key} beside bindings"),
                format!("a {key} only beside pool"),
            );
        }
    }
    if !bindings.boolean(loader)? {
        return bindings.refuse(loader, "true, or a pool instead");
    }
    (!table.has_foreign_keys).then_some(Outcome::Bindings)
}
