//! `host` and `hostport` of RFC 3261 §25.1: a name, an IPv4 address or a bracketed IPv6 address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::ReadError;
use super::text::{between, from, is_host_char, span, up_to};

/// How long the host at the front of `text` is. An IPv6 address needs its brackets: without them nobody can
/// tell its last group from a port (RFC 5118 §4.5).
pub(super) fn host_len(text: &[u8]) -> Result<usize, ReadError> {
    if text.first() == Some(&b'[') {
        let close =
            memchr::memchr(b']', text).ok_or(ReadError { what: "'[' of an IPv6 address without ']'" })?;
        return match ipv6(between(text, 1, close)) {
            Some(_) => Ok(close + 1),
            None => Err(ReadError { what: "between '[' and ']' stands an IPv6 address" }),
        };
    }
    match span(text, is_host_char) {
        0 => Err(ReadError { what: "a host is a name, an IPv4 address or an IPv6 address in brackets" }),
        len => Ok(len),
    }
}

/// The address that a host is; `None` for a name.
pub(super) fn ip(host: &[u8]) -> Option<IpAddr> {
    match host {
        [b'[', inside @ .., b']'] => ipv6(inside).map(IpAddr::V6),
        _ => std::str::from_utf8(host).ok()?.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

fn ipv6(text: &[u8]) -> Option<Ipv6Addr> {
    /// The longest way to write an IPv6 address: eight full groups, the last two as IPv4.
    const LONGEST: usize = 45;
    let text = std::str::from_utf8(text).ok().filter(|text| text.len() <= LONGEST)?;
    text.parse().ok()
}

/// Split off what follows the host at the front: `(host, rest)`.
pub(super) fn split_host(text: &[u8]) -> Result<(&[u8], &[u8]), ReadError> {
    let len = host_len(text)?;
    Ok((up_to(text, len), from(text, len)))
}
