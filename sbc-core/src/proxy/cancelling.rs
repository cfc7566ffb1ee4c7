//! Requests that we write inside somebody else's transaction or dialog: CANCEL (RFC 3261 §9.1), the ACK
//! to a failure (§17.1.1.3), and ACK and BYE of an answer that nobody wanted (§13.2.2.4).

use std::io::Write as _;

use crate::config::Listener;
use crate::proxy::reply::write_line;
use crate::proxy::via::write_own_via;
use crate::wire::{CSeq, HeaderName, Message, NameAddr, Uri, split, write_unfolded};

/// Append the CANCEL of a request we sent; `reason` is the caller's own Reason header (RFC 3326).
pub(crate) fn write_cancel(sent: &Message<'_>, reason: Option<&[u8]>, out: &mut Vec<u8>) {
    write_within(b"CANCEL", sent, sent.value(HeaderName::To), out);
    if let Some(reason) = reason {
        write_line(b"Reason", reason, out);
    }
    write_end(out);
}

/// Append the ACK of a failure to a request we sent.
pub(crate) fn write_ack(sent: &Message<'_>, response: &Message<'_>, out: &mut Vec<u8>) {
    write_within(b"ACK", sent, response.value(HeaderName::To), out);
    write_end(out);
}

/// What CANCEL and the ACK of a failure take over from their request; they differ in To.
fn write_within(method: &[u8], sent: &Message<'_>, to: &[u8], out: &mut Vec<u8>) {
    write_start(method, sent.request_uri(), out);
    write_same_branch(sent, out);
    write_line(b"From", sent.value(HeaderName::From), out);
    write_line(b"To", to, out);
    write_line(b"Call-ID", sent.value(HeaderName::CallId), out);
    write_cseq(sent, 0, method, out);
}

/// Append the ACK of a failure whose request is forgotten: all that matching needs is in the response.
pub(crate) fn write_ack_from_response(response: &Message<'_>, out: &mut Vec<u8>) {
    let to = response.value(HeaderName::To);
    write_start(b"ACK", NameAddr::parse(to).map_or(to, |address| address.uri), out);
    if let Some(top) = split(response.value(HeaderName::Via)).next() {
        write_line(b"Via", top.text, out);
    }
    out.extend_from_slice(b"Max-Forwards: 70\r\n");
    write_line(b"From", response.value(HeaderName::From), out);
    write_line(b"To", to, out);
    write_line(b"Call-ID", response.value(HeaderName::CallId), out);
    write_cseq(response, 0, b"ACK", out);
    write_end(out);
}

/// Whom the requests of a dialog ask that `response` made: its Contact, and where that cannot be read whom its own request
/// asked.
pub(crate) fn target_of(response: &Message<'_>, asked: &[u8]) -> Vec<u8> {
    let contact = NameAddr::parse(response.value(HeaderName::Contact));
    let mut target = Vec::new();
    write_unfolded(&mut target, contact.map_or(asked, |contact| contact.uri));
    target
}

/// Append the ACK of a 2xx to `target`, on behalf of a caller who does not want it.
pub(crate) fn write_ack_of_success(
    response: &Message<'_>,
    target: &[u8],
    listener: &Listener,
    port: u8,
    branch: &[u8],
    is_ours: &dyn Fn(&Uri<'_>) -> bool,
    out: &mut Vec<u8>,
) {
    write_in_dialog((b"ACK", 0), response, target, (listener, port), branch, is_ours, out);
}

/// Append the BYE that ends the dialog of such a 2xx.
pub(crate) fn write_bye(
    response: &Message<'_>,
    target: &[u8],
    listener: &Listener,
    port: u8,
    branch: &[u8],
    is_ours: &dyn Fn(&Uri<'_>) -> bool,
    out: &mut Vec<u8>,
) {
    write_in_dialog((b"BYE", 1), response, target, (listener, port), branch, is_ours, out);
}

fn write_in_dialog(
    (method, cseq_step): (&[u8], u32),
    response: &Message<'_>,
    target: &[u8],
    (listener, port): (&Listener, u8),
    branch: &[u8],
    is_ours: &dyn Fn(&Uri<'_>) -> bool,
    out: &mut Vec<u8>,
) {
    write_start(method, target, out);
    write_own_via(listener, port, branch, out);
    write_route_set(response, is_ours, out);
    out.extend_from_slice(b"Max-Forwards: 70\r\n");
    write_line(b"From", response.value(HeaderName::From), out);
    write_line(b"To", response.value(HeaderName::To), out);
    write_line(b"Call-ID", response.value(HeaderName::CallId), out);
    write_cseq(response, cseq_step, method, out);
    write_end(out);
}

/// RFC 3261 §12.1.2: the Record-Route of the answer in reverse; we are not on our own way.
fn write_route_set(response: &Message<'_>, is_ours: &dyn Fn(&Uri<'_>) -> bool, out: &mut Vec<u8>) {
    let recorded = response.all(HeaderName::RecordRoute).flat_map(|header| split(header.value));
    let mut recorded: Vec<_> = recorded.map(|item| item.text).collect();
    recorded.reverse();
    for value in recorded {
        let uri = NameAddr::parse(value).ok().and_then(|address| Uri::parse(address.uri).ok());
        if !uri.is_some_and(|uri| is_ours(&uri)) {
            write_line(b"Route", value, out);
        }
    }
}

fn write_start(method: &[u8], uri: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(method);
    out.push(b' ');
    out.extend_from_slice(uri);
    out.extend_from_slice(b" SIP/2.0\r\n");
}

/// The top Via alone, and the route the request had.
fn write_same_branch(sent: &Message<'_>, out: &mut Vec<u8>) {
    if let Some(top) = split(sent.value(HeaderName::Via)).next() {
        write_line(b"Via", top.text, out);
    }
    for route in sent.all(HeaderName::Route) {
        write_line(b"Route", route.value, out);
    }
    out.extend_from_slice(b"Max-Forwards: 70\r\n");
}

fn write_cseq(of: &Message<'_>, step: u32, method: &[u8], out: &mut Vec<u8>) {
    let number = CSeq::parse(of.value(HeaderName::CSeq)).map_or(0, |cseq| cseq.number);
    // Writing to a Vec cannot fail.
    let _ = write!(out, "CSeq: {} ", number.saturating_add(step).min(CSeq::LARGEST));
    out.extend_from_slice(method);
    out.extend_from_slice(b"\r\n");
}

fn write_end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
}
