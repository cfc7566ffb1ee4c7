//! Nothing from outside chooses where we send: every header in which a stranger can name an address.

use std::net::IpAddr;

use sbc_core::count::Count;
use sbc_tests::lures::{METHODS, SPELLINGS, Sender, believed_in_vain, claims, lure, places};
use sbc_tests::sim::canary::{self, CANARY, LURES, STRANGER};
use sbc_tests::sim::{
    CARRIER, EXCHANGE, EdgeSettings, INSIDE, MEMBERS, PHONES, TRUNK, WSS, World, unlimited,
};

const WIDGET: &str = "192.0.2.67:4067";

/// Everybody may call without credentials, and the far end hangs up, so that requests flow both ways.
fn open_house(symmetric: bool) -> World {
    open_house_under(EdgeSettings { symmetric, ..EdgeSettings::new(&MEMBERS) })
}

fn open_house_under(settings: EdgeSettings) -> World {
    let mut world = World::new(1, &settings);
    for member in MEMBERS {
        world.add_member(member.parse().unwrap(), |config| config.auth_calls = false);
    }
    world.add_carrier(CARRIER, EXCHANGE, false);
    world.connect(WIDGET);
    world.run(500);
    world
}

#[test]
fn no_header_of_a_stranger_leads_to_an_address_of_his_choice() {
    for symmetric in [true, false] {
        let mut world = open_house(symmetric);
        for number in 0..LURES {
            let doors = [(STRANGER, PHONES), (WIDGET, WSS), (CARRIER, TRUNK)];
            let (from, to) = doors[number % doors.len()];
            world.inject(from, to, canary::lure(number).as_bytes());
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

/// The senders that a world of open doors has.
const SENDERS: [(Sender<'_>, &str); 3] = [
    (Sender { transport: "UDP", own: STRANGER, edge: PHONES }, PHONES),
    (Sender { transport: "WSS", own: WIDGET, edge: WSS }, WSS),
    (Sender { transport: "UDP", own: CARRIER, edge: TRUNK }, TRUNK),
];

#[test]
fn no_spelling_of_an_address_in_any_place_leads_there() {
    for symmetric in [true, false] {
        let admission = unlimited();
        let mut world =
            open_house_under(EdgeSettings { symmetric, admission, ..EdgeSettings::new(&MEMBERS) });
        let mut number = 0;
        for place in 0..places() {
            for spelling in SPELLINGS.iter().chain(&["192.0.2.99"]) {
                for (sender, door) in SENDERS {
                    number += 1;
                    let method = METHODS[(number + place) % METHODS.len()];
                    let text = lure(&sender, method, place, spelling, 5099, number);
                    world.inject(sender.own, door, text.as_bytes());
                }
            }
            world.run(500);
        }
        world.run(60_000);
        // Answers go to where their requests came from, whatever port those name.
        let known = [STRANGER, WIDGET, CARRIER, EXCHANGE, PHONES, INSIDE, MEMBERS[0], MEMBERS[1]];
        let known: Vec<IpAddr> = known.map(|one| one.parse::<std::net::SocketAddr>().unwrap().ip()).into();
        let elsewhere: Vec<_> = world.destinations.iter().filter(|to| !known.contains(&to.ip())).collect();
        assert_eq!(elsewhere, Vec::<&std::net::SocketAddr>::new(), "symmetric = {symmetric}");
        assert!(MEMBERS.iter().all(|member| world.destinations.contains(&member.parse().unwrap())));
    }
}

#[test]
fn nothing_that_a_stranger_made_up_is_believed_inside() {
    let settings = EdgeSettings { admission: unlimited(), ..EdgeSettings::new(&MEMBERS) };
    let mut world = open_house_under(settings);
    let members = MEMBERS.map(|member| member.parse().unwrap());
    let mut passed = 0;
    // The carrier is believed what it asserts.
    for (sender, door) in &SENDERS[..2] {
        for text in claims(sender, 0) {
            world.departures.clear();
            world.inject(sender.own, door, text.as_bytes());
            world.run(20);
            let inside = world.departures.iter().filter(|one| members.contains(&one.to));
            for departure in inside.filter(|one| one.bytes.windows(9).any(|nine| nine == b"X-AUTH-IP")) {
                passed += 1;
                let vain = believed_in_vain(&departure.bytes);
                assert!(vain.is_empty(), "{vain:?} in {}", String::from_utf8_lossy(&departure.bytes));
            }
        }
    }
    assert!(passed > 400, "{passed}");
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
