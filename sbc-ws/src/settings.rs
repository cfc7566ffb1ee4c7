//! What an operator decides about a listener, and the limits that hold where he says nothing.

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use sbc_tcp::EgressLimits;

use crate::origin::OriginPattern;
use crate::ticket::Tickets;

/// How long a client may take to send its upgrade request, once TLS stands.
const UPGRADE_DEADLINE: Duration = Duration::from_secs(5);
/// Silence after which we ping. Load balancers cut idle connections after 60 s, some networks after 30 s.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// How long a pinged client may stay silent.
const PONG_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest message a client may send, in bytes.
const MAX_MESSAGE: usize = 64 * 1024;
/// Connections that one listener holds, in all workers together.
const MAX_CONNECTIONS: usize = 100_000;
/// Connections that one source holds. Hundreds of agents sit behind one office's address, and a browser that reconnects
/// holds two for a moment.
const MAX_PER_SOURCE: usize = 1000;

/// Where the true address of a client is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientAddress {
    /// The socket's peer is the client.
    #[default]
    Socket,
    /// A trusted proxy names the client as the last element of `X-Forwarded-For`. From anyone else the header is
    /// ignored, and the socket's peer is the client.
    XForwardedFor,
    /// A trusted proxy names the client in a PROXY protocol header, version 2, before anything else. Everyone else is
    /// the client, and such a header from it is no TLS and no HTTP.
    ProxyV2,
}

/// The settings of one listener. A connection keeps those it was accepted under.
#[derive(Debug, Clone)]
pub struct Settings {
    /// TLS for wss; `None` is plain ws, as behind a load balancer that ends TLS.
    pub tls: Option<sbc_tls::Server>,
    /// The only path that opens a connection; `None`: any.
    pub path: Option<Box<str>>,
    /// Pages that may connect; empty: any page, and clients that send no `Origin`.
    pub origins: Vec<OriginPattern>,
    /// How tickets are judged; `None`: nobody needs one.
    pub tickets: Option<Arc<Tickets>>,
    /// Where the true address of a client is found.
    pub client_address: ClientAddress,
    /// Who may name another address than its own.
    pub trusted_proxies: Vec<IpNet>,
    /// Silence after which a client is pinged.
    pub ping_interval: Duration,
    /// Silence after a ping, or time without reading, after which a client counts as dead.
    pub pong_timeout: Duration,
    /// The largest message a client may send, in bytes, all fragments together.
    pub max_message: usize,
    /// How much may wait for one client.
    pub egress: EgressLimits,
    /// How many connections the listener holds, in all workers together, handshakes included.
    pub max_connections: usize,
    /// How many connections one source holds, handshakes included: an IPv4 address or an IPv6 /64. Trusted proxies
    /// are not counted, their clients are; neither is whom [`Handler::is_unlimited`](crate::Handler) names.
    pub max_per_source: usize,
    /// How long a client may take to send its whole upgrade request.
    pub upgrade_deadline: Duration,
    /// How long an open connection may be without a message; `None`: for ever, as long as it answers pings.
    pub first_message_deadline: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            tls: None,
            path: None,
            origins: Vec::new(),
            tickets: None,
            client_address: ClientAddress::default(),
            trusted_proxies: Vec::new(),
            ping_interval: PING_INTERVAL,
            pong_timeout: PONG_TIMEOUT,
            max_message: MAX_MESSAGE,
            egress: EgressLimits::default(),
            max_connections: MAX_CONNECTIONS,
            max_per_source: MAX_PER_SOURCE,
            upgrade_deadline: UPGRADE_DEADLINE,
            first_message_deadline: None,
        }
    }
}
