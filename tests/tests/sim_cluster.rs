//! Several nodes with one key: what one of them set up goes on through another when it is gone.

use std::time::Duration;

use sbc_tests::agent::{LegId, Policy, State};
use sbc_tests::sim::{BROWSER, EdgeSettings, MEMBERS, PHONE, World, cast, for_seeds};

const SEEDS: u64 = 20;
/// Longer than anything here takes.
const FOR_GOOD: u64 = 1_000_000;

/// Two nodes behind one address on either side.
fn pair(seed: u64, loss: u64) -> World {
    cast(seed, &EdgeSettings { nodes: 2, share_inside: true, ..EdgeSettings::new(&MEMBERS) }, loss)
}

/// The balancer goes by the port of the sender.
fn kill_the_node_of(world: &mut World, address: &str) {
    let port: usize = address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    world.crash(port % 2, FOR_GOOD);
}

fn replied(world: &mut World, who: &str, leg: LegId, method: &str) {
    let is_granted =
        |world: &mut World| world.agent(who).call_of(leg).is_some_and(|call| call.reply(method) == Some(200));
    assert!(world.until(40_000, is_granted), "the {method} of {who} got no 200");
}

#[test]
fn a_phone_goes_on_through_the_other_node() {
    for_seeds(SEEDS, |seed, loss| {
        let mut world = pair(seed, loss);
        let leg = world.act(PHONE, |agent, now| agent.call(now, "sip:9196@example.test"));
        world.until_up(PHONE, leg);
        world.run(40_000);
        kill_the_node_of(&mut world, PHONE);
        assert!(world.act(PHONE, |agent, now| agent.hold(now, leg)));
        replied(&mut world, PHONE, leg, "INVITE");
        world.run(1_000);
        world.act(PHONE, |agent, now| agent.bye(now, leg));
        world.until_ended(PHONE, leg);
        let nobody_talks = |world: &mut World| {
            let now = world.now;
            MEMBERS.iter().all(|member| world.member(member).status(now).legs.is_empty())
        };
        assert!(world.until(40_000, nobody_talks));
    });
}

#[test]
fn the_pool_goes_on_with_a_phone_through_the_other_node() {
    for_seeds(SEEDS, |seed, loss| {
        let mut world = pair(seed, loss);
        // 9200 hangs up one second after its answer.
        let leg = world.act(PHONE, |agent, now| agent.call(now, "sip:9200@example.test"));
        world.until_up(PHONE, leg);
        kill_the_node_of(&mut world, PHONE);
        world.until_ended(PHONE, leg);
        assert!(matches!(world.state(PHONE, leg), State::Ended { status: 200, .. }));
    });
}

#[test]
fn a_browser_that_comes_to_the_other_node_has_its_calls_there() {
    for_seeds(SEEDS, |seed, loss| {
        let mut world = pair(seed, loss);
        world.agent(BROWSER).policy = Policy::Answer { after: Duration::from_millis(100) };
        let leg = world.act(BROWSER, |agent, now| agent.call(now, "sip:9196@example.test"));
        world.until_up(BROWSER, leg);
        world.run(2_000);
        kill_the_node_of(&mut world, BROWSER);
        world.connect(BROWSER);
        world.register(BROWSER);
        assert!(world.act(BROWSER, |agent, now| agent.hold(now, leg)));
        replied(&mut world, BROWSER, leg, "INVITE");
        world.run(1_000);
        world.act(BROWSER, |agent, now| agent.bye(now, leg));
        world.until_ended(BROWSER, leg);
        // And it is called there.
        let call = world.act(PHONE, |agent, now| agent.call(now, "sip:1001@example.test"));
        world.until_up(PHONE, call);
        world.act(PHONE, |agent, now| agent.bye(now, call));
        world.until_ended(PHONE, call);
    });
}
