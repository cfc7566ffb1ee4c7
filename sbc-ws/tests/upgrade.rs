//! Who gets a connection, seen from outside: what is refused is told why, counted once, and closed.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Event, Worker, raw_request, read_to_end, run};
use sbc_ws::{ClientAddress, Refused, Settings, TicketAlgorithm, TicketPlace, TicketRules, Tickets};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::client_async;

#[test]
fn a_sip_client_is_accepted_and_its_sub_protocol_echoed() {
    run(async {
        let worker = Worker::start(Settings::default());
        let stream = TcpStream::connect(worker.address).await.unwrap();
        let local = stream.local_addr().unwrap();
        let (_client, response) = client_async(common::request(), stream).await.unwrap();
        assert_eq!(response.headers()["Sec-WebSocket-Protocol"], "sip");
        assert_eq!(worker.opened().await.1, local);
        assert_eq!(worker.connections.len(), 1);
    });
}

#[test]
fn each_broken_rule_is_answered_and_counted() {
    let change = |from, to| raw_request(&["Origin: https://a.example.com"]).replace(from, to);
    for (request, status, why) in [
        ("GET / HTTP/1.1\r\nHost: health\r\n\r\n".to_owned(), "426 ", Refused::NotAnUpgrade),
        (change("GET ", "POST "), "405 ", Refused::Method),
        (change("Version: 13", "Version: 12"), "426 ", Refused::Version),
        (change("Protocol: sip", "Protocol: mqtt"), "400 ", Refused::SubProtocol),
        (change("Key: dGhl", "Key: !"), "400 ", Refused::Key),
        (change("a.example.com", "a.example.org"), "403 ", Refused::Origin),
        (change("GET / ", "GET /admin "), "404 ", Refused::Path),
        (change("Host: localhost\r\n", ""), "400 ", Refused::Malformed),
        (change("Host: localhost", &"A: b\r\n".repeat(5000)), "431 ", Refused::HeadTooLarge),
    ] {
        run(async {
            let origins = vec!["https://*.example.com".parse().unwrap()];
            let path = Some("/".into());
            let worker = Worker::start(Settings { origins, path, ..Settings::default() });
            let answer = worker.answer_to(&request).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{why:?}: {answer}");
            let (source, counted) = worker.refused().await;
            assert_eq!(counted, why);
            assert!(source.is_some(), "without a proxy the peer is the client");
            assert_eq!(worker.recorder.events.borrow().len(), 1);
            assert!(worker.connections.is_empty());
        });
    }
}

#[test]
fn refusals_name_what_would_be_right() {
    run(async {
        let worker = Worker::start(Settings::default());
        let version = worker.answer_to(&raw_request(&[]).replace("Version: 13", "Version: 7")).await;
        assert!(version.contains("\r\nSec-WebSocket-Version: 13\r\n"), "{version}");
        let protocol = worker.answer_to(&raw_request(&[]).replace("Protocol: sip", "Protocol: xmpp")).await;
        assert!(protocol.contains("must offer \"sip\""), "{protocol}");
        let plain = worker.answer_to("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(plain.contains("SIP over WebSocket endpoint"), "{plain}");
    });
}

#[test]
fn a_client_that_says_nothing_is_told_so_at_the_deadline() {
    run(async {
        let worker =
            Worker::start(Settings { upgrade_deadline: Duration::from_millis(30), ..Settings::default() });
        let answer = worker.answer_to("GET / HTTP/1.1\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert_eq!(worker.refused().await.1, Refused::UpgradeTimeout);
    });
}

#[test]
fn a_client_that_leaves_early_is_counted() {
    run(async {
        let worker = Worker::start(Settings::default());
        drop(TcpStream::connect(worker.address).await.unwrap());
        assert_eq!(worker.refused().await.1, Refused::Disconnected);
    });
}

fn behind_proxy(trusted: &str) -> Settings {
    Settings {
        client_address: ClientAddress::XForwardedFor,
        trusted_proxies: vec![trusted.parse().unwrap()],
        ..Settings::default()
    }
}

#[test]
fn a_trusted_proxy_names_the_client() {
    for (value, source) in [
        ("203.0.113.9, 192.0.2.1", "192.0.2.1:0"),
        ("192.0.2.1:5555", "192.0.2.1:5555"),
        ("2001:db8::1", "[2001:db8::1]:0"),
        ("[2001:db8::1]:5555", "[2001:db8::1]:5555"),
    ] {
        run(async {
            let worker = Worker::start(behind_proxy("127.0.0.0/8"));
            let mut stream = TcpStream::connect(worker.address).await.unwrap();
            stream.write_all(raw_request(&[&format!("X-Forwarded-For: {value}")]).as_bytes()).await.unwrap();
            assert_eq!(worker.opened().await.1, source.parse().unwrap(), "{value}");
        });
    }
}

#[test]
fn an_untrusted_sender_names_nobody() {
    run(async {
        let worker = Worker::start(behind_proxy("10.0.0.0/8"));
        let mut stream = TcpStream::connect(worker.address).await.unwrap();
        stream.write_all(raw_request(&["X-Forwarded-For: 192.0.2.1"]).as_bytes()).await.unwrap();
        assert_eq!(worker.opened().await.1, stream.local_addr().unwrap());
    });
}

#[test]
fn a_banned_client_is_refused_behind_a_proxy_and_dropped_without_one() {
    run(async {
        let worker = Worker::start(behind_proxy("127.0.0.0/8"));
        worker.recorder.banned.set(Some("192.0.2.1".parse().unwrap()));
        let answer = worker.answer_to(&raw_request(&["X-Forwarded-For: 192.0.2.1"])).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
        assert_eq!(worker.refused().await, (Some("192.0.2.1:0".parse().unwrap()), Refused::Source));

        worker.recorder.banned.set(Some("127.0.0.1".parse().unwrap()));
        assert_eq!(worker.answer_to("").await, "");
    });
}

#[test]
fn a_full_listener_takes_the_next_client_when_one_has_left() {
    run(async {
        let worker = Worker::start(Settings { max_connections: 1, ..Settings::default() });
        let first = worker.connect().await;
        worker.opened().await;
        let mut second = TcpStream::connect(worker.address).await.unwrap();
        assert_eq!(read_to_end(&mut second).await, "");
        assert_eq!(worker.refused().await.1, Refused::TooManyConnections);
        drop(first);
        worker.closed().await;
        // The place is free when the closed task is gone, which the report just precedes.
        tokio::task::yield_now().await;
        worker.connect().await;
    });
}

#[test]
fn a_source_that_holds_its_share_is_dropped_and_another_gets_in() {
    run(async {
        let worker = Worker::start(Settings { max_per_source: 1, ..Settings::default() });
        let first = worker.connect().await;
        worker.opened().await;
        assert_eq!(worker.answer_to("").await, "");
        assert_eq!(worker.refused().await.1, Refused::TooManyFromSource);
        let other = TcpSocket::new_v4().unwrap();
        other.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let stream = other.connect(worker.address).await.unwrap();
        let _other = client_async(common::request(), stream).await.unwrap();
        drop(first);
        worker.closed().await;
        tokio::task::yield_now().await;
        worker.connect().await;
    });
}

#[test]
fn behind_a_proxy_each_client_has_its_own_share_and_the_proxy_none() {
    run(async {
        let settings = Settings { max_per_source: 1, ..behind_proxy("127.0.0.0/8") };
        let worker = Worker::start(settings);
        let upgrade = async |client: &str| {
            let mut stream = TcpStream::connect(worker.address).await.unwrap();
            let request = raw_request(&[&format!("X-Forwarded-For: {client}")]);
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut status = [0; 12];
            stream.read_exact(&mut status).await.unwrap();
            (stream, String::from_utf8_lossy(&status).into_owned())
        };
        let (_one, status) = upgrade("192.0.2.1").await;
        assert_eq!(status, "HTTP/1.1 101");
        let (_other, status) = upgrade("192.0.2.2").await;
        assert_eq!(status, "HTTP/1.1 101");
        let (_, status) = upgrade("192.0.2.1").await;
        assert_eq!(status, "HTTP/1.1 429");
        assert_eq!(
            worker.refused().await,
            (Some("192.0.2.1:0".parse().unwrap()), Refused::TooManyFromSource)
        );
        let health_checks = [worker.upgrade_raw().await, worker.upgrade_raw().await];
        drop(health_checks);
    });
}

#[test]
fn whom_the_operator_trusts_is_not_counted() {
    run(async {
        let worker = Worker::start(Settings { max_per_source: 0, ..Settings::default() });
        worker.recorder.unlimited.set(Some("127.0.0.1".parse().unwrap()));
        worker.connect().await;
    });
}

/// A PROXY header, version 2, for a TCP connection from `source` port 4711.
fn proxy_header(source: [u8; 4]) -> Vec<u8> {
    let signature = b"\r\n\r\n\0\r\nQUIT\n";
    [&signature[..], &[0x21, 0x11, 0, 12], &source, &[10, 0, 0, 5, 0x12, 0x67, 1, 0xbb]].concat()
}

fn behind_network_balancer(trusted: &str) -> Settings {
    Settings { client_address: ClientAddress::ProxyV2, ..behind_proxy(trusted) }
}

#[test]
fn a_network_load_balancer_names_the_client() {
    run(async {
        let worker = Worker::start(behind_network_balancer("127.0.0.0/8"));
        let mut stream = TcpStream::connect(worker.address).await.unwrap();
        // In two pieces, and with a header that only an HTTP proxy could vouch for.
        let request = raw_request(&["X-Forwarded-For: 192.0.2.9"]);
        let bytes = [&proxy_header([192, 0, 2, 1])[..], request.as_bytes()].concat();
        stream.write_all(&bytes[..14]).await.unwrap();
        stream.write_all(&bytes[14..]).await.unwrap();
        assert_eq!(worker.opened().await.1, "192.0.2.1:4711".parse().unwrap());
    });
}

#[test]
fn the_header_of_a_network_load_balancer_stands_before_tls() {
    run(async {
        let certificates = common::self_signed();
        let config = common::client_config_of(rustls::DEFAULT_VERSIONS, &certificates.fingerprint());
        let worker = Worker::start(Settings {
            tls: common::wss(&certificates).tls,
            ..behind_network_balancer("127.0.0.0/8")
        });
        let mut stream = TcpStream::connect(worker.address).await.unwrap();
        stream.write_all(&proxy_header([192, 0, 2, 1])).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(config);
        let stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
        client_async(common::request(), stream).await.unwrap();
        assert_eq!(worker.opened().await.1, "192.0.2.1:4711".parse().unwrap());
    });
}

#[test]
fn a_network_load_balancer_that_names_nobody_is_not_believed() {
    run(async {
        let settings = Settings {
            upgrade_deadline: Duration::from_millis(30),
            ..behind_network_balancer("127.0.0.0/8")
        };
        let worker = Worker::start(settings);
        assert_eq!(worker.answer_to(&raw_request(&[])).await, "");
        assert_eq!(worker.refused().await, (None, Refused::ProxyHeader));
        // Nor is one that says nothing at all.
        assert_eq!(worker.answer_to("").await, "");
        assert_eq!(worker.recorder.events.borrow().len(), 2);
    });
}

#[test]
fn a_stranger_cannot_name_itself_by_a_proxy_header() {
    run(async {
        let worker = Worker::start(behind_network_balancer("10.0.0.0/8"));
        let mut stream = TcpStream::connect(worker.address).await.unwrap();
        stream.write_all(&proxy_header([192, 0, 2, 1])).await.unwrap();
        stream.write_all(raw_request(&[]).as_bytes()).await.unwrap();
        let local = stream.local_addr().unwrap();
        assert_eq!(worker.refused().await, (Some(local), Refused::Malformed));
        let direct = worker.connect().await;
        assert_eq!(worker.opened().await.1, direct.get_ref().local_addr().unwrap());
    });
}

/// A listener that wants tickets of the secret "s", 32 times, and the good one for alice.
fn ticketed(place: TicketPlace) -> (Settings, String) {
    let file = std::env::temp_dir().join(format!("sbc-ws-upgrade-{place:?}-{}", std::process::id()));
    std::fs::write(&file, [b's'; 32]).unwrap();
    let rules =
        TicketRules { audience: "sip.example.com".into(), issuer: None, place, name: "ticket".into() };
    let tickets = Tickets::from_key_file(&file, TicketAlgorithm::Hs256, rules).unwrap();
    std::fs::remove_file(&file).unwrap();
    (Settings { tickets: Some(Arc::new(tickets)), ..Settings::default() }, ticket_until(u32::MAX))
}

/// A ticket for alice that is good until so many seconds after 1970.
fn ticket_until(time: u32) -> String {
    let claims = serde_json::json!({ "aud": "sip.example.com", "exp": time, "aor": "alice@example.com" });
    let key = jsonwebtoken::EncodingKey::from_secret(&[b's'; 32]);
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
}

#[test]
fn a_ticket_of_yesterday_is_told_so_and_no_forgery() {
    run(async {
        let worker = Worker::start(ticketed(TicketPlace::Query).0);
        let request = raw_request(&[]).replace("GET / ", &format!("GET /?ticket={} ", ticket_until(1)));
        let answer = worker.answer_to(&request).await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
        assert_eq!(worker.refused().await.1, Refused::TicketOutOfTime);
    });
}

#[test]
fn a_ticket_is_found_where_it_has_to_stand_and_nowhere_else() {
    for place in [TicketPlace::Query, TicketPlace::Cookie, TicketPlace::SubProtocol] {
        run(async {
            let (settings, token) = ticketed(place);
            let plain = raw_request(&[]);
            let requests = [
                (TicketPlace::Query, plain.replace("GET /", &format!("GET /ws?a=b&ticket={token}"))),
                (TicketPlace::Cookie, raw_request(&[&format!("Cookie: a=b; ticket={token}")])),
                (TicketPlace::SubProtocol, plain.replace("sip\r\n", &format!("sip, ticket.{token}\r\n"))),
            ];
            let worker = Worker::start(settings);
            for (stands, request) in requests {
                let mut stream = TcpStream::connect(worker.address).await.unwrap();
                stream.write_all(request.as_bytes()).await.unwrap();
                let mut status = [0; 12];
                stream.read_exact(&mut status).await.unwrap();
                let expected = if stands == place { b"HTTP/1.1 101" } else { b"HTTP/1.1 401" };
                assert_eq!(&status, expected, "{stands:?} where {place:?} is wanted");
            }
            let users = worker
                .event(|event| match event {
                    Event::Opened { ticket: Some(ticket), .. } => Some(ticket.users.clone()),
                    _ => None,
                })
                .await;
            assert_eq!(users, ["alice@example.com".into()]);
        });
    }
}

#[test]
fn a_forged_ticket_is_refused_and_weighs_much() {
    run(async {
        let (settings, token) = ticketed(TicketPlace::Query);
        let worker = Worker::start(settings);
        let (start, _) = token.rsplit_once('.').unwrap();
        let request = raw_request(&[]).replace("GET /", &format!("GET /?ticket={start}.AAAA"));
        let answer = worker.answer_to(&request).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
        assert_eq!(worker.refused().await.1, Refused::BadTicket);
        assert!(Refused::BadTicket.evidence() > Refused::NoTicket.evidence());
    });
}

#[test]
fn a_draining_listener_keeps_its_clients_and_takes_no_more() {
    run(async {
        let worker = Worker::start(Settings::default());
        let _open = worker.connect().await;
        worker.opened().await;
        worker.listener.set_draining(true);
        let answer = worker.answer_to(&raw_request(&[])).await;
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("\r\nRetry-After: "), "{answer}");
        assert_eq!(worker.refused().await.1, Refused::Draining);
        assert_eq!(worker.connections.len(), 1);
        worker.listener.set_draining(false);
        worker.connect().await;
    });
}

#[test]
fn new_settings_hold_for_new_clients() {
    run(async {
        let worker = Worker::start(Settings::default());
        let _open = worker.connect().await;
        worker.opened().await;
        let origins = vec!["https://app.example.com".parse().unwrap()];
        worker.listener.replace(Settings { origins, ..Settings::default() });
        assert!(worker.answer_to(&raw_request(&[])).await.starts_with("HTTP/1.1 403 "));
        assert_eq!(worker.connections.len(), 1);
    });
}
