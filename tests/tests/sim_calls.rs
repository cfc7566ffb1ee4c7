//! Calls out and in, ended from either side, over good links and bad ones.

use sbc_tests::agent::{By, Policy, State};
use sbc_tests::sim::{BROWSER, EdgeSettings, MEMBERS, OTHER_BROWSER, PHONE, cast, for_seeds};
use std::time::Duration;

const SEEDS: u64 = 40;

fn settings() -> EdgeSettings {
    EdgeSettings::new(&MEMBERS)
}

#[test]
fn a_caller_hangs_up() {
    for_seeds(SEEDS, |seed, loss| {
        let mut world = cast(seed, &settings(), loss);
        for caller in [BROWSER, PHONE] {
            let leg = world.act(caller, |agent, now| agent.call(now, "sip:9196@example.test"));
            world.until_up(caller, leg);
            world.run(1000);
            world.act(caller, |agent, now| agent.bye(now, leg));
            world.until_ended(caller, leg);
        }
        world.assert_quiet();
        assert_eq!(world.core().status().calls, 0);
    });
}

#[test]
fn the_pool_hangs_up() {
    for_seeds(SEEDS, |seed, loss| {
        let mut world = cast(seed, &settings(), loss);
        for caller in [BROWSER, PHONE] {
            let leg = world.act(caller, |agent, now| agent.call(now, "sip:9200@example.test"));
            world.until_ended(caller, leg);
            assert_eq!(world.state(caller, leg), State::Ended { by: By::Them, status: 200 });
        }
        world.assert_quiet();
    });
}

#[test]
fn users_call_each_other_whatever_they_use() {
    for_seeds(SEEDS, |seed, loss| {
        for (caller, callee, number) in
            [(BROWSER, OTHER_BROWSER, "1002"), (BROWSER, PHONE, "1003"), (PHONE, BROWSER, "1001")]
        {
            let mut world = cast(seed, &settings(), loss);
            world.agent(callee).policy = Policy::Answer { after: Duration::from_millis(800) };
            let uri = format!("sip:{number}@example.test");
            let leg = world.act(caller, |agent, now| agent.call(now, &uri));
            world.until_up(caller, leg);
            let other = world.call_up(callee);
            world.run(1000);
            let (first, second) = if seed % 2 == 0 { (caller, leg) } else { (callee, other) };
            world.act(first, |agent, now| agent.bye(now, second));
            world.until_ended(caller, leg);
            world.until_ended(callee, other);
            world.assert_quiet();
        }
    });
}

#[test]
fn a_refusal_reaches_the_caller() {
    for_seeds(SEEDS, |seed, loss| {
        let mut world = cast(seed, &settings(), loss);
        world.agent(PHONE).policy = Policy::Reject(486);
        let leg = world.act(BROWSER, |agent, now| agent.call(now, "sip:1003@example.test"));
        world.until_ended(BROWSER, leg);
        assert_eq!(world.state(BROWSER, leg), State::Ended { by: By::Them, status: 486 });
        let leg = world.act(PHONE, |agent, now| agent.call(now, "sip:9486@example.test"));
        world.until_ended(PHONE, leg);
        assert_eq!(world.state(PHONE, leg), State::Ended { by: By::Them, status: 486 });
        world.assert_quiet();
    });
}

#[test]
fn a_cancelled_call_stops_ringing() {
    for_seeds(SEEDS, |seed, loss| {
        // One member: with two, loss makes a call change members, and a nonce of the first is none of the second.
        let mut world = cast(seed, &EdgeSettings::new(&MEMBERS[..1]), loss);
        world.agent(OTHER_BROWSER).policy = Policy::Ring;
        for (caller, number) in [(PHONE, "1002"), (BROWSER, "9181")] {
            let uri = format!("sip:{number}@example.test");
            let leg = world.act(caller, |agent, now| agent.call(now, &uri));
            // A provisional answer is sent once, and may be lost: then the caller gives up a silent call.
            world.until(20_000, |world| world.state(caller, leg) == State::Ringing);
            world.run(seed * 7 % 900);
            world.act(caller, |agent, now| agent.cancel(now, leg));
            world.until_ended(caller, leg);
            assert_eq!(world.state(caller, leg), State::Ended { by: By::Us, status: 487 });
        }
        let rung = world.until_called(OTHER_BROWSER);
        world.until_ended(OTHER_BROWSER, rung);
        world.assert_quiet();
    });
}

#[test]
fn a_redirection_leads_back_to_us() {
    for_seeds(SEEDS, |seed, loss| {
        let mut world = cast(seed, &settings(), loss);
        let leg = world.act(PHONE, |agent, now| agent.call(now, "sip:9302@example.test"));
        world.until_ended(PHONE, leg);
        let contacts: Vec<String> = world
            .agent(PHONE)
            .trace()
            .iter()
            .filter(|seen| !seen.sent && seen.message.status() == 302)
            .flat_map(|seen| seen.message.list("Contact"))
            .collect();
        assert!(!contacts.is_empty());
        assert!(contacts.iter().all(|contact| contact.contains("sip:1001@example.test")), "{contacts:?}");
        world.assert_quiet();
    });
}
