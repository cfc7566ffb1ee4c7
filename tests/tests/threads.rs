//! One core, four threads: whatever worker a message comes in at, and however often, each call is set up once, ends,
//! and leaves nothing behind.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sbc_core::flow::{Flow, ListenerId, WorkerId};
use sbc_core::io::Input;
use sbc_core::time::Time;
use sbc_core::{Core, Worker};
use sbc_tests::sim::{Chance, EdgeSettings, MEMBERS, PHONE, answer, edge_config};
use sbc_tests::ua::message::{Message, Start};

const WORKERS: usize = 4;
const CALLS: usize = 300;
/// So many of a hundred datagrams come in twice, each copy at a worker of its own.
const TWICE_PERCENT: u64 = 40;
const PHONES: ListenerId = ListenerId(1);
const NOW: Time = Time::from_millis(1_000);
/// Longer than any timer that can still run, that of an idle dialog's record among them.
const LATER: Duration = Duration::from_secs(13 * 3600);

type Datagram = (Flow, Vec<u8>);

/// What travels between the threads, and what the parties saw.
struct Net {
    core: Core,
    inboxes: [Mutex<VecDeque<Datagram>>; WORKERS],
    /// Datagrams that are not handled yet.
    travelling: AtomicUsize,
    /// The branches of the INVITEs that members got, by call.
    invited: Mutex<HashMap<String, HashSet<String>>>,
    /// Calls whose BYE was granted.
    ended: Mutex<HashSet<String>>,
}

impl Net {
    fn new() -> Self {
        let settings = EdgeSettings { workers: WORKERS as u8, ..EdgeSettings::new(&MEMBERS) };
        Self {
            core: Core::new(edge_config(&settings), [5; 32], NOW),
            inboxes: Default::default(),
            travelling: AtomicUsize::new(0),
            invited: Mutex::default(),
            ended: Mutex::default(),
        }
    }

    /// To whichever worker chance takes, perhaps to two at once.
    fn send(&self, flow: Flow, message: &Message, chance: &mut Chance) {
        let bytes = message.to_bytes();
        for _ in 0..=usize::from(chance.percent(TWICE_PERCENT)) {
            self.travelling.fetch_add(1, Ordering::SeqCst);
            let worker = chance.below(WORKERS as u64) as usize;
            self.inboxes[worker].lock().expect("no panic").push_back((flow, bytes.clone()));
        }
    }

    /// One worker's thread, until nothing travels any more.
    fn work(&self, worker: &mut Worker, number: usize) {
        let mut chance = Chance::new(number as u64);
        while self.travelling.load(Ordering::SeqCst) > 0 {
            let next = self.inboxes[number].lock().expect("no panic").pop_front();
            let Some((flow, bytes)) = next else {
                std::thread::yield_now();
                continue;
            };
            self.core.handle(worker, NOW, Input::Received { flow, source: flow.remote, bytes: &bytes });
            let outbox = std::mem::take(&mut worker.outbox);
            for sent in outbox.transmits() {
                let message = Message::read(outbox.bytes(&sent.range)).expect("a message");
                self.react(sent.flow, &message, &mut chance);
            }
            self.travelling.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// What a party does about what it got.
    fn react(&self, flow: Flow, message: &Message, chance: &mut Chance) {
        let call = message.call_id().to_owned();
        match (&message.start, message.get("CSeq").unwrap_or_default()) {
            (Start::Request { .. }, "1 INVITE") => {
                let branch = message.top_via().expect("a Via").0;
                self.invited.lock().expect("no panic").entry(call).or_default().insert(branch);
                for status in [180, 200] {
                    let mut reply = answer(message, status, "inside");
                    reply.push("Contact", format!("<sip:9196@{};transport=udp>", flow.remote));
                    reply.close(None);
                    self.send(flow, &reply, chance);
                }
            }
            (Start::Request { method, .. }, _) if method == "BYE" => {
                let mut reply = answer(message, 200, "inside");
                reply.close(None);
                self.send(flow, &reply, chance);
            }
            (Start::Response { status: 200, .. }, "1 INVITE") => {
                let target = message.uri_of("Contact").expect("a Contact");
                let to = message.get("To").expect("a To");
                self.send(flow, &request("ACK", 1, &target, &call, to), chance);
                self.send(flow, &request("BYE", 2, &target, &call, to), chance);
            }
            (Start::Response { status: 200, .. }, "2 BYE") => {
                self.ended.lock().expect("no panic").insert(call);
            }
            _ => {}
        }
    }
}

fn request(method: &str, number: u32, target: &str, call: &str, to: &str) -> Message {
    let mut request = Message::request(method, target);
    request.push("Via", format!("SIP/2.0/UDP {PHONE};rport;branch=z9hG4bK{method}{call}"));
    request.push("Max-Forwards", "70");
    request.push("From", "<sip:1003@example.test>;tag=outside");
    request.push("To", to);
    request.push("Call-ID", call);
    request.push("CSeq", format!("{number} {method}"));
    request.push("Contact", format!("<sip:1003@{PHONE};ob>"));
    request.close(None);
    request
}

#[test]
fn every_call_is_set_up_once_whichever_threads_handle_its_messages() {
    let net = Net::new();
    let phone = Flow::to(PHONES, PHONE.parse().expect("an address"));
    let mut chance = Chance::new(42);
    for call in 0..CALLS {
        let uri = "sip:9196@example.test";
        let invite = request("INVITE", 1, uri, &format!("call-{call}"), &format!("<{uri}>"));
        net.send(phone, &invite, &mut chance);
    }
    let mut workers: Vec<Worker> =
        (0..WORKERS).map(|number| Worker::new(WorkerId(number as u8), NOW)).collect();
    std::thread::scope(|scope| {
        for (number, worker) in workers.iter_mut().enumerate() {
            let net = &net;
            scope.spawn(move || net.work(worker, number));
        }
    });

    let invited = net.invited.lock().expect("no panic");
    assert_eq!(invited.len(), CALLS);
    assert!(invited.values().all(|branches| branches.len() == 1), "a second INVITE for one call");
    assert_eq!(net.ended.lock().expect("no panic").len(), CALLS);
    for worker in &mut workers {
        while let Some(due) = net.core.next_deadline(worker).filter(|due| *due <= NOW + LATER) {
            net.core.handle(worker, due, Input::Deadline);
            worker.outbox.clear();
        }
    }
    let status = net.core.status();
    assert_eq!((status.transactions, status.calls), (0, 0));
}
