//! `route`: to a pool, or to the bindings of the address of record.

use super::Outcome;
use crate::load::{Keys, Loader, Node, Table};
use crate::words::Balance;

const KEYS: Keys<'_> =
    Keys { known: &["pool", "balance", "bindings"], later: &["tag", "region", "fallback"] };
const ONE_TARGET: &str = "exactly one of: pool, bindings";

pub(super) fn read(node: &Node<'_>, loader: &mut Loader<'_>) -> Option<Outcome> {
    let table = node.table(loader, &KEYS)?;
    let balance = read_balance(&table, loader);
    match (table.get("pool"), table.get("bindings")) {
        (Some(pool), None) => {
            let pools = loader.names.pools;
            let pool = pool.word(loader, pools);
            Some(Outcome::Pool { pool: pool?, balance: balance? })
        }
        (None, Some(bindings)) => read_bindings(&bindings, &table, loader),
        (Some(_), Some(bindings)) => bindings.refuse_as(loader, "a second target beside pool", ONE_TARGET),
        (None, None) if table.has_foreign_keys => None,
        (None, None) => node.refuse_as(loader, "no target", ONE_TARGET),
    }
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
    if let Some(balance) = table.get("balance") {
        return balance.refuse_as(loader, "a balance beside bindings", "a balance only beside pool");
    }
    if !bindings.boolean(loader)? {
        return bindings.refuse(loader, "true, or a pool instead");
    }
    Some(Outcome::Bindings)
}
