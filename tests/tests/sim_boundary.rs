//! Which headers pass from one zone to another, in every spelling.

use std::net::SocketAddr;

use sbc_core::config::Headers;
use sbc_core::wire::HeaderPattern;
use sbc_tests::sim::{CARRIER, EdgeSettings, INSIDE, MEMBERS, PHONES, TRUNK, World, answer};
use sbc_tests::ua::message::Message;

const PHONE: &str = "192.0.2.66:5066";

/// Nobody answers but by hand.
fn by_hand() -> World {
    let strip = ["X-Internal-*", "Subject"].map(|name| HeaderPattern::parse(name).expect("a pattern"));
    let headers = Headers { strip: strip.into(), ..Headers::default() };
    let mut world = World::new(1, &EdgeSettings { headers, ..EdgeSettings::new(&MEMBERS) });
    for member in MEMBERS {
        world.add_member(member.parse().unwrap(), |_| {});
    }
    world.run(500);
    for member in MEMBERS {
        world.kill(member, false);
    }
    world
}

fn invite(via: &str, domain: &str, call_id: &str, extra: &str) -> String {
    format!(
        "INVITE sip:9200@{domain} SIP/2.0\r\nVia: SIP/2.0/UDP {via};branch=z9hG4bK{call_id}\r\n\
         Max-Forwards: 9\r\nFrom: <sip:1004@example.test>;tag=1\r\nTo: <sip:9200@{domain}>\r\n\
         Call-ID: {call_id}\r\nCSeq: 1 INVITE\r\nContact: <sip:1004@{via}>\r\n{extra}Content-Length: 0\r\n\r\n"
    )
}

/// The same header as a cautious and as a sly sender writes it.
fn spellings(name: &str, value: &str) -> Vec<String> {
    let swapped: String = name
        .chars()
        .map(|c| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
        .collect();
    vec![
        format!("{name}: {value}\r\n"),
        format!("{swapped}:{value}\r\n"),
        format!("{name} \t :{value}\r\n"),
        format!("{name}:\r\n {value}\r\n"),
        format!("Subject: a\r\n{}: {value}\r\nOrganization: b\r\n", name.to_lowercase()),
    ]
}

/// The INVITE that reaches a member.
fn at_the_pool(world: &mut World, from: &str, to: &str, text: &str, call_id: &str) -> Message {
    let sent = world.say(from, to, text, call_id);
    let members = MEMBERS.map(|member| member.parse::<SocketAddr>().unwrap());
    let arrived = sent.into_iter().find(|(to, _)| members.contains(to));
    arrived.map_or_else(|| panic!("nothing reached the pool of:\n{text}"), |(_, message)| message)
}

const CLAIMS: [(&str, &str); 8] = [
    ("P-Asserted-Identity", "<sip:boss@example.test>"),
    ("P-Preferred-Identity", "<sip:boss@example.test>"),
    ("Remote-Party-ID", "<sip:boss@example.test>;party=calling"),
    ("Privacy", "id"),
    ("History-Info", "<sip:boss@example.test>;index=1"),
    ("Diversion", "<sip:boss@example.test>;reason=unconditional"),
    ("Identity", "eyJhbGciOiJFUzI1NiJ9..x;info=<https://example.test/c>"),
    ("Path", "<sip:192.0.2.99;lr>"),
];

#[test]
fn a_stranger_asserts_nothing_in_any_spelling() {
    let mut world = by_hand();
    let claims =
        CLAIMS.into_iter().chain([("X-AUTH-IP", "10.0.2.10"), ("X-AUTH-PORT", "1"), ("X-FS-X", "1")]);
    for (number, (name, line)) in claims
        .flat_map(|(name, value)| spellings(name, value).into_iter().map(move |line| (name, line)))
        .enumerate()
    {
        let call_id = format!("claim-{number}");
        let text = invite(PHONE, "example.test", &call_id, &line);
        let arrived = at_the_pool(&mut world, PHONE, PHONES, &text, &call_id);
        let own = arrived.list(name);
        match name {
            "X-AUTH-IP" => assert_eq!(own, ["192.0.2.66"], "{line}"),
            "X-AUTH-PORT" => assert_eq!(own, ["5066"], "{line}"),
            _ => assert!(own.is_empty(), "{line}"),
        }
    }
}

/// What a member is asked to put into the INVITE that a REFER wants: of the header part of the Refer-To what it gets.
fn referred(world: &mut World, from: &str, to: &str, number: usize, refer_to: &str) -> String {
    let call_id = format!("refer-{number}");
    let domain = if to == TRUNK { "198.51.100.7:5062" } else { "example.test" };
    let text = invite(from, domain, &call_id, &format!("{refer_to}\r\n")).replace("INVITE", "REFER");
    at_the_pool(world, from, to, &text, &call_id).get("Refer-To").unwrap_or("nothing").to_owned()
}

/// RFC 3261 §19.1.5: FreeSWITCH would say it in the name of the pool.
#[test]
fn a_refer_to_asks_for_nothing_but_the_end_of_another_call() {
    const REPLACES: &str = "Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2";
    let mut world = by_hand();
    let cases = [
        ("", ""),
        ("?", ""),
        ("?X-AUTH-IP=10.0.2.10", ""),
        ("?P-Asserted-Identity=%3Csip:boss@example.test%3E&Route=%3Csip:192.0.2.99;lr%3E", ""),
        ("?%52oute=%3Csip:192.0.2.99;lr%3E", ""),
        ("?%70%2d%61sserted-identity=x&x%2Dauth%2Dip=1&rOUTE=a", ""),
        ("?Replaces", ""),
        ("?XReplaces=a&Replaces.=a&%20Replaces=a", ""),
        ("?Require=100rel&body=hello", ""),
        (&format!("?{REPLACES}"), REPLACES),
        (&format!("?%72eplaces={}", &REPLACES[9..]), REPLACES),
        (&format!("?Route=%3Csip:x%3E&{REPLACES}&From=boss&{REPLACES}9"), REPLACES),
        (&format!("?require=replaces&REPLACES={}", &REPLACES[9..]), &format!("Require=replaces&{REPLACES}")),
        (&format!("?{REPLACES}&Require=Replaces&Require=replaces"), &format!("{REPLACES}&Require=Replaces")),
        // It would be two headers once it is unescaped.
        ("?Replaces=a%3Bto-tag%3D1%3Bfrom-tag%3D2%0D%0ARoute:%20x", ""),
        (&format!("?Replaces=a%0aRoute:x&{REPLACES}"), ""),
    ];
    let mut number = 0;
    for (from, to) in [(PHONE, PHONES), (CARRIER, TRUNK)] {
        for (asked, kept) in cases {
            let kept = if kept.is_empty() { String::new() } else { format!("?{kept}") };
            for uri in
                ["sip:1001@example.test", "sip:1001@example.test;user=phone", "sips:a?Route=b@example.test"]
            {
                number += 1;
                let arrived =
                    referred(&mut world, from, to, number, &format!("Refer-To: \"A?\" <{uri}{asked}>;x=y"));
                assert_eq!(arrived, format!("\"A?\" <{uri}{kept}>;x=y"), "{asked}");
            }
            number += 1;
            let compact = format!("r:<sip:1001@example.test\r\n ;user=phone{asked}>");
            let arrived = referred(&mut world, from, to, number, &compact);
            assert!(arrived.ends_with(&format!("user=phone{kept}>")), "{compact}: {arrived}");
        }
    }
}

#[test]
fn compact_forms_of_what_a_stranger_claims_stop_too() {
    let mut world = by_hand();
    let arrived = at_the_pool(
        &mut world,
        PHONE,
        PHONES,
        &invite(PHONE, "example.test", "c", "y: x;info=<a:b>\r\n"),
        "c",
    );
    assert!(arrived.list("y").is_empty() && arrived.list("Identity").is_empty());
}

#[test]
fn a_carrier_keeps_what_it_asserts_and_nothing_it_only_wishes() {
    let mut world = by_hand();
    let lines: String = CLAIMS.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let text = invite(CARRIER, "198.51.100.7:5062", "trunk", &format!("{lines}X-AUTH-IP: 10.0.2.10\r\n"));
    let arrived = at_the_pool(&mut world, CARRIER, TRUNK, &text, "trunk");
    let (kept, gone): (Vec<_>, Vec<_>) =
        CLAIMS.iter().map(|(name, _)| *name).partition(|name| !arrived.list(name).is_empty());
    assert_eq!(kept, ["P-Asserted-Identity", "Privacy", "History-Info", "Diversion", "Identity"]);
    assert_eq!(gone, ["P-Preferred-Identity", "Remote-Party-ID", "Path"]);
    assert_eq!(arrived.list("X-AUTH-IP"), ["203.0.113.10"]);
}

#[test]
fn an_answer_tells_browsers_and_phones_what_the_operator_lets_out() {
    let mut world = by_hand();
    let invite =
        at_the_pool(&mut world, PHONE, PHONES, &invite(PHONE, "example.test", "answer", ""), "answer");
    let mut reply = answer(&invite, 486, "far");
    for (name, value) in [
        ("X-Queue", "sales"),
        ("x-INTERNAL-Ticket", "77"),
        ("s", "inside talk"),
        ("Server", "FreeSWITCH"),
        ("Warning", "399 fs-a.internal:5080 \"sorry from 10.0.2.10\", 307 10.0.2.10 \"no\""),
        ("Remote-Party-ID", "<sip:9200@10.0.2.10>"),
        ("X-FS-Support", "update_display"),
        ("X-AUTH-IP", "10.0.1.5"),
    ] {
        reply.push(name, value);
    }
    reply.close(None);
    let text = String::from_utf8(reply.to_bytes()).unwrap();
    let sent =
        world.say(MEMBERS[usize::from(world_member(&invite, &world) == MEMBERS[1])], INSIDE, &text, "answer");
    let (_, told) = sent.iter().find(|(to, _)| to.to_string() == PHONE).expect("an answer to the phone");
    assert_eq!(told.list("X-Queue"), ["sales"]);
    assert_eq!(
        told.get("Warning"),
        Some("399 example.test \"sorry from example.test\", 307 example.test \"no\"")
    );
    for gone in
        ["X-Internal-Ticket", "s", "Subject", "Server", "Remote-Party-ID", "X-FS-Support", "X-AUTH-IP"]
    {
        assert!(told.list(gone).is_empty(), "{gone}");
    }
}

/// The member that an INVITE went to.
fn world_member(invite: &Message, world: &World) -> &'static str {
    let to = world.departed(invite.call_id()).into_iter().map(|(to, _)| to.to_string());
    let members: Vec<String> = to.collect();
    MEMBERS.into_iter().find(|member| members.iter().any(|to| to == member)).expect("a member")
}

/// A member may name us by the address of the node that it knows; the carrier's dialog may pass by any.
#[test]
fn an_address_of_another_node_stays_inside() {
    let mut world = by_hand();
    let text = format!(
        "INVITE sip:+4930@10.0.1.5:5070 SIP/2.0\r\nVia: SIP/2.0/UDP {member};rport;branch=z9hG4bKnode\r\n\
         Max-Forwards: 9\r\nFrom: <sip:1004@10.0.1.10>;tag=1\r\nTo: <sip:+4930@10.0.1.10:5070>\r\n\
         Call-ID: node\r\nCSeq: 1 INVITE\r\nContact: <sip:mod@{member}>\r\nContent-Length: 0\r\n\r\n",
        member = MEMBERS[0]
    );
    let sent = world.say(MEMBERS[0], INSIDE, &text, "node");
    let told = sent.iter().find(|(to, _)| to.to_string() == CARRIER).map(|(_, invite)| invite.to_bytes());
    let told = String::from_utf8(told.expect("the carrier is called")).expect("a message of letters");
    assert!(!told.contains("10.0.1."), "{told}");
}
