//! Whose name callers call under: `caller_identity`.

use sbc_core::config::CallerIdentity;
use sbc_core::count::Count;
use sbc_tests::agent::State;
use sbc_tests::sim::{BROWSER, EdgeSettings, MEMBERS, PHONE, PHONES, World, cast, for_seeds};
use sbc_tests::ua::message::Message;

fn world(seed: u64, loss: u64, caller_identity: CallerIdentity) -> World {
    let mut world = cast(seed, &EdgeSettings { caller_identity, ..EdgeSettings::new(&MEMBERS) }, loss);
    world.register(BROWSER);
    world.register(PHONE);
    world
}

/// An INVITE under some name, as it reaches the pool, or the status that its sender gets.
fn call_as(world: &mut World, from: &str, name: &str, extra: &str) -> Result<Message, u16> {
    let call_id = format!("as-{}", world.now.since(sbc_core::time::Time::ZERO).as_nanos());
    let text = format!(
        "INVITE sip:9196@example.test SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK{call_id}\r\n\
         Max-Forwards: 9\r\nFrom: {name};tag=77\r\nTo: <sip:9196@example.test>\r\nCall-ID: {call_id}\r\n\
         CSeq: 1 INVITE\r\nContact: <sip:x@{from}>\r\n{extra}Content-Length: 0\r\n\r\n"
    );
    let sent = world.say(from, PHONES, &text, &call_id);
    let members = MEMBERS.map(|member| member.parse().unwrap());
    match sent.iter().find(|(to, _)| members.contains(to)) {
        Some((_, invite)) => Ok(invite.clone()),
        None => Err(sent.last().map_or(0, |(_, answer)| answer.status())),
    }
}

const OTHER: &str = "\"The Boss\" <sip:1001@example.test>";

#[test]
fn registered_users_call_under_their_own_name_and_no_other() {
    for_seeds(20, |seed, loss| {
        let mut world = world(seed, loss, CallerIdentity::Registered);
        let leg = world.act(BROWSER, |agent, now| agent.call(now, "sip:9196@example.test"));
        world.until_up(BROWSER, leg);
        world.act(BROWSER, |agent, now| agent.bye(now, leg));
        world.until_ended(BROWSER, leg);
        assert!(matches!(world.state(BROWSER, leg), State::Ended { .. }));
    });
    let mut world = world(1, 0, CallerIdentity::Registered);
    let before = world.core().counters().get(Count::CallerIdentity);
    assert_eq!(call_as(&mut world, PHONE, OTHER, "").err(), Some(403));
    assert_eq!(call_as(&mut world, "192.0.2.66:5066", OTHER, "").err(), Some(403));
    assert_eq!(world.core().counters().get(Count::CallerIdentity), before + 2);
}

#[test]
fn credentials_of_the_caller_are_a_name_too_and_others_are_not() {
    let mut world = world(1, 0, CallerIdentity::Registered);
    let with = |user: &str| {
        format!(
            "Proxy-Authorization: Digest username=\"{user}\", realm=\"example.test\", nonce=\"x\", \
             uri=\"sip:9196@example.test\", response=\"00\"\r\n"
        )
    };
    for user in ["1001", "1001@example.test"] {
        assert!(call_as(&mut world, "192.0.2.66:5066", OTHER, &with(user)).is_ok(), "{user}");
    }
    for user in ["1002", "10011", "1001@example.org", ""] {
        assert_eq!(call_as(&mut world, "192.0.2.66:5066", OTHER, &with(user)).err(), Some(403), "{user}");
    }
}

#[test]
fn somebody_elses_name_becomes_the_callers_own_inside_and_stays_outside() {
    let mut world = world(1, 0, CallerIdentity::Replace);
    let invite = call_as(&mut world, PHONE, OTHER, "").expect("it passes");
    let from = invite.get("From").expect("a From").to_owned();
    assert!(!from.contains("1001") && !from.contains("Boss") && from.ends_with(">;tag=77"), "{from}");
    assert!(from.contains("@example.test"), "{from}");
    world.run(500);
    let answers = world.departed(invite.call_id());
    let told: Vec<_> =
        answers.iter().filter(|(to, answer)| to.to_string() == PHONE && answer.status() > 100).collect();
    assert!(!told.is_empty());
    for (_, answer) in told {
        assert_eq!(answer.get("From"), Some(&*format!("{OTHER};tag=77")));
    }
    // Who has no name of its own gets none.
    assert_eq!(call_as(&mut world, "192.0.2.66:5066", OTHER, "").err(), Some(403));
}

#[test]
fn as_is_believes_everybody() {
    let mut world = world(1, 0, CallerIdentity::AsIs);
    let invite = call_as(&mut world, "192.0.2.66:5066", OTHER, "").expect("it passes");
    assert_eq!(invite.get("From"), Some(&*format!("{OTHER};tag=77")));
}
