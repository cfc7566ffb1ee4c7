//! Nothing from outside chooses where we send: every header in which a stranger can name an address.

use sbc_core::count::Count;
use sbc_tests::sim::canary::{CANARY, LURES, STRANGER, lure};
use sbc_tests::sim::{CARRIER, EXCHANGE, EdgeSettings, MEMBERS, PHONES, TRUNK, WSS, World};

/// Everybody may call without credentials, and the far end hangs up, so that requests flow both ways.
fn open_house(symmetric: bool) -> World {
    let settings = EdgeSettings { symmetric, ..EdgeSettings::new(&MEMBERS) };
    let mut world = World::new(1, &settings);
    for member in MEMBERS {
        world.add_member(member.parse().unwrap(), |config| config.auth_calls = false);
    }
    world.add_carrier(CARRIER, EXCHANGE, false);
    world.connect("192.0.2.67:4067");
    world.run(500);
    world
}

#[test]
fn no_header_of_a_stranger_leads_to_an_address_of_his_choice() {
    for symmetric in [true, false] {
        let mut world = open_house(symmetric);
        for number in 0..LURES {
            let doors = [(STRANGER, PHONES), ("192.0.2.67:4067", WSS), (CARRIER, TRUNK)];
            let (from, to) = doors[number % doors.len()];
            world.inject(from, to, lure(number).as_bytes());
            if number % 77 == 0 {
                world.run(5_000);
            }
        }
        world.run(60_000);
        assert!(!world.destinations.contains(&CANARY.parse().unwrap()), "symmetric = {symmetric}");
        let [first, second] = MEMBERS.map(|member| member.parse().unwrap());
        assert!(world.destinations.contains(&first) || world.destinations.contains(&second));
    }
}

#[test]
fn an_asymmetric_carrier_is_followed_only_inside_its_networks() {
    let mut world = open_house(false);
    let outside = "192.0.2.99";
    for (number, via) in [CARRIER, CANARY].into_iter().enumerate() {
        let call_id = format!("asymmetric-{number}");
        let text = format!(
            "OPTIONS sip:198.51.100.7:5062 SIP/2.0\r\nVia: SIP/2.0/UDP {via};branch=z9hG4bKasym{number}\r\n\
             Max-Forwards: 9\r\nFrom: <sip:a@carrier.test>;tag=1\r\nTo: <sip:198.51.100.7:5062>\r\n\
             Call-ID: {call_id}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        );
        let sent = world.say("203.0.113.77:6000", TRUNK, &text, &call_id);
        let to: Vec<String> = sent.iter().map(|(to, _)| to.to_string()).collect();
        // RFC 3261 §18.2.2: else to where it came from, at the port that the Via names.
        let expected = if via == CARRIER { CARRIER } else { "203.0.113.77:5099" };
        assert_eq!(to, [expected], "{via}");
        assert!(sent[0].1.get("Via").is_some_and(|via| !via.contains(&format!("received={outside}"))));
    }
}

#[test]
fn nobody_but_a_carrier_is_heard_at_the_trunk() {
    let mut world = open_house(true);
    let text = "OPTIONS sip:198.51.100.7:5062 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.66:5066;branch=z9hG4bK1\r\n\
                Max-Forwards: 9\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: no-peer\r\n\
                CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";
    let before = world.core().counters().get(Count::NotAPeer);
    assert_eq!(world.say(STRANGER, TRUNK, text, "no-peer"), Vec::new());
    assert_eq!(world.core().counters().get(Count::NotAPeer), before + 1);
}
