//! Nodes, links and the clock.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sbc_core::config::Config;
use sbc_core::flow::{ConnectionId, Flow, ListenerId, Transport, WorkerId, Zone, is_stream, is_websocket};
use sbc_core::io::{Input, Transmit};
use sbc_core::time::Time;
use sbc_core::{Change, Core, Refused, Worker};

use super::secrecy;
use super::streams::Streams;
use super::{Arrival, Chance, Departure, EdgeSettings, WSS, edge_config};
use crate::agent::{Agent, Carrier, Exchange, LegId, Registered, Settings, State};
use crate::member::Member;
use crate::member::config::Config as MemberConfig;
use crate::ua::Endpoint;

/// How datagrams travel.
#[derive(Debug, Clone, Copy)]
pub struct Link {
    /// So many of a hundred are lost.
    pub loss_percent: u64,
    /// The shortest way.
    pub delay: Duration,
    /// On top of it, up to so much: datagrams overtake each other.
    pub jitter: Duration,
    /// So many of a hundred arrive twice.
    pub duplicate_percent: u64,
}

impl Link {
    /// Nothing is lost or overtaken.
    pub const GOOD: Self = Self {
        loss_percent: 0,
        delay: Duration::from_millis(5),
        jitter: Duration::ZERO,
        duplicate_percent: 0,
    };

    /// Loses `loss_percent` and doubles a quarter of that; what arrives does so in order.
    pub const fn lossy(loss_percent: u64) -> Self {
        Self { loss_percent, duplicate_percent: loss_percent / 4, ..Self::GOOD }
    }

    /// The same, and datagrams overtake each other.
    pub const fn unordered(loss_percent: u64) -> Self {
        Self { jitter: Duration::from_millis(30), ..Self::lossy(loss_percent) }
    }
}

enum Node {
    Member(Box<Member>),
    Agent(Box<Agent>),
    Carrier(Box<Carrier>),
}

impl Node {
    fn endpoint(&mut self) -> &mut dyn Endpoint {
        match self {
            Self::Member(member) => member.as_mut(),
            Self::Agent(agent) => agent.as_mut(),
            Self::Carrier(carrier) => carrier.as_mut(),
        }
    }
}

/// Something that arrives.
pub(super) struct Flying {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    /// Over this connection, in either direction.
    pub(super) socket: Option<ConnectionId>,
    pub(super) bytes: Vec<u8>,
}

/// Everything there is.
pub struct World {
    /// Now.
    pub now: Time,
    /// How datagrams travel, between all nodes.
    pub link: Link,
    chance: Chance,
    core: Arc<Core>,
    pub(super) config: Arc<Config>,
    workers: Vec<Worker>,
    nodes: BTreeMap<SocketAddr, Node>,
    /// WebSockets, and the connections that servers have opened.
    pub(super) sockets: BTreeMap<SocketAddr, ConnectionId>,
    pub(super) streams: Streams,
    closed_ports: Vec<SocketAddr>,
    /// Servers that accept no connections.
    pub without_tcp: Vec<SocketAddr>,
    /// Inner to outer address of those behind an address translator.
    translated: BTreeMap<SocketAddr, SocketAddr>,
    pub(super) flying: BTreeMap<(Time, u64), Flying>,
    lost: BTreeMap<u64, u32>,
    sent: u64,
    pub(super) last_socket: u64,
    restarts: u32,
    down_until: Time,
    /// Print every datagram sent from now on (a debugging aid for a failing seed).
    pub trace_from: Option<Time>,
    /// What was seen outside and must not be.
    pub told: Vec<String>,
    /// Every message that left sbc, for tests that look closer. They may clear it.
    pub departures: Vec<Departure>,
    /// What came in at sbc, where a test wants to know.
    pub arrivals: Option<Vec<Arrival>>,
    /// Every address that anybody has sent anything to.
    pub destinations: BTreeSet<SocketAddr>,
}

/// Copies of one datagram that may be lost one after the other.
const LOST_IN_A_ROW: u32 = 2;
/// A loop between nodes ends here.
const MAX_STEPS: usize = 3_000_000;
const MAX_KEPT: usize = 50_000;

impl World {
    /// An sbc in front of the members it is told of.
    pub fn new(seed: u64, settings: &EdgeSettings) -> Self {
        let mut chance = Chance::new(seed);
        let config = edge_config(settings);
        let now = Time::from_millis(1);
        let core = Arc::new(Core::new(Arc::clone(&config), chance.bytes(), now));
        let mut world = Self {
            now,
            link: Link::GOOD,
            chance,
            core,
            workers: Vec::new(),
            config,
            nodes: BTreeMap::new(),
            sockets: BTreeMap::new(),
            streams: Streams::default(),
            closed_ports: Vec::new(),
            without_tcp: Vec::new(),
            translated: BTreeMap::new(),
            flying: BTreeMap::new(),
            lost: BTreeMap::new(),
            sent: 0,
            last_socket: 0,
            restarts: 0,
            down_until: Time::ZERO,
            trace_from: None,
            told: Vec::new(),
            departures: Vec::new(),
            arrivals: None,
            destinations: BTreeSet::new(),
        };
        world.start_workers();
        for member in &settings.members {
            world.add_member(*member, |config| config.tcp = settings.tcp);
        }
        world
    }

    fn start_workers(&mut self) {
        self.workers = (0..self.config.workers).map(|id| Worker::new(WorkerId(id), self.now)).collect();
        let core = Arc::clone(&self.core);
        for worker in 0..self.workers.len() {
            core.start(&mut self.workers[worker], self.now);
            self.flush(worker);
        }
    }

    /// The sbc itself, to look at.
    pub fn core(&self) -> &Core {
        &self.core
    }

    /// `kill -9` and a new start: nothing is remembered, all WebSockets are gone, ports are as before.
    pub fn restart(&mut self) {
        self.core = Arc::new(Core::new(Arc::clone(&self.config), self.chance.bytes(), self.now));
        self.sockets.clear();
        self.forget_connections();
        self.flying.retain(|_, flying| flying.socket.is_none());
        self.last_socket = 0;
        self.restarts += 1;
        self.start_workers();
    }

    /// The same, and until it is back all that is sent to it is lost.
    pub fn restart_after(&mut self, millis: u64) {
        self.restart();
        self.down_until = self.now + Duration::from_millis(millis);
        self.run(millis);
    }

    /// The same, with another configuration.
    pub fn restart_with(&mut self, settings: &EdgeSettings) {
        self.config = edge_config(settings);
        self.restart();
    }

    /// Another configuration while everything is up.
    ///
    /// # Errors
    /// Where it needs a restart; then nothing has changed.
    pub fn reload(&mut self, settings: &EdgeSettings) -> Result<Vec<Change>, Refused> {
        let config = edge_config(settings);
        let changes = self.core.reconfigure(Arc::clone(&config), self.now)?;
        self.config = config;
        self.input(0, |core, worker, now| core.handle(worker, now, Input::Deadline));
        Ok(changes)
    }

    /// A member of the pool; `change` its configuration.
    pub fn add_member(&mut self, address: SocketAddr, change: impl FnOnce(&mut MemberConfig)) {
        let mut config = MemberConfig::new("member", address, "example.test", "secret");
        config.peers = self.config.pools[0].members.iter().map(|member| member.address).collect();
        config.seed = self.chance.next();
        change(&mut config);
        self.closed_ports.retain(|port| *port != address);
        self.nodes.insert(address, Node::Member(Box::new(Member::new(config))));
    }

    /// A node is gone. With `refuses`, its host answers with ICMP errors; without, there is silence.
    pub fn kill(&mut self, address: &str, refuses: bool) {
        let address = parse(address);
        self.nodes.remove(&address);
        if refuses {
            self.closed_ports.push(address);
            self.reset_connections(address);
        }
    }

    fn settings(&mut self, address: &str, edge: &str, user: &str) -> Settings {
        Settings {
            address: parse(address),
            edge: parse(edge),
            user: user.into(),
            domain: "example.test".into(),
            password: Some("secret".into()),
            seed: self.chance.next(),
        }
    }

    /// A phone.
    pub fn add_phone(&mut self, address: &str, user: &str) {
        let phone = Agent::phone(self.settings(address, super::PHONES, user));
        self.nodes.insert(parse(address), Node::Agent(Box::new(phone)));
    }

    /// A browser, connected.
    pub fn add_browser(&mut self, address: &str, user: &str) {
        let browser = Agent::browser(self.settings(address, WSS, user));
        self.nodes.insert(parse(address), Node::Agent(Box::new(browser)));
        self.connect(address);
    }

    /// A carrier behind a proxy of its own that records its route.
    pub fn add_carrier(&mut self, proxy: &str, agent: &str, challenge: bool) {
        let exchange = Exchange::new("carrier.test", &[("trunk", "sesame")], challenge);
        let mut settings = self.settings(agent, super::TRUNK, "4930");
        settings.domain = "carrier.test".into();
        let carrier = Carrier::new(settings, parse(proxy), exchange);
        self.nodes.insert(parse(proxy), Node::Carrier(Box::new(carrier)));
    }

    /// From now on the network shows `inner` to everybody as `outer`.
    pub fn behind_nat(&mut self, inner: &str, outer: &str) {
        self.translated.insert(parse(inner), parse(outer));
    }

    /// Open a WebSocket for the browser at this address.
    pub fn connect(&mut self, address: &str) {
        let address = parse(address);
        let connection = self.next_connection();
        self.sockets.insert(address, connection);
        let flow = Flow { listener: ListenerId(0), port: 0, remote: address, connection: Some(connection) };
        let worker = self.worker_of(address);
        self.input(worker, |core, worker, now| core.handle(worker, now, Input::Opened(flow)));
    }

    /// Cut the WebSocket of the browser at this address.
    pub fn cut(&mut self, address: &str) {
        let address = parse(address);
        let Some(connection) = self.sockets.remove(&address) else { return };
        self.flying.retain(|_, flying| flying.socket != Some(connection));
        let worker = self.worker_of(address);
        self.input(worker, |core, worker, now| core.handle(worker, now, Input::Closed(connection)));
    }

    /// A member, to look at or talk to.
    pub fn member(&mut self, address: &str) -> &mut Member {
        match self.nodes.get_mut(&parse(address)) {
            Some(Node::Member(member)) => member,
            _ => panic!("no member at {address}"),
        }
    }

    /// A phone, a browser, or the exchange of a carrier.
    pub fn agent(&mut self, address: &str) -> &mut Agent {
        match self.nodes.get_mut(&parse(address)) {
            Some(Node::Agent(agent)) => agent,
            Some(Node::Carrier(carrier)) => &mut carrier.agent,
            _ => panic!("no agent at {address}"),
        }
    }

    /// A carrier.
    pub fn carrier(&mut self, proxy: &str) -> &mut Carrier {
        match self.nodes.get_mut(&parse(proxy)) {
            Some(Node::Carrier(carrier)) => carrier,
            _ => panic!("no carrier at {proxy}"),
        }
    }

    /// Let a carrier call one of its users where he is registered.
    pub fn call_registered(&mut self, proxy: &str, user: &str, to: &str) -> Option<LegId> {
        let now = self.now;
        let leg = self.carrier(proxy).call_registered(now, user, to);
        self.collect(parse(proxy));
        leg
    }

    /// Let an agent do something now.
    pub fn act<T>(&mut self, address: &str, verb: impl FnOnce(&mut Agent, Time) -> T) -> T {
        let now = self.now;
        let done = verb(self.agent(address), now);
        self.collect(parse(address));
        done
    }

    /// Send raw bytes from an address to another.
    pub fn inject(&mut self, from: &str, to: &str, bytes: &[u8]) {
        let socket = self.sockets.get(&parse(from)).copied();
        self.fly(Flying { from: parse(from), to: parse(to), socket, bytes: bytes.to_vec() });
    }

    /// What any endpoint complains of, and what was told outside.
    pub fn violations(&self) -> Vec<String> {
        let of = |node: &Node| match node {
            Node::Member(member) => member.status(self.now).violations,
            Node::Agent(agent) => agent.violations(),
            Node::Carrier(carrier) => carrier.agent.violations(),
        };
        // After a restart our token for the caller may name it otherwise: the branch is what counts then.
        let is_ours = |what: &String| {
            // Failures of an attempt that is over may still pass: nobody remembers that it is.
            let of_the_past = ["repeated with other bytes", "407 after the 2xx"];
            let is_reborn = self.restarts > 0 && of_the_past.iter().any(|words| what.contains(words));
            !is_reborn
        };
        self.nodes.values().flat_map(of).filter(is_ours).chain(self.told.iter().cloned()).collect()
    }

    /// Run for so many virtual milliseconds.
    pub fn run(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        for _ in 0..MAX_STEPS {
            if !self.step(end) {
                self.now = end;
                return;
            }
        }
        panic!("no end of messages");
    }

    /// Run until `holds`, or for so many virtual milliseconds. True where it came to hold.
    pub fn until(&mut self, millis: u64, mut holds: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.now + Duration::from_millis(millis);
        while !holds(self) {
            if self.now >= end {
                return false;
            }
            self.run(100);
        }
        true
    }

    /// Register an agent and wait for it.
    pub fn register(&mut self, address: &str) {
        self.act(address, |agent, now| {
            agent.keep_registered(true);
            agent.register(now, 300);
        });
        let done =
            self.until(120_000, |world| matches!(world.agent(address).registered(), Registered::Yes(_)));
        assert!(done, "{address} did not get registered: {:?}", self.agent(address).registered());
        self.share_registrations();
    }

    /// The members share one database of registrations: what one knows, all know.
    pub fn share_registrations(&mut self) {
        let now = self.now;
        let mut members: Vec<&mut Member> = self
            .nodes
            .values_mut()
            .filter_map(|node| if let Node::Member(member) = node { Some(&mut **member) } else { None })
            .collect();
        let known: Vec<_> = members.iter().flat_map(|member| member.status(now).bindings).collect();
        for member in &mut members {
            member.share_bindings(&known);
        }
    }

    /// The state of a call.
    pub fn state(&mut self, address: &str, leg: LegId) -> State {
        self.agent(address).state(leg)
    }

    /// Wait until a call is up, and say what it became else.
    pub fn until_up(&mut self, address: &str, leg: LegId) {
        let done = self.until(60_000, |world| world.state(address, leg) == State::Up);
        assert!(done, "call of {address} is {:?}", self.state(address, leg));
    }

    /// Wait until a call is over.
    pub fn until_ended(&mut self, address: &str, leg: LegId) {
        let done = self.until(120_000, |world| matches!(world.state(address, leg), State::Ended { .. }));
        assert!(done, "call of {address} is {:?}", self.state(address, leg));
    }

    /// Wait for a call to come in that `seen` does not hold yet, and for its being up.
    pub fn until_called(&mut self, address: &str) -> LegId {
        let done = self.until(60_000, |world| world.agent(address).incoming().is_some());
        assert!(done, "{address} is not called");
        self.agent(address).incoming().expect("just seen")
    }

    /// The call of an agent that is up; of several the newest.
    pub fn call_up(&mut self, address: &str) -> LegId {
        let up = |agent: &Agent| {
            agent.calls().filter(|(_, call)| call.state == State::Up).map(|(leg, _)| leg).last()
        };
        let done = self.until(60_000, |world| up(world.agent(address)).is_some());
        assert!(done, "no call of {address} is up");
        up(self.agent(address)).expect("just seen")
    }

    /// Everything settles: no transaction is left, nobody complains.
    pub fn assert_quiet(&mut self) {
        for node in self.nodes.values_mut() {
            if let Node::Agent(agent) = node {
                agent.keep_registered(false);
            }
        }
        self.run(1000);
        let settled = self.until(120_000, |world| world.core.status().transactions == 0);
        assert_eq!(self.violations(), Vec::<String>::new());
        assert!(settled, "{} transactions are left over", self.core.status().transactions);
    }

    /// One thing happens, if any does before `end`.
    fn step(&mut self, end: Time) -> bool {
        let arrival = self.flying.first_key_value().map(|((at, _), _)| *at);
        let timer = self
            .nodes
            .iter_mut()
            .filter_map(|(at, node)| Some((node.endpoint().next_deadline()?, *at)))
            .min();
        let edge = (0..self.workers.len())
            .filter_map(|worker| Some((self.core.next_deadline(&self.workers[worker])?, worker)))
            .min();
        let times = [arrival, timer.map(|(at, _)| at), edge.map(|(at, _)| at)];
        let Some(next) = times.into_iter().flatten().min().filter(|at| *at <= end) else { return false };
        self.now = self.now.max(next);
        if arrival == Some(next) {
            if let Some((_, flying)) = self.flying.pop_first() {
                self.arrive(flying);
            }
        } else if let Some((_, address)) = timer.filter(|(at, _)| *at == next) {
            let now = self.now;
            if let Some(node) = self.nodes.get_mut(&address) {
                node.endpoint().on_time(now);
            }
            self.collect(address);
        } else if let Some((_, worker)) = edge {
            self.input(worker, |core, worker, now| core.handle(worker, now, Input::Deadline));
        }
        true
    }

    /// Take what a node wants to send.
    fn collect(&mut self, from: SocketAddr) {
        let Some(node) = self.nodes.get_mut(&from) else { return };
        for output in node.endpoint().outputs() {
            let socket = self.sockets.get(&from).copied();
            let is_browser = output.to == parse(WSS);
            let socket = socket.or_else(|| self.stream_to(output.to));
            if is_browser && socket.is_none() {
                continue;
            }
            let from = self.translated.get(&from).copied().unwrap_or(from);
            self.fly(Flying { from, to: output.to, socket, bytes: output.bytes });
        }
    }

    /// WebSockets keep order and lose nothing; datagrams travel by the link.
    pub(super) fn fly(&mut self, flying: Flying) {
        self.print(&flying);
        self.destinations.insert(flying.to);
        if flying.socket.is_some() {
            self.sent += 1;
            self.flying.insert((self.now + Duration::from_millis(5), self.sent), flying);
            return;
        }
        let copies = 1 + u64::from(self.chance.percent(self.link.duplicate_percent));
        for _ in 0..copies {
            if self.chance.percent(self.link.loss_percent) && self.may_lose(&flying) {
                continue;
            }
            let jitter = self.chance.below(self.link.jitter.as_micros() as u64 + 1);
            let at = self.now + self.link.delay + Duration::from_micros(jitter);
            self.sent += 1;
            let copy = Flying { bytes: flying.bytes.clone(), ..flying };
            self.flying.insert((at, self.sent), copy);
        }
    }

    /// Loss is fair: of one datagram at most so many copies in a row are lost. Without that, one call in a
    /// few hundred dies at 20 % of what RFC 3261's own timers cannot mend, and says nothing about us.
    fn may_lose(&mut self, flying: &Flying) -> bool {
        let mut hasher = std::hash::DefaultHasher::new();
        (flying.from, flying.to, &flying.bytes).hash(&mut hasher);
        let lost = self.lost.entry(hasher.finish()).or_default();
        *lost += 1;
        if *lost > LOST_IN_A_ROW {
            *lost = 0;
        }
        *lost > 0
    }

    fn print(&self, flying: &Flying) {
        let Some(from) = self.trace_from else { return };
        let text = String::from_utf8_lossy(&flying.bytes);
        let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap_or("");
        let start = text.lines().next().unwrap_or("");
        let at = self.now.since(from).as_millis();
        eprintln!("{at:>7} {} -> {}  {start}  [{}]", flying.from, flying.to, line("CSeq"));
    }

    fn arrive(&mut self, mut flying: Flying) {
        if let Some((inner, _)) = self.translated.iter().find(|(_, outer)| **outer == flying.to) {
            flying.to = *inner;
        }
        if let Some(flow) = self.flow_of(&flying) {
            if self.now < self.down_until {
                return;
            }
            let worker = self.worker_of(flying.from);
            let (source, bytes) = (flying.from, flying.bytes);
            if let Some(arrivals) = &mut self.arrivals {
                arrivals.push(Arrival { from: source, to: flying.to, bytes: bytes.clone() });
            }
            self.input(worker, |core, worker, now| {
                core.handle(worker, now, Input::Received { flow, source, bytes: &bytes });
            });
            return;
        }
        let now = self.now;
        let is_refused = flying.socket.is_some() && self.without_tcp.contains(&flying.to);
        if is_refused || self.closed_ports.contains(&flying.to) {
            self.refuse(&flying);
        } else if let Some(node) = self.nodes.get_mut(&flying.to) {
            node.endpoint().handle(now, flying.from, &flying.bytes);
            self.collect(flying.to);
        }
    }

    /// How sbc sees what arrives; `None` where it is not for sbc.
    fn flow_of(&mut self, flying: &Flying) -> Option<Flow> {
        match self.listener_at(flying.to) {
            Some((listener, _)) if self.is_stream(listener) => {
                Some(self.accepted_flow(listener, flying.from))
            }
            Some((listener, port)) => {
                Some(Flow { listener, port, remote: flying.from, connection: flying.socket })
            }
            None => self.dialled_flow(flying),
        }
    }

    /// ICMP port unreachable, or a refused connection.
    fn refuse(&mut self, flying: &Flying) {
        self.refuse_connection(flying.from);
        let Some((listener, port)) = self.listener_at(flying.from) else { return };
        let flow = Flow { listener, port, remote: flying.to, connection: None };
        self.input(0, |core, worker, now| core.handle(worker, now, Input::Unreachable(flow)));
    }

    fn listener_at(&self, address: SocketAddr) -> Option<(ListenerId, u8)> {
        self.config.listeners.iter().enumerate().find_map(|(index, listener)| {
            let id = ListenerId(u16::try_from(index).ok()?);
            if listener.bind == address {
                return Some((id, 0));
            }
            let port = listener.worker_ports.iter().position(|port| *port == address)?;
            Some((id, u8::try_from(port + 1).ok()?))
        })
    }

    /// The kernel gives one address to one worker.
    pub(super) fn worker_of(&self, remote: SocketAddr) -> usize {
        usize::from(remote.port()) % self.workers.len()
    }

    pub(super) fn input(&mut self, worker: usize, run: impl FnOnce(&Core, &mut Worker, Time)) {
        let core = Arc::clone(&self.core);
        run(&core, &mut self.workers[worker], self.now);
        self.flush(worker);
    }

    /// Send what a worker left in its outbox.
    fn flush(&mut self, worker: usize) {
        let outbox = std::mem::take(&mut self.workers[worker].outbox);
        for Transmit { flow, range } in outbox.transmits() {
            self.send(flow, outbox.bytes(range));
        }
    }

    fn send(&mut self, flow: &Flow, bytes: &[u8]) {
        let listener = &self.config.listeners[usize::from(flow.listener.0)];
        let from = match usize::from(flow.port).checked_sub(1) {
            Some(port) => listener.worker_ports[port],
            None => listener.bind,
        };
        if listener.zone != Zone::Pool {
            self.told.extend(secrecy::told(bytes));
        }
        let transport = listener.transport;
        let fits = match flow.connection {
            Some(_) => transport != Transport::Udp,
            None => !is_websocket(transport),
        };
        assert!(fits, "a connection is used where the listener has them, and only there");
        let to = match flow.connection {
            None => flow.remote,
            Some(connection) if self.is_dialled(connection) => flow.remote,
            Some(connection) => {
                // A WebSocket that is gone swallows what is sent to it.
                let Some(to) = self.sockets.iter().find(|(_, open)| **open == connection) else { return };
                *to.0
            }
        };
        if self.departures.len() < MAX_KEPT {
            self.departures.push(Departure { to, zone: listener.zone, bytes: bytes.to_vec() });
        }
        match flow.connection {
            None if is_stream(transport) => self.dial(flow, bytes),
            socket => self.fly(Flying { from, to, socket, bytes: bytes.to_vec() }),
        }
    }
}

fn parse(address: &str) -> SocketAddr {
    address.parse().unwrap_or_else(|_| panic!("{address} is no address"))
}
