//! Durations, sizes and port ranges as an operator writes them.

use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use sbc_core::config::HostPort;
use sbc_core::rate::Rate;

const DURATION_UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
const SIZE_UNITS: [(&str, u64); 3] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("B", 1)];

/// `500ms`, `20s`, `5m`, `12h`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    scaled(text, &DURATION_UNITS).map(Duration::from_millis)
}

/// `64KiB`, `1MiB`, `65536B`, in bytes.
pub(super) fn size(text: &str) -> Option<usize> {
    scaled(text, &SIZE_UNITS).and_then(|bytes| usize::try_from(bytes).ok())
}

/// A whole number directly followed by a unit.
fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(end);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// `100/s` or `600/m`; what it lets through at once is twice of it.
pub(super) fn rate(text: &str) -> Option<Rate> {
    let (number, unit) = text.split_once('/')?;
    let number = number.trim().parse::<u32>().ok().filter(|number| (1..=1_000_000).contains(number))?;
    let time = match unit.trim() {
        "s" => Duration::from_secs(1),
        "m" => Duration::from_secs(60),
        _ => return None,
    };
    Some(Rate::new(number, time, number.saturating_mul(2)))
}

/// `5071-5086`, both ends included.
pub(super) fn port_range(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-')?;
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first != 0 && first <= last).then_some(first..=last)
}

/// `192.0.2.1:5060` or `[2001:db8::1]:5060`, port 0 refused.
pub(super) fn address(text: &str) -> Option<SocketAddr> {
    text.parse().ok().filter(|address: &SocketAddr| address.port() != 0)
}

/// `sip.example.com:443`, `198.51.100.7:5060`, `[2001:db8::1]:5060`.
pub(super) fn host_port(text: &str) -> Option<HostPort> {
    if let Some(address) = address(text) {
        return Some(address.into()).filter(|_| !address.ip().is_unspecified());
    }
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port != 0)?;
    // Digits and dots alone are an IPv4 address that does not parse, never a name.
    let named = host.bytes().any(|byte| byte.is_ascii_alphabetic());
    (named && host_name(host)).then(|| HostPort { host: host.into(), port })
}

/// RFC 1123 §2.1: labels of letters, digits and inner hyphens.
pub(super) fn host_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// A name for logs, metrics and rules: short and printable without quoting.
pub(super) fn label(text: &str) -> bool {
    (1..=40).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// Writes a duration the way [`duration`] reads it.
pub(super) struct Shown(pub(super) Duration);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        let fits = |factor: u64| millis > 0 && millis.is_multiple_of(u128::from(factor));
        let unit = DURATION_UNITS.iter().rev().find(|(_, factor)| fits(*factor));
        let (name, factor) = unit.unwrap_or(&DURATION_UNITS[0]);
        write!(f, "{}{name}", millis / u128::from(*factor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_they_are_written() {
        for (text, millis) in [("500ms", 500), ("20s", 20_000), ("5m", 300_000), ("12h", 43_200_000)] {
            assert_eq!(duration(text), Some(Duration::from_millis(millis)));
            assert_eq!(Shown(Duration::from_millis(millis)).to_string(), text);
        }
        for text in
            ["", "5", "s", "5 s", "-5s", "1.5s", "5sec", "99999999999999999999s", "18446744073709551615h"]
        {
            assert_eq!(duration(text), None, "{text:?}");
        }
    }

    #[test]
    fn sizes_and_port_ranges_have_edges() {
        assert_eq!(size("64KiB"), Some(65_536));
        assert_eq!(size("64KB"), None);
        assert_eq!(port_range("5071-5086"), Some(5071..=5086));
        for text in ["5071", "5086-5071", "0-10", "1-65536", "a-b"] {
            assert_eq!(port_range(text), None, "{text:?}");
        }
    }

    #[test]
    fn advertised_addresses_are_names_or_literals_with_a_port() {
        for text in ["sip.example.com:443", "198.51.100.7:5060", "[2001:db8::1]:5060"] {
            assert_eq!(host_port(text).map(|host| host.to_string()).as_deref(), Some(text));
        }
        for text in [
            "sip.example.com",
            "sip.example.com:0",
            "300.1.1.1:5060",
            "0.0.0.0:5060",
            "-a.b:1",
            "a b:1",
            ":5060",
        ] {
            assert_eq!(host_port(text), None, "{text:?}");
        }
    }
}
