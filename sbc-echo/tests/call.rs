//! A whole call over real sockets on the loopback address.

use sbc_echo::{Settings, bind};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(10);

async fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    let (length, _) =
        timeout(PATIENCE, socket.recv_from(&mut bytes)).await.expect("an answer comes").unwrap();
    bytes.truncate(length);
    bytes
}

/// Receive until a message begins with `line`.
async fn receive_until(socket: &UdpSocket, line: &str) -> String {
    loop {
        let text = String::from_utf8(receive(socket).await).unwrap();
        if text.starts_with(line) {
            return text;
        }
    }
}

fn request(method: &str, cseq: u32, caller: SocketAddr, to: &str, body: &str) -> String {
    format!(
        "{method} sip:100@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {caller};branch=z9hG4bK{method}{cseq};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:alice@127.0.0.1>;tag=alice\r\nTo: {to}\r\nCall-ID: one\r\n\
         CSeq: {cseq} {method}\r\nContact: <sip:alice@{caller}>\r\nContent-Type: application/sdp\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn rtp(payload_type: u8, text: &[u8]) -> Vec<u8> {
    [&[0x80, payload_type, 0, 1, 0, 0, 0, 1, 0, 0, 0, 7], text].concat()
}

#[tokio::test]
async fn a_callers_voice_comes_back() {
    let sip = "127.0.0.1:0".parse().unwrap();
    let echo = bind(Settings { sip, rtp_ports: 42_000..=42_199, max_calls: 10 }).await.unwrap();
    let server = echo.local_addr();
    let running = tokio::spawn(echo.run());

    let caller = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let voice = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let local = caller.local_addr().unwrap();
    let offer =
        format!("v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio {} RTP/AVP 0\r\n", voice.local_addr().unwrap().port());
    let to = "<sip:100@127.0.0.1>";
    caller.send_to(request("INVITE", 1, local, to, &offer).as_bytes(), server).await.unwrap();
    let ok = receive_until(&caller, "SIP/2.0 200").await;
    let to = ok.lines().find_map(|line| line.strip_prefix("To: ")).unwrap();
    let port =
        ok.lines().find_map(|line| line.strip_prefix("m=audio ")?.split(' ').next()?.parse().ok()).unwrap();
    caller.send_to(request("ACK", 1, local, to, "").as_bytes(), server).await.unwrap();

    let media = SocketAddr::new(server.ip(), port);
    voice.send_to(b"no RTP", media).await.unwrap();
    voice.send_to(&rtp(200, b"RTCP has another payload type"), media).await.unwrap();
    voice.send_to(&rtp(0, b"hello"), media).await.unwrap();
    assert_eq!(receive(&voice).await, rtp(0, b"hello"));
    stranger.send_to(&rtp(0, b"hello?"), media).await.unwrap();
    voice.send_to(&rtp(0, b"again"), media).await.unwrap();
    assert_eq!(receive(&voice).await, rtp(0, b"again"));
    assert_eq!(stranger.try_recv(&mut [0; 99]).unwrap_err().kind(), ErrorKind::WouldBlock);

    caller.send_to(request("BYE", 2, local, to, "").as_bytes(), server).await.unwrap();
    receive_until(&caller, "SIP/2.0 200").await;
    running.abort();
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused() {
    for (sip, rtp_ports) in [("0.0.0.0:0", 42_000..=42_001), ("127.0.0.1:0", 42_001..=42_001)] {
        let error = bind(Settings { sip: sip.parse().unwrap(), rtp_ports, max_calls: 1 }).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}
