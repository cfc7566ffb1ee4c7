//! The configuration that scripts meet: every zone, an asymmetric carrier, two members, rules of each kind.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use routing_rules::{Balance, Names, Rules};
use sbc_core::config::{Admission, Config, Failover, HostPort, Key, Listener, Member, Pool, Probe, Timers};
use sbc_core::flow::{ListenerId, Transport, Zone};

/// Over TLS and WebSocket.
pub(super) const BROWSERS: ListenerId = ListenerId(0);
/// Over UDP, from anywhere.
pub(super) const PHONES: ListenerId = ListenerId(1);
/// Over UDP, from carriers.
pub(super) const TRUNK: ListenerId = ListenerId(2);
/// Over UDP, from the members.
pub(super) const INSIDE: ListenerId = ListenerId(3);

/// The servers behind us.
pub(super) const MEMBERS: [&str; 2] = ["10.0.2.10:5080", "10.0.2.11:5080"];
/// The one that rules send calls to.
pub(super) const CARRIER: &str = "203.0.113.10:5060";
/// Where carriers may be.
pub(super) const CARRIERS: &str = "203.0.113.0/24";

const RULES: &str = r#"
[[rule]]
name = "refused"
match = { user = "666" }
reject = { status = 603 }

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
match = { method = ["REGISTER", "SUBSCRIBE"], domain = "example.test" }
route = { pool = "freeswitch", balance = "hash:aor" }

[[rule]]
name = "users registered here"
match = { zone = "pool", registered = true }
route = { bindings = true }

[[rule]]
name = "everything else of ours"
match = { domain = ["example.test", "198.51.100.7"] }
route = { pool = "freeswitch" }
"#;

/// With members that are probed, or without.
pub(super) fn config(probes: bool) -> Arc<Config> {
    static PROBING: LazyLock<Arc<Config>> = LazyLock::new(|| Arc::new(made(true)));
    static SILENT: LazyLock<Arc<Config>> = LazyLock::new(|| Arc::new(made(false)));
    Arc::clone(if probes { &PROBING } else { &SILENT })
}

fn made(probes: bool) -> Config {
    let listeners = vec![
        listener("browsers", Transport::Wss, "198.51.100.7:8443", Zone::Public),
        listener("phones", Transport::Udp, "198.51.100.7:5060", Zone::Public),
        Listener {
            networks: vec![CARRIERS.parse().expect("a network")],
            symmetric: false,
            ..listener("trunk", Transport::Udp, "198.51.100.7:5062", Zone::Trunk)
        },
        Listener {
            worker_ports: vec!["10.0.1.5:5071".parse().expect("an address")],
            ..listener("inside", Transport::Udp, "10.0.1.5:5070", Zone::Pool)
        },
    ];
    let names =
        Names { pools: &["freeswitch", "carrier"], listeners: &["browsers", "phones", "trunk", "inside"] };
    Config {
        listeners,
        pools: vec![
            pool("freeswitch", Zone::Pool, INSIDE, &MEMBERS, probes),
            pool("carrier", Zone::Trunk, TRUNK, &[CARRIER], false),
        ],
        rules: Arc::new(Rules::parse(RULES, "routes.toml", &names).expect("rules")),
        admission: Admission { max_message: 65_536, domains: vec!["example.test".into()] },
        timers: Timers::default(),
        keys: vec![Key([7; 32])],
        path_key: Key([9; 32]),
        workers: 1,
    }
}

fn listener(name: &str, transport: Transport, bind: &str, zone: Zone) -> Listener {
    let bind: SocketAddr = bind.parse().expect("an address");
    Listener {
        name: name.into(),
        transport,
        bind,
        zone,
        advertise: HostPort::from(bind),
        worker_ports: Vec::new(),
        networks: Vec::new(),
        symmetric: true,
    }
}

fn pool(name: &str, zone: Zone, listener: ListenerId, members: &[&str], probes: bool) -> Pool {
    let member = |text: &&str| Member {
        uri: format!("sip:{text}").into(),
        address: text.parse().expect("an address"),
    };
    Pool {
        name: name.into(),
        zone,
        listener,
        members: members.iter().map(member).collect(),
        balance: Balance::RoundRobin,
        probe: probes.then_some(Probe {
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(1),
            fall: 2,
            rise: 2,
        }),
        failover: Failover {
            invite_after: Duration::from_secs(2),
            other_after: Duration::from_secs(6),
            attempts: 3,
        },
    }
}
