//! Tables that every worker uses: by digest, each part with a lock of its own.
//!
//! `sbc-model` has other tables in their place, which a model checker schedules.

use std::hash::BuildHasherDefault;

pub use dashmap::Entry;

use crate::hash::{AlreadyHashed, Digest};

/// A concurrent table by digest.
pub type DigestMap<V> = dashmap::DashMap<Digest, V, BuildHasherDefault<AlreadyHashed>>;

/// The keys of up to `most` values of a kind. Each part of the table is locked while it is looked through.
pub fn keys_where<V>(table: &DigestMap<V>, most: usize, is: impl Fn(&V) -> bool) -> Vec<Digest> {
    table.iter().filter(|one| is(one.value())).map(|one| *one.key()).take(most).collect()
}

/// A table with room for so many values: it does not grow, nor take from the heap, before it holds more.
pub fn with_room<V>(values: usize) -> DigestMap<V> {
    DigestMap::with_capacity_and_hasher(values, BuildHasherDefault::default())
}
