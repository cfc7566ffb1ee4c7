//! Nodes, links and the clock.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use sbc_core::flow::ConnectionId;
use sbc_core::time::Time;

use super::edges::{Edge, Socket};
use super::streams::Streams;
use super::travel::Flying;
use super::{Arrival, Chance, Departure, EdgeSettings, Judge, Link, WSS, node_config};
use crate::agent::{Agent, Carrier, Exchange, LegId, Registered, Settings, State};
use crate::member::Member;
use crate::member::config::Config as MemberConfig;
use crate::ua::Endpoint;

pub(super) enum Node {
    Member(Box<Member>),
    Agent(Box<Agent>),
    Carrier(Box<Carrier>),
}

impl Node {
    pub(super) fn endpoint(&mut self) -> &mut dyn Endpoint {
        match self {
            Self::Member(member) => member.as_mut(),
            Self::Agent(agent) => agent.as_mut(),
            Self::Carrier(carrier) => carrier.as_mut(),
        }
    }
}

/// Everything there is.
pub struct World {
    /// Now.
    pub now: Time,
    /// How datagrams travel, between all nodes.
    pub link: Link,
    /// How they travel between sbc and the pool, where that is another link.
    pub inside_link: Option<Link>,
    pub(super) chance: Chance,
    pub(super) edges: Vec<Edge>,
    pub(super) nodes: BTreeMap<SocketAddr, Node>,
    pub(super) sockets: BTreeMap<SocketAddr, Socket>,
    /// Browsers say over their next WebSocket what the last one lost of their words.
    pub browsers_repeat: bool,
    /// What they will say then.
    pub(super) unsaid: BTreeMap<SocketAddr, Vec<(SocketAddr, Vec<u8>)>>,
    /// WebSockets that lead nowhere, which sbc does not know.
    pub(super) vanished: BTreeMap<SocketAddr, Socket>,
    pub(super) streams: Streams,
    pub(super) closed_ports: Vec<SocketAddr>,
    /// Servers that accept no connections.
    pub without_tcp: Vec<SocketAddr>,
    /// Servers before which a firewall drops what would open one.
    pub drops_tcp: Vec<SocketAddr>,
    /// Inner to outer address of those behind an address translator.
    pub(super) translated: BTreeMap<SocketAddr, SocketAddr>,
    pub(super) flying: BTreeMap<(Time, u64), Flying>,
    /// When the last message on its way over a WebSocket arrives at this end.
    pub(super) last_on_stream: BTreeMap<(ConnectionId, SocketAddr), Time>,
    pub(super) lost: BTreeMap<u64, u32>,
    pub(super) sent: u64,
    pub(super) last_socket: u64,
    pub(super) restarts: u32,
    /// Whether the members share one database of registrations.
    pub share_registrations: bool,
    /// Print every datagram sent from now on (a debugging aid for a failing seed).
    pub trace_from: Option<Time>,
    /// What was seen outside and must not be.
    pub told: Vec<String>,
    /// Every message that left sbc, for tests that look closer. They may clear it.
    pub departures: Vec<Departure>,
    pub(super) most_departures: usize,
    /// All workers of the first node handle what arrives at once, each in a thread of its own.
    pub at_once: bool,
    /// Looks at every message that comes and goes, where a test wants one.
    pub judge: Option<Box<Judge>>,
    /// What came in at sbc, where a test wants to know.
    pub arrivals: Option<Vec<Arrival>>,
    /// Every address that anybody has sent anything to.
    pub destinations: BTreeSet<SocketAddr>,
}

/// A loop between nodes ends here.
const MAX_STEPS: usize = 3_000_000;
const MAX_KEPT: usize = 50_000;

impl World {
    /// An sbc in front of the members it is told of.
    pub fn new(seed: u64, settings: &EdgeSettings) -> Self {
        let mut chance = Chance::new(seed);
        let now = Time::from_millis(1);
        let edges = (0..settings.nodes).map(|node| Edge::new(node_config(settings, node), &mut chance, now));
        let mut world = Self {
            now,
            link: Link::GOOD,
            inside_link: None,
            edges: edges.collect(),
            chance,
            nodes: BTreeMap::new(),
            sockets: BTreeMap::new(),
            browsers_repeat: false,
            unsaid: BTreeMap::new(),
            vanished: BTreeMap::new(),
            streams: Streams::default(),
            closed_ports: Vec::new(),
            without_tcp: Vec::new(),
            drops_tcp: Vec::new(),
            translated: BTreeMap::new(),
            flying: BTreeMap::new(),
            last_on_stream: BTreeMap::new(),
            lost: BTreeMap::new(),
            sent: 0,
            last_socket: 0,
            restarts: 0,
            share_registrations: true,
            trace_from: None,
            told: Vec::new(),
            departures: Vec::new(),
            most_departures: MAX_KEPT,
            at_once: false,
            judge: None,
            arrivals: None,
            destinations: BTreeSet::new(),
        };
        (0..world.edges.len()).for_each(|edge| world.start_workers(edge));
        for member in &settings.members {
            world.add_member(*member, |config| config.transport = settings.transport);
        }
        world
    }

    /// A member of the pool; `change` its configuration.
    pub fn add_member(&mut self, address: SocketAddr, change: impl FnOnce(&mut MemberConfig)) {
        let mut config = MemberConfig::new("member", address, "example.test", "secret");
        config.peers = self.edges[0].config.pools[0].members.iter().map(|member| member.address).collect();
        config.seed = self.chance.next();
        change(&mut config);
        self.closed_ports.retain(|port| *port != address);
        self.nodes.insert(address, Node::Member(Box::new(Member::new(config))));
    }

    /// Keep no departures from now on: of long runs they would fill the memory.
    pub fn forget_departures(&mut self) {
        self.departures.clear();
        self.most_departures = 0;
    }

    /// A node is gone. With `refuses`, its host answers with ICMP errors; without, there is silence.
    pub fn kill(&mut self, address: &str, refuses: bool) {
        let address = parse(address);
        self.nodes.remove(&address);
        if refuses {
            self.closed_ports.push(address);
            self.close_connections(&address.to_string());
        }
    }

    /// ICMP errors come from this address no longer.
    pub fn refuse_no_more(&mut self, address: &str) {
        let address = parse(address);
        self.closed_ports.retain(|port| *port != address);
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
            let of_the_past =
                ["repeated with other bytes", "407 after the 2xx", "408 after the 2xx", "487 after the 2xx"];
            let is_reborn = self.restarts > 0 && of_the_past.iter().any(|words| what.contains(words));
            !is_reborn
        };
        self.nodes.values().flat_map(of).filter(is_ours).chain(self.told.iter().cloned()).collect()
    }

    /// Run for so many virtual milliseconds.
    pub fn run(&mut self, millis: u64) {
        self.run_micros(millis.saturating_mul(1000));
    }

    /// Run for so many virtual microseconds.
    pub fn run_micros(&mut self, micros: u64) {
        if self.at_once {
            return self.run_at_once(micros);
        }
        let end = self.now + Duration::from_micros(micros);
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
        if self.share_registrations {
            self.share_registrations();
        }
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
        self.stop_registering();
        self.run(1000);
        let settled = self.until(120_000, |world| world.is_at_rest());
        assert_eq!(self.violations(), Vec::<String>::new());
        assert!(
            settled,
            "{} transactions and {} branches are left over",
            self.transactions(),
            self.branches()
        );
    }

    /// One thing happens, if any does before `end`.
    fn step(&mut self, end: Time) -> bool {
        let arrival = self.flying.first_key_value().map(|((at, _), _)| *at);
        let timer = self
            .nodes
            .iter_mut()
            .filter_map(|(at, node)| Some((node.endpoint().next_deadline()?, *at)))
            .min();
        let edge = self.edges.iter().enumerate().filter_map(|(at, edge)| Some((edge.next_due()?, at))).min();
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
        } else if let Some((_, edge)) = edge {
            self.wake(edge);
        }
        true
    }
}

pub(super) fn parse(address: &str) -> SocketAddr {
    address.parse().unwrap_or_else(|_| panic!("{address} is no address"))
}
