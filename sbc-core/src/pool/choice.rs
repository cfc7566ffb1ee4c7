//! Who takes the next request: the healthiest and nearest that may have it, and of several alike whom the
//! balance says.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::balance::{self, Candidate};
use super::health::{Health, MemberState, Order};
use super::seat::Seat;
use crate::config::{Balance, Config, Member, Pool, Share};
use crate::flow::{ListenerId, Zone};
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
    /// Whom it wants, where each user lives on one member and nobody knows on which.
    pub wanted: Option<Digest>,
    /// It begins a call: limits of calls concern it.
    pub is_new_call: bool,
    /// Who may have it at all.
    pub among: Places,
    /// Who goes first, of those that stand equally well; `None`: those of the node's region.
    pub near: Option<Places>,
}

/// How well a member stands; the best is the smallest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It takes requests.
    Ready,
    /// Full, or not known to be back.
    Waiting,
    /// It does not answer.
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
    /// Members that a change took out, and when; the newest first. Calls with them may be up.
    former: Vec<(Seat, Time)>,
}

impl Pools {
    /// Build from the configuration. Members known to `before` keep their state, those that had left and come back
    /// included; a server that stands in several pools has one.
    pub fn new(config: &Config, stable: &KeyedHash, before: Option<&Self>, now: Time) -> Self {
        let mut pools = Self::default();
        for pool in &config.pools {
            let known = |member: &Member| {
                let here = pools.members().find(|known| known.is(member));
                here.cloned().or_else(|| before?.known(member))
            };
            let state = PoolState::new(pool.clone(), &config.region, stable, before.is_some(), known);
            if let Some(old) = before.and_then(|before| before.by_name(&pool.name)) {
                state.next.store(old.next.load(Ordering::Relaxed), Ordering::Relaxed);
            }
            pools.pools.push(Arc::new(state));
        }
        pools.former = before.map_or_else(Vec::new, |before| before.left_by(&pools, config.timers.call, now));
        pools
    }

    fn by_name(&self, name: &str) -> Option<&PoolState> {
        self.pools.iter().map(|pool| &**pool).find(|pool| &*pool.config.name == name)
    }

    /// The members of all pools.
    fn members(&self) -> impl Iterator<Item = &Arc<MemberState>> {
        self.pools.iter().flat_map(|pool| &pool.members)
    }

    /// What is known of a member, which may have left a while ago.
    fn known(&self, member: &Member) -> Option<Arc<MemberState>> {
        if let Some(known) = self.members().find(|known| known.is(member)) {
            return Some(Arc::clone(known));
        }
        let (back, _) = self.former.iter().find(|(seat, _)| seat.member().is(member))?;
        back.member().returns();
        Some(Arc::clone(back.member()))
    }

    /// Who is in none of the pools that follow. Each stays known as long as a dialog may last.
    fn left_by(&self, next: &Self, idle: Duration, now: Time) -> Vec<(Seat, Time)> {
        let leaving = self
            .pools
            .iter()
            .flat_map(|pool| (0..pool.members.len()).filter_map(|place| Some((Seat::of(pool, place)?, now))));
        let mut former: Vec<(Seat, Time)> = Vec::new();
        for (seat, since) in leaving.chain(self.former.iter().cloned()) {
            let is = |known: &Arc<MemberState>| Arc::ptr_eq(known, seat.member());
            let is_noted = former.iter().any(|(known, _)| is(known.member()));
            if !is_noted && !next.members().any(is) && now.since(since) < idle {
                former.push((seat, since));
            }
        }
        former.truncate(limits::FORMER_MEMBERS);
        former
    }

    /// One pool.
    pub fn get(&self, pool: usize) -> Option<&Arc<PoolState>> {
        self.pools.get(pool)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<PoolState>> {
        self.pools.iter()
    }

    /// Members that a change took out, in no order that stays.
    pub fn former(&self) -> impl Iterator<Item = &Seat> {
        self.former.iter().map(|(seat, _)| seat)
    }

    /// The members at an address that face `zone`, those that left last. One that stands in several pools is there for each of
    /// them.
    pub fn at(&self, address: SocketAddr, zone: Zone) -> impl Iterator<Item = Seat> {
        let pools = self.pools.iter().filter(move |pool| pool.config.zone == zone);
        let here = pools.filter_map(move |pool| Seat::of(pool, pool.at(address)?));
        let former = self.former().filter(move |seat| seat.address() == address && seat.zone() == zone);
        here.chain(former.cloned())
    }

    /// The member at an address that faces `zone`; of several the one that is reached from `listener`.
    pub fn member_at(&self, address: SocketAddr, zone: Zone, listener: Option<ListenerId>) -> Option<Seat> {
        let is_meant = |seat: &Seat| listener.is_none_or(|listener| seat.listener() == listener);
        self.at(address, zone).find(is_meant).or_else(|| self.at(address, zone).next())
    }
}

impl PoolState {
    /// `known` finds the state of a member; others begin anew, and late where the pool is `at_work`.
    fn new(
        config: Pool,
        region: &str,
        stable: &KeyedHash,
        at_work: bool,
        known: impl Fn(&Member) -> Option<Arc<MemberState>>,
    ) -> Self {
        let members = config.members.iter().take(limits::MEMBERS_PER_POOL).map(|member| {
            known(member).unwrap_or_else(|| {
                let id = stable.of(&[b"member", member.address.to_string().as_bytes()]) as u64;
                Arc::new(MemberState::new(member, id, at_work))
            })
        });
        let near = if region.is_empty() { Places::ALL } else { near_to(region, &config) };
        Self { members: members.collect(), config, near, next: AtomicUsize::new(0) }
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

    /// How the best one stands that is left and may have the request.
    pub fn standing(&self, wish: &Wish, tried: Places, now: Time) -> Option<Standing> {
        let left = (0..self.members.len()).filter(|place| !tried.has(*place));
        left.filter_map(|place| self.rank(place, wish, now)).map(|rank| rank.standing).min()
    }

    /// Whether a member may have one more call; `is_paid`: its pace has counted that one before.
    pub fn has_room(&self, place: usize, is_paid: bool, now: Time) -> bool {
        let (Some(member), Some(own)) = (self.members.get(place), self.config.members.get(place)) else {
            return false;
        };
        own.share.max_calls.is_none_or(|most| member.calls() < most)
            && (is_paid || member.pace.allows(own.share.max_cps, now))
    }

    /// Smaller goes first; `None`: it must not have the request.
    fn rank(&self, place: usize, wish: &Wish, now: Time) -> Option<Rank> {
        let member = self.members.get(place)?;
        let share = &self.config.members.get(place)?.share;
        if !wish.among.has(place) || member.order() != Order::Enabled {
            return None;
        }
        if wish.is_new_call && !self.has_room(place, false, now) {
            return None;
        }
        let has_probes = self.config.probe.is_some();
        let is_on_trial = member.is_on_trial(now);
        let standing = match member.health() {
            // Nothing but a call can tell whether it is back.
            Health::Down if !has_probes && member.may_be_tried(now) && !is_on_trial => Standing::Ready,
            Health::Down => Standing::Down,
            _ if has_probes && member.is_busy() => Standing::Waiting,
            _ if member.full_until() > now || is_on_trial => Standing::Waiting,
            Health::Unknown if member.joined_late && has_probes => Standing::Waiting,
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

    /// Whether the silence of one member speaks of itself and not of our own network: others answer, where there are
    /// any.
    pub fn is_silence_its_own(&self, place: usize) -> bool {
        let mut others = self.members.iter().enumerate().filter(|(other, _)| *other != place).peekable();
        others.peek().is_none() || others.any(|(_, other)| other.health() == Health::Up)
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
