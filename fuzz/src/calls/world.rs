//! The parties around one core, and what must hold after every step.

use std::collections::{HashSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use sbc_core::config::Config;
use sbc_core::flow::{ConnectionId, Flow, WorkerId};
use sbc_core::io::{Backlog, Input};
use sbc_core::limits;
use sbc_core::time::Time;
use sbc_core::wire::{Framing, Index, Limits, Message};
use sbc_core::{Core, Worker};

use super::compose;
use super::edge::{self, BROWSERS, INSIDE, PHONES, TRUNK};
use super::script::Script;

/// Who there is. The first ones come over connections.
const PARTIES: [&str; 10] = [
    "192.0.2.20:40001",
    "192.0.2.20:40002",
    "192.0.2.21:40001",
    "192.0.2.50:5060",
    "192.0.2.51:5061",
    edge::CARRIER,
    "203.0.113.99:5060",
    edge::MEMBERS[0],
    edge::MEMBERS[1],
    "10.9.9.9:5060",
];
const CONNECTED: usize = 3;
/// Messages that are remembered in each direction, to be answered, repeated or garbled.
const REMEMBERED: usize = 32;
/// One message leads to no more than these: every branch of a request and its cancelling, and an answer.
const SENT_AT_ONCE: usize = 2 * limits::BRANCHES + 4;
/// When nobody speaks any more, everything is over after this: an INVITE that rang, its CANCEL, their timers.
const AFTERMATH: Duration = Duration::from_secs(600);

struct Said {
    flow: Flow,
    bytes: Vec<u8>,
}

pub(super) struct World {
    core: Core,
    config: Arc<Config>,
    /// One of the members is taken out.
    is_reduced: bool,
    workers: [Worker; 2],
    /// The worker that the network gives the next datagram to.
    next_worker: usize,
    now: Time,
    connections: [Option<ConnectionId>; CONNECTED],
    next_connection: NonZeroU64,
    /// Addresses that some input came from, or the configuration names.
    given: HashSet<SocketAddr>,
    /// What parties said.
    said: VecDeque<Said>,
    /// What parties were sent.
    sent: VecDeque<Said>,
}

impl World {
    pub(super) fn new(own_names: bool) -> Self {
        let now = Time::from_millis(1_000);
        let config = edge::config(own_names);
        let core = Core::new(Arc::clone(&config), [3; 32], now);
        let mut workers = [Worker::new(WorkerId(0), now), Worker::new(WorkerId(1), now)];
        workers.iter_mut().for_each(|worker| core.start(worker, now));
        let members = edge::MEMBERS.iter().chain([&edge::CARRIER]);
        let mut world = Self {
            core,
            config,
            is_reduced: false,
            workers,
            next_worker: 0,
            now,
            connections: [None; CONNECTED],
            next_connection: NonZeroU64::MIN,
            given: members.map(|member| address(member)).collect(),
            said: VecDeque::new(),
            sent: VecDeque::new(),
        };
        (0..CONNECTED).for_each(|party| world.connect(party));
        world
    }

    pub(super) fn address(&self, party: u8) -> SocketAddr {
        address(PARTIES[usize::from(party) % PARTIES.len()])
    }

    pub(super) fn is_connected(&self, party: u8) -> bool {
        usize::from(party) % PARTIES.len() < CONNECTED
    }

    /// A party sends.
    pub(super) fn say(&mut self, party: u8, bytes: Vec<u8>) {
        let Some(flow) = self.flow(party) else { return };
        self.hear(flow, bytes);
    }

    /// Somebody answers what they were sent.
    pub(super) fn answer(&mut self, script: &mut Script<'_>) {
        let Some(said) = recent(&self.sent, script.byte()) else { return };
        let flow = said.flow;
        if let Some(bytes) = compose::answer(script, &said.bytes, flow.remote) {
            self.hear(flow, bytes);
        }
    }

    /// Somebody asks within the dialog of what they were sent.
    pub(super) fn ask_within(&mut self, script: &mut Script<'_>) {
        let Some(said) = recent(&self.sent, script.byte()) else { return };
        let flow = said.flow;
        if let Some(bytes) = compose::within(script, &said.bytes, flow.remote) {
            self.hear(flow, bytes);
        }
    }

    /// Somebody repeats, cancels or acknowledges what they said.
    pub(super) fn repeat(&mut self, script: &mut Script<'_>) {
        let Some(said) = recent(&self.said, script.byte()) else { return };
        let flow = said.flow;
        let bytes = compose::under_another_method(script, &said.bytes);
        self.hear(flow, bytes);
    }

    /// What somebody was sent comes back from anybody, with a piece of it replaced.
    pub(super) fn garble(&mut self, script: &mut Script<'_>) {
        let Some(said) = recent(&self.sent, script.byte()) else { return };
        let mut bytes = said.bytes.clone();
        let party = script.byte();
        let start = (usize::from(script.byte()) * 8).min(bytes.len());
        let end = (start + usize::from(script.byte())).min(bytes.len());
        bytes.splice(start..end, script.text().iter().copied());
        self.say(party, bytes);
    }

    /// Time passes, from 0.1 s to 4 minutes.
    pub(super) fn pass_time(&mut self, choice: u8) {
        let millis = 100 << (u32::from(choice) % 12);
        self.run_until(self.now + Duration::from_millis(millis));
    }

    /// A connection breaks or comes again, or the network says that nobody is there.
    pub(super) fn disturb(&mut self, script: &mut Script<'_>) {
        let party = script.byte();
        match self.flow(party) {
            Some(flow) => match flow.connection {
                Some(connection) => {
                    let place = usize::from(party) % PARTIES.len();
                    self.connections[place] = None;
                    self.step(of_connection(place), Input::Closed(connection), usize::MAX);
                }
                None if script.byte().is_multiple_of(2) => self.step(0, Input::Unreachable(flow), usize::MAX),
                None => self.step(1, Input::Disconnected(flow), usize::MAX),
            },
            None => self.connect(usize::from(party) % PARTIES.len()),
        }
    }

    /// A worker has been behind, or busy; or is no more.
    pub(super) fn burden(&mut self, script: &mut Script<'_>) {
        let (which, degree) = (script.byte(), script.byte());
        let worker = usize::from(which & 1);
        if which & 2 == 0 {
            return self.step(worker, Input::Busy(degree % 101), usize::MAX);
        }
        let waited = Duration::from_millis(u64::from(degree) * 8);
        let backlog = Backlog { queue: which % 4, waited, messages: 1 + u32::from(degree), room: 256 };
        self.step(worker, Input::Taken(backlog), usize::MAX);
    }

    /// A member is taken out, or put in again.
    pub(super) fn reload(&mut self) {
        self.is_reduced = !self.is_reduced;
        let config =
            if self.is_reduced { edge::without_a_member(&self.config) } else { Arc::clone(&self.config) };
        self.core.reconfigure(config, self.now).expect("members come and go without a restart");
        self.step(0, Input::Deadline, usize::MAX);
    }

    /// Everybody is silent.
    pub(super) fn everything_ends(&mut self) {
        self.run_until(self.now + AFTERMATH);
        let status = self.core.status();
        assert!(status.is_at_rest(), "something stays: {status:?}");
        assert_eq!(status.connections, self.connections.iter().flatten().count());
    }

    fn connect(&mut self, party: usize) {
        let connection = ConnectionId(self.next_connection);
        self.next_connection = self.next_connection.saturating_add(1);
        self.connections[party] = Some(connection);
        let remote = address(PARTIES[party]);
        let flow = Flow { listener: BROWSERS, port: 0, remote, connection: Some(connection) };
        self.step(of_connection(party), Input::Opened(flow), usize::MAX);
    }

    fn flow(&self, party: u8) -> Option<Flow> {
        let at = usize::from(party) % PARTIES.len();
        let remote = self.address(party);
        let listener = match at {
            0..CONNECTED => {
                let connection = self.connections[at]?;
                return Some(Flow { listener: BROWSERS, port: 0, remote, connection: Some(connection) });
            }
            3 | 4 => PHONES,
            5 | 6 => TRUNK,
            _ => return Some(Flow { port: party & 1, ..Flow::to(INSIDE, remote) }),
        };
        Some(Flow::to(listener, remote))
    }

    fn hear(&mut self, flow: Flow, bytes: Vec<u8>) {
        self.given.insert(flow.remote);
        let place = PARTIES.iter().position(|party| address(party) == flow.remote);
        let worker = match (flow.connection, place) {
            (Some(_), Some(place)) => of_connection(place),
            _ => self.next_worker,
        };
        self.next_worker = 1 - self.next_worker;
        // What was said over a connection follows whoever has registered over another.
        let is_register = bytes.windows(8).any(|word| word == b"REGISTER");
        let followed = if is_register { limits::UNANSWERED_PER_FLOW } else { 0 };
        let most = SENT_AT_ONCE + followed;
        self.step(worker, Input::Received { flow, source: flow.remote, bytes: &bytes }, most);
        remember(&mut self.said, Said { flow, bytes });
    }

    fn run_until(&mut self, end: Time) {
        let due =
            |world: &Self, worker: usize| Some((world.core.next_deadline(&world.workers[worker])?, worker));
        let next = |world: &Self| (0..world.workers.len()).filter_map(|worker| due(world, worker)).min();
        while let Some((due, worker)) = next(self).filter(|(due, _)| *due <= end) {
            self.now = self.now.max(due);
            self.step(worker, Input::Deadline, limits::TIMERS_AT_ONCE * SENT_AT_ONCE);
        }
        self.now = end;
    }

    fn step(&mut self, worker: usize, input: Input<'_>, at_most: usize) {
        let worker = &mut self.workers[worker];
        self.core.handle(worker, self.now, input);
        let sent = worker.outbox.transmits().len();
        assert!(sent <= at_most, "one input led to {sent} messages");
        let outbox = &worker.outbox;
        let leaving = outbox.transmits().iter();
        let leaving: Vec<Said> =
            leaving.map(|one| Said { flow: one.flow, bytes: outbox.bytes(&one.range).to_vec() }).collect();
        worker.outbox.clear();
        for said in leaving {
            self.check(&said);
            remember(&mut self.sent, said);
        }
    }

    fn check(&self, said: &Said) {
        let Said { flow, bytes } = said;
        match flow.connection {
            Some(connection) => assert!(connection.0 < self.next_connection, "to a connection of nobody"),
            None => assert!(self.may_be_sent_to(flow.remote), "astray to {}", flow.remote),
        }
        if bytes.starts_with(b"SIP/2.0 ") || bytes == b"\r\n" {
            return;
        }
        let mut index = Index::new();
        let limits =
            Limits { headers: 1000, header_line: 65_536, request_uri: 65_536, method: 64, vias: 1000 };
        let verdict = index.parse(bytes, Framing::Datagram, &limits);
        assert_eq!(verdict, Ok(()), "an unreadable request: {}", String::from_utf8_lossy(bytes));
        assert!(Message::new(bytes, &index).is_request());
    }

    /// The trunk is asymmetric: its peers name where they want to be asked, inside their networks.
    fn may_be_sent_to(&self, remote: SocketAddr) -> bool {
        let in_network = matches!(remote.ip(), IpAddr::V4(ip) if ip.octets().starts_with(&[203, 0, 113]));
        in_network || self.given.contains(&remote)
    }
}

/// The messages of one connection stay with one worker.
const fn of_connection(party: usize) -> usize {
    party % 2
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// One of those remembered, the last one first.
fn recent(all: &VecDeque<Said>, choice: u8) -> Option<&Said> {
    let back = usize::from(choice).checked_rem(all.len())?;
    all.get(all.len() - 1 - back)
}

fn remember(all: &mut VecDeque<Said>, said: Said) {
    if all.len() == REMEMBERED {
        all.pop_front();
    }
    all.push_back(said);
}
