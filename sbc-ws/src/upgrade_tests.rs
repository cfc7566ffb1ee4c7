//! Each rule of the opening handshake, broken one at a time.

use super::*;
use crate::settings::ClientAddress;

const REMOTE: &str = "10.0.0.7:4000";

/// RFC 7118 §8.1's request, with one header line put in or another's value changed.
fn request(change: &[(&str, Option<&str>)]) -> String {
    let mut headers = vec![
        ("Host", "sip-ws.example.com"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Origin", "https://www.example.com"),
        ("Sec-WebSocket-Protocol", "sip"),
        ("Sec-WebSocket-Version", "13"),
    ];
    for &(name, value) in change {
        headers.retain(|&(present, _)| present != name);
        headers.extend(value.map(|value| (name, value)));
    }
    let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("GET /chat HTTP/1.1\r\n{lines}\r\n")
}

fn judged_of(request: &str, settings: &Settings) -> Result<Accepted, Refused> {
    let remote: SocketAddr = REMOTE.parse().unwrap();
    let known =
        (!settings.trusted_proxies.iter().any(|network| network.contains(&remote.ip()))).then_some(remote);
    judge(request.as_bytes(), settings, remote, known)
}

fn judged(change: &[(&str, Option<&str>)], settings: &Settings) -> Result<SocketAddr, Refused> {
    judged_of(&request(change), settings).map(|accepted| accepted.source)
}

#[test]
fn a_sound_request_is_accepted_with_the_key_of_rfc_6455() {
    let accepted = judged_of(&request(&[]), &Settings::default()).unwrap();
    let response = String::from_utf8(accepted.response()).unwrap();
    assert!(response.starts_with("HTTP/1.1 101 "));
    assert!(response.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    assert!(response.contains("\r\nSec-WebSocket-Protocol: sip\r\n"));
    assert!(!response.contains("Extensions"));
}

#[test]
fn each_broken_rule_has_its_own_reason() {
    for (header, value, why) in [
        ("Upgrade", None, Refused::NotAnUpgrade),
        ("Upgrade", Some("h2c"), Refused::NotAnUpgrade),
        ("Connection", Some("keep-alive"), Refused::NotAnUpgrade),
        ("Host", None, Refused::Malformed),
        ("Sec-WebSocket-Version", None, Refused::Version),
        ("Sec-WebSocket-Version", Some("8"), Refused::Version),
        ("Sec-WebSocket-Key", None, Refused::Key),
        ("Sec-WebSocket-Key", Some("c2hvcnQ="), Refused::Key),
        ("Sec-WebSocket-Key", Some("dGhlIHNhbXBsZSBub25jZQ=!"), Refused::Key),
        ("Sec-WebSocket-Protocol", None, Refused::SubProtocol),
        ("Sec-WebSocket-Protocol", Some("mqtt, sips"), Refused::SubProtocol),
    ] {
        assert_eq!(judged(&[(header, value)], &Settings::default()), Err(why), "{header}: {value:?}");
    }
}

#[test]
fn lists_and_case_are_read_as_http_wants() {
    let change = [
        ("Upgrade", Some("WebSocket")),
        ("Connection", Some("keep-alive, Upgrade")),
        ("Sec-WebSocket-Protocol", Some("mqtt , sip")),
    ];
    assert!(judged(&change, &Settings::default()).is_ok());
}

#[test]
fn other_methods_and_versions_are_refused() {
    let judged = |text: String| judged_of(&text, &Settings::default());
    assert_eq!(judged(request(&[]).replacen("GET", "POST", 1)), Err(Refused::Method));
    assert_eq!(judged(request(&[]).replacen("HTTP/1.1", "HTTP/1.0", 1)), Err(Refused::Malformed));
    assert_eq!(judged("REGISTER sip:example.com SIP/2.0\r\n\r\n".into()), Err(Refused::Malformed));
}

#[test]
fn where_origins_are_listed_others_and_none_are_refused() {
    let settings =
        Settings { origins: vec!["https://*.example.com".parse().unwrap()], ..Settings::default() };
    assert!(judged(&[], &settings).is_ok());
    for origin in [None, Some("null"), Some("https://evil.org")] {
        assert_eq!(judged(&[("Origin", origin)], &settings), Err(Refused::Origin), "{origin:?}");
    }
}

#[test]
fn where_a_path_is_named_only_that_one_opens_a_connection() {
    let settings = Settings { path: Some("/ws".into()), ..Settings::default() };
    for (target, outcome) in [
        ("/ws", Ok(())),
        ("/ws?room=1", Ok(())),
        ("wss://sip-ws.example.com/ws", Ok(())),
        ("/", Err(Refused::Path)),
        ("/WS", Err(Refused::Path)),
        ("/ws/", Err(Refused::Path)),
        ("/ws2", Err(Refused::Path)),
        ("/%77s", Err(Refused::Path)),
    ] {
        let text = request(&[]).replacen("/chat", target, 1);
        assert_eq!(judged_of(&text, &settings).map(drop), outcome, "{target}");
    }
}

fn behind_proxy() -> Settings {
    Settings {
        client_address: ClientAddress::XForwardedFor,
        trusted_proxies: vec!["10.0.0.0/24".parse().unwrap()],
        ..Settings::default()
    }
}

#[test]
fn a_trusted_proxy_names_the_client_in_its_last_element() {
    let forwarded = |value| judged(&[("X-Forwarded-For", Some(value))], &behind_proxy());
    assert_eq!(forwarded("203.0.113.9, 192.0.2.1:5555"), Ok("192.0.2.1:5555".parse().unwrap()));
    assert_eq!(forwarded("2001:db8::1"), Ok("[2001:db8::1]:0".parse().unwrap()));
    assert_eq!(forwarded("192.0.2.1, unknown"), Err(Refused::ForwardedFor));
}

#[test]
fn of_several_forwarded_for_fields_the_last_counts() {
    let text = request(&[("X-Forwarded-For", Some("203.0.113.9"))])
        .replace("\r\n\r\n", "\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n");
    let accepted = judged_of(&text, &behind_proxy()).unwrap();
    assert_eq!(accepted.source, "192.0.2.1:0".parse().unwrap());
}

#[test]
fn a_client_cannot_name_itself() {
    let forwarded = [("X-Forwarded-For", Some("192.0.2.1"))];
    let remote: SocketAddr = REMOTE.parse().unwrap();
    assert_eq!(judged(&forwarded, &Settings::default()), Ok(remote));
    let elsewhere = Settings { trusted_proxies: vec!["10.9.0.0/24".parse().unwrap()], ..behind_proxy() };
    assert_eq!(judged(&forwarded, &elsewhere), Ok(remote));
    assert_eq!(judged(&[], &behind_proxy()), Ok(remote), "no header: the peer itself");
}
