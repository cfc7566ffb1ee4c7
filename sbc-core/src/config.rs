//! Checked configuration: what the core needs to know, with nothing left to doubt.
//!
//! The program reads `sbc.toml` and `routes.toml`, checks them, and builds this. A pool without a
//! member or a member without a listener to reach it from cannot exist here.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
pub use routing_rules::{Balance, Rules};

use crate::flow::{ListenerId, Transport, Zone};
use crate::rate::Rate;
use crate::wire::HeaderPattern;

/// Everything the core is told.
#[derive(Debug, Clone)]
pub struct Config {
    /// In the order of the file; a [`ListenerId`] is an index into it.
    pub listeners: Vec<Listener>,
    /// In the order the rules were compiled against; never empty.
    pub pools: Vec<Pool>,
    /// The region of this node; empty: none.
    pub region: Box<str>,
    /// The compiled rules.
    pub rules: Arc<Rules>,
    /// What is let in.
    pub admission: Admission,
    /// What passes from one zone to another.
    pub headers: Headers,
    /// RFC 3261 timers.
    pub timers: Timers,
    /// When a worker that is behind turns new work away; `None`: never.
    pub overload: Option<Overload>,
    /// Keys that seal dialog tokens, newest first; never empty.
    pub keys: Vec<Key>,
    /// The key that seals Path and registered Contacts; it outlives the rotation of `keys`.
    pub path_key: Key,
    /// How many workers call the core.
    pub workers: u8,
}

/// A place where bytes come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// As rules, logs and tokens call it.
    pub name: Box<str>,
    /// What is spoken there.
    pub transport: Transport,
    /// The bound address.
    pub bind: SocketAddr,
    /// Whom it faces.
    pub zone: Zone,
    /// What peers of the zone are told: the address in our Via, Contact, Path and Record-Route.
    pub advertise: HostPort,
    /// The advertised addresses of the local ports in `worker_ports`, same length and order.
    pub worker_ports: Vec<SocketAddr>,
    /// Trunk zone: who may send here; empty elsewhere.
    pub networks: Vec<IpNet>,
    /// False: answers go to Via's sent-by, requests to Contact or Route, inside `networks`.
    pub symmetric: bool,
    /// How strictly the messages that come in here are judged.
    pub checks: Strictness,
}

impl Listener {
    /// With what an operator gets who says no more than this.
    pub fn new(name: impl Into<Box<str>>, transport: Transport, bind: SocketAddr, zone: Zone) -> Self {
        Self {
            name: name.into(),
            transport,
            bind,
            zone,
            advertise: HostPort::from(bind),
            worker_ports: Vec::new(),
            networks: Vec::new(),
            symmetric: true,
            checks: Strictness::of_zone(zone),
        }
    }
}

/// What becomes of a message with a fault that an honest peer may make and we can live with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    /// It is refused.
    Strict,
    /// It is counted and passes.
    Tolerant,
}

impl Strictness {
    /// What a zone gets where the operator does not say: strangers are held to the RFC, known peers are
    /// not cut off for their habits.
    pub const fn of_zone(zone: Zone) -> Self {
        match zone {
            Zone::Public => Self::Strict,
            Zone::Trunk | Zone::Pool => Self::Tolerant,
        }
    }
}

/// Host and port as written in a URI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// A name or an IP literal; IPv6 without brackets.
    pub host: Box<str>,
    /// Always written out.
    pub port: u16,
}

impl HostPort {
    /// The address, where the host is an IP literal.
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

impl From<SocketAddr> for HostPort {
    fn from(address: SocketAddr) -> Self {
        Self { host: address.ip().to_string().into(), port: address.port() }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Servers that do the same work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// As rules and metrics call it.
    pub name: Box<str>,
    /// `Pool` for FreeSWITCH, `Trunk` for a carrier.
    pub zone: Zone,
    /// The listener whose address its members are told, in Path and Record-Route.
    pub listener: ListenerId,
    /// Never empty.
    pub members: Vec<Member>,
    /// How a member is chosen where the rule does not say.
    pub balance: Balance,
    /// Where registrations live.
    pub registrations: Registrations,
    /// `None`: members are never asked and always count as up.
    pub probe: Option<Probe>,
    /// When the next member is tried.
    pub failover: Failover,
    /// What happens to requests that are too large for a datagram.
    pub large: Large,
    /// The calls of a member that answers no probe and says nothing else for so long are ended for it; `None`: they
    /// are left to themselves. Only members of the zone `Pool` that are probed can be found dead.
    pub release: Option<Duration>,
}

/// What happens to a request above [`limits::DATAGRAM`](crate::limits::DATAGRAM) for a member that is reached by UDP
/// (RFC 3261 §18.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Large {
    /// It leaves as a datagram, in fragments, and is counted.
    Never,
    /// It goes by a connection from this listener; where the member accepts none, by UDP for a while.
    Auto(ListenerId),
    /// It goes by a connection from this listener.
    Always(ListenerId),
    /// It is answered with 513.
    Refuse,
}

/// Where a user's registration lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Registrations {
    /// All members share one database: any of them will do.
    #[default]
    Shared,
    /// Each user lives on one member: REGISTER goes by the address of record in To, and what is for a
    /// registered user by the one in the Request-URI.
    ByAor,
}

/// One server of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its URI as written.
    pub uri: Box<str>,
    /// Where messages for it go.
    pub address: SocketAddr,
    /// The listener it is reached from, whose transport is its own.
    pub listener: ListenerId,
    /// What it takes.
    pub share: Share,
}

/// What a member takes of its pool's requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// Its part, among those of the others; never 0.
    pub weight: u16,
    /// Under the balance `priority` the lowest goes first.
    pub priority: u8,
    /// Where it stands: a node of the same region asks it first.
    pub region: Option<Box<str>>,
    /// Words by which routes choose among the members.
    pub tags: Box<[Box<str>]>,
    /// Calls it may have at one time.
    pub max_calls: Option<u32>,
    /// New calls it may get in a second.
    pub max_cps: Option<u32>,
}

/// As much as the others, and no limit.
impl Default for Share {
    fn default() -> Self {
        Self { weight: 1, priority: 0, region: None, tags: Box::default(), max_calls: None, max_cps: None }
    }
}

/// OPTIONS probes of a pool's members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// From one probe to the next.
    pub interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Missed probes in a row that make a member down.
    pub fall: u8,
    /// Answered probes in a row that bring it back.
    pub rise: u8,
}

/// When a request moves on to the next member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failover {
    /// An INVITE without any answer for so long.
    pub invite_after: Duration,
    /// Any other request without a final answer for so long.
    pub other_after: Duration,
    /// Members tried for one request.
    pub attempts: u8,
}

/// What is let in.
#[derive(Debug, Clone)]
pub struct Admission {
    /// Largest message in bytes.
    pub max_message: usize,
    /// The domains we serve; empty: those that a rule matches.
    pub domains: Vec<Box<str>>,
    /// What a caller of the public zone may write into From.
    pub caller_identity: CallerIdentity,
    /// Never limited, never banned.
    pub allow: Vec<IpNet>,
    /// Never heard at public and trunk listeners.
    pub deny: Vec<IpNet>,
    /// What one address of the public zone may send; of IPv6, one /64.
    pub per_source: SourceRates,
    /// What may be asked in one user's name by sources that the pool has accepted nothing from lately.
    pub per_user: Rate,
    /// What all such sources together may ask of one UDP listener.
    pub strangers: Rate,
    /// Calls that one user of the public zone may have at once.
    pub max_calls_per_user: Option<u32>,
    /// Calls that one source of the public zone may have at once.
    pub max_calls_per_source: Option<u32>,
    /// Calls that one user of the public zone may begin.
    pub call_rate_per_user: Option<Rate>,
    /// Calls that one source of the public zone may begin.
    pub call_rate_per_source: Option<Rate>,
    /// When a source is not heard any more; `None`: never.
    pub ban: Option<BanPolicy>,
    /// Signatures of scanners beside the built-in ones.
    pub scanners: Vec<Signature>,
}

/// Rates of one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceRates {
    /// Everything it sends.
    pub requests: Rate,
    /// INVITEs that begin a call.
    pub invites: Rate,
    /// REGISTERs.
    pub registers: Rate,
}

/// What a worker may be behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overload {
    /// How long inputs may stand in its queues.
    pub delay: Duration,
    /// How busy its processor may be, in percent; `None`: as busy as it gets.
    pub cpu: Option<u8>,
}

/// A tenth of T1: shorter than anybody notices, and no repetition is due.
impl Default for Overload {
    fn default() -> Self {
        Self { delay: Duration::from_millis(50), cpu: None }
    }
}

/// When evidence becomes a ban.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BanPolicy {
    /// So much evidence is too much.
    pub score: u32,
    /// Evidence fades away in this time.
    pub window: Duration,
    /// How long a ban lasts.
    pub time: Duration,
    /// Only log and count what would be banned.
    pub dry_run: bool,
}

/// A signature of a scanner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The headers it is looked for in; `None`: all of them.
    pub header: Option<HeaderPattern>,
    /// The text, in any case.
    pub contains: Box<str>,
}

/// The largest datagram, every domain, any caller; rates that no honest peer reaches and no flood passes.
impl Default for Admission {
    fn default() -> Self {
        let rate = |requests| Rate::per_second(requests, 2 * requests);
        Self {
            max_message: 65_536,
            domains: Vec::new(),
            caller_identity: CallerIdentity::default(),
            allow: Vec::new(),
            deny: Vec::new(),
            per_source: SourceRates { requests: rate(2000), invites: rate(1000), registers: rate(1000) },
            per_user: Rate::per_second(20, 100),
            strangers: rate(1000),
            max_calls_per_user: None,
            max_calls_per_source: None,
            call_rate_per_user: None,
            call_rate_per_source: None,
            ban: Some(BanPolicy::default()),
            scanners: Vec::new(),
        }
    }
}

impl Default for BanPolicy {
    fn default() -> Self {
        let (window, time) = (Duration::from_secs(60), Duration::from_secs(600));
        Self { score: 10, window, time, dry_run: false }
    }
}

/// Whose name a caller of the public zone may call under (requests that begin a dialog).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CallerIdentity {
    /// Any: what From says passes. FreeSWITCH believes it.
    #[default]
    AsIs,
    /// A user registered over this very connection or address, or the one whose credentials the request
    /// carries; anybody else is refused.
    Registered,
    /// The same, but somebody else's name is replaced by the caller's own instead.
    Replace,
}

/// What passes from one zone to another, beside what never does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers {
    /// Headers of the pool that stay inside.
    pub strip: Vec<HeaderPattern>,
    /// Addresses of the inside that no listener and no member has: those of the other nodes.
    pub hide: Vec<IpAddr>,
}

/// RFC 3261 table 4, and how long things may last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timers {
    /// Round-trip time estimate.
    pub t1: Duration,
    /// Longest interval between repetitions of a non-INVITE request or a final response.
    pub t2: Duration,
    /// How long a message stays in the network.
    pub t4: Duration,
    /// Timer C: how long an INVITE may ring.
    pub ring: Duration,
    /// How long a dialog is remembered without any message of it, and a server that is no member any more stays one
    /// for its dialogs.
    pub call: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            ring: Duration::from_secs(180),
            call: Duration::from_secs(12 * 3600),
        }
    }
}

/// 32 secret bytes. `Debug` shows none of them.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(pub [u8; 32]);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}
