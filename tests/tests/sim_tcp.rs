//! Members and carriers that are reached by TCP or TLS, requests too large for a datagram, and `sips:`.

use std::net::SocketAddr;
use std::time::Duration;

use sbc_core::config::Large;
use sbc_core::count::Count;
use sbc_core::flow::Transport;
use sbc_tests::agent::{By, LegId, Policy, State};
use sbc_tests::sim::stage::{Stage, answer_from, inside, request, the, to};
use sbc_tests::sim::{
    BROWSER, CARRIER, EXCHANGE, EdgeSettings, INSIDE, INSIDE_TCP, INSIDE_TCP_ID, MEMBERS, OTHER_BROWSER,
    PHONE, TRUNK_TCP, TRUNK_TCP_ID, World, cast, for_seeds,
};
use sbc_tests::ua::message::{Body, Message};

const SEEDS: u64 = 20;
/// Candidates that make an offer of 6 KiB.
const MANY: u16 = 62;

fn by_tcp() -> EdgeSettings {
    by(Transport::Tcp)
}

fn by(transport: Transport) -> EdgeSettings {
    EdgeSettings { transport, ..EdgeSettings::new(&MEMBERS) }
}

/// A seed decides between the two kinds of streams.
fn by_either(seed: u64) -> EdgeSettings {
    by(if seed.is_multiple_of(2) { Transport::Tcp } else { Transport::Tls })
}

fn with_large(members: Large, carriers: Large) -> EdgeSettings {
    EdgeSettings { large: [members, carriers], ..EdgeSettings::new(&MEMBERS) }
}

fn call(world: &mut World, caller: &str, number: &str) -> LegId {
    let leg = world.act(caller, |agent, now| agent.call(now, &format!("sip:{number}@example.test")));
    world.until_up(caller, leg);
    leg
}

fn hang_up(world: &mut World, who: &str, leg: LegId) {
    world.act(who, |agent, now| agent.bye(now, leg));
    world.until_ended(who, leg);
}

fn count(world: &World, what: Count) -> u64 {
    world.core().counters().get(what)
}

/// The INVITEs that left for a member: their top Via and size.
fn invites(world: &World) -> Vec<(String, usize)> {
    let to_members =
        world.departures.iter().filter(|one| MEMBERS.iter().any(|at| one.to == at.parse().unwrap()));
    let read = to_members.map(|one| (one.message(), one.bytes.len()));
    let invites = read.filter(|(message, _)| message.is_request() && message.method() == "INVITE");
    invites.map(|(message, size)| (message.get("Via").unwrap_or_default().to_owned(), size)).collect()
}

#[test]
fn calls_pass_over_tcp_and_tls_and_nothing_is_sent_twice() {
    for_seeds(SEEDS, |seed, loss| {
        let settings = by_either(seed);
        let mut world = cast(seed, &settings, 0);
        world.departures.clear();
        world.agent(OTHER_BROWSER).policy = Policy::Answer { after: Duration::from_millis(800) };
        for number in ["9196", "1002", "9200"] {
            let leg = world.act(BROWSER, |agent, now| agent.call(now, &format!("sip:{number}@example.test")));
            if number == "9200" {
                world.until_ended(BROWSER, leg);
                assert_eq!(world.state(BROWSER, leg), State::Ended { by: By::Them, status: 200 });
                continue;
            }
            world.until_up(BROWSER, leg);
            world.run(1_000);
            hang_up(&mut world, BROWSER, leg);
        }
        if loss == 0 {
            assert_eq!(count(&world, Count::Repeated), 0);
            assert_eq!(count(&world, Count::SentAgain), 0);
        }
        let calls =
            world.departures.iter().filter(|one| MEMBERS.iter().any(|at| one.to == at.parse().unwrap()));
        let is_of_a_call = |message: &Message| message.is_request() && message.method() != "OPTIONS";
        for departure in calls.filter(|one| is_of_a_call(&one.message())) {
            let via = departure.message().get("Via").unwrap_or_default().to_owned();
            let ours = format!("SIP/2.0/{} {INSIDE_TCP};branch=", settings.transport);
            assert!(via.starts_with(&ours), "{via}");
        }
        world.assert_quiet();
    });
}

#[test]
fn members_come_back_by_tcp() {
    come_back(Transport::Tcp, "tcp");
}

#[test]
fn members_come_back_by_tls() {
    come_back(Transport::Tls, "tls");
}

fn come_back(transport: Transport, word: &str) {
    let mut world = cast(1, &by(transport), 0);
    world.departures.clear();
    world.act(BROWSER, |agent, now| agent.register(now, 300));
    let leg = call(&mut world, BROWSER, "9196");
    let told = |name: &str| {
        let messages = world.departures.iter().map(|one| one.message());
        messages.filter_map(|message| message.get(name).map(str::to_owned)).collect::<Vec<_>>()
    };
    for (name, values) in [("Path", told("Path")), ("Record-Route", told("Record-Route"))] {
        let end = format!("@{INSIDE_TCP};transport={word};lr>");
        assert!(!values.is_empty() && values.iter().all(|value| value.ends_with(&end)), "{name}: {values:?}");
    }
    hang_up(&mut world, BROWSER, leg);
    world.assert_quiet();
}

#[test]
fn calls_over_tcp_and_tls_outlive_a_restart() {
    for_seeds(SEEDS, |seed, loss| {
        let mut world = cast(seed, &by_either(seed), loss);
        world.agent(PHONE).policy = Policy::Answer { after: Duration::from_millis(300) };
        let leg = call(&mut world, BROWSER, "9196");
        let from_pool = call(&mut world, BROWSER, "1003");
        let called = world.call_up(PHONE);
        world.run(2_000);
        world.restart();
        world.connect(BROWSER);
        world.register(BROWSER);
        // From the browser to the member it called, and from the phone to the member that called it.
        hang_up(&mut world, BROWSER, leg);
        hang_up(&mut world, PHONE, called);
        world.until_ended(BROWSER, from_pool);
        world.assert_quiet();
    });
}

/// A member that calls comes from a port of its system's choice.
#[test]
fn calls_that_members_start_are_counted_whatever_they_come_by() {
    for transport in [Transport::Udp, Transport::Tcp, Transport::Tls] {
        let mut world = cast(3, &by(transport), 0);
        world.agent(PHONE).policy = Policy::Answer { after: Duration::from_millis(300) };
        // One leg to the member, and one from it.
        let leg = call(&mut world, BROWSER, "1003");
        let calls = |world: &World| -> u32 {
            world.core().status().pools[0].members.iter().map(|member| member.calls).sum()
        };
        assert_eq!(calls(&world), 2, "{transport:?}");
        hang_up(&mut world, BROWSER, leg);
        world.run(1_000);
        assert_eq!(calls(&world), 0, "{transport:?}");
        world.assert_quiet();
    }
}

#[test]
fn a_member_that_accepts_no_connection_costs_no_call_and_no_time() {
    for_seeds(SEEDS, |seed, loss| {
        let mut world = cast(seed, &by_tcp(), loss);
        world.kill(MEMBERS[seed as usize % 2], true);
        let begun = world.now;
        let leg = call(&mut world, BROWSER, "9196");
        let took = world.now.since(begun).as_millis();
        assert!(took < 500, "a refused connection is known at once, this took {took} ms");
        hang_up(&mut world, BROWSER, leg);
        world.assert_quiet();
    });
}

#[test]
fn a_request_is_sent_again_when_its_connection_closes_before_an_answer() {
    for_seeds(SEEDS, |seed, _| {
        let mut world = cast(seed, &EdgeSettings { members: by_tcp().members[..1].to_vec(), ..by_tcp() }, 0);
        let leg = world.act(BROWSER, |agent, now| agent.call(now, "sip:9196@example.test"));
        // The INVITE with credentials is on its way when the member's system closes the connection.
        world.until(5_000, |world| invites(world).len() >= 2 || world.state(BROWSER, leg) == State::Up);
        world.close_connections(MEMBERS[0]);
        world.until_up(BROWSER, leg);
        hang_up(&mut world, BROWSER, leg);
        world.assert_quiet();
    });
}

/// It may be gone, and its next probe is up to five seconds away.
#[test]
fn a_member_whose_connection_closes_is_probed_at_once() {
    let mut world = cast(1, &by_tcp(), 0);
    let leg = call(&mut world, BROWSER, "9196");
    hang_up(&mut world, BROWSER, leg);
    world.run(20_000);
    let probed = |world: &World| {
        let to = |one: &&sbc_tests::sim::Departure| one.to == MEMBERS[0].parse().unwrap();
        world.departures.iter().filter(to).filter(|one| one.bytes.starts_with(b"OPTIONS")).count()
    };
    world.departures.clear();
    while probed(&world) == 0 {
        world.run(50);
    }
    world.run(1_500);
    world.departures.clear();
    world.close_connections(MEMBERS[0]);
    world.run(50);
    assert_eq!(probed(&world), 1);
    world.assert_quiet();
}

#[test]
fn an_offer_of_6_kib_reaches_a_tcp_member_and_a_udp_one() {
    for (settings, transport) in [
        (by_tcp(), "TCP"),
        (with_large(Large::Auto(INSIDE_TCP_ID), Large::Never), "TCP"),
        (with_large(Large::Always(INSIDE_TCP_ID), Large::Never), "TCP"),
        (with_large(Large::Never, Large::Never), "UDP"),
    ] {
        let mut world = cast(3, &settings, 0);
        world.agent(BROWSER).more_candidates = MANY;
        world.departures.clear();
        let leg = call(&mut world, BROWSER, "9196");
        let large: Vec<_> = invites(&world).into_iter().filter(|(_, size)| *size > 6 * 1024).collect();
        assert!(!large.is_empty());
        assert!(large.iter().all(|(via, _)| via.starts_with(&format!("SIP/2.0/{transport} "))), "{large:?}");
        let counted = if transport == "UDP" { Count::LargeByDatagram } else { Count::LargeByConnection };
        assert_eq!(count(&world, counted) > 0, settings.transport == Transport::Udp);
        hang_up(&mut world, BROWSER, leg);
        world.assert_quiet();
    }
}

#[test]
fn a_member_without_tcp_gets_large_requests_as_datagrams_for_a_while() {
    let mut world = cast(5, &with_large(Large::Auto(INSIDE_TCP_ID), Large::Never), 0);
    world.without_tcp = MEMBERS.iter().map(|member| member.parse().unwrap()).collect();
    world.agent(BROWSER).more_candidates = MANY;
    for _ in 0..4 {
        let leg = call(&mut world, BROWSER, "9196");
        hang_up(&mut world, BROWSER, leg);
    }
    // Each member was asked for a connection once.
    assert!(
        (1..=2).contains(&count(&world, Count::LargeByConnection)),
        "{}",
        count(&world, Count::LargeByConnection)
    );
    assert!(count(&world, Count::LargeByDatagram) >= 4);
    world.assert_quiet();
}

/// Nobody says that there is no connection. The member is asked by UDP before another one is, and is none the worse for it.
#[test]
fn a_firewall_that_drops_connections_costs_one_call_a_second() {
    let mut world = cast(5, &with_large(Large::Auto(INSIDE_TCP_ID), Large::Never), 0);
    world.drops_tcp = MEMBERS.iter().map(|member| member.parse().unwrap()).collect();
    world.agent(BROWSER).more_candidates = MANY;
    let mut slow = 0;
    for _ in 0..8 {
        let begun = world.now;
        let leg = call(&mut world, BROWSER, "9196");
        let took = world.now.since(begun).as_millis();
        assert!(took < 2_000, "this took {took} ms");
        slow += u32::from(took > 500);
        hang_up(&mut world, BROWSER, leg);
    }
    assert!((1..=2).contains(&slow), "each member was waited for once, not {slow} times");
    assert_eq!(count(&world, Count::Failovers), 0);
    for member in &world.core().status().pools[0].members {
        assert_eq!(member.state(world.now), "up");
    }
    world.assert_quiet();
}

/// A late offer: what is large is the ACK.
#[test]
fn a_large_ack_leaves_as_other_large_requests_do() {
    let datagram = (Large::Never, "UDP", Count::LargeByDatagram);
    let refuse = (Large::Refuse, "UDP", Count::LargeByDatagram);
    let connection = (Large::Always(INSIDE_TCP_ID), "TCP", Count::LargeByConnection);
    for (large, transport, counted) in [datagram, refuse, connection] {
        let mut stage = Stage::new(&with_large(large, Large::Never));
        let invite = request("INVITE", "late-offer", "late-offer");
        let there = the(&stage.say(PHONE, &invite), "INVITE");
        let sent = stage.say(&there.to, &answer_from(&there.to, &there.message, 200, "member"));
        let ok = to(&sent, PHONE)[0].clone();
        let mut ack = inside("ACK", &invite, &ok, 1);
        let text = format!("v=0\r\n{}", "a=candidate:1 1 udp 1 192.0.2.1 16384 typ host\r\n".repeat(64));
        ack.headers.retain(|(name, _)| name != "Content-Length");
        ack.close(Some(Body { kind: "application/sdp".into(), text }));
        let left = the(&stage.say(PHONE, &ack), "ACK");
        let via = left.message.get("Via").unwrap_or_default();
        assert!(via.starts_with(&format!("SIP/2.0/{transport} ")), "{large:?}: {via}");
        assert_eq!(stage.world.core().counters().get(counted), 1, "{large:?}");
    }
}

/// FreeSWITCH calls the carrier with an INVITE of 6 KiB: what left, the carrier's proxy being reached by UDP.
fn call_out(large: Large) -> (World, Vec<(SocketAddr, Message)>) {
    let mut world = cast(7, &with_large(Large::Never, large), 0);
    world.add_carrier(CARRIER, EXCHANGE, false);
    let left = call_out_in(&mut world);
    (world, left)
}

fn call_out_in(world: &mut World) -> Vec<(SocketAddr, Message)> {
    let body = format!("v=0\r\n{}", "a=candidate:1 1 udp 1 192.0.2.1 16384 typ host\r\n".repeat(128));
    let text = format!(
        "INVITE sip:+4930123@10.0.1.5:5070 SIP/2.0\r\nVia: SIP/2.0/UDP {member};branch=z9hG4bKlarge;rport\r\n\
         From: <sip:1001@example.test>;tag=1\r\nTo: <sip:+4930123@10.0.1.5>\r\nCall-ID: large\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:mod_sofia@{member}>\r\nMax-Forwards: 70\r\nContent-Type: application/sdp\r\n\
         Content-Length: {length}\r\n\r\n{body}",
        member = MEMBERS[0],
        length = body.len(),
    );
    world.say(MEMBERS[0], INSIDE, &text, "large")
}

#[test]
fn the_carriers_leg_never_exceeds_its_limit_silently() {
    let carrier = CARRIER.parse().unwrap();
    for (large, via, counted) in [
        (Large::Never, Some("SIP/2.0/UDP 198.51.100.7:5062"), Count::LargeByDatagram),
        (Large::Auto(TRUNK_TCP_ID), Some("SIP/2.0/TCP 198.51.100.7:5063"), Count::LargeByConnection),
        (Large::Refuse, None, Count::LargeRefused),
    ] {
        let (world, left) = call_out(large);
        let out = left.iter().find(|(to, message)| *to == carrier && message.is_request());
        let top = out.and_then(|(_, message)| message.get("Via"));
        assert_eq!(top.and_then(|top| top.split(';').next()), via, "{large:?}");
        assert_eq!(left.iter().any(|(_, message)| message.status() == 513), via.is_none(), "{large:?}");
        assert_eq!(count(&world, counted), 1, "{large:?}");
    }
}

/// One machine is a member of the pool, and by another listener a carrier: each way has its own setting.
#[test]
fn a_server_in_two_pools_is_treated_as_the_way_to_it_says() {
    let carriers = vec![MEMBERS[1].parse().expect("an address")];
    let settings = EdgeSettings { carriers, ..with_large(Large::Never, Large::Refuse) };
    let mut world = cast(7, &settings, 0);
    let left = call_out_in(&mut world);
    assert!(left.iter().any(|(_, message)| message.status() == 513), "{left:?}");
}

/// A dialog with a member that was taken out goes on as large as before.
#[test]
fn a_large_request_for_a_member_that_was_taken_out_goes_by_tcp() {
    let settings = with_large(Large::Always(INSIDE_TCP_ID), Large::Never);
    let mut world = cast(3, &settings, 0);
    world.agent(BROWSER).more_candidates = MANY;
    let leg = call(&mut world, BROWSER, "9196");
    let now = world.now;
    let free = MEMBERS.into_iter().find(|member| world.member(member).status(now).legs.is_empty());
    let members = vec![free.expect("two members").parse().expect("an address")];
    world.reload(&EdgeSettings { members, ..settings }).expect("no restart needed");
    world.departures.clear();
    assert!(world.act(BROWSER, |agent, now| agent.hold(now, leg)));
    world.run(2_000);
    let all = invites(&world);
    let large: Vec<_> = all.iter().filter(|(_, size)| *size > 1_300).collect();
    assert!(!large.is_empty(), "{all:?}");
    assert!(large.iter().all(|(via, _)| via.starts_with("SIP/2.0/TCP ")), "{large:?}");
    hang_up(&mut world, BROWSER, leg);
    world.assert_quiet();
}

/// FreeSWITCH asks the carrier for a `sips:` address: what left towards the carrier, and what FreeSWITCH was told.
fn secure_call_out(carriers_by: Transport) -> (World, Vec<(SocketAddr, Message)>) {
    let trunk = carriers_by;
    let mut world = cast(11, &EdgeSettings { trunk, ..EdgeSettings::new(&MEMBERS) }, 0);
    world.add_carrier(CARRIER, EXCHANGE, false);
    let text = format!(
        "INVITE sips:+4930123@10.0.1.5:5070 SIP/2.0\r\nVia: SIP/2.0/UDP {member};branch=z9hG4bKsips;rport\r\n\
         From: <sip:1001@example.test>;tag=1\r\nTo: <sips:+4930123@10.0.1.5>\r\nCall-ID: sips\r\nCSeq: 1 INVITE\r\n\
         Contact: <sips:mod_sofia@{member}>\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
        member = MEMBERS[0],
    );
    let left = world.say(MEMBERS[0], INSIDE, &text, "sips");
    (world, left)
}

#[test]
fn a_sips_address_is_never_asked_in_the_clear() {
    let carrier: SocketAddr = CARRIER.parse().unwrap();
    let asked = |left: &[(SocketAddr, Message)]| {
        left.iter().any(|(to, message)| *to == carrier && message.is_request())
    };
    let (world, left) = secure_call_out(Transport::Udp);
    assert!(!asked(&left));
    let answer = left.iter().find(|(_, message)| message.status() == 480).expect("480");
    assert!(answer.1.get("Warning").is_some_and(|warning| warning.contains("380")), "RFC 5630 §5.3");
    assert_eq!(count(&world, Count::SipsRefused), 1);
    let (world, left) = secure_call_out(Transport::Tls);
    assert!(asked(&left));
    // Who asks for `sips:` tells one (RFC 3261 §8.1.1.8).
    let (_, invite) =
        left.iter().find(|(to, message)| *to == carrier && message.is_request()).expect("asked");
    let contact = invite.get("Contact").unwrap_or_default();
    assert!(contact.starts_with("<sips:") && contact.ends_with(&format!("@{TRUNK_TCP}>")), "{contact}");
    assert_eq!(count(&world, Count::SipsRefused), 0);
}

#[test]
fn who_asks_for_a_sips_address_is_told_one_and_the_dialog_goes_on() {
    let mut world = cast(13, &by(Transport::Tls), 0);
    let leg = world.act(BROWSER, |agent, now| agent.call(now, "sips:9196@example.test"));
    world.until_up(BROWSER, leg);
    let contacts: Vec<String> = world.act(BROWSER, |agent, _| {
        let received = agent.trace().iter().filter(|one| !one.sent && one.message.status() == 200);
        let of_calls =
            received.filter(|one| one.message.get("CSeq").is_some_and(|seq| seq.ends_with("INVITE")));
        of_calls.filter_map(|one| one.message.get("Contact").map(str::to_owned)).collect()
    });
    assert!(!contacts.is_empty());
    assert!(contacts.iter().all(|contact| contact.starts_with("<sips:")), "RFC 3261 §12.1.1: {contacts:?}");
    hang_up(&mut world, BROWSER, leg);
    world.assert_quiet();
}
