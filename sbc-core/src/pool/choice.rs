//! Who takes the next request.
//!
//! Hash balances are rendezvous hashes with the stable key: a member that leaves moves only its own
//! share, and the same call meets the same member after a restart and on every node.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::health::{Health, MemberState};
use super::seat::Seat;
use crate::config::{Balance, Pool};
use crate::hash::{Digest, KeyedHash};
use crate::limits;

/// Members a request has been sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tried(u64);

impl Tried {
    /// With one more.
    pub fn with(self, member: usize) -> Self {
        Self(self.0 | 1 << member.min(limits::MEMBERS_PER_POOL - 1))
    }

    /// Whether `member` is among them.
    pub fn has(self, member: usize) -> bool {
        self.0 & 1 << member.min(limits::MEMBERS_PER_POOL - 1) != 0
    }

    /// How many.
    pub fn count(self) -> u32 {
        self.0.count_ones()
    }
}

/// A pool and its members' health.
#[derive(Debug)]
pub struct PoolState {
    /// As configured.
    pub config: Pool,
    /// In the order of the configuration.
    pub members: Vec<Arc<MemberState>>,
    next: AtomicUsize,
}

/// All pools; the index is the one that rules give.
#[derive(Debug, Default)]
pub struct Pools {
    pools: Vec<Arc<PoolState>>,
}

impl Pools {
    /// Build from the configuration; members known to `before` keep their state.
    pub fn new(configured: &[Pool], stable: &KeyedHash, before: Option<&Self>) -> Self {
        let pools = configured.iter().map(|pool| {
            let known = before.and_then(|pools| pools.by_name(&pool.name));
            Arc::new(PoolState::new(pool.clone(), stable, known))
        });
        Self { pools: pools.collect() }
    }

    fn by_name(&self, name: &str) -> Option<&PoolState> {
        self.pools.iter().map(|pool| &**pool).find(|pool| &*pool.config.name == name)
    }

    /// One pool.
    pub fn get(&self, pool: usize) -> Option<&Arc<PoolState>> {
        self.pools.get(pool)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<PoolState>> {
        self.pools.iter()
    }

    /// The member at an address; of several pools the first.
    pub fn member_at(&self, address: SocketAddr) -> Option<Seat> {
        self.pools.iter().find_map(|pool| Seat::of(pool, pool.at(address)?))
    }
}

impl PoolState {
    fn new(config: Pool, stable: &KeyedHash, before: Option<&Self>) -> Self {
        let members = config.members.iter().take(limits::MEMBERS_PER_POOL).map(|member| {
            let known = before.and_then(|pool| pool.members.iter().find(|old| old.is(member)));
            known.cloned().unwrap_or_else(|| {
                let id = stable.of(&[b"member", member.address.to_string().as_bytes()]) as u64;
                Arc::new(MemberState::new(member, id))
            })
        });
        let turn = before.map_or(0, |pool| pool.next.load(Ordering::Relaxed));
        Self { members: members.collect(), config, next: AtomicUsize::new(turn) }
    }

    /// The next member for a request whose key is `key`, or `None` where all were tried.
    ///
    /// A member that is down comes only after all others: where none is left, probes may be what is
    /// wrong, and trying costs less than a call.
    pub fn choose(&self, balance: Balance, key: Digest, tried: Tried) -> Option<usize> {
        let alive =
            |member: &usize| self.members.get(*member).is_some_and(|member| member.health() != Health::Down);
        self.choose_among(balance, key, tried, alive)
            .or_else(|| self.choose_among(balance, key, tried, |_| true))
    }

    fn choose_among(
        &self,
        balance: Balance,
        key: Digest,
        tried: Tried,
        eligible: impl Fn(&usize) -> bool,
    ) -> Option<usize> {
        let candidates = || (0..self.members.len()).filter(|member| !tried.has(*member)).filter(&eligible);
        match balance {
            Balance::HashCallId | Balance::HashAor => {
                candidates().max_by_key(|member| self.weight(*member, key))
            }
            Balance::RoundRobin => {
                let count = candidates().count();
                let turn = self.next.fetch_add(1, Ordering::Relaxed).checked_rem(count)?;
                candidates().nth(turn)
            }
        }
    }

    fn weight(&self, member: usize, key: Digest) -> u64 {
        let id = self.members.get(member).map_or(0, |member| member.id);
        // Finaliser of a 64-bit mix: every bit of both inputs reaches every bit of the weight.
        let mut mixed = id ^ (key as u64) ^ (key >> 64) as u64;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    /// The member at `address`.
    pub fn at(&self, address: SocketAddr) -> Option<usize> {
        self.members.iter().position(|member| member.address == address)
    }

    /// Whether any member can be expected to answer.
    pub fn is_available(&self) -> bool {
        self.config.probe.is_none() || self.members.iter().any(|member| member.health() == Health::Up)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{Failover, Large, Member};
    use crate::flow::{ListenerId, Zone};

    fn pool(members: usize) -> PoolState {
        let members = (0..members).map(|n| Member {
            uri: format!("sip:10.0.2.{n}:5080").into(),
            address: ([10, 0, 2, n as u8], 5080).into(),
            listener: ListenerId(0),
        });
        let config = Pool {
            name: "freeswitch".into(),
            zone: Zone::Pool,
            listener: ListenerId(0),
            members: members.collect(),
            balance: Balance::HashCallId,
            probe: None,
            failover: Failover {
                invite_after: Duration::from_secs(2),
                other_after: Duration::from_secs(6),
                attempts: 3,
            },
            large: Large::Never,
        };
        PoolState::new(config, &KeyedHash::new([3; 16]), None)
    }

    fn key(call: u32) -> Digest {
        KeyedHash::new([4; 16]).of(&[&call.to_be_bytes()])
    }

    fn take_down(pool: &PoolState, member: usize) {
        pool.members[member].probing(|probing| probing.missed(1));
    }

    #[test]
    fn hashed_calls_spread_evenly() {
        let pool = pool(4);
        let mut counts = [0u32; 4];
        for call in 0..4000 {
            counts[pool.choose(Balance::HashCallId, key(call), Tried::default()).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_member_that_leaves_moves_only_its_share() {
        let pool = pool(4);
        let before: Vec<_> = (0..1000)
            .map(|call| pool.choose(Balance::HashAor, key(call), Tried::default()).unwrap())
            .collect();
        take_down(&pool, 2);
        for (call, member) in before.into_iter().enumerate() {
            let now = pool.choose(Balance::HashAor, key(call as u32), Tried::default()).unwrap();
            assert!(if member == 2 { now != 2 } else { now == member });
        }
    }

    #[test]
    fn round_robin_takes_turns_and_skips_the_dead() {
        let pool = pool(3);
        take_down(&pool, 1);
        let turns: Vec<_> =
            (0..4).map(|_| pool.choose(Balance::RoundRobin, 0, Tried::default()).unwrap()).collect();
        assert_eq!(turns, [0, 2, 0, 2]);
    }

    #[test]
    fn the_dead_are_tried_last_and_nobody_twice() {
        let pool = pool(3);
        take_down(&pool, 0);
        let mut tried = Tried::default();
        let mut order = Vec::new();
        while let Some(member) = pool.choose(Balance::HashCallId, key(1), tried) {
            order.push(member);
            tried = tried.with(member);
        }
        assert_eq!(order.len(), 3);
        assert_eq!(order[2], 0);
        assert_eq!(tried.count(), 3);
    }
}
