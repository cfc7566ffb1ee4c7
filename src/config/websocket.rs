//! What a `[[listener]]` says about SIP over WebSocket: who may connect, how it is kept alive, how it is bounded.

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use ipnet::IpNet;
use sbc_core::flow::Transport;
use sbc_ws::{ClientAddress, OriginPattern};

use super::document::{Section, Value};
use super::listener::{MOST_ITEMS, networks};
use super::tls::{self, Tls};

const PING_INTERVAL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(300);
const PONG_TIMEOUT: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(120);
/// Global Accelerator and load balancers forget an idle connection after 60 s; a third leaves room for two losses.
const DEFAULT_PING_INTERVAL: Duration = Duration::from_secs(20);
const DEFAULT_PONG_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECTIONS_PER_SOURCE: RangeInclusive<u32> = 1..=1_000_000;
/// Hundreds of agents sit behind one office's address, and a browser that reconnects holds two for a moment.
const DEFAULT_CONNECTIONS_PER_SOURCE: u32 = 10_000;
const FIRST_MESSAGE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);
/// Longest path, in bytes.
const LONGEST_PATH: usize = 256;

/// What SIP over WebSocket needs beside the core's view of a listener.
#[derive(Debug, Clone)]
pub(crate) struct WebSocket {
    /// `wss`; else plain `ws` behind something that ends TLS.
    pub tls: Option<Tls>,
    /// The only path that opens a connection; `None`: any.
    pub path: Option<Box<str>>,
    /// `Origin` values let in; empty: any.
    pub origins: Vec<OriginPattern>,
    /// From one ping to the next.
    pub ping_interval: Duration,
    /// Silence after a ping that closes the connection.
    pub pong_timeout: Duration,
    /// Where the client's own address is found.
    pub client_address: ClientAddress,
    /// Who may name another address than its own.
    pub trusted_proxies: Vec<IpNet>,
    /// Most connections of one address, or of one IPv6 /64.
    pub connections_per_source: usize,
    /// How long a connection may be without a message; `None`: as long as it answers pings.
    pub first_message: Option<Duration>,
}

/// Reads the keys of a WebSocket listener; those of another one are left for its own complaint.
pub(super) fn read(
    section: &Section<'_, '_>,
    transport: Option<Transport>,
    directory: &Path,
) -> Option<WebSocket> {
    let tls = tls::read(section, directory);
    let path = section.or("path", None, |value| path(value).map(Some));
    let origins = section.or("origins", Vec::new(), |value| {
        value.list_of(MOST_ITEMS, "a list of origins as [\"https://*.example.com\"]", origin)
    });
    let ping = section.or("ping_interval", DEFAULT_PING_INTERVAL, |value| value.duration(PING_INTERVAL));
    let pong = section.or("pong_timeout", DEFAULT_PONG_TIMEOUT, |value| value.duration(PONG_TIMEOUT));
    let connections = section.or("connections_per_source", DEFAULT_CONNECTIONS_PER_SOURCE, |value| {
        value.integer(CONNECTIONS_PER_SOURCE)
    });
    let first_message = section.or("first_message", None, first_message);
    let proxies = proxies(section);
    let tls = tls?.filter(|_| transport == Some(Transport::Wss));
    let (client_address, trusted_proxies) = proxies?;
    Some(WebSocket {
        tls,
        path: path?,
        origins: origins?,
        ping_interval: ping?,
        pong_timeout: pong?,
        client_address,
        trusted_proxies,
        connections_per_source: usize::try_from(connections?).unwrap_or(usize::MAX),
        first_message: first_message?,
    })
}

/// Who stands between us and the clients, and how it names them.
fn proxies(section: &Section<'_, '_>) -> Option<(ClientAddress, Vec<IpNet>)> {
    let words = [
        ("socket", ClientAddress::Socket),
        ("x-forwarded-for", ClientAddress::XForwardedFor),
        ("proxy-v2", ClientAddress::ProxyV2),
    ];
    let address = section.or("client_address", ClientAddress::Socket, |value| value.word(&words, &[]));
    let proxies = section.maybe("trusted_proxies", networks);
    let word = |address| words.iter().find(|(_, known)| *known == address).map_or("", |(word, _)| *word);
    match (address?, proxies?) {
        (ClientAddress::Socket, None) => Some((ClientAddress::Socket, Vec::new())),
        (ClientAddress::Socket, Some(proxies)) => {
            let expected =
                "client_address = \"x-forwarded-for\" or \"proxy-v2\" beside it, or no trusted_proxies";
            section.document().report(proxies.place, "proxies that nobody asks", expected);
            None
        }
        (address, None) => {
            let expected = format!("the networks of the proxies whose {} is believed", word(address));
            section.document().report(section.place("trusted_proxies"), "nothing", expected);
            None
        }
        (address, Some(proxies)) => Some((address, proxies.value)),
    }
}

/// `scheme://host[:port]`; the first label of the host may be `*`.
fn origin(value: &Value<'_, '_>) -> Option<OriginPattern> {
    let expected = "an origin as \"https://www.example.com\" or \"https://*.example.com\"";
    value.parsed(expected, |text| text.parse().ok())
}

fn path(value: &Value<'_, '_>) -> Option<Box<str>> {
    let is_path = |text: &str| {
        text.len() <= LONGEST_PATH
            && text.starts_with('/')
            && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte))
    };
    value.parsed("a path as \"/ws\", without a query", |text| is_path(text).then(|| text.into()))
}

/// A duration, or `false` for as long as the client likes.
fn first_message(value: &Value<'_, '_>) -> Option<Option<Duration>> {
    if value.is_false() { Some(None) } else { value.duration(FIRST_MESSAGE).map(Some) }
}
