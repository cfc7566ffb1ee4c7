//! What a stranger writes who wants us to send to an address of his choice: requests with that address in every place
//! where one can stand.

/// An address that nobody but the sender of such a request has named. Nothing must ever be sent there.
pub const CANARY: &str = "192.0.2.99:5099";
/// Somebody without an account, who sends them.
pub const STRANGER: &str = "192.0.2.66:5066";

const METHODS: [&str; 7] = ["INVITE", "REGISTER", "OPTIONS", "SUBSCRIBE", "MESSAGE", "REFER", "BYE"];

/// Request-URIs that name the address, or lead into the pool.
const URIS: [&str; 5] = [
    "sip:9200@example.test",
    "sip:9200@192.0.2.99:5099",
    "sip:192.0.2.99:5099;lr",
    "sip:9200@example.test;maddr=192.0.2.99",
    "sip:9302@198.51.100.7:5062",
];

/// Top Via values that name an address which is not their sender's, as far as their branch.
const VIAS: [&str; 3] = [
    "SIP/2.0/UDP 192.0.2.99:5099;branch=z9hG4bK",
    "SIP/2.0/UDP 192.0.2.66:5066;maddr=192.0.2.99;rport=5099;branch=z9hG4bK",
    "SIP/2.0/UDP 192.0.2.66:5066;received=192.0.2.99;rport=5099;branch=z9hG4bK",
];

/// All the headers in which a stranger can write an address, in a request outside dialogs.
const HEADERS: [&str; 11] = [
    "Route: <sip:192.0.2.99:5099;lr>\r\n",
    "Route: <sip:198.51.100.7:5060;lr>, <sip:192.0.2.99:5099;lr>\r\n",
    "Route: <sip:198.51.100.7:5060;lr;maddr=192.0.2.99>\r\n",
    "Record-Route: <sip:192.0.2.99:5099;lr>\r\n",
    "Path: <sip:192.0.2.99:5099;lr>\r\nSupported: path\r\n",
    "Contact: <sip:somebody@192.0.2.99:5099>\r\n",
    "Contact: <sip:somebody@198.51.100.7:5060;maddr=192.0.2.99>\r\n",
    "Refer-To: <sip:192.0.2.99:5099>\r\nContact: <sip:somebody@192.0.2.99:5099>\r\n",
    "Service-Route: <sip:192.0.2.99:5099;lr>\r\nP-Asserted-Identity: <sip:192.0.2.99:5099>\r\n",
    "X-AUTH-IP: 192.0.2.99\r\nX-FS-Host: 192.0.2.99:5099\r\n",
    "Via: SIP/2.0/UDP 192.0.2.99:5099;branch=z9hG4bKbelow\r\n",
];

/// How many requests there are that differ in more than their Call-ID.
pub const LURES: usize = METHODS.len() * URIS.len() * VIAS.len() * HEADERS.len();

/// The request with this number, under a Call-ID of its own.
pub fn lure(number: usize) -> String {
    let (method, rest) = (METHODS[number % METHODS.len()], number / METHODS.len());
    let (header, rest) = (HEADERS[rest % HEADERS.len()], rest / HEADERS.len());
    let (via, rest) = (VIAS[rest % VIAS.len()], rest / VIAS.len());
    let uri = URIS[rest % URIS.len()];
    format!(
        "{method} {uri} SIP/2.0\r\nVia: {via}{number}\r\nMax-Forwards: 9\r\n\
         From: <sip:1004@example.test>;tag=1\r\nTo: <sip:1004@example.test>\r\n\
         Call-ID: canary-{number}\r\nCSeq: 1 {method}\r\n{header}Content-Length: 0\r\n\r\n"
    )
}
