//! What an operator decides about connections, and the limits that hold where he says nothing.

use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;
use sbc_tls::{Client, Server, ServerName};

use crate::egress::EgressLimits;

/// The largest message a peer may send, in bytes.
const MAX_MESSAGE: usize = 64 * 1024;
/// Connections that one listener holds, in all workers together.
const MAX_CONNECTIONS: usize = 10_000;
/// Connections that one source holds. Phones of an office share its address.
const MAX_PER_SOURCE: usize = 1000;
/// How long a load balancer may take to say whom it brings.
const PROXY_HEADER: Duration = Duration::from_secs(5);
/// How long a peer may take to say its first word.
const FIRST_MESSAGE: Duration = Duration::from_secs(10);
/// How long a message may take from its first byte to its last.
const MESSAGE: Duration = Duration::from_secs(10);
/// Silence in both directions after which a connection is closed: longer than the hour that phones register for.
const IDLE: Duration = Duration::from_secs(3900);
/// How long a write may make no way.
const WRITE: Duration = Duration::from_secs(10);
/// How long a server may take to accept a connection. A caller waits meanwhile, and another member could be asked.
const CONNECT: Duration = Duration::from_secs(2);

/// TLS of one listener, in both directions.
#[derive(Debug, Clone)]
pub struct Tls {
    /// For connections that are accepted.
    pub server: Server,
    /// For those that we open; `None`: there are none.
    pub client: Option<Client>,
    /// The names that servers prove to have, where it is not the address that is dialled.
    pub names: Vec<(SocketAddr, ServerName<'static>)>,
}

impl Tls {
    /// Who the server at an address must be: at another port, whoever is known to be at that address.
    pub(crate) fn name_of(&self, server: SocketAddr) -> ServerName<'static> {
        let named = |is: &dyn Fn(&SocketAddr) -> bool| self.names.iter().find(|(at, _)| is(at));
        let known = named(&|at| *at == server).or_else(|| named(&|at| at.ip() == server.ip()));
        known.map_or_else(|| ServerName::from(server.ip()), |(_, name)| name.clone())
    }
}

/// The settings of one listener and of what is dialled from it. A connection keeps those it was opened under.
#[derive(Debug, Clone)]
pub struct Settings {
    /// SIP over TLS; `None`: plain TCP.
    pub tls: Option<Tls>,
    /// Who has to name its client in a PROXY protocol header (version 2) before anything else.
    pub proxies: Vec<IpNet>,
    /// How long such a header may take.
    pub proxy_header: Duration,
    /// The largest message a peer may send, in bytes.
    pub max_message: usize,
    /// How many connections the listener holds, in all workers together.
    pub max_connections: usize,
    /// How many of them one IPv4 address or IPv6 /64 holds.
    pub max_per_source: usize,
    /// How long a peer may take to say its first word.
    pub first_message: Duration,
    /// How long a message may take from its first byte to its last.
    pub message: Duration,
    /// Silence in both directions after which a connection is closed.
    pub idle: Duration,
    /// How long a write may make no way.
    pub write: Duration,
    /// How long a dialled server may take to accept.
    pub connect: Duration,
    /// How much may wait for one peer.
    pub egress: EgressLimits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            tls: None,
            proxies: Vec::new(),
            proxy_header: PROXY_HEADER,
            max_message: MAX_MESSAGE,
            max_connections: MAX_CONNECTIONS,
            max_per_source: MAX_PER_SOURCE,
            first_message: FIRST_MESSAGE,
            message: MESSAGE,
            idle: IDLE,
            write: WRITE,
            connect: CONNECT,
            egress: EgressLimits::default(),
        }
    }
}
