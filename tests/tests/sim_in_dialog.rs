//! Every method inside a dialog, in both directions, for browsers and phones.

use sbc_tests::agent::{Policy, State};
use sbc_tests::sim::{BROWSER, EdgeSettings, MEMBERS, OTHER_BROWSER, PHONE, World, cast, for_seeds};
use std::time::Duration;

const SEEDS: u64 = 40;

fn settings() -> EdgeSettings {
    EdgeSettings::new(&MEMBERS)
}

/// A call that is up.
fn up(world: &mut World, caller: &str, uri: &str) -> sbc_tests::agent::LegId {
    let leg = world.act(caller, |agent, now| agent.call(now, uri));
    world.until_up(caller, leg);
    leg
}

/// Wait for the reply to a request inside a call.
fn replied(world: &mut World, who: &str, leg: sbc_tests::agent::LegId, method: &str) -> Option<u16> {
    world.until(40_000, |world| {
        world.agent(who).call_of(leg).is_some_and(|call| call.reply(method).is_some())
    });
    world.agent(who).call_of(leg).and_then(|call| call.reply(method))
}

#[test]
fn requests_of_the_caller_pass() {
    for_seeds(SEEDS, |seed, loss| {
        for caller in [BROWSER, PHONE] {
            let mut world = cast(seed, &settings(), loss);
            let leg = up(&mut world, caller, "sip:9196@example.test");
            world.run(1000);
            assert!(world.act(caller, |agent, now| agent.hold(now, leg)));
            assert_eq!(replied(&mut world, caller, leg, "INVITE"), Some(200));
            world.run(2000);
            assert!(world.act(caller, |agent, now| agent.reinvite(now, leg, "sendrecv")));
            world.run(40_000);
            assert!(world.act(caller, |agent, now| agent.update(now, leg)));
            assert_eq!(replied(&mut world, caller, leg, "UPDATE"), Some(200));
            assert!(world.act(caller, |agent, now| agent.info(now, leg)));
            assert_eq!(replied(&mut world, caller, leg, "INFO"), Some(200));
            assert!(world.act(caller, |agent, now| agent.options(now, leg)));
            assert_eq!(replied(&mut world, caller, leg, "OPTIONS"), Some(200));
            assert!(world.act(caller, |agent, now| agent.message(now, leg, "hello")));
            assert!(replied(&mut world, caller, leg, "MESSAGE").is_some_and(|status| status < 300));
            world.act(caller, |agent, now| agent.bye(now, leg));
            world.until_ended(caller, leg);
            world.assert_quiet();
        }
    });
}

#[test]
fn requests_of_the_pool_pass() {
    for_seeds(SEEDS, |seed, loss| {
        for caller in [BROWSER, PHONE] {
            let mut world = cast(seed, &settings(), loss);
            let leg = up(&mut world, caller, "sip:9184@example.test");
            let seen = |world: &mut World, leg, method: &str| {
                let has = |world: &mut World| {
                    let call = world.agent(caller).call_of(leg);
                    call.is_some_and(|call| call.requests.iter().any(|own| own == method))
                };
                world.until(40_000, has)
            };
            assert!(seen(&mut world, leg, "INVITE"), "no re-INVITE of the pool");
            let second = up(&mut world, caller, "sip:9170@example.test");
            assert!(seen(&mut world, second, "INFO"), "no INFO of the pool");
            assert!(seen(&mut world, second, "UPDATE"), "no UPDATE of the pool");
            world.run(8_000);
            let notified = |world: &mut World| {
                world.agent(caller).trace().iter().any(|one| !one.sent && one.message.method() == "NOTIFY")
            };
            assert!(world.until(40_000, notified), "no NOTIFY of the pool");
            for leg in [leg, second] {
                world.act(caller, |agent, now| agent.bye(now, leg));
                world.until_ended(caller, leg);
            }
            world.assert_quiet();
        }
    });
}

#[test]
fn a_subscription_lives_and_ends() {
    for_seeds(SEEDS, |seed, loss| {
        for who in [BROWSER, PHONE] {
            let mut world = cast(seed, &settings(), loss);
            world.act(who, |agent, now| agent.subscribe(now, "sip:1001@example.test", "dialog", 600));
            let done = world.until(40_000, |world| {
                let (status, notifies) = world.agent(who).subscribed();
                status.is_some_and(|status| status < 300) && notifies > 0
            });
            assert!(done, "{:?}", world.agent(who).subscribed());
            let (_, before) = world.agent(who).subscribed();
            world.run(40_000);
            world.act(who, |agent, now| agent.resubscribe(now, 0));
            let done = world.until(40_000, |world| {
                let (status, notifies) = world.agent(who).subscribed();
                status.is_some_and(|status| status < 300) && notifies > before
            });
            assert!(done, "{:?}", world.agent(who).subscribed());
            world.assert_quiet();
        }
    });
}

#[test]
fn a_blind_transfer_leads_on() {
    for_seeds(SEEDS, |seed, loss| {
        let mut world = cast(seed, &settings(), loss);
        world.agent(PHONE).policy = Policy::Answer { after: Duration::from_millis(300) };
        world.agent(OTHER_BROWSER).policy = Policy::Answer { after: Duration::from_millis(300) };
        let leg = up(&mut world, BROWSER, "sip:1002@example.test");
        let at_other = world.call_up(OTHER_BROWSER);
        world.run(1000);
        assert!(world.act(OTHER_BROWSER, |agent, now| agent.refer(now, at_other, "sip:9196@example.test")));
        assert_eq!(replied(&mut world, OTHER_BROWSER, at_other, "REFER"), Some(202));
        let told = world.until(60_000, |world| {
            world.agent(OTHER_BROWSER).call_of(at_other).is_some_and(|call| call.transfer.contains(&200))
        });
        assert!(told, "{:?}", world.agent(OTHER_BROWSER).call_of(at_other).map(|call| call.transfer.clone()));
        assert_eq!(world.state(BROWSER, leg), State::Up);
        world.act(BROWSER, |agent, now| agent.bye(now, leg));
        world.run(5_000);
        world.act(OTHER_BROWSER, |agent, now| agent.bye(now, at_other));
        world.assert_quiet();
    });
}

#[test]
fn reliable_provisionals_are_acknowledged_on_both_sides() {
    for_seeds(SEEDS, |seed, loss| {
        const CALLEE: &str = "192.0.2.24:5060";
        // One member: with two, loss can make it two calls, of which one is cancelled.
        let mut world = World::new(seed, &EdgeSettings::new(&MEMBERS[..1]));
        world.add_member(MEMBERS[0].parse().unwrap(), |config| config.enable_100rel = true);
        world.add_phone(PHONE, "1003");
        world.add_phone(CALLEE, "1004");
        world.run(500);
        if loss > 0 {
            world.link = sbc_tests::sim::Link::lossy(loss);
        }
        world.register(PHONE);
        world.register(CALLEE);
        let headers = vec![("Supported".to_owned(), "100rel".to_owned())];
        let leg = world.act(PHONE, |agent, now| {
            let uri = "sip:1004@example.test";
            agent.call_with(now, uri, uri, Vec::new(), headers)
        });
        let called = world.until_called(CALLEE);
        world.act(CALLEE, |agent, now| agent.ring_early(now, called));
        let pracks = |world: &mut World, who: &str, sent: bool| {
            let has = |world: &mut World| {
                world.agent(who).trace().iter().any(|one| one.sent == sent && one.message.method() == "PRACK")
            };
            world.until(40_000, has)
        };
        assert!(pracks(&mut world, CALLEE, false), "the pool sent no PRACK to the callee");
        assert!(pracks(&mut world, PHONE, true), "the caller had nothing to acknowledge");
        world.act(CALLEE, |agent, now| agent.answer(now, called));
        world.until_up(PHONE, leg);
        world.act(PHONE, |agent, now| agent.bye(now, leg));
        world.until_ended(PHONE, leg);
        world.assert_quiet();
    });
}
