//! What records know for the end of dialogs whose member is dead: kept up to date by what passes, and taken out once.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use super::{DialogKey, Record, Records};
use crate::dialog::farewell::{Asked, Farewell};
use crate::hash::Digest;
use crate::time::Time;

impl Records {
    /// The pool's side asks something inside a dialog. Nothing is kept of a dialog that has no record.
    pub fn asked(&self, key: DialogKey, asked: &Asked, now: Time) {
        if let Some(record) = self.shard(key).get_mut(&key.0) {
            record.ending.asked(asked.number, asked.is_invite);
            if asked.takes_over && record.member.is_some_and(|own| own != asked.member) {
                record.ending.wanted(now);
            }
        }
    }

    /// The pool's side has acknowledged the 2xx to its INVITE of this number.
    pub fn acknowledged(&self, key: DialogKey, number: u32) {
        if let Some(record) = self.shard(key).get_mut(&key.0) {
            record.ending.acknowledged(number);
        }
    }

    /// Whether nothing is known of how the dialog would end. Not where it is being ended.
    pub fn lacks_farewell(&self, key: DialogKey) -> bool {
        self.shard(key).get(&key.0).is_some_and(|record| record.ending.is_open())
    }

    /// Its member has said how it would end, where that was not known.
    pub fn refreshed(&self, key: DialogKey, farewell: Box<Farewell>) {
        if let Some(record) = self.shard(key).get_mut(&key.0).filter(|record| record.ending.is_open()) {
            record.ending.set(Some(farewell));
        }
    }

    /// Whether the outside party is known by another URI than this, which it has just given.
    pub fn leads_elsewhere(&self, key: DialogKey, target: &[u8]) -> bool {
        self.shard(key).get(&key.0).is_some_and(|record| record.ending.leads_elsewhere(target))
    }

    /// The outside party is reached by another URI (RFC 3261 §12.2.1.2).
    pub fn retarget(&self, key: DialogKey, target: Box<[u8]>) {
        if let Some(record) = self.shard(key).get_mut(&key.0) {
            record.ending.retarget(target);
        }
    }

    /// Up to `most` dialogs of one shard that a dead member has and that can be ended for it.
    pub fn of_member(&self, shard: usize, member: SocketAddr, most: usize, now: Time) -> Vec<DialogKey> {
        let Some(shard) = self.shards.get(shard) else { return Vec::new() };
        let shard = shard.lock();
        let due = |record: &Record| record.member == Some(member) && record.ending.is_due(now);
        shard.iter().filter(|(_, record)| due(record)).map(|(key, _)| DialogKey(*key)).take(most).collect()
    }

    /// End a dialog for its dead member, if it is still that member's: what is to be said to the outside party. From
    /// now on its record only waits for the end.
    pub fn release(&self, key: DialogKey, member: SocketAddr, now: Time) -> Option<Box<Farewell>> {
        self.say_farewell(key, |record| record.member == Some(member) && record.ending.is_due(now))
    }

    /// The same for a dialog that its member says it does not know; `tag` is that of the pool's side.
    pub fn lost(&self, key: DialogKey, tag: Digest) -> Option<(SocketAddr, Box<Farewell>)> {
        let member = self.member(key)?;
        let is_meant = |record: &Record| record.ending.tag() == Some(tag) && record.member == Some(member);
        Some((member, self.say_farewell(key, is_meant)?))
    }

    fn say_farewell(&self, key: DialogKey, may_end: impl FnOnce(&Record) -> bool) -> Option<Box<Farewell>> {
        let mut shard = self.shard(key);
        let record = shard.get_mut(&key.0).filter(|record| may_end(record))?;
        let farewell = record.ending.say()?;
        self.released.fetch_add(1, Ordering::Relaxed);
        Some(farewell)
    }

    /// Whether a dialog is being ended for its member.
    pub fn is_released(&self, key: DialogKey) -> bool {
        self.released.load(Ordering::Relaxed) > 0
            && self.shard(key).get(&key.0).is_some_and(|record| record.ending.is_said)
    }
}
