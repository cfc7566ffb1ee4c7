//! Two members with a registrar of its own each: every user reaches every user all the same.

use std::time::Duration;

use sbc_core::config::{Balance, Registrations};
use sbc_tests::agent::Policy;
use sbc_tests::sim::{BROWSER, EdgeSettings, INSIDE, MEMBERS, OTHER_BROWSER, PHONE, World, for_seeds};

const SEEDS: u64 = 10;
const USERS: [(&str, &str); 3] = [(BROWSER, "1001"), (OTHER_BROWSER, "1002"), (PHONE, "1003")];

fn world(seed: u64, settings: &EdgeSettings) -> World {
    let mut world = World::new(seed, settings);
    world.share_registrations = false;
    world.add_browser(BROWSER, "1001");
    world.add_browser(OTHER_BROWSER, "1002");
    world.add_phone(PHONE, "1003");
    world.run(500);
    for (agent, _) in USERS {
        world.register(agent);
        world.agent(agent).policy = Policy::Answer { after: Duration::from_millis(50) };
    }
    world
}

fn everybody_calls_everybody(world: &mut World) {
    for (caller, own) in USERS {
        for (_, callee) in USERS.iter().filter(|(_, user)| *user != own) {
            let leg = world.act(caller, |agent, now| agent.call(now, &format!("sip:{callee}@example.test")));
            world.until_up(caller, leg);
            world.act(caller, |agent, now| agent.bye(now, leg));
            world.until_ended(caller, leg);
        }
    }
    world.assert_quiet();
}

/// How many members hold a registration.
fn homes(world: &mut World) -> usize {
    let now = world.now;
    MEMBERS.iter().filter(|member| !world.member(member).status(now).bindings.is_empty()).count()
}

#[test]
fn by_aor_a_call_meets_the_registration() {
    let mut both = false;
    for balance in [Balance::RoundRobin, Balance::HashCallId] {
        let settings =
            EdgeSettings { balance, registrations: Registrations::ByAor, ..EdgeSettings::new(&MEMBERS) };
        let mut world = world(1, &settings);
        // Long after the start, where only known users have a home.
        world.run(70_000);
        both |= homes(&mut world) == 2;
        everybody_calls_everybody(&mut world);
    }
    assert!(both, "the users live on both members");
}

#[test]
fn by_bindings_the_edge_finds_users_of_the_other_member() {
    for_seeds(SEEDS, |seed, _| {
        let settings = EdgeSettings { balance: Balance::RoundRobin, ..EdgeSettings::new(&MEMBERS) };
        let mut world = World::new(seed, &settings);
        for member in MEMBERS {
            let edge = INSIDE.parse().expect("an address");
            world.add_member(member.parse().expect("an address"), |config| config.edge = Some(edge));
        }
        world.share_registrations = false;
        world.add_browser(BROWSER, "1001");
        world.add_browser(OTHER_BROWSER, "1002");
        world.add_phone(PHONE, "1003");
        world.run(500);
        for (agent, _) in USERS {
            world.register(agent);
            world.agent(agent).policy = Policy::Answer { after: Duration::from_millis(50) };
        }
        everybody_calls_everybody(&mut world);
    });
}
