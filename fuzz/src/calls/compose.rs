//! Messages that are mostly in order: a script chooses their parts, and may add lines of its own.

use std::fmt::Write as _;
use std::net::SocketAddr;

use sbc_core::wire::{Framing, HeaderName, Index, Limits, Message, NameAddr};

use super::script::Script;

const METHODS: [&str; 13] = [
    "INVITE",
    "REGISTER",
    "BYE",
    "ACK",
    "CANCEL",
    "OPTIONS",
    "SUBSCRIBE",
    "NOTIFY",
    "REFER",
    "INFO",
    "UPDATE",
    "PRACK",
    "MESSAGE",
];
const USERS: [&str; 4] = ["1001", "1002", "+4930123", "666"];
const HOSTS: [&str; 4] = ["example.test", "198.51.100.7", "elsewhere.test", "10.0.1.5:5070"];
const STATUSES: [u16; 16] = [100, 180, 183, 200, 202, 301, 302, 401, 404, 407, 408, 481, 486, 487, 503, 603];
const LINES: [&str; 16] = [
    "Expires: 3600",
    "Expires: 0",
    "Contact: *",
    "Route: <sip:203.0.113.66;lr>",
    "Record-Route: <sip:192.0.2.66;lr>",
    "Require: 100rel",
    "Proxy-Require: nothing",
    "Replaces: call-1;to-tag=a;from-tag=b",
    "Refer-To: <sip:1002@example.test?Replaces=call-1%3Bto-tag%3Da%3Bfrom-tag%3Db>",
    "Proxy-Authorization: Digest username=\"1001\", realm=\"r\", nonce=\"n\", uri=\"sip:x\", response=\"0\"",
    "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"",
    "Reason: Q.850;cause=16",
    "Privacy: id",
    "P-Asserted-Identity: <sip:1001@10.0.2.10>",
    "Retry-After: 5",
    "Content-Type: application/sdp\r\nContent-Length: 26\r\n\r\nv=0\r\no=FreeSWITCH 1 1 IN IP4",
];

/// A request as a party at `from` might begin.
pub(super) fn request(script: &mut Script<'_>, from: SocketAddr, is_connected: bool) -> Vec<u8> {
    let method = script.pick(&METHODS).unwrap_or("INVITE");
    let caller = script.pick(&USERS).unwrap_or("1001");
    let user = script.pick(&USERS).unwrap_or("1002");
    let host = script.pick(&HOSTS).unwrap_or("example.test");
    let (call, number) = (script.byte() % 4, script.byte());
    let transport = if is_connected { "WSS" } else { "UDP" };
    let to_tag = if script.byte() % 4 == 3 { ";tag=to" } else { "" };
    let mut text = format!(
        "{method} sip:{user}@{host} SIP/2.0\r\n\
         Via: SIP/2.0/{transport} {from};branch=z9hG4bK{call}-{number};rport\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:{caller}@example.test>;tag=from{call}\r\n\
         To: <sip:{user}@{host}>{to_tag}\r\n\
         Call-ID: call-{call}\r\n\
         CSeq: {number} {method}\r\n\
         Contact: <sip:{caller}@{from}>\r\n"
    )
    .into_bytes();
    end(script, &mut text);
    text
}

/// An answer to a request by whoever got it at `at`; `None` where there is nothing to answer.
pub(super) fn answer(script: &mut Script<'_>, request: &[u8], at: SocketAddr) -> Option<Vec<u8>> {
    let mut index = Index::new();
    index.parse(request, Framing::Datagram, &Limits::default()).ok()?;
    let request = Message::new(request, &index);
    if !request.is_request() {
        return None;
    }
    let status = script.pick(&STATUSES)?;
    let tag = script.byte() % 4;
    let mut text = format!("SIP/2.0 {status} Whatever\r\n").into_bytes();
    for name in
        [HeaderName::Via, HeaderName::RecordRoute, HeaderName::From, HeaderName::CallId, HeaderName::CSeq]
    {
        copy(&request, name, name.canonical(), &mut text);
    }
    if let Some(to) = request.first(HeaderName::To) {
        line(&mut text, "To", to.value);
        let has_tag = NameAddr::parse(to.value).is_ok_and(|to| to.tag().is_some());
        if !has_tag && tag > 0 {
            text.truncate(text.len() - 2);
            text.extend_from_slice(format!(";tag=to{tag}\r\n").as_bytes());
        }
    }
    text.extend_from_slice(format!("Contact: <sip:callee@{at};transport=udp>\r\n").as_bytes());
    end(script, &mut text);
    Some(text)
}

/// A request within the dialog that a message belongs to, by whoever got that message at `at`.
pub(super) fn within(script: &mut Script<'_>, message: &[u8], at: SocketAddr) -> Option<Vec<u8>> {
    let mut index = Index::new();
    index.parse(message, Framing::Datagram, &Limits::default()).ok()?;
    let message = Message::new(message, &index);
    let method = script.pick(&METHODS)?;
    let number = script.byte();
    let contact = NameAddr::parse(message.value(HeaderName::Contact)).map(|contact| contact.uri);
    let target = contact.ok().filter(|uri| !uri.is_empty()).unwrap_or(b"sip:nobody@198.51.100.7");
    let mut text = format!("{method} ").into_bytes();
    text.extend_from_slice(target);
    text.extend_from_slice(
        format!(" SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bKin{number};rport\r\nMax-Forwards: 9\r\n")
            .as_bytes(),
    );
    let recorded =
        if message.first(HeaderName::Path).is_some() { HeaderName::Path } else { HeaderName::RecordRoute };
    copy(&message, recorded, "Route", &mut text);
    let (from, to) = match message.is_request() {
        true => (HeaderName::To, HeaderName::From),
        false => (HeaderName::From, HeaderName::To),
    };
    copy(&message, from, "From", &mut text);
    let has_tag = NameAddr::parse(message.value(from)).is_ok_and(|from| from.tag().is_some());
    if !has_tag && text.ends_with(b"\r\n") {
        text.truncate(text.len() - 2);
        text.extend_from_slice(b";tag=to1\r\n");
    }
    copy(&message, to, "To", &mut text);
    copy(&message, HeaderName::CallId, "Call-ID", &mut text);
    text.extend_from_slice(format!("CSeq: {number} {method}\r\nContact: <sip:me@{at}>\r\n").as_bytes());
    end(script, &mut text);
    Some(text)
}

/// The same request under another method: its CANCEL or ACK, or a repetition.
pub(super) fn under_another_method(script: &mut Script<'_>, request: &[u8]) -> Vec<u8> {
    let choice = script.byte() % 4;
    let Some(method) = ["CANCEL", "ACK", "BYE"].get(usize::from(choice)) else { return request.to_vec() };
    let text = String::from_utf8_lossy(request);
    let Some((old, rest)) = text.split_once(' ') else { return request.to_vec() };
    let mut changed = method.to_string();
    // Writing to a String cannot fail.
    let _ = write!(changed, " {}", rest.replacen(&format!(" {old}\r\n"), &format!(" {method}\r\n"), 1));
    changed.into_bytes()
}

fn copy(message: &Message<'_>, name: HeaderName, written: &str, text: &mut Vec<u8>) {
    for header in message.all(name) {
        line(text, written, header.value);
    }
}

fn line(text: &mut Vec<u8>, name: &str, value: &[u8]) {
    text.extend_from_slice(name.as_bytes());
    text.extend_from_slice(b": ");
    text.extend_from_slice(value);
    text.extend_from_slice(b"\r\n");
}

/// Up to three more lines, ready ones or the script's own, and the empty line.
fn end(script: &mut Script<'_>, text: &mut Vec<u8>) {
    let more = script.byte();
    for _ in 0..more % 4 {
        if more & 0x80 != 0 {
            text.extend_from_slice(script.text());
        } else {
            text.extend_from_slice(script.pick(&LINES).unwrap_or("").as_bytes());
        }
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(b"\r\n");
}
