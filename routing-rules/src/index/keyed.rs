//! Rules by exact bytes, in a table that a look-up touches once: what costs time among thousands of rules is memory
//! that nobody has looked at lately.

use std::hash::{BuildHasher, RandomState};

/// Rules by exact bytes. A key is known by its hash alone: where two are alike, a request meets one rule too many,
/// which then does not hold.
#[derive(Debug, Default)]
pub(super) struct Keyed {
    /// As many as a power of two, and half of them empty at least.
    slots: Vec<Slot>,
    ids: Vec<u32>,
    hash: RandomState,
    /// Until the table is built.
    filed: Vec<Slot>,
}

/// The rules of one key, as a part of all numbers; without any it is empty.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    hash: u64,
    first: u32,
    count: u32,
}

impl Keyed {
    /// Files rules, ascending, under a key that has none yet.
    pub(super) fn insert(&mut self, key: &[u8], ids: &[u32]) {
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let slot = Slot { hash: self.hash_of(key), first: number(self.ids.len()), count: number(ids.len()) };
        self.ids.extend_from_slice(ids);
        self.filed.push(slot);
    }

    /// Makes the table, when all is filed.
    pub(super) fn build(&mut self) {
        let filed = std::mem::take(&mut self.filed);
        self.slots = vec![Slot::default(); (filed.len() * 2).next_power_of_two()];
        for slot in filed {
            let free = self.places(slot.hash).find(|place| self.slots[*place].count == 0);
            if let Some(free) = free {
                self.slots[free] = slot;
            }
        }
    }

    /// The rules under a key.
    pub(super) fn get(&self, key: &[u8]) -> &[u32] {
        if self.ids.is_empty() {
            return &[];
        }
        let hash = self.hash_of(key);
        let slots = self.places(hash).filter_map(|place| self.slots.get(place));
        let mut filed = slots.take_while(|slot| slot.count > 0);
        let found = filed.find(|slot| slot.hash == hash);
        let rules = found.and_then(|slot| self.ids.get(slot.first as usize..)?.get(..slot.count as usize));
        rules.unwrap_or_default()
    }

    /// Where a hash may stand, the likeliest first.
    fn places(&self, hash: u64) -> impl Iterator<Item = usize> + use<> {
        let last = self.slots.len().saturating_sub(1);
        (0..=last).map(move |step| (hash as usize).wrapping_add(step) & last)
    }

    fn hash_of(&self, key: &[u8]) -> u64 {
        self.hash.hash_one(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_filed_is_found_and_nothing_else() {
        let mut keyed = Keyed::default();
        assert!(keyed.get(b"nothing").is_empty());
        let key = |number: u32| format!("key-{number}").into_bytes();
        (0..1000).for_each(|number| keyed.insert(&key(number), &[number, number + 7]));
        keyed.build();
        assert!((0..1000).all(|number| keyed.get(&key(number)) == [number, number + 7]));
        assert!((1000..3000).all(|number| keyed.get(&key(number)).is_empty()));
    }
}
