//! Another configuration while calls are up: none of them notices.

use sbc_core::pool::{Health, Order};
use sbc_core::{Change, NeedsRestart};
use sbc_tests::agent::{LegId, State};
use sbc_tests::sim::{BROWSER, EdgeSettings, MEMBERS, PHONE, World, cast, for_seeds};

const SEEDS: u64 = 20;
const THIRD: &str = "10.0.2.12:5080";

fn call(world: &mut World, caller: &str) -> LegId {
    let leg = world.act(caller, |agent, now| agent.call(now, "sip:9196@example.test"));
    world.until_up(caller, leg);
    leg
}

fn hang_up(world: &mut World, caller: &str, leg: LegId) {
    world.act(caller, |agent, now| agent.bye(now, leg));
    world.until_ended(caller, leg);
}

fn health(world: &World, member: &str) -> Option<Health> {
    let pools = world.core().status().pools;
    let members = pools.into_iter().flat_map(|pool| pool.members);
    let at = member.parse().expect("an address");
    members.into_iter().find(|one| one.address == at).map(|one| one.health)
}

/// One member leaves, another joins, while two calls are up and one is ringing.
#[test]
fn calls_go_on_while_members_come_and_go() {
    // With datagrams lost a call may change its member and meet a foreign nonce, and a probe may be missed.
    for_seeds(SEEDS, |seed, _| {
        let settings = EdgeSettings::new(&MEMBERS);
        let mut world = cast(seed, &settings, 0);
        let up = [BROWSER, PHONE].map(|caller| (caller, call(&mut world, caller)));
        let setting_up = world.act(PHONE, |agent, now| agent.call(now, "sip:9180@example.test"));
        world.run(30);
        world.add_member(THIRD.parse().unwrap(), |_| {});
        let gone = MEMBERS[seed as usize % 2];
        let left = MEMBERS[1 - seed as usize % 2];
        let changes = world.reload(&EdgeSettings::new(&[THIRD, left])).expect("no restart needed");
        let uri = |member: &str| format!("sip:{member}").into();
        let pool = || "freeswitch".into();
        assert_eq!(
            changes,
            [
                Change::MemberAdded { pool: pool(), uri: uri(THIRD) },
                Change::MemberRemoved { pool: pool(), uri: uri(gone) }
            ]
        );
        world.until_up(PHONE, setting_up);
        world.run(20_000);
        assert_eq!(health(&world, THIRD), Some(Health::Up));
        assert_eq!(health(&world, gone), None);
        for (caller, leg) in up {
            assert!(world.act(caller, |agent, now| agent.hold(now, leg)));
            world.until(40_000, |world| {
                world.agent(caller).call_of(leg).is_some_and(|call| call.reply("INVITE") == Some(200))
            });
            hang_up(&mut world, caller, leg);
        }
        hang_up(&mut world, PHONE, setting_up);
        for _ in 0..4 {
            let leg = call(&mut world, PHONE);
            hang_up(&mut world, PHONE, leg);
        }
        let has_no_leg = |world: &mut World| {
            let now = world.now;
            world.member(gone).status(now).legs.is_empty()
        };
        assert!(world.until(70_000, has_no_leg), "its last call has ended");
        world.assert_quiet();
    });
}

/// The BYE of a member that was taken out still finds its caller.
#[test]
fn a_member_that_was_taken_out_ends_its_calls() {
    for_seeds(SEEDS, |seed, loss| {
        let mut world = cast(seed, &EdgeSettings::new(&MEMBERS), loss);
        // 9200 answers and hangs up a second later.
        let leg = world.act(PHONE, |agent, now| agent.call(now, "sip:9200@example.test"));
        world.until(60_000, |world| {
            world.run(20);
            world.state(PHONE, leg) != State::Calling
        });
        world.add_member(THIRD.parse().unwrap(), |_| {});
        world.reload(&EdgeSettings::new(&[THIRD])).expect("no restart needed");
        world.until_ended(PHONE, leg);
        assert!(matches!(world.state(PHONE, leg), State::Ended { status: 200, .. }));
        world.assert_quiet();
    });
}

#[test]
fn a_member_that_was_down_stays_down() {
    for_seeds(SEEDS, |seed, _| {
        let settings = EdgeSettings::new(&MEMBERS);
        let mut world = cast(seed, &settings, 0);
        world.kill(MEMBERS[0], false);
        world.run(15_000);
        assert_eq!(health(&world, MEMBERS[0]), Some(Health::Down));
        for _ in 0..100 {
            world.reload(&EdgeSettings { keys: vec![[8; 32], [7; 32]], ..settings.clone() }).expect("fine");
            world.run(20);
            world.reload(&EdgeSettings { keys: vec![[7; 32], [8; 32]], ..settings.clone() }).expect("fine");
            world.run(20);
            assert_eq!(health(&world, MEMBERS[0]), Some(Health::Down));
            assert_eq!(health(&world, MEMBERS[1]), Some(Health::Up));
        }
        let begun = world.now;
        let leg = call(&mut world, PHONE);
        assert!(world.now.since(begun).as_millis() < 500, "the dead member was asked");
        hang_up(&mut world, PHONE, leg);
        world.assert_quiet();
    });
}

#[test]
fn keys_rotate_under_calls() {
    for_seeds(SEEDS, |seed, _| {
        let settings = EdgeSettings::new(&MEMBERS);
        let mut world = cast(seed, &settings, 0);
        let legs = [BROWSER, PHONE].map(|caller| (caller, call(&mut world, caller)));
        let rotated = EdgeSettings { keys: vec![[8; 32], [7; 32]], ..settings.clone() };
        assert_eq!(world.reload(&rotated), Ok(vec![Change::Keys]));
        for (caller, leg) in legs {
            hang_up(&mut world, caller, leg);
        }
        let withdrawn = EdgeSettings { keys: vec![[9; 32]], ..settings };
        let refused = world.reload(&withdrawn).expect_err("calls need the key");
        assert_eq!(refused.0, [NeedsRestart::KeyWithdrawn]);
        world.assert_quiet();
    });
}

#[test]
fn what_needs_a_restart_is_refused_and_changes_nothing() {
    let settings = EdgeSettings::new(&MEMBERS);
    let mut world = cast(1, &settings, 0);
    let refused = world.reload(&EdgeSettings { workers: 3, members: Vec::new(), ..settings });
    let text = refused.expect_err("sockets would change").to_string();
    assert_eq!(
        text,
        "restart needed: listener inside worker_ports changed: is 5071 5072, would be 5071 5072 5073; \
         node.workers changed: is 2, would be 3"
    );
    assert_eq!(health(&world, MEMBERS[0]), Some(Health::Up));
    let leg = call(&mut world, PHONE);
    hang_up(&mut world, PHONE, leg);
    world.assert_quiet();
}

/// DNS lists a member no more and then again, or a file is taken back: it comes back as it left.
#[test]
fn a_member_that_leaves_and_returns_is_the_same() {
    let settings = EdgeSettings::new(&MEMBERS);
    let mut world = cast(5, &settings, 0);
    let leg = call(&mut world, PHONE);
    let now = world.now;
    let has_it = |member: &&str| !world.member(member).status(now).legs.is_empty();
    let has_it = MEMBERS.into_iter().find(has_it).expect("somebody has the call");
    let other = MEMBERS.into_iter().find(|member| *member != has_it).expect("two members");
    world.core().set_order(has_it, Order::Draining).expect("a member");
    world.reload(&EdgeSettings::new(&[other])).expect("no restart needed");
    world.run(2_000);
    world.reload(&settings).expect("no restart needed");
    let pools = world.core().status().pools;
    let back = pools[0].members.iter().find(|one| one.address.to_string() == has_it).expect("it is back");
    assert_eq!((back.order, back.calls, back.health), (Order::Draining, 1, Health::Up));
    hang_up(&mut world, PHONE, leg);
    world.assert_quiet();
}
