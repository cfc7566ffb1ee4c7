//! Who takes the next request.

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
        release: None,
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
    Wish { balance, key: key(call), is_new_call: true, among: Places::ALL, near: None }
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
    pool.members[0].sent(EntryId(1), back);
    assert_eq!(pool.choose(&wish, Places::default(), back), Some(1), "the trial is on");
    pool.members[0].answered();
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
