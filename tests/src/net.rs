//! A network in virtual time for this crate's own tests: members, agents and carriers joined directly.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use sbc_core::time::Time;

use crate::agent::{Agent, Carrier, Exchange, Settings};
use crate::member::Member;
use crate::member::config::Config;
use crate::ua::ids::Ids;
use crate::ua::{Endpoint, Output};

/// How long a message is on its way.
const LATENCY: Duration = Duration::from_millis(5);
/// Steps of one `run`: a loop between endpoints ends here.
const MAX_STEPS: usize = 200_000;

pub(crate) const DOMAIN: &str = "example.test";

pub(crate) fn address(port: u16) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)
}

pub(crate) enum Node {
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

/// Nodes by address, and what is on its way between them.
pub(crate) struct Net {
    pub(crate) now: Time,
    pub(crate) loss_percent: u64,
    chance: Ids,
    nodes: BTreeMap<SocketAddr, Node>,
    flying: BTreeMap<(Time, u64), (SocketAddr, Output)>,
    sent: u64,
}

impl Net {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            now: Time::from_millis(1),
            loss_percent: 0,
            chance: Ids::new(seed),
            nodes: BTreeMap::new(),
            flying: BTreeMap::new(),
            sent: 0,
        }
    }

    /// Lose other messages from now on.
    pub(crate) fn reseed(&mut self, seed: u64) {
        self.chance = Ids::new(seed);
    }

    pub(crate) fn add_member(&mut self, port: u16, change: impl FnOnce(&mut Config)) {
        let mut config = Config::new("m", address(port), DOMAIN, "secret");
        config.peers = vec![address(6080), address(6081)];
        change(&mut config);
        self.nodes.insert(address(port), Node::Member(Box::new(Member::new(config))));
    }

    pub(crate) fn settings(port: u16, user: &str, edge: u16) -> Settings {
        Settings {
            address: address(port),
            edge: address(edge),
            user: user.into(),
            domain: DOMAIN.into(),
            password: Some("secret".into()),
            seed: u64::from(port),
        }
    }

    pub(crate) fn add_phone(&mut self, port: u16, user: &str, edge: u16) {
        let phone = Agent::phone(Self::settings(port, user, edge));
        self.nodes.insert(address(port), Node::Agent(Box::new(phone)));
    }

    pub(crate) fn add_browser(&mut self, port: u16, user: &str, edge: u16) {
        let browser = Agent::browser(Self::settings(port, user, edge));
        self.nodes.insert(address(port), Node::Agent(Box::new(browser)));
    }

    pub(crate) fn add_carrier(&mut self, proxy: u16, edge: u16, challenge_calls: bool) {
        let exchange = Exchange::new("carrier.test", &[("trunk", "sesame")], challenge_calls);
        let carrier = Carrier::new(Self::settings(proxy + 1, "4930", edge), address(proxy), exchange);
        self.nodes.insert(address(proxy), Node::Carrier(Box::new(carrier)));
    }

    /// A phone that is registered.
    pub(crate) fn registered(&mut self, port: u16, user: &str, edge: u16) {
        self.add_phone(port, user, edge);
        self.act(port, |agent, now| agent.register(now, 600));
        self.run(10_000);
    }

    pub(crate) fn member(&mut self, port: u16) -> &mut Member {
        match self.nodes.get_mut(&address(port)) {
            Some(Node::Member(member)) => member,
            _ => panic!("no member at {port}"),
        }
    }

    pub(crate) fn agent(&mut self, port: u16) -> &mut Agent {
        match self.nodes.get_mut(&address(port)) {
            Some(Node::Agent(agent)) => agent,
            Some(Node::Carrier(carrier)) => &mut carrier.agent,
            _ => panic!("no agent at {port}"),
        }
    }

    pub(crate) fn carrier(&mut self, port: u16) -> &mut Carrier {
        match self.nodes.get_mut(&address(port)) {
            Some(Node::Carrier(carrier)) => carrier,
            _ => panic!("no carrier at {port}"),
        }
    }

    /// Let an agent do something now.
    pub(crate) fn act<T>(&mut self, port: u16, verb: impl FnOnce(&mut Agent, Time) -> T) -> T {
        let now = self.now;
        let done = verb(self.agent(port), now);
        self.collect(address(port));
        done
    }

    /// A bad link also lets datagrams overtake each other, and doubles some.
    fn jitter(&mut self) -> Duration {
        let millis = if self.loss_percent > 0 { self.chance.number() % 30 } else { 0 };
        Duration::from_millis(millis)
    }

    /// Take what a node wants to send.
    pub(crate) fn collect(&mut self, from: SocketAddr) {
        let Some(node) = self.nodes.get_mut(&from) else {
            return;
        };
        for output in node.endpoint().outputs() {
            let copies = match self.chance.number() % 100 {
                lot if lot < self.loss_percent => 0,
                lot if lot < self.loss_percent + self.loss_percent / 4 => 2,
                _ => 1,
            };
            for _ in 0..copies {
                self.sent += 1;
                let at = self.now + LATENCY + self.jitter();
                self.flying.insert((at, self.sent), (from, output.clone()));
            }
        }
    }

    /// Run for so many virtual milliseconds.
    pub(crate) fn run(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        for _ in 0..MAX_STEPS {
            let arrival = self.flying.first_key_value().map(|((at, _), _)| *at);
            let timer = self
                .nodes
                .iter_mut()
                .filter_map(|(at, node)| Some((node.endpoint().next_deadline()?, *at)))
                .min();
            let next = arrival.into_iter().chain(timer.map(|(at, _)| at)).min().filter(|at| *at <= end);
            let Some(next) = next else { break };
            self.now = self.now.max(next);
            if arrival == Some(next) {
                let Some((_, (from, output))) = self.flying.pop_first() else {
                    break;
                };
                if let Some(node) = self.nodes.get_mut(&output.to) {
                    node.endpoint().handle(self.now, from, &output.bytes);
                }
                self.collect(output.to);
            } else if let Some((_, at)) = timer {
                if let Some(node) = self.nodes.get_mut(&at) {
                    node.endpoint().on_time(self.now);
                }
                self.collect(at);
            }
        }
        self.now = end;
    }

    /// What any agent complains of.
    pub(crate) fn violations(&self) -> Vec<String> {
        let of = |node: &Node| match node {
            Node::Member(member) => member.status(self.now).violations,
            Node::Agent(agent) => agent.violations(),
            Node::Carrier(carrier) => carrier.agent.violations(),
        };
        self.nodes.values().flat_map(of).collect()
    }
}
