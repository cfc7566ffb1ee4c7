//! Who takes the next request.

use std::time::Duration;

use super::*;
use crate::config::{Failover, Large, Probe};
use crate::pool::ProbeDue;
use crate::transaction::EntryId;

fn pool_of(shares: &[Share]) -> PoolState {
    state_of(config_of(shares), None)
}

fn state_of(config: Pool, before: Option<&PoolState>) -> PoolState {
    let known = |member: &Member| before?.members.iter().find(|old| old.is(member)).cloned();
    PoolState::new(config, "eu", &KeyedHash::new([3; 16]), before.is_some(), known)
}

fn config_of(shares: &[Share]) -> Pool {
    let members = shares.iter().enumerate().map(|(n, share)| Member {
        uri: format!("sip:10.0.2.{n}:5080").into(),
        address: ([10, 0, 2, n as u8], 5080).into(),
        share: share.clone(),
        listener: ListenerId(0),
    });
    let second = Duration::from_secs(1);
    Pool {
        name: "freeswitch".into(),
        zone: Zone::Pool,
        listener: ListenerId(0),
        members: members.collect(),
        balance: Balance::HashCallId,
        registrations: crate::config::Registrations::Shared,
        probe: Some(Probe { interval: second * 5, timeout: second, fall: 2, rise: 2 }),
        failover: Failover { invite_after: second * 2, other_after: second * 6, attempts: 3 },
        large: Large::Never,
        release: None,
    }
}

fn without_probes(members: usize, before: Option<&PoolState>) -> PoolState {
    state_of(Pool { probe: None, ..config_of(&vec![Share::default(); members]) }, before)
}

fn pool(members: usize) -> PoolState {
    pool_of(&vec![Share::default(); members])
}

fn key(call: u32) -> Digest {
    KeyedHash::new([4; 16]).of(&[&call.to_be_bytes()])
}

fn call(balance: Balance, call: u32) -> Wish {
    Wish { balance, key: key(call), wanted: None, is_new_call: true, among: Places::ALL, near: None }
}

fn first(pool: &PoolState, wish: &Wish) -> Option<usize> {
    pool.choose(wish, Places::default(), Time::from_millis(1))
}

fn take_down(pool: &PoolState, member: usize) {
    pool.members[member].probing(|probing| probing.missed(1));
}

fn order(pool: &PoolState, balance: Balance) -> Vec<usize> {
    let (mut tried, mut order) = (Places::default(), Vec::new());
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
    let share = |region: &str, priority| Share { region: Some(region.into()), priority, ..Share::default() };
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
    let wish = wish.into_iter().find(|wish| pool.choose(wish, Places::default(), back) == Some(0)).unwrap();
    pool.members[0].sent(EntryId(1), ListenerId(0), back);
    assert_eq!(pool.choose(&wish, Places::default(), back), Some(1), "the trial is on");
    pool.members[0].answered(true);
    assert_eq!(pool.choose(&wish, Places::default(), back), Some(0), "it went well");
}

#[test]
fn only_those_with_the_tag_are_asked_and_the_wanted_region_goes_first() {
    let share = |region: Option<&str>, tags: &[&str]| Share {
        region: region.map(Into::into),
        tags: tags.iter().map(|tag| (*tag).into()).collect(),
        ..Share::default()
    };
    let (large, other): (&[&str], &[&str]) = (&["large"], &["small", "test"]);
    let pool = pool_of(&[
        share(Some("eu"), large),
        share(Some("us"), large),
        share(None, other),
        share(Some("us"), other),
    ]);
    let asked = |wish: Wish| {
        let (mut tried, mut order) = (Places::default(), Vec::new());
        while let Some(member) = pool.choose(&wish, tried, Time::from_millis(1)) {
            order.push(member);
            tried = tried.with(member);
        }
        order
    };
    let wish = Wish { among: pool.tagged(Some("large")), ..call(Balance::HashCallId, 1) };
    assert_eq!(asked(wish), [0, 1], "the node stands in eu");
    assert_eq!(asked(Wish { near: Some(pool.near_to("us")), ..wish }), [1, 0]);
    assert!(asked(Wish { among: pool.tagged(Some("none")), ..wish }).is_empty());
    take_down(&pool, 1);
    assert_eq!(asked(Wish { near: Some(pool.near_to("us")), ..wish }), [0, 1], "health comes before place");
    let anybody = Wish { among: pool.tagged(None), near: Some(pool.near_to("us")), ..wish };
    assert_eq!(asked(anybody)[2..], [0, 1]);
}

#[test]
fn without_probes_some_misses_in_a_row_take_a_member_down_and_an_answer_brings_it_back() {
    let pool = Arc::new(without_probes(2, None));
    let (seat, other) = (Seat::of(&pool, 0).unwrap(), Seat::of(&pool, 1).unwrap());
    let now = Time::from_millis(1);
    seat.missed(now);
    seat.missed(now);
    assert_eq!(seat.health(), Health::Unknown, "one lost request is no dead member");
    seat.answered();
    seat.missed(now);
    seat.missed(now);
    assert_eq!(seat.health(), Health::Unknown, "they were not in a row");
    seat.missed(now);
    assert_eq!(seat.health(), Health::Down);
    seat.answered();
    assert_eq!(seat.health(), Health::Unknown);
    for _ in 0..FALL {
        other.missed(now);
    }
    assert_eq!(other.health(), Health::Down, "the first is no longer counted as down");
}

#[test]
fn without_probes_one_call_at_a_time_tries_a_member_that_was_left_alone() {
    let pool = Arc::new(without_probes(2, None));
    let seat = Seat::of(&pool, 0).unwrap();
    let wish = (0..).map(|number| call(Balance::HashCallId, number));
    let wish = wish.into_iter().find(|wish| first(&pool, wish) == Some(0)).unwrap();
    let mut now = Time::from_millis(1);
    let choice = |now| pool.choose(&wish, Places::default(), now);
    for _ in 0..FALL {
        seat.missed(now);
    }
    for _ in 0..2 {
        assert_eq!(choice(now), Some(1));
        now += limits::EJECTION;
        assert_eq!(choice(now), Some(0), "it has its turn again");
        seat.sent(EntryId(1), ListenerId(0), now);
        assert_eq!(choice(now), Some(1), "the trial is on");
        seat.missed(now);
        now += limits::TRIAL;
        assert_eq!(choice(now), Some(1), "it did not go well");
    }
    now += limits::EJECTION;
    seat.sent(EntryId(2), ListenerId(0), now);
    seat.answered();
    assert_eq!(choice(now), Some(0), "it went well");
}

#[test]
fn what_probes_said_does_not_outlive_them() {
    let before = pool(2);
    take_down(&before, 0);
    before.members[1].probing(|probing| {
        let probe = before.config.probe.clone().unwrap();
        let ProbeDue::Send { sequence } = probing.on_timer(Time::from_millis(1), &probe) else { panic!() };
        probing.on_busy(sequence);
    });
    let pool = without_probes(2, Some(&before));
    let taken: std::collections::BTreeSet<_> =
        (0..20).filter_map(|number| first(&pool, &call(Balance::HashCallId, number))).collect();
    assert_eq!(taken.len(), 2, "both have their turn");
}

#[test]
fn a_member_that_fails_again_and_again_waits_for_a_while() {
    let pool = pool(2);
    let now = Time::from_millis(1);
    let fail = |times: u8| (0..times).for_each(|_| pool.members[0].failed(now));
    let waits = |now| pool.members[0].full_until() > now;
    fail(limits::OWN_FAILURES - 1);
    pool.members[0].handled();
    fail(limits::OWN_FAILURES - 1);
    assert!(!waits(now), "they were not in a row");
    fail(1);
    assert!(waits(now) && !waits(now + limits::PAUSE));
}
