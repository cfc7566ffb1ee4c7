//! One test's place: a directory, and loopback addresses that no other test uses.

use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};

use sbc_core::flow::Transport;

/// Members in the pool of a site.
const MEMBERS: usize = 2;
/// Worker ports on the pool side.
const WORKERS: u16 = 2;
/// Ports tried for a run of free ones.
const MOST_TRIES: usize = 200;

/// How the pool chooses a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Balance {
    /// `hash:call-id`
    CallId,
    /// `hash:aor`
    Aor,
    /// `round-robin`
    RoundRobin,
}

impl Balance {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::CallId, Self::Aor, Self::RoundRobin];
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CallId => "hash:call-id",
            Self::Aor => "hash:aor",
            Self::RoundRobin => "round-robin",
        })
    }
}

/// Addresses, all free when the site was made. The inside has its own IP addresses, so that one of them in a
/// message to the outside cannot be mistaken for another.
#[derive(Debug)]
pub struct Site {
    directory: PathBuf,
    /// What callers talk to.
    pub wss: SocketAddr,
    /// The same without TLS.
    pub ws: SocketAddr,
    /// The same over UDP.
    pub udp: SocketAddr,
    /// What callers are told of it, where something stands in front.
    pub advertised_udp: Option<SocketAddr>,
    /// What members talk to; the ports after it are the workers'.
    pub inside: SocketAddr,
    /// Where members listen.
    pub members: [SocketAddr; MEMBERS],
    /// Where a third one does, where one of them is to fail: then it counts as back after two good probes.
    third_member: Option<SocketAddr>,
    /// The pool's `release`; the usual one where nothing is said.
    pub release: Option<&'static str>,
    /// The admin API of sbc.
    pub admin: SocketAddr,
    /// What else there is where callers and members use TCP and TLS, too.
    pub streams: Option<Streams>,
    network: [u8; 2],
}

/// Listeners for TCP and TLS.
#[derive(Debug)]
pub struct Streams {
    /// What callers connect to.
    pub tcp: SocketAddr,
    /// The same with TLS.
    pub tls: SocketAddr,
    /// What members connect to, and where connections to them come from.
    pub inside: SocketAddr,
    /// How the second member is reached: by UDP or TCP.
    pub second: Transport,
    /// What happens to requests too large for a datagram, as the pool's `large` says.
    pub large: &'static str,
}

impl Site {
    /// A new place.
    ///
    /// # Panics
    /// When the machine has no free ports or no room for files.
    pub fn new(name: &str) -> Self {
        static SITES: AtomicU8 = AtomicU8::new(1);
        let number = SITES.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let [.., low] = process.to_be_bytes();
        let network = [low | 128, number];
        let directory = std::env::temp_dir().join(format!("sbc-e2e-{process}-{name}"));
        fs::create_dir_all(&directory).expect("a temporary directory");
        let ip = |host| Ipv4Addr::new(127, network[0], network[1], host);
        Self {
            directory,
            wss: free_tcp(ip(1)),
            ws: free_tcp(ip(1)),
            udp: free_udp(ip(1)),
            advertised_udp: None,
            inside: free_run(ip(2), WORKERS + 1),
            members: [free_udp(ip(3)), free_udp(ip(4))],
            third_member: None,
            release: None,
            admin: free_tcp(ip(2)),
            streams: None,
            network,
        }
    }

    /// The same place with a third member in its pool.
    ///
    /// # Panics
    /// When the machine has no free ports.
    #[must_use]
    pub fn and_third_member(mut self) -> Self {
        self.third_member = Some(free_udp(Ipv4Addr::new(127, self.network[0], self.network[1], 7)));
        self
    }

    /// All members of the pool.
    pub fn pool(&self) -> Vec<SocketAddr> {
        self.members.into_iter().chain(self.third_member).collect()
    }

    /// A new place whose callers use TCP and TLS, too, and whose second member is reached by UDP or TCP.
    ///
    /// # Panics
    /// When the machine has no free ports or no room for files.
    pub fn with_streams(name: &str, second: Transport) -> Self {
        let mut site = Self::new(name);
        let ip = |host| Ipv4Addr::new(127, site.network[0], site.network[1], host);
        site.streams = Some(Streams {
            tcp: free_tcp(ip(1)),
            tls: free_tcp(ip(1)),
            inside: free_tcp(ip(2)),
            second,
            large: "auto",
        });
        site
    }

    /// Where its files are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// A free UDP address of the outside for one more endpoint.
    pub fn outside(&self) -> SocketAddr {
        free_udp(Ipv4Addr::new(127, self.network[0], self.network[1], 5))
    }

    /// A free TCP address of the outside.
    pub fn outside_tcp(&self) -> SocketAddr {
        free_tcp(Ipv4Addr::new(127, self.network[0], self.network[1], 5))
    }

    /// A free TCP address for something that a test asks.
    pub fn local_http(&self) -> SocketAddr {
        free_tcp(Ipv4Addr::new(127, self.network[0], self.network[1], 6))
    }

    /// IP addresses that must never be seen outside.
    pub(super) fn secret_hosts(&self) -> impl Iterator<Item = IpAddr> {
        [self.inside.ip()].into_iter().chain(self.pool().into_iter().map(|member| member.ip()))
    }

    /// Ports that must never be seen outside.
    pub(super) fn secret_ports(&self) -> impl Iterator<Item = u16> {
        let own = self.inside.port()..=self.inside.port() + WORKERS;
        own.chain(self.pool().into_iter().map(|member| member.port()))
    }

    /// The URL of the WebSocket listener with TLS.
    pub fn wss_url(&self) -> String {
        format!("wss://{}", self.wss)
    }

    /// Whether a member is reached by TCP.
    pub(super) fn is_by_tcp(&self, member: usize) -> bool {
        member == 1 && self.streams.as_ref().is_some_and(|streams| streams.second == Transport::Tcp)
    }

    /// Writes `sbc.toml` and `routes.toml`: the pool `freeswitch` with both members.
    pub(super) fn write_config(&self, balance: Balance) -> PathBuf {
        let Self { wss, ws, udp, inside, admin, .. } = self;
        let member = |(place, member): (usize, SocketAddr)| {
            let by = if self.is_by_tcp(place) { ";transport=tcp" } else { "" };
            format!("{{ uri = \"sip:{member}{by}\" }}")
        };
        let members: Vec<_> = self.pool().into_iter().enumerate().map(member).collect();
        let members = members.join(", ");
        let rise = if self.third_member.is_some() { 2 } else { 1 };
        let (from, to) = (inside.port() + 1, inside.port() + WORKERS);
        let advertise =
            self.advertised_udp.map(|address| format!("advertise = \"{address}\"\n")).unwrap_or_default();
        let streams = self.streams.as_ref().map(Streams::config).unwrap_or_default();
        let large = self.streams.as_ref().map(|streams| format!("large = \"{}\"\n", streams.large));
        let large = large.unwrap_or_default();
        let release = self.release.map(|release| format!("release = \"{release}\"\n")).unwrap_or_default();
        let config = format!(
            r#"routes = "routes.toml"
[node]
name = "edge"
state_dir = "state"
workers = {WORKERS}
[[listener]]
name = "browsers"
transport = "wss"
bind = "{wss}"
zone = "public"
[[listener]]
name = "browsers-plain"
transport = "ws"
bind = "{ws}"
zone = "public"
[[listener]]
name = "phones"
transport = "udp"
bind = "{udp}"
{advertise}zone = "public"
[[listener]]
name = "inside"
transport = "udp"
bind = "{inside}"
worker_ports = "{from}-{to}"
zone = "pool"
{streams}[pool.freeswitch]
members = [{members}]
balance = "{balance}"
{large}{release}probe = {{ interval = "500ms", timeout = "500ms", fall = 2, rise = {rise} }}
failover = {{ invite_after = "1s", other_after = "2s", attempts = 3 }}
[admission]
domains = ["example.test"]
[admin]
bind = "{admin}"
[log]
format = "text"
"#
        );
        self.write_rules("");
        let path = self.directory.join("sbc.toml");
        fs::write(&path, config).expect("a file in the temporary directory");
        path
    }

    /// Writes `routes.toml`, with more rules before the usual ones.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write_rules(&self, more: &str) {
        let file = self.directory.join("routes.toml");
        fs::write(file, format!("{more}{ROUTES}")).expect("a file in the temporary directory");
    }

    /// Writes `sbc.toml` and `routes.toml` once more, as `change` has made them of the usual ones.
    ///
    /// # Panics
    /// When they cannot be written.
    pub fn rewrite(&self, change: impl Fn(&str, &str) -> (String, String)) {
        let path = self.write_config(Balance::CallId);
        let config = fs::read_to_string(&path).expect("the configuration");
        let (config, rules) = change(&config, ROUTES);
        fs::write(&path, config).expect("a file in the temporary directory");
        fs::write(self.directory.join("routes.toml"), rules).expect("a file in the temporary directory");
    }
}

impl Streams {
    fn config(&self) -> String {
        let Self { tcp, tls, inside, .. } = self;
        let listener = |name: &str, transport: &str, bind: &SocketAddr, zone: &str| {
            format!(
                "[[listener]]\nname = \"{name}\"\ntransport = \"{transport}\"\nbind = \"{bind}\"\nzone = \"{zone}\"\n"
            )
        };
        [
            listener("phones-tcp", "tcp", tcp, "public"),
            listener("phones-tls", "tls", tls, "public"),
            listener("inside-tcp", "tcp", inside, "pool"),
        ]
        .concat()
    }
}

/// Registrations stay with their user's member, whatever the pool's balance is for calls.
const ROUTES: &str = r#"[[rule]]
name = "to a user registered here"
match = { zone = "pool", registered = true }
route = { bindings = true }
[[rule]]
name = "registrations stay with their server"
match = { method = ["REGISTER", "SUBSCRIBE"], domain = "example.test" }
route = { pool = "freeswitch", balance = "hash:aor" }
[[rule]]
name = "in"
match = { zone = "public" }
route = { pool = "freeswitch" }
"#;

impl Drop for Site {
    fn drop(&mut self) {
        // What a failed test left tells why.
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

fn free_udp(ip: Ipv4Addr) -> SocketAddr {
    UdpSocket::bind((ip, 0)).and_then(|socket| socket.local_addr()).expect("a free port")
}

fn free_tcp(ip: Ipv4Addr) -> SocketAddr {
    TcpListener::bind((ip, 0)).and_then(|socket| socket.local_addr()).expect("a free port")
}

/// The first of `count` neighbouring ports that are all free.
fn free_run(ip: Ipv4Addr, count: u16) -> SocketAddr {
    for _ in 0..MOST_TRIES {
        let first = free_udp(ip);
        let last = first.port().checked_add(count - 1);
        let free = |last| (first.port()..=last).all(|port| UdpSocket::bind((ip, port)).is_ok());
        if last.is_some_and(free) {
            return first;
        }
    }
    panic!("no {count} free ports in a row at {ip}");
}
