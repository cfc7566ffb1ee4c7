//! Who the client is when an HTTP proxy stands between (`X-Forwarded-For`).
//!
//! Each proxy appends whom it saw, so only the rightmost element was written by the proxy we trust; everything left
//! of it was sent by the client and may say anything.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use sbc_tcp::address::canonical;

/// The last element of an `X-Forwarded-For` value: an IPv4 or IPv6 address, with a port or without. The port is 0
/// where none was given.
pub(crate) fn rightmost(value: &str) -> Option<SocketAddr> {
    let last = value.rsplit(',').next().unwrap_or(value).trim_matches([' ', '\t']);
    let address = last.parse::<SocketAddr>().ok().or_else(|| Some(SocketAddr::new(ip(last)?, 0)))?;
    Some(canonical(address))
}

fn ip(text: &str) -> Option<IpAddr> {
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_a_proxy_writes_is_read() {
        for (value, expected) in [
            ("192.0.2.1", "192.0.2.1:0"),
            ("192.0.2.1:4711", "192.0.2.1:4711"),
            ("2001:db8::1", "[2001:db8::1]:0"),
            ("[2001:db8::1]", "[2001:db8::1]:0"),
            ("[2001:db8::1]:4711", "[2001:db8::1]:4711"),
            ("::ffff:192.0.2.1", "192.0.2.1:0"),
            ("10.0.0.1, 192.0.2.1", "192.0.2.1:0"),
            ("junk,\t192.0.2.1 ", "192.0.2.1:0"),
        ] {
            assert_eq!(rightmost(value), Some(expected.parse().unwrap()), "{value}");
        }
    }

    #[test]
    fn only_the_last_element_counts() {
        for value in
            ["192.0.2.1, unknown", "192.0.2.1,", "", ",", "192.0.2.1:", "192.0.2.1:99999", "[192.0.2.1]"]
        {
            assert_eq!(rightmost(value), None, "{value}");
        }
    }
}
