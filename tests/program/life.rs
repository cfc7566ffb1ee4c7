//! `sbc run` from its start to its end, and what the admin API says meanwhile.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use crate::support::{Site, stderr, stdout};

#[test]
fn readiness_follows_the_pool_and_status_tells_why() {
    let site = Site::new("ready");
    let config = site.write("sbc.toml", &site.good());
    let running = site.start(&config);
    site.wait_for("/readyz", 503);
    assert_eq!(site.get("/readyz").1, "no member of pool freeswitch is up\n");
    assert_eq!(site.get("/livez"), (200, "ok\n".to_owned()));
    let status = site.end(&["status", "--admin", &site.admin()]);
    assert_eq!(status.status.code(), Some(1), "not ready is a no");
    assert!(stdout(&status).contains("not ready: no member of pool freeswitch is up"), "{}", stdout(&status));

    let member = site.member();
    site.wait_for("/readyz", 200);
    let status = site.end(&["status", "--json", "--admin", &site.admin()]);
    assert!(status.status.success());
    let json: serde_json::Value = serde_json::from_str(&stdout(&status)).expect("JSON");
    assert_eq!((&json["node"], &json["ready"]), (&"edge".into(), &true.into()));
    assert_eq!(json["pools"][0]["members"][0]["state"], "up");
    assert_eq!(json["listeners"][2]["advertise"], format!("{}:5070", site.ip));
    drop(member);
    site.wait_for("/readyz", 503);
    assert_eq!(running.stop("TERM").code(), Some(0));
    let gone = site.end(&["status", "--admin", &site.admin()]);
    assert_eq!(gone.status.code(), Some(1));
    assert!(stderr(&gone).contains("is sbc running"), "{}", stderr(&gone));
}

#[test]
fn metrics_count_what_comes_in() {
    let site = Site::new("metrics");
    let running = site.start(&site.write("sbc.toml", &site.good()));
    let phone = UdpSocket::bind(SocketAddr::from((site.ip, 0))).expect("a port");
    phone.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    let to = SocketAddr::from((site.ip, 5060));
    let request = format!(
        "OPTIONS sip:{to} SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bKmetrics;rport\r\nMax-Forwards: 0\r\n\
         From: <sip:a@example.com>;tag=1\r\nTo: <sip:{to}>\r\nCall-ID: metrics\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
        phone.local_addr().expect("an address")
    );
    phone.send_to(request.as_bytes(), to).expect("sent");
    let mut buffer = [0; 2048];
    let length = phone.recv(&mut buffer).expect("an answer");
    assert!(buffer[..length].starts_with(b"SIP/2.0 "));
    // A STUN Binding request (RFC 8489 §5) is answered before the core sees it.
    let stun = [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &[7; 12]].concat();
    phone.send_to(&stun, to).expect("sent");
    let length = phone.recv(&mut buffer).expect("an answer");
    assert_eq!((&buffer[..2], length > 20), (&[1, 1][..], true));
    let (_, text) = site.get("/metrics");
    for line in [
        "sbc_udp_received_total{listener=\"phones\"} 2",
        "sbc_udp_keepalives_total 1",
        "sbc_proxy_requests_total 1",
        "sbc_ws_open 0",
        "# EOF",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
    }
    assert!(running.stop("INT").success());
}

#[test]
fn browsers_are_told_when_the_server_goes_away() {
    let site = Site::new("goodbye");
    let running = site.start(&site.write("sbc.toml", &site.good()));
    let mut browser = TcpStream::connect((site.ip, 8080)).expect("a connection");
    browser.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    let upgrade = format!(
        "GET / HTTP/1.1\r\nHost: {}:8080\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: sip\r\n\r\n",
        site.ip
    );
    browser.write_all(upgrade.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        browser.read_exact(&mut byte).expect("an answer");
        answer.extend(byte);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));
    // RFC 5626 §4.4.1: a masked text frame with a double CRLF is answered with a single one.
    browser.write_all(&[0x81, 0x84, 0, 0, 0, 0, b'\r', b'\n', b'\r', b'\n']).expect("sent");
    let mut pong = [0; 4];
    browser.read_exact(&mut pong).expect("a pong");
    assert_eq!(pong, [0x81, 2, b'\r', b'\n']);
    let status = std::thread::spawn(move || running.stop("TERM"));
    let mut close = [0; 4];
    browser.read_exact(&mut close).expect("a close frame");
    assert_eq!((close[0], u16::from_be_bytes([close[2], close[3]])), (0x88, 1001));
    drop(browser);
    assert_eq!(status.join().expect("stopped").code(), Some(0));
}

#[test]
fn keys_are_kept_from_start_to_start() {
    let site = Site::new("keys");
    let config = site.write("sbc.toml", &site.good());
    let read = || std::fs::read(site.directory.join("state/sbc-path.key")).expect("a kept key");
    assert!(site.start(&config).stop("TERM").success());
    let first = read();
    assert!(site.start(&config).stop("TERM").success());
    assert_eq!(read(), first);
}

/// One request of the call below; `to` carries the peer's tag once there is one.
fn request(method: &str, uri: &str, number: u8, local: SocketAddr, to: &str, body: &str) -> String {
    let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK-{method}{number};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:visitor@{local}>;tag=visitor\r\nTo: {to}\r\nCall-ID: first-call\r\nCSeq: {number} {method}\r\n\
         Contact: <sip:visitor@{local}>\r\n{content}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn header<'m>(message: &'m str, name: &str) -> &'m str {
    let value = |line: &'m str| line.split_once(": ").filter(|(found, _)| found.eq_ignore_ascii_case(name));
    message
        .lines()
        .find_map(value)
        .map(|(_, value)| value)
        .unwrap_or_else(|| panic!("no {name} in {message}"))
}

#[test]
fn a_call_to_the_quickstart_is_answered_and_its_audio_comes_back() {
    let site = Site::new("quickstart");
    let text = include_str!("../../src/quickstart/sbc.toml");
    let text = text.replace("0.0.0.0", &site.ip.to_string()).replace("127.0.0.1", &site.ip.to_string());
    let running = site.start(&site.write("sbc.toml", &text));
    site.wait_for("/readyz", 200);
    let bind = || {
        let socket = UdpSocket::bind(SocketAddr::from((site.ip, 0))).expect("a port");
        socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        (socket.local_addr().expect("an address"), socket)
    };
    let ((local, phone), (media, audio)) = (bind(), bind());
    let sbc = SocketAddr::from((site.ip, 5060));
    let answer = |sent: &str, wanted: &str| {
        phone.send_to(sent.as_bytes(), sbc).expect("sent");
        let mut buffer = [0; 4096];
        loop {
            let length = match phone.recv(&mut buffer) {
                // A child that ends interrupts whoever waits.
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                received => received.expect("an answer"),
            };
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if message.starts_with("SIP/2.0 200") && header(&message, "CSeq") == wanted {
                return message;
            }
        }
    };
    let offer = format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n",
        ip = site.ip,
        port = media.port()
    );
    let to = format!("<sip:100@{sbc}>");
    let answered = answer(&request("INVITE", &format!("sip:100@{sbc}"), 1, local, &to, &offer), "1 INVITE");
    assert!(!answered.contains(":5090"), "the inside is seen in {answered}");
    let to = header(&answered, "To").to_owned();
    let contact = header(&answered, "Contact").split(['<', '>']).nth(1).expect("a URI").to_owned();
    phone.send_to(request("ACK", &contact, 1, local, &to, "").as_bytes(), sbc).expect("sent");
    let port =
        answered.split("m=audio ").nth(1).and_then(|rest| rest.split(' ').next()).expect("an audio port");
    let echo = SocketAddr::from((site.ip, port.parse().expect("a port")));
    // RTP version 2, PCMU, one frame of silence.
    let packet = [&[0x80, 0, 0, 1, 0, 0, 0, 160, 1, 2, 3, 4][..], &[0xff; 160]].concat();
    audio.send_to(&packet, echo).expect("sent");
    let mut heard = [0; 512];
    let length = audio.recv(&mut heard).expect("the echo");
    assert_eq!(heard[12..length], packet[12..]);
    answer(&request("BYE", &contact, 2, local, &to, ""), "2 BYE");
    let (_, metrics) = site.get("/metrics");
    assert!(metrics.contains("sbc_dialog_ended_total 1"), "{metrics}");
    assert_eq!(running.stop("TERM").code(), Some(0));
}
