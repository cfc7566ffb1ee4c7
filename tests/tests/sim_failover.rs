//! Members that die: new calls go elsewhere, and nothing is left behind.

use sbc_core::config::Balance;
use sbc_tests::agent::State;
use sbc_tests::sim::stage::{Stage, answer_from, request, statuses, the};
use sbc_tests::sim::{BROWSER, CARRIER, EdgeSettings, MEMBERS, PHONE, World, cast, for_seeds};

const SEEDS: u64 = 40;
const BALANCES: [Balance; 3] = [Balance::HashCallId, Balance::HashAor, Balance::RoundRobin];

/// One call; how long it took to be up, in milliseconds.
fn call(world: &mut World, caller: &str) -> u64 {
    let begun = world.now;
    let leg = world.act(caller, |agent, now| agent.call(now, "sip:9196@example.test"));
    world.until_up(caller, leg);
    let took = world.now.since(begun).as_millis() as u64;
    world.act(caller, |agent, now| agent.bye(now, leg));
    world.until_ended(caller, leg);
    took
}

#[test]
fn a_member_that_refuses_costs_no_call_and_no_time() {
    for_seeds(SEEDS, |seed, loss| {
        let settings = EdgeSettings { balance: BALANCES[seed as usize % 3], ..EdgeSettings::new(&MEMBERS) };
        let mut world = cast(seed, &settings, loss);
        world.kill(MEMBERS[seed as usize % 2], true);
        for caller in [BROWSER, PHONE] {
            let took = call(&mut world, caller);
            assert!(loss > 0 || took < 500, "a closed port is known at once, this took {took} ms");
        }
        world.assert_quiet();
    });
}

#[test]
fn a_silent_member_costs_two_seconds_until_it_is_known() {
    for_seeds(SEEDS, |seed, loss| {
        let settings = EdgeSettings { balance: BALANCES[seed as usize % 3], ..EdgeSettings::new(&MEMBERS) };
        let mut world = cast(seed, &settings, loss);
        world.kill(MEMBERS[seed as usize % 2], false);
        let took = call(&mut world, PHONE);
        assert!(loss > 0 || took < 5_000, "this took {took} ms");
        // Two probes later it is not even tried.
        world.run(20_000);
        let took = call(&mut world, PHONE);
        assert!(loss > 0 || took < 500, "this took {took} ms");
        world.assert_quiet();
    });
}

#[test]
fn a_full_member_hands_its_calls_to_the_other() {
    for_seeds(SEEDS, |seed, loss| {
        let settings = EdgeSettings { balance: BALANCES[seed as usize % 3], ..EdgeSettings::new(&MEMBERS) };
        let mut world = cast(seed, &settings, loss);
        let full = MEMBERS[seed as usize % 2];
        world.add_member(full.parse().unwrap(), |config| config.max_sessions = 1);
        for _ in 0..3 {
            call(&mut world, PHONE);
        }
        // REGISTER of a user whose member is full goes to the other one, too.
        world.register(PHONE);
        world.assert_quiet();
    });
}

#[test]
fn a_failure_beyond_the_member_is_not_tried_again() {
    for_seeds(SEEDS, |seed, loss| {
        let mut world = cast(seed, &EdgeSettings::new(&MEMBERS), loss);
        let leg = world.act(PHONE, |agent, now| agent.call(now, "sip:9503@example.test"));
        world.until_ended(PHONE, leg);
        assert!(matches!(world.state(PHONE, leg), State::Ended { status: 500, .. }));
        let now = world.now;
        let call_id = world.agent(PHONE).call_of(leg).expect("a call").call_id.clone();
        let started: u32 = MEMBERS
            .iter()
            .filter_map(|member| world.member(member).status(now).counters.invites.get(&call_id).copied())
            .map(|invites| invites.started)
            .sum();
        assert!(loss > 0 || started <= 1, "{started} members began the call");
        world.assert_quiet();
    });
}

#[test]
fn no_call_is_challenged_twice_whatever_the_balance() {
    for_seeds(SEEDS, |seed, _| {
        for balance in BALANCES {
            let settings = EdgeSettings { balance, ..EdgeSettings::new(&MEMBERS) };
            let mut world = cast(seed, &settings, 0);
            for round in 0..6 {
                call(&mut world, if round % 2 == 0 { BROWSER } else { PHONE });
            }
            for caller in [BROWSER, PHONE] {
                let of_call = |call_id: &str, world: &mut World| {
                    let seen = world.agent(caller).trace().iter();
                    seen.filter(|one| {
                        !one.sent && one.message.status() == 407 && one.message.call_id() == call_id
                    })
                    .count()
                };
                let calls: Vec<String> =
                    world.agent(caller).calls().map(|(_, call)| call.call_id.clone()).collect();
                for call_id in calls {
                    assert!(of_call(&call_id, &mut world) <= 1, "{balance:?}: more than one 407");
                }
            }
            world.assert_quiet();
        }
    });
}

#[test]
fn both_members_get_their_share() {
    for balance in [Balance::HashCallId, Balance::RoundRobin] {
        let settings = EdgeSettings { balance, ..EdgeSettings::new(&MEMBERS) };
        let mut world = cast(1, &settings, 0);
        for _ in 0..20 {
            call(&mut world, PHONE);
        }
        let now = world.now;
        for member in MEMBERS {
            let answered = world.member(member).status(now).counters.answered;
            assert!(answered >= 4, "{balance:?}: {member} answered {answered} of 20");
        }
    }
}

#[test]
fn a_registration_comes_home_when_its_member_does() {
    for_seeds(SEEDS, |seed, _| {
        let settings = EdgeSettings { balance: Balance::HashAor, ..EdgeSettings::new(&MEMBERS) };
        let mut world = cast(seed, &settings, 0);
        // The phone uses a nonce as long as it can, and with it the name of the member that made it.
        world.agent(PHONE).reuse_nonce(true);
        let home_of = |world: &mut World| {
            let now = world.now;
            let refreshes = |member: &&str, world: &mut World| -> u64 {
                let bindings = world.member(member).status(now).bindings;
                bindings.iter().filter(|one| one.aor.starts_with("1003@")).map(|one| one.refreshes).sum()
            };
            MEMBERS.iter().max_by_key(|member| refreshes(member, world)).copied().expect("two members")
        };
        let home = home_of(&mut world);
        world.kill(home, true);
        world.run(15_000);
        world.register(PHONE);
        world.add_member(home.parse().unwrap(), |_| {});
        world.run(60_000);
        world.register(PHONE);
        world.register(PHONE);
        let now = world.now;
        let at_home = world.member(home).status(now).bindings;
        assert!(at_home.iter().any(|binding| binding.aor.starts_with("1003@") && binding.refreshes >= 2));
        world.assert_quiet();
    });
}

/// A carrier that was full a moment ago goes before servers that are dead, though it stands in the list before them.
#[test]
fn a_call_is_not_sent_to_the_dead_while_somebody_is_only_full() {
    let rules = r#"
[[rule]]
name = "out, or in"
match = { domain = "example.test" }
route = { pool = "carrier", fallback = "freeswitch" }
"#;
    let mut stage = Stage::new(&EdgeSettings { rules: rules.into(), ..EdgeSettings::new(&MEMBERS) });
    MEMBERS.iter().for_each(|member| stage.silence(member, false));
    stage.pass(20_000);
    let full = the(&stage.say(PHONE, &request("INVITE", "first", "1")), "INVITE");
    assert_eq!(full.to, CARRIER);
    let sent = stage.say(CARRIER, &answer_from(CARRIER, &full.message, 503, "full"));
    let to_dead: Vec<_> = sent.iter().filter(|one| MEMBERS.contains(&&*one.to)).collect();
    assert_eq!(to_dead.len(), 1, "nobody else is left for this one: {sent:?}");
    let next = the(&stage.say(PHONE, &request("INVITE", "second", "2")), "INVITE");
    assert_eq!(next.to, CARRIER);
    let sent = stage.say(CARRIER, &answer_from(CARRIER, &next.message, 200, "carrier"));
    assert_eq!(statuses(&sent, PHONE, "INVITE").last(), Some(&200));
}
