//! A core with two members, a phone and a browser; two workers that take a step each, in every order.

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use loom::thread;
use sbc_model::config::{
    Admission, Balance, Config, Failover, Headers, Key, Large, Listener, Member, Pool, Registrations, Rules,
    Share, Timers,
};
use sbc_model::flow::{ConnectionId, Flow, ListenerId, Transport, WorkerId, Zone};
use sbc_model::io::Input;
use sbc_model::time::Time;
use sbc_model::{Core, Worker};

/// Handling a message takes more than a checker's thread has by itself.
const STACK_BYTES: usize = 1 << 20;
/// Looks into tables and locks, at most, in one run.
const STEPS: usize = 100_000;
/// A worker may be interrupted so often in one run.
const PREEMPTIONS: usize = 2;
/// After this nothing may be left of what was begun.
const AFTERMATH: Duration = Duration::from_secs(600);
const START: Time = Time::from_millis(1_000);

/// An end of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Party {
    pub(crate) listener: ListenerId,
    port: u16,
    connection: u64,
}

pub(crate) const PHONE: Party = Party { listener: ListenerId(0), port: 5061, connection: 0 };
pub(crate) const BROWSER: Party = Party { listener: ListenerId(2), port: 40_001, connection: 1 };
/// The same browser over its next connection.
pub(crate) const BROWSER_AGAIN: Party = Party { listener: ListenerId(2), port: 40_002, connection: 2 };
pub(crate) const MEMBERS: [Party; 2] = [
    Party { listener: ListenerId(1), port: 5080, connection: 0 },
    Party { listener: ListenerId(1), port: 5081, connection: 0 },
];

impl Party {
    pub(crate) fn flow(self) -> Flow {
        let remote = SocketAddr::from(([192, 0, 2, 1], self.port));
        Flow {
            listener: self.listener,
            port: 0,
            remote,
            connection: NonZeroU64::new(self.connection).map(ConnectionId),
        }
    }

    /// The member that got this.
    pub(crate) fn at(self, sent: &Sent) -> Self {
        Self { port: sent.flow.remote.port(), ..self }
    }
}

pub(crate) const CONTACT: &str = "Contact: <sip:callee@192.0.2.1:5080>\r\n";
pub(crate) const GRANTED: &str = "Contact: <sip:alice@a.invalid;transport=ws>;expires=600\r\n";
pub(crate) static INVITE: LazyLock<String> = LazyLock::new(|| {
    request(
        "INVITE sip:bob@example.test",
        "UDP 192.0.2.1:5061",
        "a",
        "1 INVITE",
        "<sip:alice@192.0.2.1:5061>",
    )
});
pub(crate) static REGISTER: LazyLock<String> = LazyLock::new(|| {
    let contact = "<sip:alice@a.invalid;transport=ws>;expires=600";
    request("REGISTER sip:example.test", "WSS a.invalid", "r", "1 REGISTER", contact)
});

fn request(start: &str, via: &str, call: &str, cseq: &str, contact: &str) -> String {
    format!(
        "{start} SIP/2.0\r\nVia: SIP/2.0/{via};branch=z9hG4bK{call};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:alice@example.test>;tag=f\r\nTo: <sip:alice@example.test>\r\nCall-ID: {call}\r\n\
         CSeq: {cseq}\r\nContact: {contact}\r\nContent-Length: 0\r\n\r\n"
    )
}

/// The first value of a header.
pub(crate) fn header<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// The answer to a request, with more lines.
pub(crate) fn reply(request: &str, status: u16, more: &str) -> String {
    let copied = ["Via: ", "Record-Route: ", "From: ", "Call-ID: ", "CSeq: "];
    let mut text = format!("SIP/2.0 {status} Whatever\r\n");
    for line in request.lines().filter(|line| copied.iter().any(|name| line.starts_with(name))) {
        text.push_str(line);
        text.push_str("\r\n");
    }
    let to = header(request, "To").expect("a To");
    text.push_str(&format!("To: {to};tag=t\r\n{more}Content-Length: 0\r\n\r\n"));
    text
}

/// A message that left.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) flow: Flow,
    pub(crate) text: String,
}

impl Sent {
    pub(crate) fn has(&self, text: &str) -> bool {
        self.text.contains(text)
    }

    pub(crate) fn is(&self, method: &str) -> bool {
        self.text.starts_with(method)
    }

    pub(crate) fn status(&self) -> Option<u16> {
        self.text.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
    }
}

/// The core, and what a test keeps for its steps.
pub(crate) struct Scene {
    core: Core,
    first: Option<Worker>,
    sent: Vec<Sent>,
    /// A message that is to be answered.
    pub(crate) kept: String,
    /// Who got it.
    pub(crate) member: Flow,
    /// Another message that is to be answered, and who got it.
    pub(crate) other: Option<(String, Flow)>,
    /// The Path of a registration.
    pub(crate) path: String,
}

impl Scene {
    fn new() -> Self {
        let core = Core::new(Arc::new(config()), [5; 32], START);
        let mut worker = Worker::new(WorkerId(0), START);
        for party in [BROWSER, BROWSER_AGAIN] {
            core.handle(&mut worker, START, Input::Opened(party.flow()));
        }
        let member = MEMBERS[0].flow();
        Self {
            core,
            first: Some(worker),
            sent: Vec::new(),
            kept: String::new(),
            member,
            other: None,
            path: String::new(),
        }
    }

    /// What comes before the two steps, at the first worker. Gives the first message that it leads to.
    pub(crate) fn begin(&mut self, from: Party, text: &str) -> Sent {
        let mut worker = self.first.take().expect("before the steps");
        let mut sent = self.hear(&mut worker, from, text);
        self.first = Some(worker);
        assert!(!sent.is_empty(), "nothing came of {text}");
        let first = sent.remove(0);
        self.sent.extend(sent);
        self.sent.push(Sent { flow: first.flow, text: first.text.clone() });
        first
    }

    pub(crate) fn close(&mut self, party: Party) {
        let connection = party.flow().connection.expect("a connection");
        let mut worker = self.first.take().expect("before the steps");
        self.core.handle(&mut worker, START, Input::Closed(connection));
        self.first = Some(worker);
    }

    pub(crate) fn member(&self) -> Party {
        Party { port: self.member.remote.port(), ..MEMBERS[0] }
    }

    /// A message of the member for the browser, by its Path.
    pub(crate) fn notify(&self) -> String {
        let contact = "<sip:mod_sofia@192.0.2.1:5080>";
        request("NOTIFY sip:alice@a.invalid;transport=ws", "UDP 192.0.2.1:5080", "n", "1 NOTIFY", contact)
            .replace("Max-Forwards", &format!("Route: {}\r\nMax-Forwards", self.path))
    }

    pub(crate) fn hear(&self, worker: &mut Worker, from: Party, text: &str) -> Vec<Sent> {
        let flow = from.flow();
        self.input(worker, START, Input::Received { flow, source: flow.remote, bytes: text.as_bytes() })
    }

    pub(crate) fn closed(&self, worker: &mut Worker, party: Party) -> Vec<Sent> {
        self.input(worker, START, Input::Closed(party.flow().connection.expect("a connection")))
    }

    pub(crate) fn unreachable(&self, worker: &mut Worker, party: Party) -> Vec<Sent> {
        self.input(worker, START, Input::Unreachable(party.flow()))
    }

    /// So many milliseconds after the start, what is due is done.
    pub(crate) fn pass(&self, worker: &mut Worker, millis: u64) -> Vec<Sent> {
        self.run_until(worker, START + Duration::from_millis(millis))
    }

    fn run_until(&self, worker: &mut Worker, end: Time) -> Vec<Sent> {
        let mut sent = Vec::new();
        while let Some(due) = self.core.next_deadline(worker).filter(|due| *due <= end) {
            sent.extend(self.input(worker, due, Input::Deadline));
        }
        sent
    }

    fn input(&self, worker: &mut Worker, now: Time, input: Input<'_>) -> Vec<Sent> {
        self.core.handle(worker, now, input);
        let outbox = std::mem::take(&mut worker.outbox);
        let text = |range| String::from_utf8_lossy(outbox.bytes(range)).into_owned();
        outbox.transmits().iter().map(|one| Sent { flow: one.flow, text: text(&one.range) }).collect()
    }
}

type Step = fn(&Scene, &mut Worker) -> Vec<Sent>;

/// Prepare a scene, let two workers take a step each in every order, look at what was sent; then nothing is left.
pub(crate) fn in_every_order(prepare: fn(&mut Scene), steps: [Step; 2], check: fn(&[Sent])) {
    in_every_order_and_then(prepare, steps, |_, _| Vec::new(), check);
}

/// The same, with one more step when both are done.
pub(crate) fn in_every_order_and_then(
    prepare: fn(&mut Scene),
    steps: [Step; 2],
    then: Step,
    check: fn(&[Sent]),
) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(PREEMPTIONS);
    model.max_branches = STEPS;
    model.check(move || {
        roomy(move || play(prepare, steps, then, check)).join().expect("no panic");
    });
}

fn play(prepare: fn(&mut Scene), steps: [Step; 2], then: Step, check: fn(&[Sent])) {
    let mut scene = Scene::new();
    prepare(&mut scene);
    let workers = [scene.first.take().expect("the first"), Worker::new(WorkerId(1), START)];
    let mut sent = std::mem::take(&mut scene.sent);
    let scene = Arc::new(scene);
    let running: Vec<_> = workers
        .into_iter()
        .zip(steps)
        .map(|(mut worker, step)| {
            let scene = Arc::clone(&scene);
            roomy(move || {
                let sent = step(&scene, &mut worker);
                (worker, sent)
            })
        })
        .collect();
    let mut workers = Vec::new();
    for thread in running {
        let (worker, more) = thread.join().expect("no panic");
        workers.push(worker);
        sent.extend(more);
    }
    let first = workers.first_mut().expect("two workers");
    sent.extend(then(&scene, first));
    check(&sent);
    for worker in &mut workers {
        scene.run_until(worker, START + AFTERMATH);
    }
    assert!(scene.core.status().is_at_rest(), "something stays: {:?}", scene.core.status());
}

fn roomy<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> thread::JoinHandle<T> {
    thread::Builder::new().stack_size(STACK_BYTES).spawn(run).expect("a thread of the model")
}

fn config() -> Config {
    let listener = |name: &str, transport, zone, port| {
        let bind = SocketAddr::from(([198, 51, 100, 7], port));
        Listener::new(name, transport, bind, zone)
    };
    let member = |party: &Party| {
        let address = party.flow().remote;
        Member {
            uri: format!("sip:{address}").into(),
            address,
            listener: ListenerId(1),
            share: Share::default(),
        }
    };
    Config {
        listeners: vec![
            listener("phones", Transport::Udp, Zone::Public, 5060),
            listener("inside", Transport::Udp, Zone::Pool, 5070),
            listener("browsers", Transport::Wss, Zone::Public, 443),
        ],
        pools: vec![Pool {
            name: "freeswitch".into(),
            zone: Zone::Pool,
            listener: ListenerId(1),
            members: MEMBERS.iter().map(member).collect(),
            balance: Balance::RoundRobin,
            large: Large::Never,
            release: None,
            registrations: Registrations::Shared,
            probe: None,
            failover: Failover {
                invite_after: Duration::from_secs(2),
                other_after: Duration::from_secs(6),
                attempts: 2,
            },
        }],
        region: "".into(),
        rules: Arc::new(Rules::single_pool(0)),
        admission: Admission::default(),
        headers: Headers::default(),
        timers: Timers::default(),
        overload: None,
        keys: vec![Key([7; 32])],
        path_key: Key([9; 32]),
        workers: 2,
    }
}
