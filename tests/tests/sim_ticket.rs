//! Connections that showed a ticket: as whom they speak, and whom they call.

use sbc_core::count::Count;
use sbc_core::io::Ticket;
use sbc_tests::sim::{BROWSER, EdgeSettings, MEMBERS, OTHER_BROWSER, WSS, World, cast};

const TICKETED: &str = "192.0.2.31:40031";

/// A world where `TICKETED` has a connection for user 1001 to these destinations.
fn world(destinations: Option<&[&str]>) -> World {
    let mut world = cast(1, &EdgeSettings::new(&MEMBERS), 0);
    let destinations = destinations.map(|all| all.iter().map(|&text| text.into()).collect());
    let ticket = Ticket { users: vec!["1001@example.test".into()], destinations };
    world.connect_by(TICKETED, Some(&ticket));
    world
}

/// What sbc answers to a request over the connection; 0 where a member got it.
fn ask(world: &mut World, source: &str, method: &str, uri: &str, from: &str, extra: &str) -> u16 {
    let call_id = format!("ticket-{}", world.now.since(sbc_core::time::Time::ZERO).as_nanos());
    let to = if method == "REGISTER" { from } else { uri };
    let to_tag = if extra.contains("in-dialog") { ";tag=99" } else { "" };
    let text = format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/WSS x.invalid;branch=z9hG4bK{call_id}\r\nMax-Forwards: 9\r\n\
         From: <{from}>;tag=77\r\nTo: <{to}>{to_tag}\r\nCall-ID: {call_id}\r\nCSeq: 1 {method}\r\n\
         Contact: <sip:x@x.invalid;transport=ws>\r\n{extra}Content-Length: 0\r\n\r\n"
    );
    let sent = world.say(source, WSS, &text, &call_id);
    let members = MEMBERS.map(|member| member.parse().unwrap());
    if sent.iter().any(|(to, _)| members.contains(to)) {
        return 0;
    }
    sent.last().map_or(u16::MAX, |(_, answer)| answer.status())
}

const OWN: &str = "sip:1001@example.test";
const OTHER: &str = "sip:1002@example.test";

#[test]
fn a_ticket_names_who_may_be_spoken_for() {
    let mut world = world(None);
    for (method, uri) in [
        ("REGISTER", "sip:example.test"),
        ("INVITE", "sip:9196@example.test"),
        ("MESSAGE", OTHER),
        ("SUBSCRIBE", OWN),
    ] {
        let event = if method == "SUBSCRIBE" { "Event: dialog\r\n" } else { "" };
        assert_eq!(ask(&mut world, TICKETED, method, uri, OWN, event), 0, "{method}");
        let before = world.core().counters().get(Count::TicketUser);
        for other in [OTHER, "sip:1001@example.org", "sip:anonymous@anonymous.invalid"] {
            assert_eq!(ask(&mut world, TICKETED, method, uri, other, event), 403, "{method} as {other}");
        }
        // A REGISTER for a user of another domain does not come as far as the ticket.
        let of_tickets = if method == "REGISTER" { 1 } else { 3 };
        assert_eq!(world.core().counters().get(Count::TicketUser), before + of_tickets, "{method}");
    }
}

#[test]
fn a_ticket_names_who_may_be_asked_for() {
    let mut world = world(Some(&["9196", "1002@example.test"]));
    for (uri, outcome) in [
        ("sip:9196@example.test", 0),
        (OTHER, 0),
        (OWN, 0),
        ("sip:9197@example.test", 403),
        ("sip:%39196@example.test", 403),
        ("sip:91961@example.test", 403),
    ] {
        assert_eq!(ask(&mut world, TICKETED, "INVITE", uri, OWN, ""), outcome, "{uri}");
    }
    assert_eq!(world.core().counters().get(Count::TicketDestination), 3);
    assert_eq!(ask(&mut world, TICKETED, "REGISTER", "sip:example.test", OWN, ""), 0);
}

#[test]
fn no_dialog_made_up_and_no_transfer_leads_past_a_ticket() {
    let mut world = world(Some(&["9196"]));
    let elsewhere = "sip:9197@example.test";
    assert_eq!(ask(&mut world, TICKETED, "INVITE", elsewhere, OWN, "X-Is: in-dialog\r\n"), 481);
    let refer = |to: &str| format!("Refer-To: <{to}>\r\n");
    assert_eq!(ask(&mut world, TICKETED, "REFER", "sip:9196@example.test", OWN, &refer(elsewhere)), 403);
    let in_dialog = format!("{}X-Is: in-dialog\r\n", refer(elsewhere));
    assert_eq!(ask(&mut world, TICKETED, "REFER", "sip:9196@example.test", OWN, &in_dialog), 403);
    let allowed = refer("sip:9196@example.test");
    assert_eq!(ask(&mut world, TICKETED, "REFER", "sip:9196@example.test", OWN, &allowed), 0);
}

#[test]
fn whoever_showed_none_is_not_bounded_nor_is_the_next_at_the_address() {
    let mut world = world(Some(&[]));
    assert_eq!(ask(&mut world, BROWSER, "INVITE", "sip:9197@example.test", OWN, ""), 0);
    assert_eq!(ask(&mut world, OTHER_BROWSER, "INVITE", "sip:9197@example.test", OWN, ""), 0);
    assert_eq!(ask(&mut world, TICKETED, "INVITE", "sip:9197@example.test", OWN, ""), 403);
    world.cut(TICKETED);
    world.connect(TICKETED);
    assert_eq!(ask(&mut world, TICKETED, "INVITE", "sip:9197@example.test", OTHER, ""), 0);
}
