//! Which listeners a pool's members are reached from: one for each transport that they have.

use std::net::SocketAddr;

use sbc_core::config::Large;
use sbc_core::flow::{ListenerId, Transport, Zone};

use super::check::Parts;
use super::listener::RawListener;
use super::pool::{RawLarge, RawMember, RawPool};

/// The ways from this node to the members of one pool; indexes of listeners.
pub(super) struct Ways {
    /// The one whose address the members are told.
    pub told: usize,
    /// For each member, in order, the one it is reached from.
    pub members: Vec<usize>,
    /// The one that members from DNS are reached from.
    pub discovered: Option<usize>,
    /// What happens to large requests.
    pub large: Large,
}

impl Ways {
    /// Whether anything is sent from `listener`, or back to it.
    pub(super) fn touch(&self, listener: usize) -> bool {
        self.told == listener || self.members.contains(&listener) || self.discovered == Some(listener)
    }
}

/// Finds the ways, or reports why there are none.
pub(super) fn ways(parts: &Parts<'_, '_, '_>, pool: &RawPool) -> Option<Ways> {
    let named = match &pool.listener {
        Some(_) => Some(named(parts, pool)?),
        None => None,
    };
    let way = |transport| match named {
        Some(index) if transport_of(parts, index) == Some(transport) => Some(index),
        _ => only_listener(parts, pool, transport),
    };
    let mut known: Vec<(Transport, usize)> = Vec::new();
    let mut indexes = Vec::new();
    let discover = pool.discover.as_ref().map(|source| source.value.transport);
    for transport in pool.members.iter().map(|member| member.value.transport).chain(discover) {
        let index = match known.iter().find(|(of, _)| *of == transport) {
            Some((_, index)) => *index,
            None => way(transport)?,
        };
        known.push((transport, index));
        indexes.push(index);
    }
    let told = named.or(indexes.first().copied())?;
    if !indexes.contains(&told) {
        let name = pool.listener.as_ref().map_or(&pool.place, |name| &name.place);
        let expected = "the listener of a transport that a member has";
        parts.root.document().report(name.clone(), "a listener that no member is reached from", expected);
        return None;
    }
    let large = large(parts, pool)?;
    let trusted = known.iter().all(|(_, index)| is_trusting(parts, pool, *index));
    let mut members = indexes;
    let discovered = if discover.is_some() { members.pop() } else { None };
    let fit = members_fit(parts, pool, &members) && trusted;
    fit.then_some(Ways { told, members, discovered, large })
}

fn transport_of(parts: &Parts<'_, '_, '_>, index: usize) -> Option<Transport> {
    parts.listeners.whole.get(index).map(|listener| listener.transport)
}

/// The listener that the pool names.
fn named(parts: &Parts<'_, '_, '_>, pool: &RawPool) -> Option<usize> {
    let document = parts.root.document();
    let listeners = &parts.listeners.whole;
    let name = pool.listener.as_ref()?;
    let Some(index) = listeners.iter().position(|listener| listener.name.value == name.value) else {
        let names: Vec<_> = listeners.iter().map(|listener| &*listener.name.value).collect();
        let expected = format!("the name of a listener: one of {}", names.join(", "));
        document.report(name.place.clone(), format!("{:?}", name.value), expected);
        return None;
    };
    let chosen = listeners.get(index)?;
    if chosen.zone != pool.zone || !reaches_servers(chosen.transport) {
        let found = format!("listener {:?} of zone {}", chosen.name.value, chosen.zone);
        let expected = format!("a listener of zone {} and transport udp, tcp or tls", pool.zone);
        document.report(name.place.clone(), found, expected);
        return None;
    }
    Some(index)
}

fn reaches_servers(transport: Transport) -> bool {
    matches!(transport, Transport::Udp | Transport::Tcp | Transport::Tls)
}

/// Where none is named there must be exactly one that fits.
fn only_listener(parts: &Parts<'_, '_, '_>, pool: &RawPool, transport: Transport) -> Option<usize> {
    let document = parts.root.document();
    let mut fitting = listeners_of(parts, pool.zone, transport);
    let (zone, word) = (pool.zone, word(transport));
    match (fitting.next(), fitting.next()) {
        (Some(index), None) => Some(index),
        (Some(_), Some(_)) => {
            let expected = format!("`listener` to name one of the {word} listeners of zone {zone}");
            document.report(pool.place.clone(), "a pool with several ways out", expected);
            None
        }
        (None, _) => {
            let expected =
                format!("a [[listener]] of zone {zone} and transport {word} to reach its members from");
            document.report(pool.place.clone(), "a pool without a listener", expected);
            None
        }
    }
}

fn listeners_of<'p>(
    parts: &'p Parts<'_, '_, '_>,
    zone: Zone,
    transport: Transport,
) -> impl Iterator<Item = usize> + 'p {
    let fits = move |listener: &RawListener| listener.zone == zone && listener.transport == transport;
    let listeners = parts.listeners.whole.iter().enumerate();
    listeners.filter(move |(_, listener)| fits(listener)).map(|(index, _)| index)
}

const fn word(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
        _ => "tls",
    }
}

/// Large requests to members of UDP leave by the TCP listener of the same zone. Where nothing is said, FreeSWITCH,
/// which listens for TCP at the same port, is asked that way as soon as there is such a listener; carriers are not.
fn large(parts: &Parts<'_, '_, '_>, pool: &RawPool) -> Option<Large> {
    let document = parts.root.document();
    let mut tcp = listeners_of(parts, pool.zone, Transport::Tcp);
    let tcp = tcp.next().filter(|_| tcp.next().is_none());
    let listener = tcp.and_then(|index| u16::try_from(index).ok()).map(ListenerId);
    let discovered = pool.discover.iter().map(|source| source.value.transport);
    let mut transports = pool.members.iter().map(|member| member.value.transport).chain(discovered);
    let has_udp = transports.any(|transport| transport == Transport::Udp);
    let Some(wanted) = &pool.large else {
        let fits = has_udp && pool.zone == Zone::Pool;
        return Some(listener.filter(|_| fits).map_or(Large::Never, Large::Auto));
    };
    if !has_udp {
        document.report(
            wanted.place.clone(),
            "a key without effect here",
            "no `large`: no member is reached by udp",
        );
        return None;
    }
    let by_tcp = |large: fn(ListenerId) -> Large| {
        if listener.is_none() {
            let expected =
                format!("exactly one [[listener]] of zone {} and transport tcp beside it", pool.zone);
            document.report(wanted.place.clone(), "nowhere to connect from", expected);
        }
        listener.map(large)
    };
    match wanted.value {
        RawLarge::Never => Some(Large::Never),
        RawLarge::Refuse => Some(Large::Refuse),
        RawLarge::Auto => by_tcp(Large::Auto),
        RawLarge::Always => by_tcp(Large::Always),
    }
}

/// Nobody is believed to be a member over TLS because it says so.
fn is_trusting(parts: &Parts<'_, '_, '_>, pool: &RawPool, index: usize) -> bool {
    let Some(listener) = parts.listeners.whole.get(index) else { return true };
    let tls = listener.connection.as_ref().and_then(|connection| connection.tls.as_ref());
    if tls.is_some_and(|tls| tls.ca.is_none()) {
        let found = format!("listener {:?}, which trusts nobody it connects to", listener.name.value);
        let expected = "ca = \"FILE\" there: who signs the certificates of these members";
        parts.root.document().report(pool.place.clone(), found, expected);
        return false;
    }
    true
}

/// Same address family, no member twice, and none of them is this node.
fn members_fit(parts: &Parts<'_, '_, '_>, pool: &RawPool, ways: &[usize]) -> bool {
    let document = parts.root.document();
    let mut fit = true;
    for (index, (member, way)) in pool.members.iter().zip(ways).enumerate() {
        let Some(listener) = parts.listeners.whole.get(*way) else { continue };
        let (address, transport) = (member.value.address, member.value.transport);
        let mut wrong = |expected: String| {
            document.report(member.place.clone(), format!("{:?}", member.value.uri), expected);
            fit = false;
        };
        if address.is_ipv4() != listener.bind.value.is_ipv4() {
            let family = if listener.bind.value.is_ipv4() { "IPv4" } else { "IPv6" };
            wrong(format!(
                "an {family} address: listener {:?} cannot reach another family",
                listener.name.value
            ));
        } else if pool.members.iter().take(index).any(|earlier| earlier.value.address == address) {
            wrong("each member once".to_owned());
        } else if let Some(other) = other_name(parts, pool, &member.value) {
            wrong(format!("the server_name that it has in pool {other:?}: one connection serves both"));
        } else if let Some(own) = parts.listeners.whole.iter().find(|own| is_own(own, address, transport)) {
            wrong(format!("a server; this is listener {:?} of this node", own.name.value));
        }
    }
    fit
}

/// An earlier pool that calls the server at the same address otherwise.
fn other_name<'p>(parts: &'p Parts<'_, '_, '_>, pool: &RawPool, member: &RawMember) -> Option<&'p str> {
    let earlier = parts.pools.whole.iter().take_while(|other| other.name != pool.name);
    let differs = |other: &RawMember| {
        (other.address, other.transport) == (member.address, member.transport)
            && other.server_name != member.server_name
    };
    let mut named = earlier.filter(|other| other.members.iter().any(|member| differs(&member.value)));
    named.next().map(|other| &*other.name)
}

fn is_own(listener: &RawListener, address: SocketAddr, transport: Transport) -> bool {
    let bind = listener.bind.value;
    let here = bind.ip() == address.ip() || (bind.ip().is_unspecified() && address.ip().is_loopback());
    let worker = listener.worker_ports.as_ref().is_some_and(|ports| ports.value.contains(&address.port()));
    let is_udp = |transport| transport == Transport::Udp;
    is_udp(listener.transport) == is_udp(transport) && here && (bind.port() == address.port() || worker)
}
