//! Who takes the next request: the healthiest and nearest that may have it, and of several alike whom the
//! balance says.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::balance::{self, Candidate};
use super::health::{Health, MemberState, Order};
use super::seat::Seat;
use crate::config::{Balance, Config, Pool, Share};
use crate::hash::{Digest, KeyedHash};
use crate::limits;
use crate::time::Time;

/// Some members of a pool, by their places. The default is none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Places(u64);

impl Places {
    /// Every member there may be.
    pub const ALL: Self = Self(u64::MAX);

    /// With one more.
    pub fn with(self, member: usize) -> Self {
        Self(self.0 | 1 << member.min(limits::MEMBERS_PER_POOL - 1))
    }

    /// Those that are not among `others`.
    pub const fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
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

/// Requests in a row that a member without probes may leave unanswered.
pub(super) const FALL: u8 = 3;

/// What a request asks of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// How one of several is chosen.
    pub balance: Balance,
    /// What hash balances go by.
    pub key: Digest,
    /// It begins a call: limits of calls concern it.
    pub is_new_call: bool,
    /// Who may have it at all.
    pub among: Places,
    /// Who goes first, of those that stand equally well; `None`: those of the node's region.
    pub near: Option<Places>,
}

/// How well a member stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Ready,
    /// Full, or not known to be back.
    Waiting,
    Down,
}

/// Who goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    standing: Standing,
    is_far: bool,
    priority: u8,
}

/// A pool and its members' health.
#[derive(Debug)]
pub struct PoolState {
    /// As configured.
    pub config: Pool,
    /// In the order of the configuration.
    pub members: Vec<Arc<MemberState>>,
    /// The members near to this node.
    near: Places,
    next: AtomicUsize,
}

/// All pools; the index is the one that rules give.
#[derive(Debug, Default)]
pub struct Pools {
    pools: Vec<Arc<PoolState>>,
    /// Members that a change took out, the newest first: requests may be on their way to them.
    former: Vec<Arc<MemberState>>,
}

impl Pools {
    /// Build from the configuration; members known to `before` keep their state.
    pub fn new(config: &Config, stable: &KeyedHash, before: Option<&Self>) -> Self {
        let pools = config.pools.iter().map(|pool| {
            let known = before.and_then(|pools| pools.by_name(&pool.name));
            Arc::new(PoolState::new(pool.clone(), &config.region, stable, known))
        });
        let pools: Vec<_> = pools.collect();
        let former = before.map_or_else(Vec::new, |before| before.without(&pools));
        Self { pools, former }
    }

    /// The members, former ones included, that are in none of `pools`.
    fn without(&self, pools: &[Arc<PoolState>]) -> Vec<Arc<MemberState>> {
        let stays = |one: &Arc<MemberState>| {
            pools.iter().any(|pool| pool.members.iter().any(|member| Arc::ptr_eq(member, one)))
        };
        let members = self.pools.iter().flat_map(|pool| &pool.members).chain(&self.former);
        members.filter(|one| !stays(one)).take(limits::FORMER_MEMBERS).cloned().collect()
    }

    /// Members that were at an address before the configuration changed.
    pub fn former_at(&self, address: SocketAddr) -> impl Iterator<Item = &Arc<MemberState>> {
        self.former.iter().filter(move |member| member.address == address)
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
    fn new(config: Pool, region: &str, stable: &KeyedHash, before: Option<&Self>) -> Self {
        let members = config.members.iter().take(limits::MEMBERS_PER_POOL).map(|member| {
            let known = before.and_then(|pool| pool.members.iter().find(|old| old.is(member)));
            known.cloned().unwrap_or_else(|| {
                let id = stable.of(&[b"member", member.address.to_string().as_bytes()]) as u64;
                Arc::new(MemberState::new(member, id, before.is_some()))
            })
        });
        let turn = before.map_or(0, |pool| pool.next.load(Ordering::Relaxed));
        let near = if region.is_empty() { Places::ALL } else { near_to(region, &config) };
        Self { members: members.collect(), config, near, next: AtomicUsize::new(turn) }
    }

    /// The members with a tag; without one all of them.
    pub fn tagged(&self, tag: Option<&str>) -> Places {
        let Some(tag) = tag else { return places_of(&self.config, |_| true) };
        places_of(&self.config, |share| share.tags.iter().any(|own| **own == *tag))
    }

    /// The members of a region, and those without one, which are at home everywhere.
    pub fn near_to(&self, region: &str) -> Places {
        near_to(region, &self.config)
    }

    /// The next member for a request, or `None` where nobody is left that may have it.
    ///
    /// A member that is full comes after those with room, and one that is down after all others: where none
    /// is left, probes may be what is wrong, and trying costs less than a call. One that the operator took out,
    /// or that has as many calls as it may have, is not tried at all.
    pub fn choose(&self, wish: &Wish, tried: Places, now: Time) -> Option<usize> {
        let mut best: Option<(Rank, u64)> = None;
        for place in (0..self.members.len()).filter(|place| !tried.has(*place)) {
            let Some(rank) = self.rank(place, wish, now) else { continue };
            match &mut best {
                Some((known, equals)) if *known == rank => *equals |= 1 << place,
                Some((known, _)) if *known < rank => {}
                _ => best = Some((rank, 1 << place)),
            }
        }
        let (_, equals) = best?;
        let candidates = (0..self.members.len())
            .filter(|place| equals & 1 << place != 0)
            .filter_map(|at| self.candidate(at));
        let turn = || self.next.fetch_add(1, Ordering::Relaxed);
        match wish.balance {
            Balance::HashCallId | Balance::HashAor | Balance::Priority => {
                balance::rendezvous(candidates, wish.key)
            }
            Balance::RoundRobin => balance::in_turn(candidates, turn),
            Balance::Weighted => balance::weighted(candidates, turn),
            Balance::LeastCalls => balance::least_calls(candidates, wish.key),
        }
    }

    /// Whether a member is left that is up and has room.
    pub fn has_somebody(&self, wish: &Wish, tried: Places, now: Time) -> bool {
        let is_ready =
            |place| self.rank(place, wish, now).is_some_and(|rank| rank.standing == Standing::Ready);
        (0..self.members.len()).any(|place| !tried.has(place) && is_ready(place))
    }

    /// Smaller goes first; `None`: it must not have the request.
    fn rank(&self, place: usize, wish: &Wish, now: Time) -> Option<Rank> {
        let member = self.members.get(place)?;
        let share = &self.config.members.get(place)?.share;
        let has_room = share.max_calls.is_none_or(|most| member.calls() < most)
            && member.pace.allows(share.max_cps, now);
        if !wish.among.has(place) || member.order() != Order::Enabled || (wish.is_new_call && !has_room) {
            return None;
        }
        let standing = match member.health() {
            Health::Down if member.may_be_tried(now) && !member.is_on_trial(now) => Standing::Waiting,
            Health::Down => Standing::Down,
            _ if member.is_busy() || member.full_until() > now || member.is_on_trial(now) => {
                Standing::Waiting
            }
            Health::Unknown if member.joined_late && self.config.probe.is_some() => Standing::Waiting,
            _ => Standing::Ready,
        };
        let is_far = !wish.near.unwrap_or(self.near).has(place);
        let priority = if wish.balance == Balance::Priority { share.priority } else { 0 };
        Some(Rank { standing, is_far, priority })
    }

    fn candidate(&self, place: usize) -> Option<Candidate> {
        let (member, share) = (self.members.get(place)?, &self.config.members.get(place)?.share);
        Some(Candidate {
            place,
            id: member.id,
            weight: share.weight,
            calls: member.calls(),
            max_calls: share.max_calls,
        })
    }

    /// The network says that nobody is at the place of a member: its probe in flight is missed, or a request.
    pub fn unreachable(&self, place: usize, now: Time) {
        let Some(member) = self.members.get(place) else { return };
        match &self.config.probe {
            Some(probe) if member.probing(|probing| probing.is_waiting()) => {
                member.probing(|probing| probing.on_unreachable(probe));
            }
            probe => {
                let fall = probe.as_ref().map_or(FALL, |probe| probe.fall);
                member.missed(fall, self.may_eject(), probe.is_some(), now);
            }
        }
    }

    /// Whether what happened to requests may take one more member down: at most half of a group, since
    /// requests may also fail for what they are.
    pub(super) fn may_eject(&self) -> bool {
        let down = self.members.iter().filter(|member| member.health() == Health::Down).count();
        (down + 1) * 2 <= self.members.len()
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

/// Members of a region, and those without one.
fn near_to(region: &str, pool: &Pool) -> Places {
    places_of(pool, |share| share.region.as_deref().is_none_or(|own| own == region))
}

fn places_of(pool: &Pool, is_meant: impl Fn(&Share) -> bool) -> Places {
    let places = pool.members.iter().take(limits::MEMBERS_PER_POOL).enumerate();
    let meant = places.filter(|(_, member)| is_meant(&member.share));
    meant.fold(Places::default(), |places, (place, _)| places.with(place))
}

#[cfg(test)]
mod tests;
