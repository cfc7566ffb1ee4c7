//! In steady state a request inside a dialog, its answer and its ACK take nothing from the heap: they use the buffers,
//! entries and timers of requests before them. And what forged addresses make the core remember is bounded, and
//! forgotten.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use allocation_counter::measure;
use sbc_core::config::Config;
use sbc_core::flow::{ConnectionId, Flow, ListenerId, WorkerId};
use sbc_core::io::Input;
use sbc_core::time::Time;
use sbc_core::{Core, Worker};
use sbc_tests::sim::{BROWSER, CARRIER, EdgeSettings, MEMBERS, PHONE, answer, edge_config};
use sbc_tests::ua::message::{Body, Message, Start};

/// Requests until every buffer has the size that it needs.
const WARM_UP: usize = 300;
/// Requests that are counted.
const COUNTED: usize = 50;
/// Longer than any timer of an answered request (RFC 3261 table 4: 64*T1).
const REST: Duration = Duration::from_secs(40);

const BROWSERS: ListenerId = ListenerId(0);
const PHONES: ListenerId = ListenerId(1);
const TRUNK: ListenerId = ListenerId(2);
const INSIDE: ListenerId = ListenerId(3);

/// Over what the outside party of a dialog speaks.
#[derive(Debug, Clone, Copy)]
enum Party {
    Phone,
    Browser,
    Carrier,
}

impl Party {
    fn flow(self) -> Flow {
        let udp = |listener, address: &str| Flow::to(listener, address.parse().expect("an address"));
        match self {
            Self::Phone => udp(PHONES, PHONE),
            Self::Carrier => udp(TRUNK, CARRIER),
            Self::Browser => {
                Flow { connection: Some(ConnectionId(NonZeroU64::MIN)), ..udp(BROWSERS, BROWSER) }
            }
        }
    }
}

/// The core, and what it has taken from the heap since the last look.
struct Edge {
    core: Core,
    worker: Worker,
    now: Time,
    taken: u64,
    /// Probes answered.
    probes: u64,
}

impl Edge {
    /// With one member that is never probed, or with several that are.
    fn new(is_probing: bool) -> Self {
        let members = if is_probing { &MEMBERS[..] } else { &MEMBERS[..1] };
        let mut config = Config::clone(&edge_config(&EdgeSettings::new(members)));
        if !is_probing {
            config.pools.iter_mut().for_each(|pool| pool.probe = None);
        }
        let now = Time::from_millis(1);
        let core = Core::new(Arc::new(config), [5; 32], now);
        let mut edge = Self { core, worker: Worker::new(WorkerId(0), now), now, taken: 0, probes: 0 };
        edge.taken += measure(|| edge.core.start(&mut edge.worker, now)).count_total;
        edge.answer_probes();
        edge.input(Input::Opened(Party::Browser.flow()));
        edge
    }

    /// Members answer what they are asked by itself: a dead one would be another test.
    fn answer_probes(&mut self) {
        let outbox = &self.worker.outbox;
        let sent = outbox.transmits().iter().map(|one| (one.flow, outbox.bytes(&one.range).to_vec()));
        let sent: Vec<_> = sent.filter(|(_, bytes)| bytes.starts_with(b"OPTIONS ")).collect();
        self.worker.outbox.clear();
        for (flow, bytes) in sent {
            let mut ok = answer(&Message::read(&bytes).expect("a probe"), 200, "probed");
            ok.close(None);
            let ok = ok.to_bytes();
            self.input(Input::Received { flow, source: flow.remote, bytes: &ok });
            self.worker.outbox.clear();
            self.probes += 1;
        }
    }

    fn input(&mut self, input: Input<'_>) {
        self.taken += measure(|| self.core.handle(&mut self.worker, self.now, input)).count_total;
    }

    /// What a message leads to at those for whom it is.
    fn hear(&mut self, flow: Flow, message: &Message) -> Vec<(Flow, Message)> {
        let bytes = message.to_bytes();
        self.input(Input::Received { flow, source: flow.remote, bytes: &bytes });
        let outbox = &self.worker.outbox;
        let sent = outbox.transmits().iter();
        let sent = sent.map(|one| (one.flow, Message::read(outbox.bytes(&one.range)).expect("a message")));
        let sent = sent.collect();
        self.worker.outbox.clear();
        sent
    }

    /// Everything that was begun comes to its end.
    fn rest(&mut self) {
        self.pass_time(REST);
        assert_eq!(self.core.status().transactions, 0);
    }

    fn pass_time(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.core.next_deadline(&self.worker).filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.input(Input::Deadline);
            self.answer_probes();
        }
        self.now = end;
        self.worker.outbox.clear();
    }

    /// A datagram of garbage from each of a million addresses, 60,000 a second.
    fn flood(&mut self, first: Ipv4Addr) {
        for number in 0..1_000_000 {
            self.now += Duration::from_micros(16);
            let source = Ipv4Addr::from_bits(first.to_bits() + number);
            let flow = Flow::to(PHONES, SocketAddr::from((source, 5060)));
            let input = Input::Received { flow, source: flow.remote, bytes: b"no SIP at all" };
            self.core.handle(&mut self.worker, self.now, input);
            self.worker.outbox.clear();
        }
    }
}

/// One side of a dialog.
struct Side {
    flow: Flow,
    /// The next Request-URI.
    target: String,
    routes: Vec<String>,
    from: String,
    to: String,
    contact: String,
}

/// A call that is up.
struct Call {
    id: String,
    number: u32,
    outside: Side,
    inside: Side,
}

impl Call {
    fn begin(edge: &mut Edge, party: Party, number: usize) -> Self {
        let flow = party.flow();
        let (id, contact) = (format!("call-{number}@host.invalid"), format!("<sip:1003@{};ob>", flow.remote));
        let (from, to) = ("<sip:1003@example.test>;tag=outside".to_owned(), "<sip:9196@example.test>");
        let mut outside = Side {
            flow,
            target: "sip:9196@example.test".into(),
            routes: Vec::new(),
            from,
            to: to.into(),
            contact,
        };
        let invite = request("INVITE", 1, &id, &outside);
        let (at, received) = only(edge.hear(flow, &invite), INSIDE);
        let member: SocketAddr = at.remote;
        let mut ok = answer(&received, 200, "inside");
        let contact = format!("<sip:9196@{member};transport=udp>");
        ok.push("Contact", contact.clone());
        ok.close(Some(session()));
        let (_, ok) = only(edge.hear(at, &ok), flow.listener);
        outside.target = ok.uri_of("Contact").expect("a Contact");
        outside.to = ok.get("To").expect("a To").to_owned();
        let inside = Side {
            flow: at,
            target: received.uri_of("Contact").expect("a Contact"),
            routes: received.all("Record-Route").map(str::to_owned).collect(),
            from: outside.to.clone(),
            to: received.get("From").expect("a From").to_owned(),
            contact,
        };
        edge.hear(flow, &request("ACK", 1, &id, &outside));
        Self { id, number: 1, outside, inside }
    }

    /// One side asks, the other grants it.
    fn ask(&mut self, edge: &mut Edge, method: &str, is_outside: bool) {
        self.number += 1;
        let (asking, asked) = match is_outside {
            true => (&self.outside, &self.inside),
            false => (&self.inside, &self.outside),
        };
        let sent = edge.hear(asking.flow, &request(method, self.number, &self.id, asking));
        let (at, received) = only(sent, asked.flow.listener);
        if method == "INVITE" {
            let mut trying = answer(&received, 100, "");
            trying.close(None);
            edge.hear(at, &trying);
        }
        let mut ok = answer(&received, 200, "unused");
        ok.push("Contact", asked.contact.clone());
        ok.close((method == "INVITE").then(session));
        let (_, granted) = only(edge.hear(at, &ok), asking.flow.listener);
        assert_eq!(status(&granted), Some(200));
        if method == "INVITE" {
            let ack = request("ACK", self.number, &self.id, asking);
            only(edge.hear(asking.flow, &ack), asked.flow.listener);
        }
    }
}

fn request(method: &str, number: u32, call_id: &str, side: &Side) -> Message {
    let mut request = Message::request(method, &side.target);
    let transport = if side.flow.connection.is_some() { "WSS" } else { "UDP" };
    let branch = format!("z9hG4bK{method}-{number}-{call_id}");
    request.push("Via", format!("SIP/2.0/{transport} {};rport;branch={branch}", side.flow.remote));
    side.routes.iter().for_each(|route| request.push("Route", route.clone()));
    request.push("Max-Forwards", "70");
    request.push("From", side.from.clone());
    request.push("To", side.to.clone());
    request.push("Call-ID", call_id);
    request.push("CSeq", format!("{number} {method}"));
    request.push("Contact", side.contact.clone());
    match method {
        "PRACK" => request.push("RAck", format!("{number} 1 INVITE")),
        "NOTIFY" => {
            request.push("Event", "refer");
            request.push("Subscription-State", "active;expires=60");
        }
        "REFER" => request.push("Refer-To", "<sip:1002@example.test>"),
        _ => {}
    }
    request.close((method == "INVITE").then(session));
    request
}

fn session() -> Body {
    Body::sdp("v=0\r\no=FreeSWITCH 1 1 IN IP4 10.0.2.10\r\ns=FreeSWITCH\r\nt=0 0\r\n".into())
}

/// The one message for a listener's side.
fn only(sent: Vec<(Flow, Message)>, listener: ListenerId) -> (Flow, Message) {
    let mut theirs = sent.into_iter().filter(|(flow, _)| flow.listener == listener);
    let found = theirs.next_back().expect("a message for the other side");
    assert!(theirs.next().is_none_or(|(_, other)| status(&other) == Some(100)));
    found
}

fn status(message: &Message) -> Option<u16> {
    match message.start {
        Start::Response { status, .. } => Some(status),
        Start::Request { .. } => None,
    }
}

/// What so many requests of one kind take, once as many others have passed.
fn taken_by(method: &str, party: Party, is_outside: bool, is_probing: bool) -> u64 {
    let mut edge = Edge::new(is_probing);
    let calls = if method == "BYE" { WARM_UP + COUNTED } else { 1 };
    let mut calls: Vec<Call> = (0..calls).map(|number| Call::begin(&mut edge, party, number)).collect();
    edge.rest();
    for round in 0..WARM_UP + COUNTED {
        if round == WARM_UP {
            edge.taken = 0;
        }
        let call = round % calls.len();
        calls[call].ask(&mut edge, method, is_outside);
        let asked = edge.taken;
        edge.rest();
        if is_probing {
            // Probes are no part of forwarding; they only may not disturb it.
            edge.taken = asked;
        }
    }
    assert_eq!(edge.probes > 0, is_probing, "probes are counted with the rest");
    edge.taken
}

/// Who takes something from the heap.
fn takers(methods: &[&str], is_probing: bool) -> Vec<String> {
    let mut takers = Vec::new();
    for method in methods {
        for party in [Party::Phone, Party::Browser, Party::Carrier] {
            for is_outside in [true, false] {
                let taken = taken_by(method, party, is_outside, is_probing);
                if taken > 0 {
                    let asks = if is_outside { "asks" } else { "is asked" };
                    takers.push(format!("{method}, {party:?} {asks}: {taken} in {COUNTED} requests"));
                }
            }
        }
    }
    takers
}

#[test]
fn a_request_within_a_dialog_takes_nothing_from_the_heap() {
    let methods = ["INFO", "INVITE", "BYE", "UPDATE", "PRACK", "NOTIFY", "MESSAGE", "REFER", "OPTIONS"];
    assert_eq!(takers(&methods, false), Vec::<String>::new());
}

#[test]
fn nor_does_it_where_several_members_are_probed_beside() {
    assert_eq!(takers(&["INFO", "INVITE", "BYE"], true), Vec::<String>::new());
}

#[test]
fn counting_counts() {
    let mut edge = Edge::new(false);
    Call::begin(&mut edge, Party::Phone, 0);
    assert!(edge.taken > 0, "the first call fills the tables");
}

/// What a million sources may cost, in bytes.
const MOST_FOR_SOURCES: u64 = 256 << 20;
/// They are forgotten within this.
const FORGOTTEN_WITHIN: Duration = Duration::from_secs(300);

#[test]
fn a_million_forged_sources_cost_256_mib_at_most_and_nothing_after_five_minutes() {
    let mut edge = Edge::new(false);
    // Others the second time: places are used again.
    for first in [Ipv4Addr::new(11, 0, 0, 0), Ipv4Addr::new(50, 0, 0, 0)] {
        let flood = measure(|| edge.flood(first));
        assert!(flood.bytes_max < MOST_FOR_SOURCES, "{} bytes", flood.bytes_max);
        let rest = measure(|| edge.pass_time(FORGOTTEN_WITHIN));
        let kept = flood.bytes_current + rest.bytes_current;
        println!("a million sources: {} MiB at most, {kept} bytes kept", flood.bytes_max >> 20);
        assert!(kept < 1 << 20, "{kept} bytes are kept for good");
    }
}
