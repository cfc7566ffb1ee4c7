//! Who sent how much: one small record a source, in a table that is bounded and forgets.
//!
//! The table is cut into shards, each behind a lock that is held for one look. A full shard lets its strangers share
//! one record, so a million forged addresses cost no more than the table; a source that the pool has accepted
//! takes a stranger's place and keeps it. One shard at a time is swept, so that no sweep is ever felt.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::MutexGuard;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::hash::{AlreadyHashed, Digest};
use crate::limits;
use crate::lock::Lock;
use crate::rate::Due;
use crate::time::Time;

const THOUSANDTHS: u64 = 1000;

/// What is known of a source.
#[derive(Debug, Clone, Copy, Default)]
pub struct Source {
    /// How far ahead of its rate of requests it is.
    pub requests: Due,
    /// The same for INVITE alone.
    pub invites: Due,
    /// The same for REGISTER alone.
    pub registers: Due,
    scored: Time,
    /// In thousandths.
    score: u32,
    next_nonce: u8,
    good_until: Time,
    users: Users,
    nonces: [u32; Self::NONCES],
    seen: Time,
}

/// About how many users were accepted from one address: a bit for each, by hash, in this and the last period.
#[derive(Debug, Clone, Copy, Default)]
struct Users {
    now: u64,
    before: u64,
    begun: Time,
}

impl Users {
    fn add(&mut self, user: Digest, now: Time) {
        if now.since(self.begun) > limits::GOOD_FOR {
            (self.before, self.now, self.begun) = (self.now, 0, now);
        }
        self.now |= 1 << (user as u64 % 64);
    }

    /// Linear counting: n users leave about 64 * exp(-n/64) bits free.
    fn estimate(&self) -> u32 {
        const MOST: f64 = 266.0;
        let free = f64::from((self.now | self.before).count_zeros());
        let users = if free < 1.0 { MOST } else { 64.0 * (64.0 / free).ln() };
        users.round() as u32
    }
}

impl Source {
    /// Nonces that were sent to a source lately and are known, each as 32 bits of its hash.
    pub const NONCES: usize = 4;

    /// The pool accepted a registration or a call from here lately.
    pub fn is_good(&self, now: Time) -> bool {
        self.good_until > now
    }

    /// As how many sources it counts: each user that was accepted from a shared address adds one.
    pub fn share(&self, now: Time) -> u32 {
        if self.is_good(now) { 1 + self.users.estimate() } else { 1 }
    }

    /// The pool accepted `user` from here.
    pub fn accepted(&mut self, user: Digest, now: Time) {
        if !self.is_good(now) {
            self.users = Users { begun: now, ..Users::default() };
        }
        self.users.add(user, now);
        self.good_until = now + limits::GOOD_FOR;
    }

    /// A nonce went out to this address.
    pub fn challenged(&mut self, nonce: u32) {
        if self.nonces.contains(&nonce) {
            return;
        }
        if let Some(place) = self.nonces.get_mut(usize::from(self.next_nonce) % Self::NONCES) {
            *place = nonce;
        }
        self.next_nonce = self.next_nonce.wrapping_add(1);
    }

    /// Whether whoever names this nonce has received what was sent to this address.
    pub fn was_challenged(&self, nonce: u32) -> bool {
        nonce != 0 && self.nonces.contains(&nonce)
    }

    /// Add evidence; what there was fades evenly, `most` of it in `window`. True once there is too much; then it starts
    /// over.
    pub fn add_evidence(&mut self, weight: u32, most: u32, window: Duration, now: Time) -> bool {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let faded =
            THOUSANDTHS.saturating_mul(u64::from(most)).saturating_mul(millis(now.since(self.scored)))
                / millis(window).max(1);
        let left = u64::from(self.score).saturating_sub(faded);
        let score = left.saturating_add(THOUSANDTHS.saturating_mul(u64::from(weight)));
        self.score = u32::try_from(score).unwrap_or(u32::MAX);
        self.scored = now;
        // What faded since the first of it does not buy one more try.
        let too_much = score.div_ceil(THOUSANDTHS) >= u64::from(most);
        if too_much {
            self.score = 0;
        }
        too_much
    }

    /// Forgetting it changes nothing.
    fn is_idle(&self, now: Time) -> bool {
        let rested = self.requests.is_past(now) && self.invites.is_past(now) && self.registers.is_past(now);
        rested && !self.is_good(now) && now.since(self.seen) > limits::SOURCE_KEPT
    }
}

#[derive(Default)]
struct Shard {
    /// By the low half of their digests; the high one says in which shard they are.
    sources: HashMap<u64, Source, BuildHasherDefault<AlreadyHashed>>,
    /// Shared by those who have no place of their own.
    others: Source,
}

/// All sources.
pub struct Sources {
    shards: Box<[Lock<Shard>]>,
    known: AtomicUsize,
    next_sweep: AtomicUsize,
    sweeping: AtomicBool,
}

impl Default for Sources {
    fn default() -> Self {
        Self {
            shards: (0..limits::SOURCE_SHARDS).map(|_| Lock::default()).collect(),
            known: AtomicUsize::new(0),
            next_sweep: AtomicUsize::new(0),
            sweeping: AtomicBool::new(false),
        }
    }
}

impl Sources {
    fn shard(&self, key: Digest) -> Option<MutexGuard<'_, Shard>> {
        // The table inside a shard uses the low bits.
        let at = (key >> 96) as usize % self.shards.len().max(1);
        Some(self.shards.get(at)?.lock())
    }

    /// How many are known.
    pub fn known(&self) -> usize {
        self.known.load(Ordering::Relaxed)
    }

    /// Look at a source that may be unknown; nothing is remembered.
    pub fn peek(&self, key: Digest) -> Source {
        let Some(shard) = self.shard(key) else { return Source::default() };
        let unknown = if shard.is_full() { shard.others } else { Source::default() };
        shard.sources.get(&(key as u64)).copied().unwrap_or(unknown)
    }

    /// Change the record of a source, which is made where there is room for it.
    pub fn with<R>(&self, key: Digest, now: Time, change: impl FnOnce(&mut Source) -> R) -> Option<R> {
        let mut shard = self.shard(key)?;
        let (key, full) = (key as u64, shard.is_full());
        let Shard { sources, others } = &mut *shard;
        // An entry makes room before it is known to be needed: asked of a full shard, it would double it.
        let source = if full {
            sources.get_mut(&key).unwrap_or(others)
        } else {
            sources.entry(key).or_insert_with(|| {
                self.known.fetch_add(1, Ordering::Relaxed);
                Source::default()
            })
        };
        source.seen = now;
        Some(change(source))
    }

    /// The pool accepted `user` from this source: it gets a place, a stranger's if there is no other.
    pub fn accepted(&self, key: Digest, user: Digest, now: Time) {
        let Some(mut shard) = self.shard(key) else { return };
        let key = key as u64;
        let known = shard.sources.contains_key(&key);
        let full = !known && shard.is_full();
        if full && !shard.evict_a_stranger(now) {
            return;
        }
        let before = shard.sources.len();
        shard.sources.entry(key).or_default().accepted(user, now);
        // Who was evicted made room for one.
        let grown = if full { 0 } else { shard.sources.len() - before };
        self.known.fetch_add(grown, Ordering::Relaxed);
    }

    /// Forget whoever is idle in one shard, and give its memory back. The whole table is swept in as many calls as
    /// there are shards. False: nobody is left, and sweeping ends.
    pub fn sweep(&self, now: Time) -> bool {
        let at = self.next_sweep.fetch_add(1, Ordering::Relaxed) % self.shards.len().max(1);
        let Some(shard) = self.shards.get(at) else { return false };
        let mut shard = shard.lock();
        let before = shard.sources.len();
        shard.sources.retain(|_, source| !source.is_idle(now));
        let kept = shard.sources.len();
        self.known.fetch_sub(before - kept, Ordering::Relaxed);
        if shard.sources.capacity() > 4 * kept.max(16) {
            shard.sources.shrink_to(2 * kept);
        }
        let goes_on = self.known() > 0;
        self.sweeping.store(goes_on, Ordering::Relaxed);
        goes_on
    }

    /// True for the one caller who is to begin sweeping, because there is somebody to forget again.
    pub fn begin_sweeping(&self) -> bool {
        !self.sweeping.load(Ordering::Relaxed)
            && self.known() > 0
            && !self.sweeping.swap(true, Ordering::Relaxed)
    }
}

impl Shard {
    fn is_full(&self) -> bool {
        self.sources.len() >= limits::SOURCES_PER_SHARD
    }

    fn evict_a_stranger(&mut self, now: Time) -> bool {
        let mut looked_at = self.sources.iter().take(limits::EVICTION_LOOK);
        let stranger = looked_at.find(|(_, source)| !source.is_good(now)).map(|(key, _)| *key);
        stranger.is_some_and(|key| self.sources.remove(&key).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::KeyedHash;
    use crate::rate::Rate;

    fn rate() -> Rate {
        Rate::per_second(10, 2)
    }

    fn key(number: u64) -> Digest {
        KeyedHash::new([3; 16]).of(&[&number.to_be_bytes()])
    }

    fn take(sources: &Sources, key: Digest, now: Time) -> bool {
        sources.with(key, now, |source| rate().take(&mut source.requests, now, 1)).unwrap()
    }

    fn sweep_all(sources: &Sources, now: Time) {
        (0..limits::SOURCE_SHARDS).for_each(|_| {
            sources.sweep(now);
        });
    }

    #[test]
    fn idle_sources_are_forgotten_and_good_ones_kept() {
        let sources = Sources::default();
        for number in 0..20_000 {
            assert!(take(&sources, key(number), Time::ZERO));
        }
        sources.accepted(key(7), 1, Time::ZERO);
        assert_eq!(sources.known(), 20_000);
        let later = Time::ZERO + limits::SOURCE_KEPT + Duration::from_secs(1);
        sweep_all(&sources, later);
        assert_eq!(sources.known(), 1);
        assert!(sources.peek(key(7)).is_good(later));
        sweep_all(&sources, Time::ZERO + limits::GOOD_FOR + Duration::from_secs(1));
        assert_eq!(sources.known(), 0);
    }

    #[test]
    fn a_full_shard_lets_strangers_share_and_keeps_the_good() {
        let sources = Sources::default();
        // All in one shard.
        let key = |number: u64| Digest::from(number) + 1;
        sources.accepted(key(0), 1, Time::ZERO);
        for number in 1..3 * limits::SOURCES_PER_SHARD as u64 {
            take(&sources, key(number), Time::ZERO);
        }
        assert_eq!(sources.known(), limits::SOURCES_PER_SHARD);
        let stranger = key(5 * limits::SOURCES_PER_SHARD as u64);
        assert!(!take(&sources, stranger, Time::ZERO), "the strangers without a place share one allowance");
        assert!(take(&sources, key(0), Time::ZERO) && sources.peek(key(0)).is_good(Time::ZERO));
        sources.accepted(stranger, 1, Time::ZERO);
        assert!(take(&sources, stranger, Time::ZERO), "accepted, it has a place of its own");
        assert_eq!(sources.known(), limits::SOURCES_PER_SHARD);
    }

    #[test]
    fn users_behind_one_address_are_counted_about_right() {
        for users in [1u64, 5, 20, 60] {
            let mut source = Source::default();
            for user in 0..users {
                source.accepted(key(user), Time::ZERO);
                source.accepted(key(user), Time::ZERO);
            }
            let share = u64::from(source.share(Time::ZERO));
            assert!(share > users * 6 / 10 && share <= 2 + users * 14 / 10, "{users}: {share}");
        }
        assert_eq!(Source::default().share(Time::ZERO), 1);
    }

    #[test]
    fn evidence_fades() {
        let window = Duration::from_secs(60);
        let mut source = Source::default();
        let mut add =
            |weight, seconds: u64| source.add_evidence(weight, 10, window, Time::from_millis(seconds * 1000));
        assert!(!add(9, 1000));
        assert!(!add(5, 1030), "half of it has faded after half of the window");
        assert!(add(1, 1030));
        assert!(!add(9, 1030), "after too much it starts over");
        assert!(
            (0..50).all(|count| !add(1, 1100 + 7 * count)),
            "one in seven seconds fades as fast as it comes"
        );
    }

    #[test]
    fn ten_in_five_seconds_are_ten() {
        let mut source = Source::default();
        let mut add = |millis: u64| {
            source.add_evidence(1, 10, Duration::from_secs(60), Time::from_millis(10_000 + millis))
        };
        let results: Vec<bool> = (0..10).map(|count| add(count * 500)).collect();
        assert_eq!(results.iter().position(|too_much| *too_much), Some(9));
    }

    #[test]
    fn nonces_that_went_out_are_known_until_newer_ones_take_their_place() {
        let mut source = Source::default();
        assert!(!source.was_challenged(0));
        (1..=5).for_each(|nonce| source.challenged(nonce));
        assert!(!source.was_challenged(1));
        assert!((2..=5).all(|nonce| source.was_challenged(nonce)));
    }
}
