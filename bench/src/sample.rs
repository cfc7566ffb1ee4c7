//! Messages to measure with.

/// An INVITE as a carrier sends it, 750 bytes.
pub const INVITE: &[u8] = b"INVITE sip:+4930123456@sbc.example.net:5060 SIP/2.0\r\n\
Via: SIP/2.0/UDP 203.0.113.20:5062;rport;branch=z9hG4bK-524287-1---7d1c0c5a9b2e\r\n\
Max-Forwards: 69\r\n\
From: \"Carol Meyer\" <sip:+49891234567@carrier.example.com>;tag=8c2f17ab\r\n\
To: <sip:+4930123456@sbc.example.net>\r\n\
Call-ID: 3c26700857a87f84-1822@203.0.113.20\r\n\
CSeq: 1043 INVITE\r\n\
Contact: <sip:+49891234567@203.0.113.20:5062;transport=udp>\r\n\
User-Agent: CarrierGate 4.2 (session gateway 1)\r\n\
Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE\r\n\
Supported: replaces, timer\r\n\
Content-Type: application/sdp\r\n\
Content-Length: 180\r\n\
\r\n\
v=0\r\n\
o=- 20518 0 IN IP4 203.0.113.20\r\n\
s=-\r\n\
c=IN IP4 203.0.113.20\r\n\
t=0 0\r\n\
m=audio 49170 RTP/AVP 8 0 101\r\n\
a=rtpmap:101 telephone-event/8000\r\n\
a=fmtp:101 0-15\r\n\
a=ptime:20\r\n\
a=sendrecv\r\n";

/// Bytes of the largest message that a front end passes on.
const LARGEST: usize = 64 * 1024;

/// The largest message, nearly all of it parameters of one Via: the longest way to a parameter that is not there.
pub fn hostile_params() -> Vec<u8> {
    fill("OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1", ";x")
}

/// The largest message, nearly all of it values of one Via header.
pub fn hostile_vias() -> Vec<u8> {
    fill(
        "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1",
        ",SIP/2.0/UDP a;branch=z9hG4bK;rport=12;received=192.0.2.200",
    )
}

/// What a hostile sender makes of 64 KiB, by name.
pub fn nastiest() -> Vec<(&'static str, Vec<u8>)> {
    const HEAD: &str = "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
        To: <sip:a@b>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n";
    let with = |pieces: &str| fill(HEAD, pieces);
    let parameters = format!("Contact: <sip:a@b>{}\r\n", ";a".repeat(4_000));
    let vias = format!(
        "Via: {}\r\n",
        ["SIP/2.0/UDP host.example.com;branch=z9hG4bK77ef4c2312983.1;r=1"; 100].join(",")
    );
    let multipart = format!("{HEAD}Content-Type: multipart/mixed;boundary=b\r\n\r\n");
    vec![
        ("800 Via values", with(&vias)),
        ("2,500 headers", with("X-Some-Header: some value\r\n")),
        ("30,000 parameters", with(&parameters)),
        ("deep multipart", fill(&multipart, "--b\r\nContent-Type: multipart/mixed;boundary=b\r\n\r\n")),
        ("a header of 50 KiB", with(&format!("Subject: {}\r\n", "s".repeat(50 * 1024)))),
        ("quotes that never close", with("Contact: \"\\\"\\\"\\\"\\\"\\\"\\\"\r\n")),
    ]
}

fn fill(head: &str, piece: &str) -> Vec<u8> {
    const END: &str = "\r\n\r\n";
    let pieces = (LARGEST - head.len() - END.len()) / piece.len();
    let mut message = Vec::with_capacity(LARGEST);
    message.extend_from_slice(head.as_bytes());
    message.extend(piece.bytes().cycle().take(pieces * piece.len()));
    message.extend_from_slice(END.as_bytes());
    message
}
