//! Rules by exact bytes. The keys are the operator's, so nobody can choose them to be slow: a fast hash does.

use std::collections::HashMap;

use rustc_hash::FxBuildHasher;

use super::filed::{Filed, Lists};

/// Rules by exact bytes.
#[derive(Debug, Default)]
pub(super) struct Keyed(HashMap<Box<[u8]>, Filed, FxBuildHasher>);

impl Keyed {
    /// Files rules under a key that has none yet.
    pub(super) fn insert(&mut self, key: &[u8], filed: Filed) {
        self.0.insert(key.into(), filed);
    }

    /// The rules under a key.
    pub(super) fn get<'i>(&'i self, key: &[u8], lists: &'i Lists) -> &'i [u32] {
        self.0.get(key).map_or(&[], |filed| lists.get(filed))
    }
}
