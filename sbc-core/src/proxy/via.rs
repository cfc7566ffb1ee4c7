//! Via: stamping what came in (RFC 3261 §18.2.1, RFC 3581), putting ours on top, hiding the pool's.

use std::io::Write as _;
use std::net::SocketAddr;
use std::ops::Range;

use crate::config::Listener;
use crate::flow::Transport;
use crate::proxy::settings::{strip_brackets, worker_port};
use crate::seal::{BranchSeal, Tokens};
use crate::transaction::key::COOKIE;
use crate::wire::{HeaderName, Message, Via, split};

/// Append a Via value with `received` and `rport` as the network saw its sender; what the sender wrote
/// there itself is worth nothing.
pub(crate) fn write_stamped(value: &[u8], source: SocketAddr, out: &mut Vec<u8>) {
    let Ok(via) = Via::parse(value) else {
        out.extend_from_slice(value);
        return;
    };
    let asked = via.params.has("rport");
    let same_host = std::str::from_utf8(strip_brackets(via.host))
        .ok()
        .and_then(|host| host.parse::<std::net::IpAddr>().ok())
        .is_some_and(|ip| ip.to_canonical() == source.ip().to_canonical());
    if !asked && same_host && !via.params.has("received") {
        out.extend_from_slice(value);
        return;
    }
    out.extend_from_slice(value.get(..via.params_start).unwrap_or(value));
    for param in via.params.iter() {
        let stamped =
            param.name.eq_ignore_ascii_case(b"rport") || param.name.eq_ignore_ascii_case(b"received");
        if !stamped {
            out.extend_from_slice(via.params.raw().get(param.range).unwrap_or(b""));
        }
    }
    // Writing to a Vec cannot fail.
    if asked {
        let _ = write!(out, ";rport={}", source.port());
    }
    let _ = write!(out, ";received={}", source.ip().to_canonical());
}

/// Append all Via lines of a request, the top value stamped.
pub(crate) fn write_stamped_vias(request: &Message<'_>, source: SocketAddr, out: &mut Vec<u8>) {
    for (at, header) in request.all(HeaderName::Via).enumerate() {
        out.extend_from_slice(b"Via: ");
        match split(header.value).next() {
            Some(top) if at == 0 => {
                write_stamped(top.text, source, out);
                out.extend_from_slice(header.value.get(top.range.end..).unwrap_or(b""));
            }
            _ => out.extend_from_slice(header.value),
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// Append the Via lines of a list of values separated by `, `, the first one stamped.
pub(crate) fn write_restored_vias(values: &[u8], source: SocketAddr, out: &mut Vec<u8>) {
    for (at, item) in split(values).enumerate() {
        out.extend_from_slice(b"Via: ");
        if at == 0 {
            write_stamped(item.text, source, out);
        } else {
            out.extend_from_slice(item.text);
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// Append all Via values, separated by `, `.
pub(crate) fn collect_vias(request: &Message<'_>, out: &mut Vec<u8>) {
    for (at, header) in request.all(HeaderName::Via).enumerate() {
        if at > 0 {
            out.extend_from_slice(b", ");
        }
        out.extend_from_slice(header.value);
    }
}

/// Append our branch, magic cookie included.
pub(crate) fn write_branch(tokens: &Tokens, call_id: &[u8], seal: &BranchSeal<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(COOKIE);
    tokens.write_branch(call_id, seal, out);
}

/// Append our Via line.
pub(crate) fn write_own_via(listener: &Listener, port: u8, branch: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"Via: SIP/2.0/");
    out.extend_from_slice(transport_word(listener.transport).as_bytes());
    out.push(b' ');
    write_sent_by(listener, port, out);
    if listener.transport == Transport::Udp {
        // The far end may see us through an address translator (NAT gateway): let answers follow.
        out.extend_from_slice(b";rport");
    }
    out.extend_from_slice(b";branch=");
    out.extend_from_slice(branch);
    out.extend_from_slice(b"\r\n");
}

/// A transport as a Via names it.
pub(crate) const fn transport_word(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "UDP",
        Transport::Tcp => "TCP",
        Transport::Ws => "WS",
        Transport::Wss => "WSS",
        _ => "TLS",
    }
}

/// What a URI says behind its address, so that it is followed over this transport.
pub(crate) const fn transport_param(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "",
        Transport::Tcp => ";transport=tcp",
        // RFC 7118 §5: with TLS or without.
        Transport::Ws | Transport::Wss => ";transport=ws",
        _ => ";transport=tls",
    }
}

fn write_sent_by(listener: &Listener, port: u8, out: &mut Vec<u8>) {
    match worker_port(listener, port) {
        // Writing to a Vec cannot fail.
        Some(address) => drop(write!(out, "{address}")),
        None => crate::seal::write_host(&listener.advertise, out),
    }
}

/// The range that holds the top Via value and its separator: what a response loses when it passes.
pub(crate) fn top_via_range(message: &Message<'_>) -> Option<Range<usize>> {
    let header = message.first(HeaderName::Via)?;
    let mut values = split(header.value);
    values.next()?;
    match values.next() {
        None => Some(header.line()),
        Some(second) => {
            let start = header.value_range().start;
            Some(start..start + second.range.start)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamped(value: &str) -> String {
        let mut out = Vec::new();
        write_stamped(value.as_bytes(), "203.0.113.9:4711".parse().unwrap(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn rport_is_filled_only_where_asked_for() {
        assert_eq!(
            stamped("SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1;rport"),
            "SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1;rport=4711;received=203.0.113.9"
        );
        assert_eq!(
            stamped("SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1"),
            "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1;received=203.0.113.9"
        );
    }

    #[test]
    fn what_the_sender_claims_is_replaced() {
        assert_eq!(
            stamped("SIP/2.0/UDP h;received=1.2.3.4;rport=9;branch=z9hG4bK1;ttl=1"),
            "SIP/2.0/UDP h;branch=z9hG4bK1;ttl=1;rport=4711;received=203.0.113.9"
        );
    }

    #[test]
    fn a_truthful_via_stays_byte_for_byte() {
        let value = "SIP / 2.0 / UDP 203.0.113.9:4711 ;branch=z9hG4bK1";
        assert_eq!(stamped(value), value);
    }
}
