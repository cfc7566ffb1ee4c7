//! `route`: to a pool, or to the bindings of the address of record.

use super::Outcome;
use crate::Labels;
use crate::limits::MAX_TARGETS;
use crate::load::{Keys, Loader, Node, Table};
use crate::words::{Balance, read_label};

const KEYS: Keys<'_> = Keys { known: &["pool", "balance", "tag", "region", "fallback", "bindings", "fork"] };
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
    only_beside(table, &["fork"], "pool", "bindings", loader)?;
    let pools = loader.names.pools;
    let pool = node.word(loader, pools);
    let balance = read_balance(table, loader);
    let fallback = match table.get("fallback") {
        Some(node) => read_fallback(&node, pool, loader),
        None => Some(Box::default()),
    };
    let (pool, fallback) = (pool?, fallback?);
    let tag = read_tag(table, pool, loader);
    let region = read_region(table, pool, &fallback, loader);
    Some(Outcome::Pool { pool, balance: balance?, tag: tag?, region: region?, fallback })
}

/// What is known of the members of a pool.
fn labels<'a>(pool: usize, loader: &Loader<'a>) -> Option<&'a Labels<'a>> {
    loader.names.members.get(pool)?.as_ref()
}

/// The outer `None` is an error, the inner one any member.
fn read_tag(table: &Table<'_>, pool: usize, loader: &mut Loader<'_>) -> Option<Option<Box<str>>> {
    let Some(node) = table.get("tag") else { return Some(None) };
    let tag = read_label(&node, loader, "the tag of members")?;
    if let Some(labels) = labels(pool, loader) {
        node.word(loader, labels.tags)?;
    }
    Some(Some(tag))
}

/// The outer `None` is an error, the inner one the region of the node.
fn read_region(
    table: &Table<'_>,
    pool: usize,
    fallback: &[usize],
    loader: &mut Loader<'_>,
) -> Option<Option<Box<str>>> {
    let Some(node) = table.get("region") else { return Some(None) };
    let region = read_label(&node, loader, "the name of a region")?;
    let pools = || std::iter::once(&pool).chain(fallback);
    let known: Option<Vec<_>> = pools().map(|pool| labels(*pool, loader)).collect();
    if let Some(known) = known {
        let mut regions: Vec<&str> = known.iter().flat_map(|labels| labels.regions).copied().collect();
        regions.sort_unstable();
        regions.dedup();
        node.word(loader, &regions)?;
    }
    Some(Some(region))
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
    only_beside(table, &["balance", "tag", "region", "fallback"], "bindings", "pool", loader)?;
    if !bindings.boolean(loader)? {
        return bindings.refuse(loader, "true, or a pool instead");
    }
    let fork = table.get("fork").map_or(Some(false), |fork| fork.boolean(loader));
    (!table.has_foreign_keys).then_some(Outcome::Bindings { fork: fork? })
}

/// Keys that have no meaning beside `here`, but beside `there`.
fn only_beside(
    table: &Table<'_>,
    keys: &[&str],
    here: &str,
    there: &str,
    loader: &mut Loader<'_>,
) -> Option<()> {
    let Some((key, node)) = keys.iter().find_map(|key| Some((key, table.get(key)?))) else {
        return Some(());
    };
    node.refuse_as(loader, format!("a {key} beside {here}"), format!("a {key} only beside {there}"))
}
