//! Which addresses are spoken for: two sockets on one address would steal each other's messages.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use super::document::Document;
use super::error::Place;

/// Ports are counted per protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Udp,
    Tcp,
}

/// One use of an address.
pub(super) struct Claim {
    protocol: Protocol,
    ip: IpAddr,
    ports: RangeInclusive<u16>,
    place: Place,
}

impl Claim {
    pub(super) fn one(protocol: Protocol, address: SocketAddr, place: &Place) -> Self {
        Self::range(protocol, address.ip(), address.port()..=address.port(), place)
    }

    pub(super) fn range(protocol: Protocol, ip: IpAddr, ports: RangeInclusive<u16>, place: &Place) -> Self {
        Self { protocol, ip, ports, place: place.clone() }
    }

    /// True when a socket of one would get what is meant for the other.
    fn meets(&self, other: &Self) -> bool {
        let ports = self.ports.start() <= other.ports.end() && other.ports.start() <= self.ports.end();
        let family = self.ip.is_ipv4() == other.ip.is_ipv4();
        let wildcard = self.ip.is_unspecified() || other.ip.is_unspecified();
        self.protocol == other.protocol && ports && family && (self.ip == other.ip || wildcard)
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = match self.protocol {
            Protocol::Udp => "udp",
            Protocol::Tcp => "tcp",
        };
        write!(f, "{protocol} {}", SocketAddr::new(self.ip, *self.ports.start()))?;
        if self.ports.start() < self.ports.end() {
            write!(f, "-{}", self.ports.end())?;
        }
        Ok(())
    }
}

/// Reports each claim that meets an earlier one.
pub(super) fn check(document: &Document<'_>, claims: &[Claim]) {
    for (index, claim) in claims.iter().enumerate() {
        let earlier = claims.iter().take(index).find(|earlier| earlier.meets(claim));
        if let Some(earlier) = earlier {
            let expected = format!("an address of its own: `{}` has {earlier}", earlier.place.key);
            document.report(claim.place.clone(), claim.to_string(), expected);
        }
    }
}
