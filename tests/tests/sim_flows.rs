//! Requests that were on their way over a connection when it closed: they follow their party to its next connection,
//! or fail as soon as it is known that there is none (RFC 3261 §16.9, §17.1.4 and §18.4, RFC 5626 §5.3).

use std::time::Duration;

use sbc_core::count::Count;
use sbc_core::flow::Transport;
use sbc_tests::agent::{LegId, Policy, State};
use sbc_tests::sim::{
    BROWSER, CARRIER, EdgeSettings, INSIDE, Link, MEMBERS, OTHER_BROWSER, PHONE, TRUNK, TRUNK_TCP, World,
    answer, cast, for_seeds,
};
use sbc_tests::ua::message::Message;

const SEEDS: u64 = 20;

fn count(world: &World, what: Count) -> u64 {
    world.core().counters().get(what)
}

/// The browser's connection leads nowhere; what is said to it is said into nothing.
fn lose(world: &mut World) {
    // What is being lost shall be lost here.
    world.link = Link::GOOD;
    world.vanish(BROWSER);
}

/// The browser finds its way back so many milliseconds after sbc has heard that its connection closed.
fn back_after(world: &mut World, millis: u64) {
    world.run(500);
    world.find_out(BROWSER);
    world.run(millis);
    world.connect(BROWSER);
    world.register(BROWSER);
}

/// The phone calls the browser, which answers.
fn call_up(world: &mut World) -> (LegId, LegId) {
    world.agent(BROWSER).policy = Policy::Answer { after: Duration::from_millis(100) };
    let leg = world.act(PHONE, |agent, now| agent.call(now, "sip:1001@example.test"));
    world.until_up(PHONE, leg);
    let called = world.call_up(BROWSER);
    // Until every ACK has come, however often it is lost.
    world.run(15_000);
    (leg, called)
}

/// The phone calls the browser, which rings.
fn ringing(world: &mut World) -> (LegId, LegId) {
    world.agent(BROWSER).policy = Policy::Ring;
    let leg = world.act(PHONE, |agent, now| agent.call(now, "sip:1001@example.test"));
    let called = world.until_called(BROWSER);
    world.run(500);
    (leg, called)
}

fn ends_within(world: &mut World, who: &str, leg: LegId, millis: u64) {
    let ended = world.until(millis, |world| matches!(world.state(who, leg), State::Ended { .. }));
    assert!(ended, "{who} is {:?} after {millis} ms", world.state(who, leg));
}

#[test]
fn a_bye_into_a_lost_connection_reaches_the_browser_over_its_next_one() {
    for_seeds(SEEDS, |seed, loss| {
        let mut world = cast(seed, &EdgeSettings::new(&MEMBERS), loss);
        let (leg, called) = call_up(&mut world);
        lose(&mut world);
        world.act(PHONE, |agent, now| agent.bye(now, leg));
        back_after(&mut world, 1_500);
        ends_within(&mut world, BROWSER, called, 1_000);
        assert_eq!(count(&world, Count::SentAgain), 1);
        assert_eq!(world.core().status().calls, 0);
        world.assert_quiet();
    });
}

#[test]
fn a_browser_that_is_back_before_its_old_connection_is_known_to_be_dead_is_told_at_once() {
    for_seeds(SEEDS, |seed, loss| {
        let mut world = cast(seed, &EdgeSettings::new(&MEMBERS), loss);
        let (leg, called) = call_up(&mut world);
        lose(&mut world);
        world.act(PHONE, |agent, now| agent.bye(now, leg));
        world.run(1_500);
        world.connect(BROWSER);
        world.register(BROWSER);
        ends_within(&mut world, BROWSER, called, 1_000);
        world.find_out(BROWSER);
        world.run(1_000);
        assert_eq!(count(&world, Count::SentAgain), 1);
        world.assert_quiet();
    });
}

#[test]
fn an_invite_into_a_lost_connection_rings_once_the_browser_is_back() {
    for_seeds(SEEDS, |seed, loss| {
        let mut world = cast(seed, &EdgeSettings::new(&MEMBERS), loss);
        world.agent(BROWSER).policy = Policy::Answer { after: Duration::from_millis(400) };
        lose(&mut world);
        let leg = world.act(PHONE, |agent, now| agent.call(now, "sip:1001@example.test"));
        back_after(&mut world, 1_500);
        assert!(
            world.until(3_000, |world| world.state(PHONE, leg) == State::Up),
            "it was away for two seconds"
        );
        assert_eq!(world.agent(BROWSER).calls().count(), 1);
        world.act(PHONE, |agent, now| agent.bye(now, leg));
        world.until_ended(PHONE, leg);
        world.assert_quiet();
    });
}

#[test]
fn a_reinvite_into_a_lost_connection_is_answered_over_the_next_one() {
    for_seeds(SEEDS, |seed, loss| {
        let mut world = cast(seed, &EdgeSettings::new(&MEMBERS), loss);
        // 9184 sends a re-INVITE one second after its answer.
        let leg = world.act(BROWSER, |agent, now| agent.call(now, "sip:9184@example.test"));
        world.until_up(BROWSER, leg);
        lose(&mut world);
        world.run(1_500);
        back_after(&mut world, 1_000);
        let asked = |world: &mut World| {
            let call = world.agent(BROWSER).call_of(leg);
            call.is_some_and(|call| call.requests.iter().filter(|own| *own == "INVITE").count() == 1)
        };
        // With the ACK lost, the member waits for its next copy first.
        assert!(world.until(20_000, asked), "the re-INVITE is lost");
        world.run(2_000);
        assert!(asked(&mut world), "it came twice");
        world.act(BROWSER, |agent, now| agent.bye(now, leg));
        world.until_ended(BROWSER, leg);
        world.assert_quiet();
    });
}

#[test]
fn a_browser_that_does_not_come_back_fails_what_was_sent_to_it() {
    for_seeds(SEEDS, |seed, loss| {
        let mut world = cast(seed, &EdgeSettings::new(&MEMBERS), loss);
        lose(&mut world);
        let leg = world.act(PHONE, |agent, now| agent.call(now, "sip:1001@example.test"));
        world.run(500);
        world.find_out(BROWSER);
        ends_within(&mut world, PHONE, leg, 14_000);
        assert_eq!(count(&world, Count::FlowDead), 1);
        world.assert_quiet();
    });
}

#[test]
fn a_bye_for_a_browser_that_does_not_come_back_is_granted() {
    for_seeds(SEEDS, |seed, loss| {
        let mut world = cast(seed, &EdgeSettings::new(&MEMBERS), loss);
        let (leg, _) = call_up(&mut world);
        lose(&mut world);
        world.departures.clear();
        world.act(PHONE, |agent, now| agent.bye(now, leg));
        world.run(500);
        world.find_out(BROWSER);
        let granted = |world: &mut World| {
            let to_members =
                world.departures.iter().filter(|one| MEMBERS.iter().any(|at| one.to == at.parse().unwrap()));
            let mut messages = to_members.map(|one| one.message());
            messages.any(|message| message.status() == 200 && message.method() == "BYE")
        };
        assert!(world.until(14_000, granted), "the pool waits for nobody");
        assert_eq!(world.core().status().calls, 0);
        world.act(BROWSER, |agent, now| {
            let left: Vec<_> = agent.calls().map(|(leg, _)| leg).collect();
            left.into_iter().for_each(|leg| agent.leave(now, leg));
        });
        world.assert_quiet();
    });
}

#[test]
fn a_browser_that_rang_rings_on_over_its_next_connection() {
    for_seeds(SEEDS, |seed, loss| {
        let mut world = cast(seed, &EdgeSettings::new(&MEMBERS), loss);
        let (leg, called) = ringing(&mut world);
        lose(&mut world);
        back_after(&mut world, 1_500);
        world.run(1_000);
        // What came again has the branch of what rings: to the browser it is the same.
        assert_eq!(world.agent(BROWSER).calls().count(), 1);
        world.act(BROWSER, |agent, now| agent.answer(now, called));
        assert!(world.until(2_000, |world| world.state(PHONE, leg) == State::Up));
        world.act(PHONE, |agent, now| agent.bye(now, leg));
        world.until_ended(BROWSER, called);
        world.assert_quiet();
    });
}

#[test]
fn a_cancel_into_a_lost_connection_stops_the_ringing_over_the_next_one() {
    for_seeds(SEEDS, |seed, loss| {
        let mut world = cast(seed, &EdgeSettings::new(&MEMBERS), loss);
        let (leg, called) = ringing(&mut world);
        lose(&mut world);
        world.act(PHONE, |agent, now| agent.cancel(now, leg));
        world.run(500);
        world.find_out(BROWSER);
        ends_within(&mut world, PHONE, leg, 2_000);
        world.run(1_000);
        world.connect(BROWSER);
        world.register(BROWSER);
        ends_within(&mut world, BROWSER, called, 1_000);
        world.assert_quiet();
    });
}

#[test]
fn a_caller_that_gives_up_while_the_browser_is_away_is_answered_at_once() {
    for_seeds(SEEDS, |seed, loss| {
        let mut world = cast(seed, &EdgeSettings::new(&MEMBERS), loss);
        let (leg, called) = ringing(&mut world);
        lose(&mut world);
        world.find_out(BROWSER);
        world.run(500);
        world.act(PHONE, |agent, now| agent.cancel(now, leg));
        ends_within(&mut world, PHONE, leg, 1_000);
        world.connect(BROWSER);
        world.register(BROWSER);
        ends_within(&mut world, BROWSER, called, 1_000);
        world.assert_quiet();
    });
}

#[test]
fn a_request_follows_a_connection_that_comes_and_goes_only_so_often() {
    let mut world = cast(1, &EdgeSettings::new(&MEMBERS), 0);
    world.agent(BROWSER).policy = Policy::Ring;
    lose(&mut world);
    let leg = world.act(PHONE, |agent, now| agent.call(now, "sip:1001@example.test"));
    for _ in 0..3 {
        world.run(100);
        world.find_out(BROWSER);
        world.connect(BROWSER);
        world.register(BROWSER);
        // Whatever came over it, it is gone again before anything was said.
        world.vanish(BROWSER);
    }
    world.find_out(BROWSER);
    ends_within(&mut world, PHONE, leg, 14_000);
    world.assert_quiet();
}

/// RFC 3261 §17.2.4.
#[test]
fn an_answer_follows_its_caller_to_the_next_connection() {
    for_seeds(SEEDS, |seed, loss| {
        let mut world = cast(seed, &EdgeSettings::new(&MEMBERS), loss);
        world.agent(OTHER_BROWSER).policy = Policy::Ring;
        let leg = world.act(BROWSER, |agent, now| agent.call(now, "sip:1002@example.test"));
        let called = world.until_called(OTHER_BROWSER);
        world.link = Link::GOOD;
        world.cut(BROWSER);
        world.run(500);
        world.connect(BROWSER);
        world.register(BROWSER);
        world.act(OTHER_BROWSER, |agent, now| agent.answer(now, called));
        assert!(world.until(2_000, |world| world.state(BROWSER, leg) == State::Up));
        world.act(BROWSER, |agent, now| agent.bye(now, leg));
        world.until_ended(OTHER_BROWSER, called);
        world.assert_quiet();
    });
}

/// Two browsers of one user ring together; one of them loses its connection and does not come back.
#[test]
fn of_several_that_ring_together_one_may_be_lost() {
    const TWIN: &str = "192.0.2.31:40031";
    for_seeds(SEEDS, |seed, loss| {
        let mut settings = EdgeSettings::new(&MEMBERS);
        settings.rules = settings.rules.replace("bindings = true", "bindings = true, fork = true");
        let mut world = cast(seed, &settings, loss);
        world.add_browser(TWIN, "1001");
        world.run(100);
        world.register(TWIN);
        let (leg, _) = ringing(&mut world);
        let called = world.until_called(TWIN);
        lose(&mut world);
        world.find_out(BROWSER);
        world.run(15_000);
        world.act(TWIN, |agent, now| agent.answer(now, called));
        assert!(world.until(2_000, |world| world.state(PHONE, leg) == State::Up));
        world.act(PHONE, |agent, now| agent.bye(now, leg));
        world.until_ended(TWIN, called);
        world.connect(BROWSER);
        world.register(BROWSER);
        let left: Vec<_> = world.agent(BROWSER).calls().map(|(leg, _)| leg).collect();
        left.into_iter().for_each(|leg| world.act(BROWSER, |agent, now| agent.leave(now, leg)));
        world.assert_quiet();
    });
}

/// A call from a member to the carrier, played by hand: the carrier's INVITE and its answer as the member has it.
fn call_out(world: &mut World, carrier_at: &str) -> (Message, Message) {
    let text = format!(
        "INVITE sip:+4930123@10.0.1.5:5070 SIP/2.0\r\nVia: SIP/2.0/UDP {member};branch=z9hG4bKout;rport\r\n\
         From: <sip:1001@example.test>;tag=1\r\nTo: <sip:+4930123@10.0.1.5>\r\nCall-ID: out\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:mod_sofia@{member}>\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
        member = MEMBERS[0],
    );
    let left = world.say(MEMBERS[0], INSIDE, &text, "out");
    let invite = to_carrier(&left, "INVITE").expect("an INVITE").clone();
    let mut ok = answer(&invite, 200, "carrier");
    ok.push("Contact", format!("<sip:+4930123@{CARRIER}>"));
    ok.close(None);
    let left = world.say(CARRIER, carrier_at, &String::from_utf8_lossy(&ok.to_bytes()), "out");
    let is_ok = |(to, message): &&(std::net::SocketAddr, Message)| {
        *to == MEMBERS[0].parse().unwrap() && message.status() == 200
    };
    let ok = left.iter().find(is_ok).expect("a 200").1.clone();
    (invite, ok)
}

fn to_carrier<'a>(left: &'a [(std::net::SocketAddr, Message)], method: &str) -> Option<&'a Message> {
    let carrier = CARRIER.parse().unwrap();
    let there = left.iter().filter(|(to, message)| *to == carrier && message.is_request());
    there.map(|(_, message)| message).find(|message| message.method() == method)
}

/// A request of the member inside that call, as text.
fn inside(method: &str, ok: &Message, number: u32) -> String {
    let mut request = Message::request(method, &ok.uri_of("Contact").expect("a Contact"));
    request.push("Via", format!("SIP/2.0/UDP {};branch=z9hG4bK{method}{number};rport", MEMBERS[0]));
    for route in ok.list("Record-Route").into_iter().rev() {
        request.push("Route", route);
    }
    request.push("Max-Forwards", "70");
    for name in ["From", "To", "Call-ID"] {
        request.copy(ok, name);
    }
    request.push("CSeq", format!("{number} {method}"));
    request.push("Contact", format!("<sip:mod_sofia@{}>", MEMBERS[0]));
    request.close(None);
    String::from_utf8_lossy(&request.to_bytes()).into_owned()
}

fn told_member(world: &World, status: u16, method: &str) -> bool {
    let member = MEMBERS[0].parse().unwrap();
    let mut left = world.departed("out").into_iter().filter(|(to, _)| *to == member);
    left.any(|(_, message)| message.status() == status && message.method() == method)
}

#[test]
fn a_request_to_a_carrier_is_sent_again_when_its_connection_closes() {
    for trunk in [Transport::Tcp, Transport::Tls] {
        let mut world = World::new(1, &EdgeSettings { trunk, ..EdgeSettings::new(&MEMBERS) });
        let (_, ok) = call_out(&mut world, TRUNK_TCP);
        let left = world.say(MEMBERS[0], INSIDE, &inside("BYE", &ok, 2), "out");
        let first = to_carrier(&left, "BYE").expect("a BYE").clone();
        world.departures.clear();
        world.close_connections(CARRIER);
        world.run(50);
        let again = world.departed("out");
        assert_eq!(to_carrier(&again, "BYE"), Some(&first), "{trunk}: the same BYE, once more");
        let mut granted = answer(&first, 200, "carrier");
        granted.close(None);
        world.inject(CARRIER, TRUNK_TCP, &granted.to_bytes());
        world.run(50);
        assert!(told_member(&world, 200, "BYE"));
        assert_eq!(count(&world, Count::SentAgain), 1);
    }
}

#[test]
fn a_carrier_that_takes_no_connection_fails_a_request_at_once() {
    let mut world = World::new(1, &EdgeSettings { trunk: Transport::Tls, ..EdgeSettings::new(&MEMBERS) });
    let (_, ok) = call_out(&mut world, TRUNK_TCP);
    world.kill(CARRIER, true);
    world.say(MEMBERS[0], INSIDE, &inside("INVITE", &ok, 2), "out");
    assert!(told_member(&world, 503, "INVITE"));
    world.say(MEMBERS[0], INSIDE, &inside("BYE", &ok, 3), "out");
    assert!(told_member(&world, 200, "BYE"));
    assert_eq!(world.core().status().calls, 0);
}

#[test]
fn an_icmp_error_of_a_carrier_fails_a_request_at_once() {
    let mut world = World::new(1, &EdgeSettings::new(&MEMBERS));
    let (_, ok) = call_out(&mut world, TRUNK);
    world.kill(CARRIER, true);
    world.say(MEMBERS[0], INSIDE, &inside("INFO", &ok, 2), "out");
    assert!(told_member(&world, 503, "INFO"));
    let left = world.say(MEMBERS[0], INSIDE, &inside("BYE", &ok, 3), "out");
    assert!(told_member(&world, 200, "BYE"));
    // The network may err: what ends a call that costs money is said on.
    let bye = to_carrier(&left, "BYE").expect("a BYE").clone();
    world.departures.clear();
    world.run(600);
    assert_eq!(to_carrier(&world.departed("out"), "BYE"), Some(&bye));
    let mut granted = answer(&bye, 200, "carrier");
    granted.close(None);
    world.inject(CARRIER, TRUNK, &granted.to_bytes());
    world.run(100);
    world.departures.clear();
    world.run(10_000);
    assert_eq!(to_carrier(&world.departed("out"), "BYE"), None);
}

/// A call of the phone with the first member of a pool that is changed while a request for it is on its way.
fn member_taken_out(before_the_request: bool) {
    let all = EdgeSettings::new(&MEMBERS);
    let mut world = World::new(1, &all);
    world.add_phone(PHONE, "1003");
    world.run(500);
    let leg = world.act(PHONE, |agent, now| agent.call(now, "sip:9196@example.test"));
    world.until_up(PHONE, leg);
    world.run(1_000);
    let now = world.now;
    let has_it = |world: &mut World, member: &str| !world.member(member).status(now).legs.is_empty();
    let gone = *MEMBERS.iter().find(|member| has_it(&mut world, member)).expect("a call");
    let others: Vec<_> = MEMBERS.into_iter().filter(|member| *member != gone).collect();
    let left = EdgeSettings::new(&others);
    world.kill(gone, true);
    if before_the_request {
        world.reload(&left).expect("a reload");
    }
    world.act(PHONE, |agent, now| agent.bye(now, leg));
    world.departures.clear();
    if !before_the_request {
        world.run(7);
        world.reload(&left).expect("a reload");
    }
    world.run(100);
    let phone = PHONE.parse().unwrap();
    let mut told = world.departures.iter().filter(|one| one.to == phone).map(|one| one.message());
    assert!(told.any(|message| message.status() == 200 && message.method() == "BYE"), "the phone waits");
}

#[test]
fn a_member_that_a_reload_took_out_fails_a_request_when_it_is_gone() {
    member_taken_out(true);
    member_taken_out(false);
}
