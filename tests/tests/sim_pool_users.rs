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

fn by_aor() -> EdgeSettings {
    EdgeSettings {
        balance: Balance::HashCallId,
        registrations: Registrations::ByAor,
        ..EdgeSettings::new(&MEMBERS)
    }
}

fn calls_reach(world: &mut World, caller: &str, callee: &str) {
    // By Call-ID, each call may meet another member.
    for _ in 0..6 {
        let leg = world.act(caller, |agent, now| agent.call(now, &format!("sip:{callee}@example.test")));
        world.until_up(caller, leg);
        world.act(caller, |agent, now| agent.bye(now, leg));
        world.until_ended(caller, leg);
    }
}

/// The member that has a user's registration.
fn home_of(world: &mut World, user: &str) -> &'static str {
    let now = world.now;
    let aor = format!("{user}@");
    let has =
        |member: &&str| world.member(member).status(now).bindings.iter().any(|one| one.aor.starts_with(&aor));
    MEMBERS.into_iter().find(has).expect("somebody has it")
}

#[test]
fn by_aor_a_call_waits_for_a_browser_that_reloads() {
    let mut world = world(1, &by_aor());
    world.run(70_000);
    for _ in 0..6 {
        world.cut(OTHER_BROWSER);
        let leg = world.act(PHONE, |agent, now| agent.call(now, "sip:1002@example.test"));
        world.run(1_500);
        world.connect(OTHER_BROWSER);
        world.register(OTHER_BROWSER);
        world.until_up(PHONE, leg);
        world.act(PHONE, |agent, now| agent.bye(now, leg));
        world.until_ended(PHONE, leg);
    }
    world.assert_quiet();
}

/// A phone registers for an hour, and sbc has forgotten it: its member has not.
#[test]
fn by_aor_a_call_finds_a_phone_that_only_its_member_remembers() {
    let mut world = world(1, &by_aor());
    for (agent, _) in USERS {
        world.agent(agent).keep_registered(false);
    }
    world.restart();
    world.connect(BROWSER);
    world.register(BROWSER);
    world.run(70_000);
    calls_reach(&mut world, BROWSER, "1003");
    world.assert_quiet();
}

/// Its home was down when it registered; until it does so again, the other member has it.
#[test]
fn by_aor_a_call_goes_where_the_registration_was_granted() {
    let mut world = world(1, &by_aor());
    world.run(70_000);
    let home = home_of(&mut world, "1003");
    world.kill(home, true);
    world.run(15_000);
    world.register(PHONE);
    world.add_member(home.parse().unwrap(), |_| {});
    world.run(30_000);
    assert_ne!(home_of(&mut world, "1003"), home);
    calls_reach(&mut world, BROWSER, "1003");
    world.assert_quiet();
}
