//! How the simulated sbc is configured: the addresses of the documentation, and rules as an operator
//! writes them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use routing_rules::{Balance, Names, Rules};
use sbc_core::config::{
    Admission, CallerIdentity, Config, Failover, Headers, HostPort, Key, Large, Listener, Member, Overload,
    Pool, Probe, Registrations, Share, SourceRates, Timers,
};
use sbc_core::flow::{ListenerId, Transport, Zone};
use sbc_core::rate::Rate;

/// Where browsers connect to.
pub const WSS: &str = "198.51.100.7:8443";
/// Where phones send to.
pub const PHONES: &str = "198.51.100.7:5060";
/// Where carriers send to.
pub const TRUNK: &str = "198.51.100.7:5062";
/// Where FreeSWITCH sends to.
pub const INSIDE: &str = "10.0.1.5:5070";
/// The same by TCP, or TLS.
pub const INSIDE_TCP: &str = "10.0.1.5:5069";
/// Where carriers connect to.
pub const TRUNK_TCP: &str = "198.51.100.7:5063";
/// The member of the pool `reserve`, where there is one.
pub const RESERVE: &str = "10.0.2.12:5080";

/// The TCP or TLS listener towards the members.
pub const INSIDE_TCP_ID: ListenerId = ListenerId(4);
/// The TCP listener towards the carriers.
pub const TRUNK_TCP_ID: ListenerId = ListenerId(5);

const RULES: &str = r#"
[[rule]]
name = "gateways register at the carrier"
match = { zone = "pool", method = "REGISTER" }
route = { pool = "carrier" }

[[rule]]
name = "out to the carrier"
match = { zone = "pool", user = { prefix = "+" } }
route = { pool = "carrier" }

[[rule]]
name = "registrations stay with their server"
match = { method = ["REGISTER", "SUBSCRIBE", "PUBLISH"], domain = "example.test" }
route = { pool = "freeswitch", balance = "hash:aor" }

[[rule]]
name = "users registered here"
match = { zone = "pool", registered = true }
route = { bindings = true }

[[rule]]
name = "carrier calls"
match = { listener = "trunk" }
route = { pool = "freeswitch" }

[[rule]]
name = "everything else of ours"
match = { domain = "example.test" }
route = { pool = "freeswitch" }
"#;

/// What a test may change.
#[derive(Debug, Clone)]
pub struct EdgeSettings {
    /// The members of the FreeSWITCH pool.
    pub members: Vec<SocketAddr>,
    /// The carriers; without any, rules about them lead to a pool of nobody.
    pub carriers: Vec<SocketAddr>,
    /// The members of the pool `reserve`, reached by UDP; without any there is no such pool.
    pub reserve: Vec<SocketAddr>,
    /// How the members are reached: by UDP, TCP or TLS.
    pub transport: Transport,
    /// Members that are reached by the stream listener, whatever the others are.
    pub by_stream: Vec<SocketAddr>,
    /// Whether the members are probed.
    pub probes: bool,
    /// How the carriers are.
    pub trunk: Transport,
    /// What happens to requests too large for a datagram, for the members and for the carriers.
    pub large: [Large; 2],
    /// How a member is chosen.
    pub balance: Balance,
    /// Where registrations live.
    pub registrations: Registrations,
    /// What the members take, in their order; as much as the others where nothing is said.
    pub shares: Vec<Share>,
    /// The rules, as an operator writes them.
    pub rules: String,
    /// How many workers share the work.
    pub workers: u8,
    /// Whether the carrier's answers follow the flow.
    pub symmetric: bool,
    /// The dialog keys, newest first.
    pub keys: Vec<[u8; 32]>,
    /// Access lists, rates and bans; domains and caller identity are said elsewhere.
    pub admission: Admission,
    /// How many nodes of sbc there are, with one key, behind one public address.
    pub nodes: u8,
    /// Several nodes share a pool-side address too; else each has its own.
    pub share_inside: bool,
    /// Whose name callers may use.
    pub caller_identity: CallerIdentity,
    /// What stays inside.
    pub headers: Headers,
    /// How long a dead member's calls wait for their end.
    pub release: Option<Duration>,
}

impl EdgeSettings {
    /// Two workers in front of these members.
    pub fn new(members: &[&str]) -> Self {
        Self {
            members: members.iter().map(|member| member.parse().expect("a member's address")).collect(),
            carriers: vec!["203.0.113.10:5060".parse().expect("a carrier's address")],
            reserve: Vec::new(),
            transport: Transport::Udp,
            by_stream: Vec::new(),
            probes: true,
            trunk: Transport::Udp,
            large: [Large::Never; 2],
            balance: Balance::HashCallId,
            registrations: Registrations::Shared,
            shares: Vec::new(),
            rules: RULES.to_owned(),
            workers: 2,
            symmetric: true,
            keys: vec![[7; 32]],
            admission: Admission::default(),
            nodes: 1,
            share_inside: false,
            caller_identity: CallerIdentity::default(),
            headers: Headers::default(),
            release: None,
        }
    }
}

/// Admission that limits and bans nobody.
pub fn unlimited() -> Admission {
    let rate = Rate::per_second(1_000_000, 1_000_000);
    Admission {
        per_source: SourceRates { requests: rate, invites: rate, registers: rate },
        per_user: rate,
        strangers: rate,
        ban: None,
        ..Admission::default()
    }
}

fn listener(name: &str, transport: Transport, address: &str, zone: Zone) -> Listener {
    let bind: SocketAddr = address.parse().expect("a listener's address");
    Listener::new(name, transport, bind, zone)
}

fn pool(
    name: &str,
    zone: Zone,
    listener: u16,
    members: &[SocketAddr],
    balance: Balance,
    large: Large,
) -> Pool {
    let listener = ListenerId(listener);
    let transport = if listener == INSIDE_TCP_ID { ";transport=tcp" } else { "" };
    let uri = |address: &SocketAddr| format!("sip:{address}{transport}").into();
    let member = |address: &SocketAddr| Member {
        uri: uri(address),
        address: *address,
        listener,
        share: Share::default(),
    };
    Pool {
        name: name.into(),
        zone,
        listener,
        members: members.iter().map(member).collect(),
        balance,
        registrations: Registrations::Shared,
        probe: (zone == Zone::Pool).then_some(Probe {
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(1),
            fall: 2,
            rise: 2,
        }),
        failover: Failover {
            invite_after: Duration::from_secs(2),
            other_after: Duration::from_secs(6),
            attempts: 3,
        },
        large,
        release: None,
    }
}

/// The configuration of the simulated sbc, if there is one node.
pub fn edge_config(settings: &EdgeSettings) -> Arc<Config> {
    node_config(settings, 0)
}

/// The configuration of one node.
pub(super) fn node_config(settings: &EdgeSettings, node: u8) -> Arc<Config> {
    // Each node is told of the others' addresses.
    let own = |node| IpAddr::from([10, 0, 1, 10 + node]);
    let mut headers = settings.headers.clone();
    headers.hide.extend((0..settings.nodes).map(own));
    let mut inside = listener("inside", Transport::Udp, INSIDE, Zone::Pool);
    if settings.nodes > 1 {
        inside.bind.set_ip(own(node));
        if !settings.share_inside {
            inside.advertise = HostPort::from(inside.bind);
        }
    }
    inside.worker_ports = (1..=u16::from(settings.workers))
        .map(|port| SocketAddr::new(inside.bind.ip(), 5070 + port))
        .collect();
    let mut trunk = listener("trunk", Transport::Udp, TRUNK, Zone::Trunk);
    trunk.networks = vec!["203.0.113.0/24".parse().expect("a network")];
    trunk.symmetric = settings.symmetric;
    let networks = trunk.networks.clone();
    let stream = |of| if of == Transport::Tls { Transport::Tls } else { Transport::Tcp };
    let listeners = vec![
        listener("browsers", Transport::Wss, WSS, Zone::Public),
        listener("phones", Transport::Udp, PHONES, Zone::Public),
        trunk,
        inside,
        listener("inside-tcp", stream(settings.transport), INSIDE_TCP, Zone::Pool),
        Listener { networks, ..listener("trunk-tcp", stream(settings.trunk), TRUNK_TCP, Zone::Trunk) },
    ];
    let pools: &[&str] = match settings.reserve.is_empty() {
        true => &["freeswitch", "carrier"],
        false => &["freeswitch", "carrier", "reserve"],
    };
    let names = Names::new(pools, &["browsers", "phones", "trunk", "inside", "inside-tcp", "trunk-tcp"]);
    let inside = if settings.transport == Transport::Udp { 3 } else { INSIDE_TCP_ID.0 };
    let outside = if settings.trunk == Transport::Udp { 2 } else { TRUNK_TCP_ID.0 };
    let rules =
        Rules::parse(&settings.rules, "routes.toml", &names).unwrap_or_else(|errors| panic!("{errors:?}"));
    let mut members =
        pool("freeswitch", Zone::Pool, inside, &settings.members, settings.balance, settings.large[0]);
    members.registrations = settings.registrations;
    members.release = settings.release;
    for (member, share) in members.members.iter_mut().zip(&settings.shares) {
        member.share = share.clone();
    }
    for member in members.members.iter_mut().filter(|one| settings.by_stream.contains(&one.address)) {
        (member.listener, member.uri) =
            (INSIDE_TCP_ID, format!("sip:{};transport=tcp", member.address).into());
    }
    members.probe = members.probe.filter(|_| settings.probes);
    let mut pools = vec![
        members,
        pool("carrier", Zone::Trunk, outside, &settings.carriers, Balance::HashCallId, settings.large[1]),
    ];
    if !settings.reserve.is_empty() {
        pools.push(pool("reserve", Zone::Pool, 3, &settings.reserve, settings.balance, Large::Never));
    }
    Arc::new(Config {
        listeners,
        region: "eu".into(),
        pools,
        rules: Arc::new(rules),
        admission: Admission {
            domains: vec!["example.test".into()],
            caller_identity: settings.caller_identity,
            ..settings.admission.clone()
        },
        headers,
        timers: Timers::default(),
        overload: Some(Overload::default()),
        keys: settings.keys.iter().map(|key| Key(*key)).collect(),
        path_key: Key([9; 32]),
        workers: settings.workers,
    })
}
