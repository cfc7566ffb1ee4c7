//! Who takes the next request: the healthiest and nearest that may have it, and of several alike whom the
//! balance says.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::balance::{self, Candidate};
use super::health::{Health, MemberState, Order};
use super::seat::Seat;
use crate::config::{Balance, Config, Pool};
use crate::hash::{Digest, KeyedHash};
use crate::limits;
use crate::time::Time;

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
    /// Where this node stands; empty: nowhere.
    region: Box<str>,
    next: AtomicUsize,
}

/// All pools; the index is the one that rules give.
#[derive(Debug, Default)]
pub struct Pools {
    pools: Vec<Arc<PoolState>>,
}

impl Pools {
    /// Build from the configuration; members known to `before` keep their state.
    pub fn new(config: &Config, stable: &KeyedHash, before: Option<&Self>) -> Self {
        let pools = config.pools.iter().map(|pool| {
            let known = before.and_then(|pools| pools.by_name(&pool.name));
            Arc::new(PoolState::new(pool.clone(), &config.region, stable, known))
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
    fn new(config: Pool, region: &str, stable: &KeyedHash, before: Option<&Self>) -> Self {
        let members = config.members.iter().take(limits::MEMBERS_PER_POOL).map(|member| {
            let known = before.and_then(|pool| pool.members.iter().find(|old| old.is(member)));
            known.cloned().unwrap_or_else(|| {
                let id = stable.of(&[b"member", member.address.to_string().as_bytes()]) as u64;
                Arc::new(MemberState::new(member, id, before.is_some()))
            })
        });
        let turn = before.map_or(0, |pool| pool.next.load(Ordering::Relaxed));
        Self { members: members.collect(), config, region: region.into(), next: AtomicUsize::new(turn) }
    }

    /// The next member for a request, or `None` where nobody is left that may have it.
    ///
    /// A member that is full comes after those with room, and one that is down after all others: where none
    /// is left, probes may be what is wrong, and trying costs less than a call. One that the operator took out,
    /// or that has as many calls as it may have, is not tried at all.
    pub fn choose(&self, wish: &Wish, tried: Tried, now: Time) -> Option<usize> {
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
    pub fn has_somebody(&self, wish: &Wish, tried: Tried, now: Time) -> bool {
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
        if member.order() != Order::Enabled || (wish.is_new_call && !has_room) {
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
        let is_far =
            share.region.as_deref().is_some_and(|region| !self.region.is_empty() && *region != *self.region);
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{Failover, Large, Member, Probe, Share};
    use crate::flow::{ListenerId, Zone};
    use crate::pool::ProbeDue;
    use crate::transaction::EntryId;

    fn pool_of(shares: &[Share]) -> PoolState {
        let members = shares.iter().enumerate().map(|(n, share)| Member {
            uri: format!("sip:10.0.2.{n}:5080").into(),
            address: ([10, 0, 2, n as u8], 5080).into(),
            share: share.clone(),
            listener: ListenerId(0),
        });
        let second = Duration::from_secs(1);
        let config = Pool {
            name: "freeswitch".into(),
            zone: Zone::Pool,
            listener: ListenerId(0),
            members: members.collect(),
            balance: Balance::HashCallId,
            registrations: crate::config::Registrations::Shared,
            probe: Some(Probe { interval: second * 5, timeout: second, fall: 2, rise: 2 }),
            failover: Failover { invite_after: second * 2, other_after: second * 6, attempts: 3 },
            large: Large::Never,
        };
        PoolState::new(config, "eu", &KeyedHash::new([3; 16]), None)
    }

    fn pool(members: usize) -> PoolState {
        pool_of(&vec![Share::default(); members])
    }

    fn key(call: u32) -> Digest {
        KeyedHash::new([4; 16]).of(&[&call.to_be_bytes()])
    }

    fn call(balance: Balance, call: u32) -> Wish {
        Wish { balance, key: key(call), is_new_call: true }
    }

    fn first(pool: &PoolState, wish: &Wish) -> Option<usize> {
        pool.choose(wish, Tried::default(), Time::from_millis(1))
    }

    fn take_down(pool: &PoolState, member: usize) {
        pool.members[member].probing(|probing| probing.missed(1));
    }

    fn order(pool: &PoolState, balance: Balance) -> Vec<usize> {
        let (mut tried, mut order) = (Tried::default(), Vec::new());
        while let Some(member) = pool.choose(&call(balance, 1), tried, Time::from_millis(1)) {
            order.push(member);
            tried = tried.with(member);
        }
        order
    }

    #[test]
    fn hashed_calls_spread_evenly() {
        let pool = pool(4);
        let mut counts = [0u32; 4];
        for number in 0..4000 {
            counts[first(&pool, &call(Balance::HashCallId, number)).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }

    #[test]
    fn round_robin_takes_turns_and_skips_the_dead() {
        let pool = pool(3);
        take_down(&pool, 1);
        let turns: Vec<_> = (0..4).map(|_| first(&pool, &call(Balance::RoundRobin, 0)).unwrap()).collect();
        assert_eq!(turns, [0, 2, 0, 2]);
    }

    #[test]
    fn the_dead_are_tried_last_and_nobody_twice() {
        let pool = pool(3);
        take_down(&pool, 0);
        let order = order(&pool, Balance::HashCallId);
        assert_eq!((order.len(), order[2]), (3, 0));
    }

    #[test]
    fn the_full_come_before_the_dead_and_after_the_others() {
        let pool = pool(3);
        take_down(&pool, 0);
        pool.members[2].full(Some(Duration::from_secs(3600)), Time::from_millis(1));
        assert_eq!(order(&pool, Balance::LeastCalls), [1, 2, 0]);
        // Nobody is believed to be full for an hour.
        let later = Time::from_millis(2) + limits::LONGEST_PAUSE;
        assert!(pool.members[2].full_until() < later);
    }

    #[test]
    fn the_nearest_go_first_and_of_those_the_preferred() {
        let share =
            |region: &str, priority| Share { region: Some(region.into()), priority, ..Share::default() };
        let pool = pool_of(&[share("us", 0), share("eu", 2), share("eu", 1)]);
        assert_eq!(order(&pool, Balance::Priority), [2, 1, 0]);
        take_down(&pool, 2);
        take_down(&pool, 1);
        assert_eq!(order(&pool, Balance::Priority), [0, 2, 1]);
    }

    #[test]
    fn whom_the_operator_took_out_gets_nothing() {
        let pool = pool(3);
        pool.members[0].set_order(Order::Draining);
        pool.members[1].set_order(Order::Disabled);
        assert_eq!(order(&pool, Balance::Weighted), [2]);
        pool.members[0].set_order(Order::Enabled);
        assert_eq!(order(&pool, Balance::RoundRobin).len(), 2);
    }

    #[test]
    fn nobody_gets_more_calls_than_it_may_have() {
        let pool = pool_of(&[
            Share { max_calls: Some(1), ..Share::default() },
            Share { max_cps: Some(10), ..Share::default() },
        ]);
        let held = pool.members[0].hold_call();
        assert_eq!(order(&pool, Balance::HashCallId), [1]);
        for _ in 0..3 {
            pool.members[1].pace.count(Some(10), Time::from_millis(1));
        }
        assert!(order(&pool, Balance::HashCallId).is_empty());
        let registers = Wish { is_new_call: false, ..call(Balance::HashAor, 1) };
        assert!(first(&pool, &registers).is_some(), "a registration is no call");
        drop(held);
        assert_eq!(order(&pool, Balance::HashCallId), [0]);
    }

    #[test]
    fn requests_alone_take_down_half_of_a_group_at_most() {
        let pool = Arc::new(pool(4));
        for place in 0..4 {
            let seat = Seat::of(&pool, place).unwrap();
            for _ in 0..5 {
                seat.missed(Time::from_millis(1));
            }
        }
        let down = pool.members.iter().filter(|member| member.health() == Health::Down).count();
        assert_eq!(down, 2);
    }

    #[test]
    fn one_call_at_a_time_tries_a_member_that_is_back() {
        let pool = Arc::new(pool(2));
        let now = Time::from_millis(1);
        let seat = Seat::of(&pool, 0).unwrap();
        seat.missed(now);
        seat.missed(now);
        assert_eq!(pool.members[0].health(), Health::Down);
        let probe = pool.config.probe.clone().unwrap();
        pool.members[0].probing(|probing| {
            for at in [10_000, 20_000] {
                let ProbeDue::Send { sequence } = probing.on_timer(Time::from_millis(at), &probe) else {
                    panic!()
                };
                probing.on_answer(sequence, &probe);
            }
        });
        let back = Time::from_millis(20_000);
        let wish = (0..).map(|number| call(Balance::HashCallId, number));
        let wish =
            wish.into_iter().find(|wish| pool.choose(wish, Tried::default(), back) == Some(0)).unwrap();
        pool.members[0].sent(EntryId(1), back);
        assert_eq!(pool.choose(&wish, Tried::default(), back), Some(1), "the trial is on");
        pool.members[0].answered();
        assert_eq!(pool.choose(&wish, Tried::default(), back), Some(0), "it went well");
    }
}
