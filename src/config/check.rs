//! What listeners, pools and workers owe each other.

use std::net::{IpAddr, SocketAddr};

use sbc_core::config::{HostPort, Listener, Member, Pool, Share, Strictness};
use sbc_core::flow::{ListenerId, Transport, Zone, is_websocket};
use sbc_tls::ServerName;

use super::claims::{self, Claim, Protocol};
use super::document::{At, Section};
use super::listener::RawListener;
use super::machine::Machine;
use super::node::{MOST_WORKERS, Node};
use super::pool::{RawMember, RawPool};
use super::reach::{Ways, ways};
use super::service::Echo;
use super::{Discovery, ListenerSettings, Several};

/// Everything that was read.
pub(super) struct Parts<'p, 's, 'd> {
    pub root: &'p Section<'s, 'd>,
    pub machine: &'p Machine,
    pub node: Option<&'p Node>,
    pub listeners: Several<RawListener>,
    pub pools: Several<RawPool>,
    pub admin: Option<&'p At<SocketAddr>>,
    pub echo: Option<&'p Echo>,
}

/// What the parts make together.
pub(super) struct Checked {
    pub workers: u8,
    pub listeners: Vec<ListenerSettings>,
    pub pools: Vec<Pool>,
    pub discoveries: Vec<Discovery>,
    pub discovered: Vec<Share>,
}

/// Runs every check; each reports for itself.
pub(super) fn all(parts: Parts<'_, '_, '_>) -> Option<Checked> {
    unique_names(&parts);
    for listener in &parts.listeners.whole {
        zone_and_transport(&parts, listener);
    }
    claims::check(parts.root.document(), &collect_claims(&parts));
    // A pool whose listener was wrong by itself would be blamed for that listener's mistake.
    let reach = |pool| parts.listeners.complete.then(|| ways(&parts, pool)).flatten();
    let routes: Vec<Option<Ways>> = parts.pools.whole.iter().map(reach).collect();
    let workers = workers(&parts);
    let advertised: Vec<Option<HostPort>> = parts
        .listeners
        .whole
        .iter()
        .enumerate()
        .map(|(index, listener)| advertise(&parts, &routes, index, listener))
        .collect();
    if !(parts.listeners.complete && parts.pools.complete) {
        return None;
    }
    let advertised: Option<Vec<_>> = advertised.into_iter().collect();
    let routes: Option<Vec<_>> = routes.into_iter().collect();
    let (workers, routes, advertised) = (workers?, routes?, advertised?);
    let discoveries = parts.pools.whole.iter().zip(&routes);
    let discoveries = discoveries.filter_map(|(pool, ways)| discovery(&parts, pool, ways));
    let (discoveries, discovered) = discoveries.unzip();
    let names: Vec<_> = (0..advertised.len()).map(|index| server_names(&parts, &routes, index)).collect();
    let pools = parts
        .pools
        .whole
        .into_iter()
        .zip(routes)
        .map(|(pool, ways)| finish_pool(pool, &ways))
        .collect::<Option<_>>()?;
    let listeners = parts.listeners.whole.into_iter().zip(advertised).zip(names);
    let finish = |((listener, advertise), names)| finish_listener(listener, advertise, names, workers);
    let listeners = listeners.map(finish).collect();
    Some(Checked { workers, listeners, pools, discoveries, discovered })
}

fn unique_names(parts: &Parts<'_, '_, '_>) {
    let listeners = &parts.listeners.whole;
    for (index, listener) in listeners.iter().enumerate() {
        if listeners.iter().take(index).any(|earlier| earlier.name.value == listener.name.value) {
            let found = format!("{:?} a second time", listener.name.value);
            parts.root.document().report(listener.name.place.clone(), found, "a name of its own");
        }
    }
}

fn zone_and_transport(parts: &Parts<'_, '_, '_>, listener: &RawListener) {
    let document = parts.root.document();
    let report = |found: &str, expected: &str| document.report(listener.place.clone(), found, expected);
    if is_websocket(listener.transport) && listener.zone != Zone::Public {
        report(
            "SIP over WebSocket towards servers",
            "transport = \"udp\", \"tcp\" or \"tls\", or zone = \"public\"",
        );
    }
    if listener.zone == Zone::Trunk && listener.networks.is_empty() {
        report(
            "a trunk listener that lets nobody in",
            "networks = [\"203.0.113.0/24\"] with the carriers' addresses",
        );
    }
    if listener.zone == Zone::Pool && listener.transport == Transport::Udp && listener.worker_ports.is_none()
    {
        report(
            "a pool listener without worker_ports",
            "worker_ports = \"5071-5086\", one port for each worker",
        );
    }
    if listener.zone == Zone::Pool
        && let Some(advertise) = &listener.advertise
        && advertise.value.ip().is_none()
    {
        // FreeSWITCH would resolve a name in Path for every call, and judge NAT by what comes out.
        let found = format!("the name {:?}", advertise.value.host);
        document.report(advertise.place.clone(), found, "an IP address: FreeSWITCH is told no names");
    }
}

fn collect_claims(parts: &Parts<'_, '_, '_>) -> Vec<Claim> {
    let mut claims = Vec::new();
    for listener in &parts.listeners.whole {
        let protocol = if listener.transport == Transport::Udp { Protocol::Udp } else { Protocol::Tcp };
        claims.push(Claim::one(protocol, listener.bind.value, &listener.bind.place));
        if let Some(ports) = &listener.worker_ports {
            claims.push(Claim::range(protocol, listener.bind.value.ip(), ports.value.clone(), &ports.place));
        }
    }
    if let Some(admin) = parts.admin {
        claims.push(Claim::one(Protocol::Tcp, admin.value, &admin.place));
    }
    if let Some(echo) = parts.echo {
        claims.push(Claim::one(Protocol::Udp, echo.bind.value, &echo.bind.place));
        claims.push(Claim::range(
            Protocol::Udp,
            echo.bind.value.ip(),
            echo.rtp_ports.clone(),
            &echo.bind.place,
        ));
    }
    claims
}

/// What peers are told: as written, as bound, or by the route to them.
fn advertise(
    parts: &Parts<'_, '_, '_>,
    routes: &[Option<Ways>],
    index: usize,
    listener: &RawListener,
) -> Option<HostPort> {
    if let Some(advertise) = &listener.advertise {
        return Some(advertise.value.clone());
    }
    let bind = listener.bind.value;
    if !bind.ip().is_unspecified() {
        return Some(bind.into());
    }
    let seen = match listener.zone {
        Zone::Public => parts.machine.default_address(bind.is_ipv6()),
        Zone::Trunk | Zone::Pool => address_towards_members(parts, routes, index)
            .or_else(|| parts.machine.default_address(bind.is_ipv6())),
    };
    if seen.is_none() {
        let expected = "advertise = \"ADDRESS:PORT\" beside it: no single route says what peers see";
        parts.root.document().report(
            listener.bind.place.clone(),
            format!("{:?}", bind.to_string()),
            expected,
        );
    }
    Some(SocketAddr::new(seen?, bind.port()).into())
}

/// The local address on the way to all members that are reached from a listener, if it is one.
fn address_towards_members(
    parts: &Parts<'_, '_, '_>,
    routes: &[Option<Ways>],
    index: usize,
) -> Option<IpAddr> {
    let touches = |ways: &Option<Ways>| ways.as_ref().is_some_and(|ways| ways.touch(index));
    let pools = parts.pools.whole.iter().zip(routes).filter(|(_, ways)| touches(ways));
    let members = pools.flat_map(|(pool, _)| &pool.members);
    let mut addresses = members.map(|member| (parts.machine.route)(member.value.address.ip()));
    let first = addresses.next()??;
    addresses.all(|other| other == Some(first)).then_some(first)
}

/// As asked for, else as many as processors and worker ports allow.
fn workers(parts: &Parts<'_, '_, '_>) -> Option<u8> {
    let most = usize::try_from(MOST_WORKERS).unwrap_or(usize::MAX);
    let ports = parts.listeners.whole.iter().filter_map(|listener| listener.worker_ports.as_ref());
    let Some(asked) = &parts.node?.workers else {
        let fewest = ports.map(|ports| ports.value.len()).min().unwrap_or(most);
        return u8::try_from(parts.machine.processors.min(fewest).clamp(1, most)).ok();
    };
    let mut enough = true;
    for ports in ports.filter(|ports| ports.value.len() < usize::from(asked.value)) {
        let found = format!("{} ports", ports.value.len());
        let expected = format!("a port for each of the {} workers", asked.value);
        parts.root.document().report(ports.place.clone(), found, expected);
        enough = false;
    }
    enough.then_some(asked.value)
}

/// What is to be asked of DNS for a pool, and what those take that it lists.
fn discovery(parts: &Parts<'_, '_, '_>, pool: &RawPool, ways: &Ways) -> Option<(Discovery, Share)> {
    let (source, index) = (pool.discover.as_ref()?.value.clone(), ways.discovered?);
    let listener = parts.listeners.whole.get(index)?;
    let discovery = Discovery {
        pool: pool.name.as_str().into(),
        source,
        listener: ListenerId(u16::try_from(index).ok()?),
        ipv6: listener.bind.value.is_ipv6(),
    };
    Some((discovery, pool.discovered.clone()))
}

type Names = Vec<(SocketAddr, ServerName<'static>)>;

/// What the members reached from a listener are called in their certificates.
fn server_names(parts: &Parts<'_, '_, '_>, routes: &[Ways], index: usize) -> Names {
    let pools = parts.pools.whole.iter().zip(routes);
    let members = pools.flat_map(|(pool, ways)| pool.members.iter().zip(&ways.members));
    let from_here = members.filter(|(_, way)| **way == index).map(|(member, _)| &member.value);
    from_here.filter_map(|member| Some((member.address, member.server_name.clone()?))).collect()
}

fn finish_pool(pool: RawPool, ways: &Ways) -> Option<Pool> {
    let id = |index: usize| u16::try_from(index).ok().map(ListenerId);
    let member = |(member, way): (At<RawMember>, &usize)| {
        let RawMember { uri, address, share, .. } = member.value;
        Some(Member { uri, address, listener: id(*way)?, share })
    };
    Some(Pool {
        name: pool.name.into(),
        zone: pool.zone,
        listener: id(ways.told)?,
        members: pool.members.into_iter().zip(&ways.members).map(member).collect::<Option<_>>()?,
        balance: pool.balance,
        registrations: pool.registrations,
        probe: pool.probe,
        failover: pool.failover,
        large: ways.large,
        release: pool.release,
    })
}

fn finish_listener(raw: RawListener, advertise: HostPort, names: Names, workers: u8) -> ListenerSettings {
    let bind = raw.bind.value;
    let ports = raw.worker_ports.map(|ports| {
        let used: Vec<u16> = ports.value.take(usize::from(workers)).collect();
        At { value: used, place: ports.place }
    });
    let on =
        |ip: IpAddr, ports: &[u16]| ports.iter().map(|port| SocketAddr::new(ip, *port)).collect::<Vec<_>>();
    let told = advertise.ip().unwrap_or(bind.ip());
    ListenerSettings {
        bind_place: raw.bind.place,
        worker_ports: ports
            .as_ref()
            .map(|ports| At { value: on(bind.ip(), &ports.value), place: ports.place.clone() }),
        websocket: raw.websocket,
        stream: raw.stream,
        connection: raw.connection,
        names,
        core: Listener {
            name: raw.name.value.into(),
            transport: raw.transport,
            bind,
            zone: raw.zone,
            worker_ports: ports.map(|ports| on(told, &ports.value)).unwrap_or_default(),
            advertise,
            networks: raw.networks,
            symmetric: raw.symmetric,
            checks: raw.checks.unwrap_or(Strictness::of_zone(raw.zone)),
        },
    }
}
