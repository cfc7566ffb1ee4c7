//! The configuration as the proxy uses it: keys ready to seal, names hashed, own addresses in a set.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::admission::GateRules;
use crate::config::{Config, HostPort, Key, Listener};
use crate::flow::{Flow, ListenerId, Zone};
use crate::hash::{Digest, KeyedHash};
use crate::pool::{Pools, Seat};
use crate::proxy::hiding::Hidden;
use crate::seal::{ListenerTag, Peer, PeerAddress, Tokens};
use crate::time::Time;
use crate::wire::Uri;

/// Derived from one [`Config`]; swapped as a whole.
pub(crate) struct Settings {
    /// Counted from 1.
    pub(crate) version: u64,
    pub(crate) config: Arc<Config>,
    pub(crate) tokens: Tokens,
    /// Same after a restart and on every node.
    pub(crate) stable: KeyedHash,
    pub(crate) pools: Pools,
    pub(crate) hidden: Hidden,
    pub(crate) gate: GateRules,
    /// Addresses of the pool zone's members, those of calls that may still be up among them.
    pub(crate) members: Vec<IpAddr>,
    listeners: Vec<Reachable>,
}

/// One listener and how it is named outside.
struct Reachable {
    tag: ListenerTag,
    names: Vec<HostPort>,
    /// Bound to every address of the machine: any IP literal with this port may be us.
    any_address_port: Option<u16>,
}

impl Settings {
    /// Members that `before` knows keep their state.
    pub(crate) fn new(config: Arc<Config>, before: Option<&Self>, now: Time) -> Self {
        let stable = stable_hash(&config.path_key);
        let pools = Pools::new(&config, &stable, before.map(|before| &before.pools), now);
        // Calls with them may be up: they stay peers, and their addresses inside.
        let left = pools.former().filter(|seat| seat.zone() == Zone::Pool).map(Seat::address);
        let left: Vec<SocketAddr> = left.collect();
        let members = inside_members(&config).chain(left.iter().copied());
        let listeners = config.listeners.iter().map(|listener| Reachable::new(listener, &stable)).collect();
        Self {
            tokens: Tokens::new(&config.keys, &config.path_key),
            version: before.map_or(1, |before| before.version + 1),
            pools,
            hidden: Hidden::new(&config, &left),
            gate: GateRules::new(&config.admission),
            members: members.map(|address| address.ip().to_canonical()).collect(),
            stable,
            listeners,
            config,
        }
    }

    pub(crate) fn listener(&self, id: ListenerId) -> Option<&Listener> {
        self.config.listeners.get(usize::from(id.0))
    }

    pub(crate) fn tag_of(&self, id: ListenerId) -> ListenerTag {
        self.listeners.get(usize::from(id.0)).map_or(ListenerTag(0), |listener| listener.tag)
    }

    /// The listener a token names, where the configuration still has it.
    pub(crate) fn listener_of(&self, tag: ListenerTag) -> Option<ListenerId> {
        let index = self.listeners.iter().position(|listener| listener.tag == tag)?;
        u16::try_from(index).ok().map(ListenerId)
    }

    /// The member at an address, reached from this listener; where its large requests go by another one, from that.
    pub(crate) fn member_at(&self, listener: ListenerId, address: SocketAddr) -> Option<Seat> {
        self.pools.member_at(address, self.listener(listener)?.zone, Some(listener))
    }

    /// The member of the pool zone at an address.
    pub(crate) fn pool_member(&self, address: SocketAddr) -> Option<Seat> {
        self.pools.member_at(address, Zone::Pool, None)
    }

    /// Whom an error of this flow concerns: each server once, however many pools it stands in.
    pub(crate) fn members_at(&self, flow: &Flow) -> Vec<Seat> {
        let Some(listener) = self.listener(flow.listener) else { return Vec::new() };
        let mut seats: Vec<Seat> = Vec::new();
        for seat in self.pools.at(flow.remote, listener.zone) {
            if seats.iter().all(|known| !Arc::ptr_eq(known.member(), seat.member())) {
                seats.push(seat);
            }
        }
        seats
    }

    /// A server of the pool zone as tokens name it: a member by its own transport, others by the first listener
    /// that faces the pool.
    pub(crate) fn pool_peer(&self, address: SocketAddr) -> Option<Peer> {
        let first = || self.config.listeners.iter().position(|one| one.zone == Zone::Pool);
        let listener = match self.pool_member(address) {
            Some(member) => member.listener(),
            None => ListenerId(u16::try_from(first()?).ok()?),
        };
        Some(Peer {
            listener: self.tag_of(listener),
            port: 0,
            address: PeerAddress::At(address),
            binding: None,
        })
    }

    /// The listener whose address a server is told in Path and Record-Route: that of its pool, whichever way this
    /// message goes, because FreeSWITCH takes another Path for another binding.
    pub(crate) fn told_to(&self, flow: &Flow) -> Option<&Listener> {
        let in_zone = |listener: &&Listener| listener.zone == Zone::Pool;
        let member = self.member_at(flow.listener, flow.remote);
        let of_pool = member.and_then(|member| self.listener(member.told())).filter(in_zone);
        of_pool.or_else(|| self.listener(flow.listener))
    }

    /// Whether a URI's host and port are an address of ours.
    pub(crate) fn is_ours(&self, uri: &Uri<'_>) -> bool {
        let host = strip_brackets(uri.host);
        let ip = uri.ip();
        self.listeners.iter().any(|listener| listener.is_named(host, ip, uri.port))
    }

    /// The address of record that a URI names. Carriers and phones write our address where they mean our
    /// domain: it is the same user.
    pub(crate) fn aor(&self, uri: &Uri<'_>) -> Digest {
        let domain = match self.config.admission.domains.first() {
            Some(domain) if self.is_ours(uri) => domain.as_bytes(),
            _ => strip_brackets(uri.host),
        };
        // RFC 3261 §19.1.4: a host is the same in any case, a user is not.
        let domain = self.stable.of_lowercase(&[domain]);
        self.stable.of(&[b"aor", uri.user.unwrap_or(b""), &domain.to_be_bytes()])
    }

    /// What a pool address becomes towards the outside: the served domain, or the listener's own name.
    pub(crate) fn outside_name<'a>(&'a self, listener: &'a Listener) -> &'a str {
        self.config.admission.domains.first().map_or(&*listener.advertise.host, |domain| domain)
    }

    /// The same where a URI is to be followed: without a domain the port counts.
    pub(crate) fn outside_authority(&self, listener: &Listener) -> String {
        let domain = self.config.admission.domains.first();
        domain.map_or_else(|| listener.advertise.to_string(), |domain| domain.to_string())
    }

    /// Which local port of `listener` a message of this call leaves by.
    ///
    /// It hangs on the Call-ID, not on the worker: the same INVITE leaves by the same port after a
    /// restart, whichever worker gets it.
    pub(crate) fn local_port(&self, listener: &Listener, call_id: &[u8]) -> u8 {
        let ports = listener.worker_ports.len();
        if ports == 0 {
            return 0;
        }
        let turn = (self.stable.of(&[b"port", call_id]) % ports as u128) as usize;
        u8::try_from(turn + 1).unwrap_or(1)
    }
}

fn inside_members(config: &Config) -> impl Iterator<Item = SocketAddr> {
    let pools = config.pools.iter().filter(|pool| pool.zone == Zone::Pool);
    pools.flat_map(|pool| pool.members.iter().map(|member| member.address))
}

fn stable_hash(path_key: &Key) -> KeyedHash {
    let mut key = [0u8; 16];
    key.copy_from_slice(&path_key.0[16..]);
    let derived = KeyedHash::new(key).of(&[b"stable", &path_key.0]);
    KeyedHash::new(derived.to_be_bytes())
}

pub(crate) fn strip_brackets(host: &[u8]) -> &[u8] {
    host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]")).unwrap_or(host)
}

impl Reachable {
    fn new(listener: &Listener, stable: &KeyedHash) -> Self {
        let tag = ListenerTag(stable.of(&[b"listener", listener.name.as_bytes()]) as u16);
        let mut names = vec![listener.advertise.clone()];
        names.extend(listener.worker_ports.iter().copied().map(HostPort::from));
        if !listener.bind.ip().is_unspecified() {
            names.push(listener.bind.into());
        }
        let any_address_port = listener.bind.ip().is_unspecified().then_some(listener.bind.port());
        Self { tag, names, any_address_port }
    }

    fn is_named(&self, host: &[u8], ip: Option<IpAddr>, port: Option<u16>) -> bool {
        let same_host = |name: &HostPort| match (name.ip(), ip) {
            (Some(own), Some(ip)) => own.to_canonical() == ip.to_canonical(),
            _ => name.host.as_bytes().eq_ignore_ascii_case(host),
        };
        let named = |name: &HostPort| same_host(name) && port.is_none_or(|port| port == name.port);
        self.names.iter().any(named) || (ip.is_some() && self.any_address_port == Some(port.unwrap_or(5060)))
    }
}

/// The local address of a listener's port, as a Via names it.
pub(crate) fn sent_by(listener: &Listener, port: u8) -> HostPort {
    worker_port(listener, port).map_or_else(|| listener.advertise.clone(), HostPort::from)
}

/// The address of one of a listener's worker ports; `None` for its own.
pub(crate) fn worker_port(listener: &Listener, port: u8) -> Option<SocketAddr> {
    listener.worker_ports.get(usize::from(port).checked_sub(1)?).copied()
}
