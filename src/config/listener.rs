//! `[[listener]]`: one by one; what listeners owe each other is checked in `check`.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use sbc_core::config::{HostPort, Strictness};
use sbc_core::flow::{Transport, Zone, is_stream, is_websocket};

use super::connection::{self, Connection};
use super::document::{At, Keys, Section, Value};
use super::error::Place;
use super::units;
use super::websocket::{self, WebSocket};

/// Most listeners of one node.
pub(super) const MOST_LISTENERS: usize = 32;
/// Most networks, proxies, origins or names of one listener.
pub(super) const MOST_ITEMS: usize = 1024;
const IDLE_TIMEOUT: RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_secs(86_400);
/// Phones register for an hour, and their calls come by the same connection.
const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(3900);

const KEYS: Keys = Keys {
    known: &[
        "name",
        "transport",
        "bind",
        "zone",
        "advertise",
        "certificate",
        "private_key",
        "certificates",
        "server_names",
        "client_ca",
        "ca",
        "path",
        "origins",
        "ticket",
        "ping_interval",
        "pong_timeout",
        "client_address",
        "trusted_proxies",
        "connections_per_source",
        "first_message",
        "networks",
        "symmetric",
        "worker_ports",
        "idle_timeout",
        "checks",
    ],
    later: &[],
};

/// Keys that only SIP over WebSocket knows.
const WEBSOCKET_KEYS: &[&str] =
    &["path", "origins", "ticket", "ping_interval", "pong_timeout", "first_message"];
/// Keys of connections of every kind.
const CONNECTION_KEYS: &[&str] = &["client_address", "trusted_proxies", "connections_per_source"];
const TLS_KEYS: &[&str] = &["certificate", "private_key", "certificates", "server_names"];
/// Browsers show no certificates, and nobody connects to them.
const MUTUAL_TLS_KEYS: &[&str] = &["client_ca", "ca"];
const STREAM_KEYS: &[&str] = &["idle_timeout"];
const TRUNK_KEYS: &[&str] = &["symmetric"];

/// A listener as written, each part right by itself.
pub(super) struct RawListener {
    pub name: At<String>,
    pub transport: Transport,
    pub zone: Zone,
    pub bind: At<SocketAddr>,
    pub advertise: Option<At<HostPort>>,
    pub worker_ports: Option<At<RangeInclusive<u16>>>,
    pub networks: Vec<IpNet>,
    pub symmetric: bool,
    pub checks: Option<Strictness>,
    pub websocket: Option<WebSocket>,
    pub stream: Option<Stream>,
    pub connection: Option<Connection>,
    /// Where the listener begins.
    pub place: Place,
}

/// What SIP over TCP needs beside the core's view of a listener.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    /// Silence in both directions that closes a connection.
    pub idle_timeout: Duration,
}

/// Reads one `[[listener]]`; `None` when something in it is wrong.
pub(super) fn read(value: &Value<'_, '_>, directory: &Path) -> Option<RawListener> {
    let section = value.section(KEYS)?;
    let name = section.require("name", "a name").and_then(|name| name_of(&name));
    let transport =
        section.require("transport", "one of: wss, ws, udp, tcp, tls").and_then(|value| transport(&value));
    let zone = section.require("zone", "one of: public, trunk, pool").and_then(|value| zone(&value));
    let bind = section.require("bind", "an address as \"0.0.0.0:5060\"").and_then(|value| bind(&value));
    let advertise = section.maybe("advertise", |value| {
        value.parsed("HOST:PORT as peers shall see it, as \"sip.example.com:443\"", units::host_port)
    });
    let worker_ports = section
        .maybe("worker_ports", |value| value.parsed("a range of ports as \"5071-5086\"", units::port_range));
    let networks = section.or("networks", Vec::new(), networks);
    let symmetric = section.or("symmetric", true, Value::boolean);
    let checks = section.maybe("checks", |value| {
        value.word(&[("strict", Strictness::Strict), ("tolerant", Strictness::Tolerant)], &[])
    });
    // Read even where the transport is wrong, so that its mistakes are told in the same run.
    let websocket = websocket::read(&section, directory);
    let connection = connection::read(&section, transport, directory);
    let idle = section.or("idle_timeout", DEFAULT_IDLE_TIMEOUT, |value| value.duration(IDLE_TIMEOUT));
    let (transport, zone) = (transport?, zone?);
    let belongs = keys_belong(&section, transport, zone);
    let listener = RawListener {
        name: name?,
        transport,
        zone,
        bind: bind?,
        advertise: advertise?,
        worker_ports: worker_ports?,
        networks: networks?,
        symmetric: symmetric?,
        checks: checks?.map(|checks| checks.value),
        websocket: Some(websocket?).filter(|_| is_websocket(transport)),
        stream: Some(Stream { idle_timeout: idle? }).filter(|_| is_stream(transport)),
        connection: Some(connection?).filter(|_| transport != Transport::Udp),
        place: section.place(""),
    };
    belongs.then_some(listener)
}

pub(super) fn name_of(value: &Value<'_, '_>) -> Option<At<String>> {
    let expected = "1 to 40 letters, digits, `-`, `_` or `.`";
    let name = value.parsed(expected, |text| units::label(text).then(|| text.to_owned()))?;
    Some(At { value: name, place: value.place() })
}

fn transport(value: &Value<'_, '_>) -> Option<Transport> {
    let words = [
        ("wss", Transport::Wss),
        ("ws", Transport::Ws),
        ("udp", Transport::Udp),
        ("tcp", Transport::Tcp),
        ("tls", Transport::Tls),
    ];
    value.word(&words, &[])
}

pub(super) fn zone(value: &Value<'_, '_>) -> Option<Zone> {
    value.word(&Zone::ALL.map(|zone| (zone.as_str(), zone)), &[])
}

pub(super) fn bind(value: &Value<'_, '_>) -> Option<At<SocketAddr>> {
    let expected = "IP:PORT as \"0.0.0.0:5060\" or \"[::]:5060\", the port not 0";
    Some(At { value: value.parsed(expected, units::address)?, place: value.place() })
}

/// `192.0.2.0/24`, or one address.
pub(super) fn network(value: &Value<'_, '_>) -> Option<IpNet> {
    let parse = |text: &str| {
        let single = || text.parse().ok().map(|address: std::net::IpAddr| address.into());
        text.parse::<IpNet>().ok().or_else(single)
    };
    value.parsed("a network as \"192.0.2.0/24\" or one address", parse)
}

pub(super) fn networks(value: &Value<'_, '_>) -> Option<Vec<IpNet>> {
    value.list_of(MOST_ITEMS, "a list of networks as [\"192.0.2.0/24\"]", network)
}

/// A file that can be read now, relative to the configuration file.
pub(super) fn file(value: &Value<'_, '_>, directory: &Path) -> Option<PathBuf> {
    let path = directory.join(value.text("the path of a file")?);
    value.document().depends_on(path.clone());
    match std::fs::File::open(&path).and_then(|file| file.metadata()) {
        Ok(metadata) if metadata.is_file() => Some(path),
        Ok(_) => value.wrong(format!("a file; {} is none", path.display())),
        Err(error) => value.wrong(format!("a readable file; {}: {error}", path.display())),
    }
}

/// Reports keys that would have no effect on such a listener.
fn keys_belong(section: &Section<'_, '_>, transport: Transport, zone: Zone) -> bool {
    let is_udp = transport == Transport::Udp;
    let groups = [
        (WEBSOCKET_KEYS, is_websocket(transport), "only on listeners of transport ws or wss"),
        (CONNECTION_KEYS, !is_udp, "on no listener of transport udp"),
        (
            TLS_KEYS,
            matches!(transport, Transport::Wss | Transport::Tls),
            "only on listeners of transport wss or tls",
        ),
        (MUTUAL_TLS_KEYS, transport == Transport::Tls, "only on listeners of transport tls"),
        (TRUNK_KEYS, zone == Zone::Trunk, "only on listeners of zone trunk"),
        (&["networks"], zone != Zone::Public, "only on listeners of zone trunk or pool"),
        (STREAM_KEYS, is_stream(transport), "only on listeners of transport tcp or tls"),
        (&["worker_ports"], zone == Zone::Pool && is_udp, "only on listeners of zone pool and transport udp"),
    ];
    let mut all = true;
    for (keys, fits, expected) in groups {
        for value in keys.iter().filter(|_| !fits).filter_map(|key| section.get(key)) {
            section.document().report(
                value.place(),
                "a key without effect here",
                format!("this key {expected}"),
            );
            all = false;
        }
    }
    all
}
