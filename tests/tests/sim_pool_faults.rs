//! Members that die, fall silent, fill up or drain under fifty calls a second: no new call fails, and none
//! goes to a member before it has answered two probes.

use sbc_core::config::{Balance, Share};
use sbc_core::pool::Order;
use sbc_tests::agent::{LegId, State};
use sbc_tests::sim::stage::{Stage, answer_from, request, the};
use sbc_tests::sim::{EdgeSettings, MEMBERS, PHONE, RESERVE, World, cast, replace};

/// Milliseconds between calls.
const EVERY: u64 = 20;
const BAD: &str = MEMBERS[0];

/// What becomes of the member.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    /// Nobody listens any more: ICMP says so.
    Refuses,
    /// Nothing comes back.
    Silent,
    /// 503 to everything, probes too.
    Busy,
}

/// So many calls, evenly; each is hung up as soon as it has lasted a second.
fn storm(world: &mut World, calls: usize) -> Vec<LegId> {
    let mut legs: Vec<LegId> = Vec::new();
    let lasts = (1000 / EVERY) as usize;
    for number in 0..calls {
        legs.push(world.act(PHONE, |agent, now| agent.call(now, "sip:9196@example.test")));
        world.run(EVERY);
        if let Some(old) = number.checked_sub(lasts).and_then(|old| legs.get(old).copied())
            && world.state(PHONE, old) == State::Up
        {
            world.act(PHONE, |agent, now| agent.bye(now, old));
        }
    }
    legs
}

/// Every call came up, and ends.
fn finish(world: &mut World, legs: &[LegId]) {
    for leg in legs {
        let came_up = |world: &mut World| match world.state(PHONE, *leg) {
            State::Up | State::Ended { status: 200, .. } => true,
            State::Ended { status, .. } => panic!("a call failed with {status}"),
            _ => false,
        };
        assert!(world.until(20_000, came_up), "a call hangs: {:?}", world.state(PHONE, *leg));
        if world.state(PHONE, *leg) == State::Up {
            world.act(PHONE, |agent, now| agent.bye(now, *leg));
        }
    }
}

/// Requests of a method that left for a member since the departures were cleared.
fn sent(world: &World, member: &str, method: &str) -> usize {
    let to = member.parse().expect("an address");
    let of_method = |bytes: &[u8]| bytes.starts_with(method.as_bytes());
    world.departures.iter().filter(|one| one.to == to && of_method(&one.bytes)).count()
}

fn play(fault: Fault) {
    let settings = EdgeSettings { balance: Balance::LeastCalls, ..EdgeSettings::new(&MEMBERS) };
    let mut world = cast(7, &settings, 0);
    let calm = storm(&mut world, 60);
    finish(&mut world, &calm);
    world.run(3_000);
    match fault {
        Fault::Refuses => world.kill(BAD, true),
        Fault::Silent => world.kill(BAD, false),
        Fault::Busy => world.add_member(BAD.parse().unwrap(), |config| config.paused = true),
    }
    let hit = storm(&mut world, 200);
    finish(&mut world, &hit);
    world.run(12_000);
    world.departures.clear();
    let known = storm(&mut world, 50);
    finish(&mut world, &known);
    assert_eq!(sent(&world, BAD, "INVITE"), 0, "{fault:?}: a call went to a member that is known to be dead");
    world.add_member(BAD.parse().unwrap(), |_| {});
    world.departures.clear();
    let mut back = Vec::new();
    while sent(&world, BAD, "INVITE") == 0 {
        back.extend(storm(&mut world, 1));
        assert!(back.len() < 1500, "{fault:?}: it gets no call any more");
    }
    assert!(sent(&world, BAD, "OPTIONS") >= 2, "{fault:?}: a call before two good probes");
    finish(&mut world, &back);
    world.assert_quiet();
}

#[test]
fn a_member_that_is_killed_costs_no_call() {
    play(Fault::Refuses);
}

#[test]
fn a_member_that_falls_silent_costs_no_call() {
    play(Fault::Silent);
}

#[test]
fn a_member_that_takes_nothing_costs_no_call() {
    play(Fault::Busy);
}

#[test]
fn a_member_drains_to_its_last_call() {
    let mut world = cast(3, &EdgeSettings::new(&MEMBERS), 0);
    let legs = storm(&mut world, 30);
    world.run(500);
    world.core().set_order(BAD, Order::Draining).expect("a member");
    assert!(world.core().set_order("10.0.2.99:5080", Order::Draining).is_err());
    world.departures.clear();
    let later = storm(&mut world, 30);
    assert_eq!(sent(&world, BAD, "INVITE"), 0);
    let status = |world: &World| world.core().status().pools[0].members[0].clone();
    assert!(status(&world).calls > 0 && status(&world).state(world.now) == "draining");
    // A reload keeps what the operator said.
    world.reload(&EdgeSettings::new(&MEMBERS)).expect("no restart needed");
    finish(&mut world, &legs);
    finish(&mut world, &later);
    world.run(1_000);
    assert_eq!((status(&world).calls, status(&world).state(world.now)), (0, "draining"));
    world.core().set_order(&format!("sip:{BAD}"), Order::Enabled).expect("a member");
    let legs = storm(&mut world, 30);
    assert!(sent(&world, BAD, "INVITE") > 0);
    finish(&mut world, &legs);
    world.assert_quiet();
}

#[test]
fn calls_are_kept_below_what_a_member_may_have() {
    let share = Share { max_calls: Some(5), ..Share::default() };
    let settings = EdgeSettings { shares: vec![share], ..EdgeSettings::new(&MEMBERS) };
    let mut world = cast(5, &settings, 0);
    let mut legs = Vec::new();
    for _ in 0..20 {
        legs.push(world.act(PHONE, |agent, now| agent.call(now, "sip:9196@example.test")));
        world.run(100);
        assert!(world.core().status().pools[0].members[0].calls <= 5);
    }
    let now = world.now;
    assert!(world.member(MEMBERS[0]).status(now).legs.len() <= 5);
    assert!(world.member(MEMBERS[1]).status(now).legs.len() >= 15);
    finish(&mut world, &legs);
    world.assert_quiet();
    let calls: u32 = world.core().status().pools[0].members.iter().map(|member| member.calls).sum();
    assert_eq!(calls, 0, "calls that are over count no more");
}

/// Nothing but calls can tell how such a member is.
#[test]
fn without_probes_a_member_that_falls_silent_is_left_alone_and_gets_calls_when_it_is_back() {
    let settings =
        EdgeSettings { balance: Balance::RoundRobin, probes: false, ..EdgeSettings::new(&MEMBERS) };
    let mut world = cast(7, &settings, 0);
    world.kill(BAD, false);
    let mut legs = storm(&mut world, 200);
    world.run(3_000);
    world.departures.clear();
    legs.extend(storm(&mut world, 200));
    assert_eq!(sent(&world, BAD, "INVITE"), 0, "it is left alone");
    // While it is silent, one call in a while tries it, and is none the worse.
    world.run(30_000);
    legs.extend(storm(&mut world, 50));
    assert!(sent(&world, BAD, "INVITE") > 0, "it is tried");
    world.add_member(BAD.parse().unwrap(), |_| {});
    world.run(35_000);
    world.departures.clear();
    legs.extend(storm(&mut world, 50));
    assert!(sent(&world, BAD, "INVITE") > 20, "it has its share again: {}", sent(&world, BAD, "INVITE"));
    finish(&mut world, &legs);
    world.assert_quiet();
}

/// A call that is challenged leaves twice and is one call all the same.
#[test]
fn a_challenged_call_counts_once_for_the_pace_of_its_member() {
    let share = Share { max_cps: Some(10), ..Share::default() };
    let settings = EdgeSettings { shares: vec![share], ..EdgeSettings::new(&MEMBERS[..1]) };
    let mut world = cast(5, &settings, 0);
    let mut legs = Vec::new();
    world.departures.clear();
    for _ in 0..40 {
        legs.push(world.act(PHONE, |agent, now| agent.call(now, "sip:9196@example.test")));
        world.run(110);
    }
    assert!(sent(&world, BAD, "INVITE") >= 80, "they are challenged");
    finish(&mut world, &legs);
    world.assert_quiet();
}

/// Who challenged a call has become full when the answer to the challenge comes: the pool behind it has room.
#[test]
fn a_challenged_call_goes_on_to_the_reserve_where_its_challenger_is_full() {
    let usual = EdgeSettings::new(&MEMBERS[..1]);
    let rule = "[[rule]]\nname = \"overflow\"\nmatch = { zone = \"public\", method = \"INVITE\" }\n\
                route = { pool = \"freeswitch\", fallback = [\"reserve\"] }\n";
    let settings = EdgeSettings {
        rules: format!("{rule}{}", usual.rules),
        reserve: vec![RESERVE.parse().expect("an address")],
        shares: vec![Share { max_calls: Some(1), ..Share::default() }],
        ..usual
    };
    let mut stage = Stage::new(&settings);
    let asked = request("INVITE", "challenged", "challenged1");
    let there = the(&stage.say(PHONE, &asked), "INVITE");
    assert_eq!(there.to, MEMBERS[0]);
    let mut challenge = answer_from(MEMBERS[0], &there.message, 407, "member");
    challenge.push("Proxy-Authenticate", "Digest realm=\"example.test\", nonce=\"n\"");
    stage.say(MEMBERS[0], &challenge);
    let other = request("INVITE", "other", "other");
    let there = the(&stage.say(PHONE, &other), "INVITE");
    stage.say(MEMBERS[0], &answer_from(MEMBERS[0], &there.message, 200, "busy"));
    let mut again = request("INVITE", "challenged", "challenged2");
    replace(&mut again, "CSeq", &["2 INVITE".to_owned()]);
    again.push(
        "Proxy-Authorization",
        "Digest username=\"1003\", realm=\"example.test\", nonce=\"n\", uri=\"sip:9196@example.test\", response=\"0\"",
    );
    assert_eq!(the(&stage.say(PHONE, &again), "INVITE").to, RESERVE);
}
