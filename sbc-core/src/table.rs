//! Tables that every worker uses: by digest, each part with a lock of its own.
//!
//! `sbc-model` has other tables in their place, which a model checker schedules.

use std::hash::BuildHasherDefault;

pub use dashmap::Entry;

use crate::hash::{AlreadyHashed, Digest};

/// A concurrent table by digest.
pub type DigestMap<V> = dashmap::DashMap<Digest, V, BuildHasherDefault<AlreadyHashed>>;

/// A table with room for so many values: it does not grow, nor take from the heap, before it holds more.
pub fn with_room<V>(values: usize) -> DigestMap<V> {
    DigestMap::with_capacity_and_hasher(values, BuildHasherDefault::default())
}
