//! A carrier with a proxy of its own: calls in, calls out with 407, and a gateway that registers there.

use std::time::Duration;

use sbc_tests::agent::{Policy, State};
use sbc_tests::member::config::Gateway;
use sbc_tests::sim::{
    BROWSER, CARRIER, EXCHANGE, EdgeSettings, INSIDE, Link, MEMBERS, World, cast, for_seeds,
};

const SEEDS: u64 = 40;

fn with_carrier(seed: u64, loss: u64, register: bool) -> World {
    let mut world = cast(seed, &EdgeSettings::new(&MEMBERS), 0);
    for (at, member) in MEMBERS.into_iter().enumerate() {
        world.add_member(member.parse().unwrap(), |config| {
            config.gateway = Some(Gateway {
                name: "carrier".into(),
                proxy: INSIDE.parse().unwrap(),
                realm: "carrier.test".into(),
                user: "trunk".into(),
                password: "sesame".into(),
                // One registration is enough for the carrier to know where to call.
                register: register && at == 0,
                expires: 600,
                extension: "9196".into(),
            });
            config.inbound_acl = vec!["203.0.113.10".parse().unwrap()];
        });
    }
    world.add_carrier(CARRIER, EXCHANGE, true);
    world.register(BROWSER);
    if loss > 0 {
        world.link = Link::lossy(loss);
    }
    world
}

#[test]
fn a_call_from_the_carrier_passes_through_its_own_proxy() {
    for_seeds(SEEDS, |seed, loss| {
        let mut world = with_carrier(seed, loss, false);
        let leg = world.act(CARRIER, |agent, now| agent.call(now, "sip:9196@198.51.100.7:5062"));
        world.until_up(CARRIER, leg);
        world.run(1_000);
        assert!(world.act(CARRIER, |agent, now| agent.hold(now, leg)));
        let held = world.until(40_000, |world| {
            world.agent(CARRIER).call_of(leg).is_some_and(|call| call.reply("INVITE") == Some(200))
        });
        assert!(held, "the carrier's re-INVITE was not answered");
        world.run(1_000);
        world.act(CARRIER, |agent, now| agent.bye(now, leg));
        world.until_ended(CARRIER, leg);
        let leg = world.act(CARRIER, |agent, now| agent.call(now, "sip:9200@198.51.100.7:5062"));
        world.until_ended(CARRIER, leg);
        assert!(matches!(world.state(CARRIER, leg), State::Ended { status: 200, .. }), "the pool hangs up");
        world.assert_quiet();
    });
}

#[test]
fn a_call_to_the_carrier_is_challenged_and_passes() {
    for_seeds(SEEDS, |seed, loss| {
        for hangs_up_first in [BROWSER, CARRIER] {
            let mut world = with_carrier(seed, loss, false);
            world.agent(CARRIER).policy = Policy::Answer { after: Duration::from_millis(500) };
            let leg = world.act(BROWSER, |agent, now| agent.call(now, "sip:+4930123456@example.test"));
            world.until_up(BROWSER, leg);
            let there = world.until_called(CARRIER);
            world.until_up(CARRIER, there);
            world.run(1_000);
            let ends = if hangs_up_first == BROWSER { leg } else { there };
            world.act(hangs_up_first, |agent, now| agent.bye(now, ends));
            world.until_ended(BROWSER, leg);
            world.until_ended(CARRIER, there);
            world.assert_quiet();
        }
    });
}

#[test]
fn a_gateway_registers_at_the_carrier_and_is_called_there() {
    for_seeds(SEEDS, |seed, loss| {
        let mut world = with_carrier(seed, loss, true);
        let registered = world.until(90_000, |world| {
            let now = world.now;
            world.member(MEMBERS[0]).status(now).gateway_registered
        });
        assert!(registered, "the gateway did not get registered");
        assert_eq!(world.carrier(CARRIER).bindings().len(), 1);
        let leg = world.call_registered(CARRIER, "trunk", "sip:trunk@carrier.test").expect("a binding");
        world.until_up(CARRIER, leg);
        world.run(1_000);
        world.act(CARRIER, |agent, now| agent.bye(now, leg));
        world.until_ended(CARRIER, leg);
        // Refreshes keep the one binding.
        world.run(700_000);
        assert_eq!(world.carrier(CARRIER).bindings().len(), 1);
        assert_eq!(world.violations(), Vec::<String>::new());
    });
}

#[test]
fn a_carrier_that_asks_our_address_meets_the_user_of_our_domain() {
    use sbc_core::config::Balance;
    for_seeds(SEEDS, |seed, _| {
        // Each member knows its own users only, and a user has its home by its address of record.
        let settings = EdgeSettings { balance: Balance::HashAor, ..EdgeSettings::new(&MEMBERS) };
        let mut world = World::new(seed, &settings);
        for member in MEMBERS {
            world.add_member(member.parse().unwrap(), |config| config.auth_calls = false);
        }
        world.add_browser(BROWSER, "1001");
        world.add_carrier(CARRIER, EXCHANGE, false);
        world.run(500);
        world.act(BROWSER, |agent, now| agent.register(now, 300));
        world.run(2_000);
        world.agent(BROWSER).policy = Policy::Answer { after: Duration::from_millis(200) };
        let leg = world.act(CARRIER, |agent, now| agent.call(now, "sip:1001@198.51.100.7:5062"));
        world.until_up(CARRIER, leg);
        world.act(CARRIER, |agent, now| agent.bye(now, leg));
        world.until_ended(CARRIER, leg);
        world.assert_quiet();
    });
}
