//! Registrations: one binding for one registrant, whatever happens to its connection.

use std::time::Duration;

use sbc_core::count::Count;
use sbc_tests::agent::{Policy, Registered, State};
use sbc_tests::sim::{
    Arrival, BROWSER, EdgeSettings, Link, MEMBERS, OTHER_BROWSER, PHONE, World, cast, for_seeds,
};

const SEEDS: u64 = 40;

fn bindings_of(world: &mut World, user: &str) -> Vec<(String, Vec<String>)> {
    let now = world.now;
    let aor = format!("{user}@example.test");
    let mut all: Vec<_> = MEMBERS
        .iter()
        .flat_map(|member| world.member(member).status(now).bindings)
        .filter(|binding| binding.aor == aor)
        .map(|binding| (binding.contact, binding.path))
        .collect();
    all.sort();
    all.dedup();
    all
}

#[test]
fn ten_refreshes_leave_one_binding() {
    for_seeds(SEEDS, |seed, loss| {
        let mut world = cast(seed, &EdgeSettings::new(&MEMBERS), loss);
        for _ in 0..10 {
            for who in [BROWSER, PHONE] {
                world.register(who);
            }
        }
        assert_eq!(bindings_of(&mut world, "1001").len(), 1);
        assert_eq!(bindings_of(&mut world, "1003").len(), 1);
        world.assert_quiet();
    });
}

#[test]
fn a_browser_that_reconnects_keeps_its_binding_and_its_call() {
    for_seeds(SEEDS, |seed, loss| {
        let mut world = cast(seed, &EdgeSettings::new(&MEMBERS), loss);
        world.agent(BROWSER).policy = Policy::Answer { after: Duration::from_millis(100) };
        let leg = world.act(PHONE, |agent, now| agent.call(now, "sip:1001@example.test"));
        world.until_up(PHONE, leg);
        let called = world.call_up(BROWSER);
        world.run(3_000);
        world.cut(BROWSER);
        world.run(500);
        // The pool hangs up while nobody is there: the BYE waits for the browser.
        world.act(PHONE, |agent, now| agent.bye(now, leg));
        world.run(3_000);
        assert_eq!(world.state(BROWSER, called), State::Up);
        // The BYE waits for twelve seconds; a lossy way to the registrar may take longer.
        world.link = Link::GOOD;
        world.connect(BROWSER);
        world.register(BROWSER);
        world.until_ended(BROWSER, called);
        assert_eq!(bindings_of(&mut world, "1001").len(), 1);
        world.assert_quiet();
    });
}

#[test]
fn a_browser_that_stays_away_lets_its_call_end() {
    for_seeds(SEEDS, |seed, loss| {
        let mut world = cast(seed, &EdgeSettings::new(&MEMBERS), loss);
        let leg = world.act(BROWSER, |agent, now| agent.call(now, "sip:9200@example.test"));
        world.until(60_000, |world| world.state(BROWSER, leg) != State::Calling);
        world.cut(BROWSER);
        world.run(60_000);
        let now = world.now;
        let legs: usize = MEMBERS.iter().map(|member| world.member(member).status(now).legs.len()).sum();
        assert_eq!(legs, 0, "the member still holds the call");
        assert_eq!(world.core().status().transactions, 0);
    });
}

#[test]
fn a_call_to_a_browser_that_is_gone_fails_at_once() {
    for_seeds(SEEDS, |seed, loss| {
        let mut world = cast(seed, &EdgeSettings::new(&MEMBERS), loss);
        world.cut(OTHER_BROWSER);
        world.run(20_000);
        let leg = world.act(PHONE, |agent, now| agent.call(now, "sip:1002@example.test"));
        let patience = if loss == 0 { 2_000 } else { 90_000 };
        let ended = world.until(patience, |world| matches!(world.state(PHONE, leg), State::Ended { .. }));
        assert!(ended, "the caller waits for nobody");
        world.assert_quiet();
    });
}

#[test]
fn a_registrant_learns_of_its_own_contact_only() {
    for_seeds(SEEDS, |seed, loss| {
        const TWIN: &str = "192.0.2.31:40031";
        let mut world = cast(seed, &EdgeSettings::new(&MEMBERS), loss);
        world.add_browser(TWIN, "1001");
        world.run(100);
        world.register(TWIN);
        world.register(BROWSER);
        for who in [TWIN, BROWSER] {
            let listed = world
                .agent(who)
                .trace()
                .iter()
                .rev()
                .find(|one| !one.sent && one.message.status() == 200 && one.message.method() == "REGISTER")
                .map(|one| one.message.list("Contact"))
                .expect("a 200");
            assert_eq!(listed.len(), 1, "{listed:?}");
            assert!(listed[0].contains("+sip.instance=") && listed[0].contains("reg-id=1"), "{listed:?}");
        }
        world.act(TWIN, |agent, now| agent.register(now, 0));
        world.until(30_000, |world| world.agent(TWIN).registered() == Registered::No);
        assert_eq!(world.agent(TWIN).registered(), Registered::No);
        assert_eq!(world.core().status().registrations, 3);
        world.assert_quiet();
    });
}

#[test]
fn a_phone_whose_port_changes_is_still_called() {
    for_seeds(SEEDS, |seed, loss| {
        const MOVED: &str = "192.0.2.23:6123";
        let mut world = cast(seed, &EdgeSettings::new(&MEMBERS), loss);
        world.behind_nat(PHONE, MOVED);
        world.register(PHONE);
        assert_eq!(bindings_of(&mut world, "1003").len(), 1, "the Path stays as it was");
        world.agent(PHONE).policy = Policy::Answer { after: Duration::from_millis(100) };
        let leg = world.act(BROWSER, |agent, now| agent.call(now, "sip:1003@example.test"));
        world.until_up(BROWSER, leg);
        world.act(BROWSER, |agent, now| agent.bye(now, leg));
        world.until_ended(BROWSER, leg);
        world.assert_quiet();
    });
}

/// An ACK cannot wait for its peer to come back: it is counted, and the next repetition of the 200 brings another one.
#[test]
fn an_ack_for_a_browser_that_is_gone_is_counted() {
    let mut world = cast(3, &EdgeSettings::new(&MEMBERS), 0);
    world.arrivals = Some(Vec::new());
    world.agent(BROWSER).policy = Policy::Answer { after: Duration::from_millis(100) };
    let leg = world.act(PHONE, |agent, now| agent.call(now, "sip:1001@example.test"));
    world.until_up(PHONE, leg);
    world.call_up(BROWSER);
    world.run(3_000);
    let is_ack = |one: &&sbc_tests::agent::Traced| !one.sent && one.message.method() == "ACK";
    let ack = world.agent(BROWSER).trace().iter().find(is_ack).expect("an ACK").message.clone();
    let arrivals = world.arrivals.take().expect("they are kept");
    let is_its = |one: &&Arrival| {
        let text = String::from_utf8_lossy(&one.bytes);
        text.starts_with("ACK ") && text.contains(ack.call_id())
    };
    let arrival = arrivals.iter().find(is_its).expect("as the member sent it").clone();
    world.cut(BROWSER);
    world.run(100);
    let before = world.core().counters().get(Count::FlowDead);
    world.inject(&arrival.from.to_string(), &arrival.to.to_string(), &arrival.bytes);
    world.run(100);
    assert_eq!(world.core().counters().get(Count::FlowDead), before + 1);
}
