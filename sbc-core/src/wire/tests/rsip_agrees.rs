//! Where rsip reads the same text, it reads the same thing.

use rsip::headers::ToTypedHeader;
use rsip::prelude::UntypedHeader;

use crate::wire::*;

/// rsip takes a user with `.`, `-` or `_` for a host, so none has them here.
const USERS: &[&str] = &["", "alice@", "+49301234567@", "1000@", "bob:secret@"];
const HOSTS: &[&str] = &["example.com", "192.0.2.44", "sbc-1.voice.example.net", "localhost"];
const PORTS: &[&str] = &["", ":5060", ":65535"];
const TAILS: &[&str] = &["", ";transport=udp", ";transport=tcp;lr", ";maddr=192.0.2.7"];

fn combinations(parts: [&[&str]; 4]) -> Vec<String> {
    parts.into_iter().fold(vec![String::new()], |texts, choices| {
        texts.iter().flat_map(|text| choices.iter().map(move |choice| format!("{text}{choice}"))).collect()
    })
}

#[test]
fn uris_are_read_alike() {
    let mut compared = 0;
    for text in combinations([USERS, HOSTS, PORTS, TAILS]).iter().map(|rest| format!("sip:{rest}")) {
        let ours = Uri::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
        let Ok(theirs) = rsip::Uri::try_from(text.as_str()) else {
            continue;
        };
        assert_eq!(ours.user, theirs.user().map(str::as_bytes), "{text}");
        assert_eq!(ours.host, theirs.host().to_string().as_bytes(), "{text}");
        assert_eq!(ours.port, theirs.port().map(|port| *port.value()), "{text}");
        assert_eq!(ours.params.iter().count(), theirs.params.len(), "{text}");
        compared += 1;
    }
    assert!(compared >= 100, "{compared}");
}

#[test]
fn vias_are_read_alike() {
    const TRANSPORTS: &[&str] = &["SIP/2.0/UDP ", "SIP/2.0/TCP ", "SIP/2.0/WSS "];
    const PARAMS: &[&str] =
        &[";branch=z9hG4bK87asdks7", ";branch=z9hG4bK1;received=192.0.2.9", ";branch=z9hG4bK-x;rport"];
    let mut compared = 0;
    for text in combinations([TRANSPORTS, HOSTS, PORTS, PARAMS]) {
        let ours = Via::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
        let Ok(theirs) = rsip::headers::Via::new(text.as_str()).typed() else {
            continue;
        };
        assert_eq!(ours.transport, theirs.transport.to_string().as_bytes(), "{text}");
        assert_eq!(ours.host, theirs.uri.host().to_string().as_bytes(), "{text}");
        assert_eq!(ours.port, theirs.uri.port().map(|port| *port.value()), "{text}");
        assert_eq!(ours.branch(), theirs.branch().map(|branch| branch.value().as_bytes()), "{text}");
        let received = theirs.received().expect("an address").map(|address| address.to_string().into_bytes());
        assert_eq!(ours.received().map(<[u8]>::to_vec), received, "{text}");
        compared += 1;
    }
    assert!(compared >= 30, "{compared}");
}

#[test]
fn cseqs_are_read_alike() {
    for text in ["1 INVITE", "2147483647 BYE", "0 OPTIONS", "4711 REGISTER", "33 NOTIFY"] {
        let ours = CSeq::parse(text.as_bytes()).expect("lawful");
        let theirs = rsip::headers::CSeq::new(text).typed().expect("rsip reads it");
        assert_eq!((ours.number, ours.method), (theirs.seq, theirs.method.to_string().as_bytes()));
    }
}
