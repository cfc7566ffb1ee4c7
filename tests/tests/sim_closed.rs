//! The connection of a client closes while it owes an answer.

use std::net::SocketAddr;
use std::time::Duration;

use sbc_core::count::Count;
use sbc_tests::agent::{Policy, State};
use sbc_tests::sim::{BROWSER, EdgeSettings, INSIDE, MEMBERS, PHONE, World, cast};
use sbc_tests::ua::message::Message;

/// Where a member finds the user of `BROWSER`.
fn binding(world: &mut World) -> (String, String) {
    let now = world.now;
    let all = MEMBERS.map(|member| world.member(member).status(now).bindings).concat();
    let binding = all.into_iter().find(|one| one.aor == "1001@example.test").expect("registered");
    (binding.contact, binding.path[0].clone())
}

/// A request of a member; INFO is inside a dialog.
fn request(method: &str, uri: &str, route: &str, call_id: &str) -> String {
    let tag = if method == "INFO" { ";tag=b" } else { "" };
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bK{call_id};rport\r\n{route}\
         Max-Forwards: 70\r\nFrom: <sip:queue@example.test>;tag=m\r\nTo: <sip:1001@example.test>{tag}\r\n\
         Call-ID: {call_id}\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n",
        MEMBERS[0]
    )
}

/// A message that is larger than what follows its party.
fn large(uri: &str, route: &str, call_id: &str) -> String {
    let message = request("MESSAGE", uri, route, call_id);
    let message = message.replace("Content-Length: 0\r\n\r\n", "Content-Length: 5000\r\n\r\n");
    format!("{message}{:x<5000}", "")
}

/// What the member is answered until `millis` have passed: when, and with which status.
fn answers(world: &mut World, call_id: &str, millis: u64) -> Vec<(u64, u16)> {
    let member: SocketAddr = MEMBERS[0].parse().unwrap();
    let mut answers = Vec::new();
    for at in (0..millis).step_by(100) {
        let sent = world.departed(call_id);
        let to_member = sent.iter().filter(|(to, message)| *to == member && !message.is_request());
        answers.extend(to_member.map(|(_, message): &(_, Message)| (at, message.status())));
        world.departures.clear();
        world.run(100);
    }
    answers
}

/// A world whose browser hears everything and says nothing.
fn silent_browser() -> (World, String, String) {
    let mut world = cast(1, &EdgeSettings::new(&MEMBERS), 0);
    let (contact, path) = binding(&mut world);
    world.kill(BROWSER, false);
    for member in MEMBERS {
        world.kill(member, false);
    }
    (world, contact, path)
}

#[test]
fn a_request_on_its_way_is_sent_again_over_the_next_connection() {
    let mut world = cast(1, &EdgeSettings::new(&MEMBERS), 0);
    world.agent(BROWSER).policy = Policy::Answer { after: Duration::from_millis(100) };
    let leg = world.act(PHONE, |agent, now| agent.call(now, "sip:1001@example.test"));
    world.until_up(PHONE, leg);
    let called = world.call_up(BROWSER);
    world.run(3_000);
    world.departures.clear();
    world.act(PHONE, |agent, now| agent.bye(now, leg));
    let browser: SocketAddr = BROWSER.parse().unwrap();
    while !world.departures.iter().any(|one| one.to == browser && one.bytes.starts_with(b"BYE ")) {
        world.run_micros(50);
    }
    // It never arrives.
    world.cut(BROWSER);
    world.run(3_000);
    assert_eq!(world.state(BROWSER, called), State::Up);
    world.connect(BROWSER);
    world.register(BROWSER);
    world.until_ended(BROWSER, called);
    assert_eq!(world.core().counters().get(Count::FlowReturned), 1);
    world.assert_quiet();
}

#[test]
fn who_does_not_come_back_is_waited_for_as_if_he_had_been_away_before() {
    let (mut world, contact, path) = silent_browser();
    let route = format!("Route: {path}\r\n");
    world.inject(MEMBERS[0], INSIDE, request("INFO", &contact, &route, "lost").as_bytes());
    world.run(1_000);
    assert_eq!(answers(&mut world, "lost", 1_000), []);
    world.cut(BROWSER);
    let told = answers(&mut world, "lost", 40_000);
    assert!(matches!(told[..], [(_, 100), (at, 430)] if (11_900..=12_200).contains(&at)), "{told:?}");
    assert_eq!(world.core().counters().get(Count::FlowDead), 1);
    world.run(40_000);
    assert!(world.core().status().is_at_rest(), "{:?}", world.core().status());
}

#[test]
fn a_request_whose_caller_gives_up_earlier_waits_no_longer_than_he() {
    let (mut world, contact, path) = silent_browser();
    let route = format!("Route: {path}\r\n");
    world.inject(MEMBERS[0], INSIDE, request("INFO", &contact, &route, "late").as_bytes());
    world.run(25_000);
    world.cut(BROWSER);
    let told = answers(&mut world, "late", 40_000);
    assert!(matches!(told[..], [.., (at, 430)] if at < 7_000), "{told:?}");
    world.run(40_000);
    assert!(world.core().status().is_at_rest(), "{:?}", world.core().status());
}

#[test]
fn a_large_request_outside_a_dialog_has_failed_at_once() {
    let (mut world, contact, path) = silent_browser();
    let route = format!("Route: {path}\r\n");
    world.inject(MEMBERS[0], INSIDE, large(&contact, &route, "unread").as_bytes());
    world.run(1_000);
    world.cut(BROWSER);
    let told = answers(&mut world, "unread", 2_000);
    assert!(matches!(told[..], [(at, 430)] if at < 200), "{told:?}");
    assert_eq!(world.core().counters().get(Count::FlowDead), 1);
    world.run(40_000);
    assert!(world.core().status().is_at_rest(), "{:?}", world.core().status());
}

#[test]
fn a_user_who_is_nowhere_else_is_gone_at_once() {
    let (mut world, _, _) = silent_browser();
    world.inject(MEMBERS[0], INSIDE, large("sip:1001@example.test", "", "away").as_bytes());
    world.run(100);
    world.cut(BROWSER);
    let told = answers(&mut world, "away", 2_000);
    assert!(matches!(told[..], [(at, 480)] if at < 200), "{told:?}");
    assert_eq!(world.core().counters().get(Count::NoTarget), 1);
    world.run(40_000);
    assert!(world.core().status().is_at_rest(), "{:?}", world.core().status());
}
