//! `kill -9` with calls up: what both sides hold is enough to go on.

use std::time::Duration;

use sbc_tests::agent::{LegId, Policy, State};
use sbc_tests::sim::{
    BROWSER, CARRIER, EXCHANGE, EdgeSettings, Link, MEMBERS, PHONE, World, cast, for_seeds,
};

const SEEDS: u64 = 40;

fn replied(world: &mut World, who: &str, leg: LegId, method: &str) -> bool {
    world.until(40_000, |world| {
        world.agent(who).call_of(leg).is_some_and(|call| call.reply(method) == Some(200))
    })
}

/// A hundred other browsers connect first, so that connections are counted anew and differently.
fn crowd(world: &mut World) {
    for number in 0..100u32 {
        world.add_browser(&format!("192.0.2.{}:{}", 100 + number % 50, 41_000 + number), "1019");
    }
    world.run(100);
}

#[test]
fn a_phone_goes_on() {
    for_seeds(SEEDS, |seed, loss| {
        let mut world = cast(seed, &EdgeSettings::new(&MEMBERS), loss);
        let leg = world.act(PHONE, |agent, now| agent.call(now, "sip:9196@example.test"));
        world.until_up(PHONE, leg);
        world.run(40_000);
        world.restart();
        crowd(&mut world);
        assert!(world.act(PHONE, |agent, now| agent.hold(now, leg)));
        assert!(replied(&mut world, PHONE, leg, "INVITE"));
        world.run(1_000);
        world.act(PHONE, |agent, now| agent.bye(now, leg));
        world.until_ended(PHONE, leg);
        let nobody_talks = |world: &mut World| {
            let now = world.now;
            MEMBERS.iter().all(|member| world.member(member).status(now).legs.is_empty())
        };
        assert!(world.until(40_000, nobody_talks));
        world.assert_quiet();
    });
}

#[test]
fn the_pool_goes_on_with_a_phone() {
    for_seeds(SEEDS, |seed, loss| {
        let mut world = cast(seed, &EdgeSettings::new(&MEMBERS), loss);
        // 9184 sends a re-INVITE one second after its answer, 9200 a BYE.
        for number in ["9184", "9200"] {
            let leg = world.act(PHONE, |agent, now| agent.call(now, &format!("sip:{number}@example.test")));
            let up = |world: &mut World| {
                world.run(20);
                !matches!(world.state(PHONE, leg), State::Calling | State::Ringing)
            };
            assert!(world.until(60_000, up));
            world.restart();
            if number == "9200" {
                world.until_ended(PHONE, leg);
                assert!(matches!(world.state(PHONE, leg), State::Ended { status: 200, .. }));
            } else {
                let asked = world.until(40_000, |world| {
                    let call = world.agent(PHONE).call_of(leg);
                    call.is_some_and(|call| call.requests.iter().any(|method| method == "INVITE"))
                });
                assert!(asked, "the pool's re-INVITE did not arrive");
                world.run(2_000);
                world.act(PHONE, |agent, now| agent.bye(now, leg));
                world.until_ended(PHONE, leg);
            }
        }
        world.assert_quiet();
    });
}

#[test]
fn a_browser_goes_on_once_it_is_back() {
    for_seeds(SEEDS, |seed, loss| {
        let mut world = cast(seed, &EdgeSettings::new(&MEMBERS), loss);
        let leg = world.act(BROWSER, |agent, now| agent.call(now, "sip:9196@example.test"));
        world.until_up(BROWSER, leg);
        world.run(2_000);
        world.restart();
        crowd(&mut world);
        world.connect(BROWSER);
        world.register(BROWSER);
        assert!(world.act(BROWSER, |agent, now| agent.hold(now, leg)));
        assert!(replied(&mut world, BROWSER, leg, "INVITE"));
        world.run(1_000);
        world.act(BROWSER, |agent, now| agent.bye(now, leg));
        world.until_ended(BROWSER, leg);
        world.assert_quiet();
    });
}

#[test]
fn the_pool_goes_on_with_a_browser_that_called() {
    for_seeds(SEEDS, |seed, loss| {
        let mut world = cast(seed, &EdgeSettings::new(&MEMBERS), loss);
        let leg = world.act(BROWSER, |agent, now| agent.call(now, "sip:9200@example.test"));
        let up = |world: &mut World| {
            world.run(20);
            world.state(BROWSER, leg) == State::Up
        };
        if !world.until(60_000, up) {
            return; // The BYE came before we looked.
        }
        world.restart();
        crowd(&mut world);
        // The BYE arrives while the browser is away, and waits for it.
        world.run(1_500);
        world.connect(BROWSER);
        world.register(BROWSER);
        world.until_ended(BROWSER, leg);
        assert!(matches!(world.state(BROWSER, leg), State::Ended { status: 200, .. }));
        world.assert_quiet();
    });
}

#[test]
fn the_pool_goes_on_with_a_browser_that_was_called() {
    for_seeds(SEEDS, |seed, loss| {
        let mut world = cast(seed, &EdgeSettings::new(&MEMBERS), loss);
        world.agent(BROWSER).policy = Policy::Answer { after: Duration::from_millis(100) };
        let leg = world.act(PHONE, |agent, now| agent.call(now, "sip:1001@example.test"));
        world.until_up(PHONE, leg);
        let called = world.call_up(BROWSER);
        world.run(2_000);
        world.restart();
        crowd(&mut world);
        world.connect(BROWSER);
        world.register(BROWSER);
        if seed % 2 == 0 {
            world.act(PHONE, |agent, now| agent.bye(now, leg));
        } else {
            world.act(BROWSER, |agent, now| agent.bye(now, called));
        }
        world.until_ended(PHONE, leg);
        world.until_ended(BROWSER, called);
        world.assert_quiet();
    });
}

#[test]
fn a_200_that_the_pool_repeats_reaches_its_caller() {
    for_seeds(SEEDS, |seed, loss| {
        // One member: with two, loss can leave the caller with an INVITE that no member had yet, and that is
        // what a crash may lose.
        let mut world = cast(seed, &EdgeSettings::new(&MEMBERS[..1]), loss);
        // 9180 answers after two seconds; the restart falls between.
        let leg = world.act(PHONE, |agent, now| agent.call(now, "sip:9180@example.test"));
        let rings = |world: &mut World| {
            let now = world.now;
            MEMBERS[..1].iter().any(|member| !world.member(member).status(now).legs.is_empty())
        };
        assert!(world.until(30_000, rings));
        world.run(500);
        world.restart();
        world.until_up(PHONE, leg);
        world.act(PHONE, |agent, now| agent.bye(now, leg));
        world.until_ended(PHONE, leg);
        world.assert_quiet();
    });
}

#[test]
fn a_repeated_invite_makes_no_second_call() {
    for_seeds(SEEDS, |seed, _| {
        let mut world = cast(seed, &EdgeSettings::new(&MEMBERS), 0);
        // The phone knows its member's nonce, so that its INVITE has credentials from the start.
        world.agent(PHONE).reuse_nonce(true);
        let first = world.act(PHONE, |agent, now| agent.call(now, "sip:9196@example.test"));
        world.until_up(PHONE, first);
        world.act(PHONE, |agent, now| agent.bye(now, first));
        world.until_ended(PHONE, first);
        let leg = world.act(PHONE, |agent, now| agent.call(now, "sip:9180@example.test"));
        // Killed once the member has the INVITE, and away until its first answers are lost.
        world.run(11);
        world.restart_after(300);
        world.until_up(PHONE, leg);
        let call_id = world.agent(PHONE).call_of(leg).expect("a call").call_id.clone();
        let now = world.now;
        let invites: Vec<_> = MEMBERS
            .iter()
            .filter_map(|member| world.member(member).status(now).counters.invites.get(&call_id).copied())
            .collect();
        assert_eq!(invites.len(), 1, "one member was asked");
        assert_eq!(invites[0].started, 1, "one call was begun: {invites:?}");
        let sent = world.agent(PHONE).trace().iter();
        let repeated = sent
            .filter(|one| one.sent && one.message.method() == "INVITE" && one.message.call_id() == call_id);
        assert!(repeated.count() >= 2, "the phone had to repeat its INVITE");
        world.act(PHONE, |agent, now| agent.bye(now, leg));
        world.until_ended(PHONE, leg);
        world.assert_quiet();
    });
}

#[test]
fn a_carrier_goes_on() {
    for_seeds(SEEDS, |seed, loss| {
        let mut world = World::new(seed, &EdgeSettings::new(&MEMBERS));
        for member in MEMBERS {
            world.add_member(member.parse().unwrap(), |config| config.auth_calls = false);
        }
        world.add_carrier(CARRIER, EXCHANGE, false);
        world.run(500);
        if loss > 0 {
            world.link = Link::lossy(loss);
        }
        let leg = world.act(CARRIER, |agent, now| agent.call(now, "sip:9196@198.51.100.7:5062"));
        world.until_up(CARRIER, leg);
        world.run(2_000);
        world.restart();
        assert!(world.act(CARRIER, |agent, now| agent.hold(now, leg)));
        assert!(replied(&mut world, CARRIER, leg, "INVITE"));
        world.run(1_000);
        world.act(CARRIER, |agent, now| agent.bye(now, leg));
        world.until_ended(CARRIER, leg);
        world.assert_quiet();
    });
}
