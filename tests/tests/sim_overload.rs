//! A worker that is offered ten times what it can do: it goes on doing what it can, touches no call that is up, and
//! takes everything again once the load has gone.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use sbc_core::admission::{Class, WHOLE};
use sbc_core::config::Config;
use sbc_core::count::Count;
use sbc_core::flow::{Flow, ListenerId, WorkerId};
use sbc_core::io::{Backlog, Input};
use sbc_core::time::Time;
use sbc_core::{Core, Worker};
use sbc_tests::sim::{CARRIER, Chance, EdgeSettings, MEMBERS, answer, edge_config, unlimited, within};
use sbc_tests::ua::message::Message;

const PHONES: ListenerId = ListenerId(1);
const TRUNK: ListenerId = ListenerId(2);
const INSIDE: ListenerId = ListenerId(3);
/// What one message takes of the worker's time: one that begins something, any other that goes on, and one that ends
/// here. A refusal takes a quarter of a call, as it does on a real machine.
const COSTS: [Duration; 3] = [Duration::from_millis(1), Duration::from_micros(300), Duration::from_micros(4)];
const REFUSAL: Duration = Duration::from_micros(550);
/// A call is an INVITE, its 200, its ACK, the BYE and its 200: so many can be done in a second.
const CAPACITY: u64 = 1_000_000 / (1000 + 4 * 300);
const BATCH: usize = 32;
const ROOM: usize = 400;
const TRAVEL: Duration = Duration::from_millis(10);
const LENGTH: Duration = Duration::from_millis(300);
const T1: Duration = Duration::from_millis(500);
/// The part of each second that counts towards what the worker manages begins after so long.
const SETTLED: Duration = Duration::from_secs(3);

/// Something that arrives at a queue.
type Arriving = (usize, Flow, Vec<u8>);

/// One worker, its two queues, and everybody around it.
struct Site {
    core: Core,
    worker: Worker,
    now: Time,
    chance: Chance,
    /// From outside, and from the members.
    queues: [VecDeque<(Time, Flow, Vec<u8>)>; 2],
    agenda: BTreeMap<(Time, u64), Arriving>,
    number: u64,
    answered: Vec<Time>,
    refused: u64,
    byes: u64,
    ended: u64,
    lost: u64,
    unread: u64,
}

/// What became of a message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Forwarded,
    Refused,
    Ended,
}

impl Site {
    fn new(seed: u64) -> Self {
        let settings = EdgeSettings { admission: unlimited(), workers: 1, ..EdgeSettings::new(&MEMBERS) };
        let mut config = Config::clone(&edge_config(&settings));
        config.pools.iter_mut().for_each(|pool| pool.probe = None);
        let mut chance = Chance::new(seed);
        let now = Time::from_millis(1);
        let mut worker = Worker::new(WorkerId(0), now);
        worker.set_sifts(true);
        Self {
            core: Core::new(config.into(), chance.bytes(), now),
            worker,
            now,
            chance,
            queues: Default::default(),
            agenda: BTreeMap::new(),
            number: 0,
            answered: Vec::new(),
            refused: 0,
            byes: 0,
            ended: 0,
            lost: 0,
            unread: 0,
        }
    }

    fn later(&mut self, after: Duration, queue: usize, flow: Flow, bytes: Vec<u8>) {
        self.number += 1;
        self.agenda.insert((self.now + after, self.number), (queue, flow, bytes));
    }

    /// So many calls a second for so long, and REGISTERs of strangers beside them.
    fn offer(&mut self, calls: u64, strangers: u64, seconds: u64) {
        let carrier: SocketAddr = CARRIER.parse().expect("an address");
        self.spread("INVITE", calls * seconds, seconds, |_| Flow::to(TRUNK, carrier));
        self.spread("REGISTER", strangers * seconds, seconds, |number| {
            Flow::to(PHONES, SocketAddr::from(([192, 0, 2, 99], 1024 + (number % 60_000) as u16)))
        });
        self.run(Duration::from_secs(seconds));
    }

    /// So many requests within so long.
    fn spread(&mut self, method: &str, many: u64, seconds: u64, from: impl Fn(u64) -> Flow) {
        for _ in 0..many {
            let after = Duration::from_micros(self.chance.below(seconds * 1_000_000));
            let flow = from(self.number);
            let request = request(method, self.number, flow.remote);
            self.later(after, 0, flow, request.to_bytes());
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        let mut next_beat = self.now;
        while self.now < end {
            if self.now >= next_beat {
                self.input(Input::Busy(100));
                next_beat = self.now + Duration::from_secs(1);
            }
            self.arrive();
            if self.core.next_deadline(&self.worker).is_some_and(|due| due <= self.now) {
                self.input(Input::Deadline);
            }
            let busy = [0, 1].map(|queue| self.serve(queue)).contains(&true);
            if !busy {
                let coming = self.agenda.first_key_value().map(|((at, _), _)| *at);
                let timer = self.core.next_deadline(&self.worker);
                let next = coming.into_iter().chain(timer).min().unwrap_or(end);
                self.now = next.max(self.now + Duration::from_micros(1)).min(next_beat).min(end);
            }
        }
    }

    /// What is there by now waits in its queue, or is lost.
    fn arrive(&mut self) {
        while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let ((at, _), (queue, flow, bytes)) = entry.remove_entry();
            if !self.passes(flow, &bytes) {
                self.unread += 1;
            } else if self.queues[queue].len() >= ROOM {
                self.lost += 1;
            } else {
                self.queues[queue].push_back((at, flow, bytes));
            }
        }
    }

    /// What the kernel does where it is told to.
    fn passes(&mut self, flow: Flow, bytes: &[u8]) -> bool {
        if !self.core.sifts(flow.listener) {
            return true;
        }
        let sieve = self.worker.sieve();
        let share = sieve.shares().find_map(|(method, share)| {
            let rest = bytes.strip_prefix(method.as_bytes())?.strip_prefix(b" ")?;
            let is_inside = self.core.unsifted().iter().any(|beginning| rest.starts_with(beginning));
            (!is_inside).then_some(share)
        });
        share.is_none_or(|share| self.chance.below(u64::from(WHOLE)) < u64::from(share))
    }

    /// One batch of a queue. False: nothing waits there.
    fn serve(&mut self, queue: usize) -> bool {
        let taken: Vec<_> = (0..BATCH).map_while(|_| self.queues[queue].pop_front()).collect();
        let Some((oldest, ..)) = taken.first() else { return false };
        let (waited, messages) = (self.now.since(*oldest), taken.len() as u32);
        let backlog = Backlog { queue: 2 + queue as u8, waited, messages, room: ROOM as u32 };
        self.input(Input::Taken(backlog));
        for (_, flow, bytes) in taken {
            let fate = self.input(Input::Received { flow, source: flow.remote, bytes: &bytes });
            let begins = bytes.starts_with(b"INVITE") || bytes.starts_with(b"REGISTER");
            let [new, other, over] = COSTS;
            self.now += match fate {
                Fate::Forwarded if begins => new,
                Fate::Forwarded => other,
                // What strangers ask beyond their rate the gate drops for next to nothing; these are not limited here.
                Fate::Refused if bytes.starts_with(b"REGISTER") => over,
                Fate::Refused => REFUSAL,
                Fate::Ended => over,
            };
        }
        true
    }

    fn input(&mut self, input: Input<'_>) -> Fate {
        self.core.handle(&mut self.worker, self.now, input);
        let outbox = std::mem::take(&mut self.worker.outbox);
        let mut fate = Fate::Ended;
        for one in outbox.transmits() {
            let message = Message::read(outbox.bytes(&one.range)).expect("a message");
            if message.is_request() || message.status() == 200 {
                fate = Fate::Forwarded;
            } else if message.status() == 503 {
                fate = Fate::Refused;
            }
            if one.flow.listener == INSIDE {
                self.member_hears(one.flow, &message);
            } else {
                self.caller_hears(one.flow, &message);
            }
        }
        fate
    }

    fn member_hears(&mut self, flow: Flow, message: &Message) {
        if !message.is_request() || message.method() == "ACK" {
            return;
        }
        // Whoever registers here is nobody: he stays a stranger.
        let status = if message.method() == "REGISTER" { 403 } else { 200 };
        let mut ok = answer(message, status, "inside");
        ok.push("Contact", format!("<sip:9196@{}>", flow.remote));
        ok.close(None);
        self.later(TRAVEL, 1, flow, ok.to_bytes());
    }

    fn caller_hears(&mut self, flow: Flow, message: &Message) {
        match (message.method(), message.status()) {
            ("INVITE", 200) => {
                self.answered.push(self.now);
                let (ack, bye) = (
                    within("ACK", flow.remote, message).to_bytes(),
                    within("BYE", flow.remote, message).to_bytes(),
                );
                self.later(TRAVEL, 0, flow, ack);
                self.later(LENGTH, 0, flow, bye.clone());
                // Until it has its answer a BYE is repeated; those that were not lost are asked twice here.
                self.later(LENGTH + T1, 0, flow, bye);
                self.byes += 1;
            }
            ("INVITE", 503) => {
                assert!((5..=15).contains(&message.number("Retry-After").expect("a Retry-After")));
                self.refused += 1;
                let ack = within("ACK", flow.remote, message).to_bytes();
                self.later(TRAVEL, 0, flow, ack);
            }
            ("BYE", status) => {
                assert!(matches!(status, 200 | 481), "BYE got {status}");
                self.ended += u64::from(status == 200);
            }
            _ => {}
        }
    }

    /// Calls answered in a second, since `from`.
    fn managed(&self, from: Time) -> u64 {
        let seconds = self.now.since(from).as_secs();
        let count = self.answered.iter().filter(|at| **at >= from).count() as u64;
        count / seconds
    }

    fn count(&self, count: Count) -> u64 {
        self.core.counters().get(count)
    }
}

/// A request that begins something, of `from` by UDP; what has the same number is the same request.
fn request(method: &str, number: u64, from: SocketAddr) -> Message {
    let registers = method == "REGISTER";
    let mut request =
        Message::request(method, if registers { "sip:example.test" } else { "sip:9196@example.test" });
    request.push("Via", format!("SIP/2.0/UDP {from};rport;branch=z9hG4bKload{number}"));
    request.push("Max-Forwards", "70");
    request.push("From", "<sip:1003@example.test>;tag=outside");
    request.push("To", if registers { "<sip:1003@example.test>" } else { "<sip:9196@example.test>" });
    request.push("Call-ID", format!("load-{number}"));
    request.push("CSeq", format!("1 {method}"));
    request.push("Contact", format!("<sip:1003@{from}>"));
    request.close(None);
    request
}

/// What the worker manages when it is offered so many times its capacity.
fn offered(times: u64, strangers: u64) -> (Site, u64) {
    let mut site = Site::new(7 * times + strangers);
    let from = site.now + SETTLED;
    site.offer(CAPACITY * times, strangers, 8);
    let managed = site.managed(from);
    (site, managed)
}

#[test]
fn at_ten_times_capacity_nine_tenths_of_the_peak_are_managed_and_no_call_that_is_up_is_touched() {
    let (_, peak) = offered(1, 0);
    assert!(peak >= CAPACITY * 8 / 10, "{peak} of {CAPACITY}");
    for times in [2, 10] {
        let (mut site, managed) = offered(times, 0);
        let Site { refused, lost, unread, .. } = &site;
        println!(
            "{times} times: {managed} of {peak} calls/s, {refused} refused, {unread} unread, {lost} lost"
        );
        assert!(managed * 10 >= peak * 9, "{managed} of {peak} at {times} times the capacity");
        assert!(site.core.status().load.shed_of(Class::Call) > 0);
        assert!(site.count(Count::ShedCall) > 0);
        assert_eq!(site.count(Count::ShedDialog), 0);
        assert!(site.unread > 0 && site.refused > 0);
        assert!(
            times == 2 || site.unread > 4 * site.refused,
            "{} unread, {} refused",
            site.unread,
            site.refused
        );
        // The load goes: everything is read again soon, and refused no more; what is up ends as it should.
        site.offer(CAPACITY / 2, 0, 6);
        assert_eq!(site.core.status().load.unread, [0; 2]);
        let (refused, answered) = (site.refused, site.answered.len() as u64);
        site.offer(CAPACITY / 2, 0, 2);
        assert_eq!(site.refused, refused, "something is still refused");
        assert!(site.answered.len() as u64 - answered >= CAPACITY * 9 / 10);
        assert_eq!(site.core.status().load.shed, [0; 4]);
        site.run(Duration::from_secs(2));
        assert!(site.ended * 1000 >= site.byes * 995, "{} of {} calls ended by BYE", site.ended, site.byes);
    }
}

#[test]
fn strangers_go_first_and_calls_of_known_peers_go_on() {
    let (site, managed) = offered(0, CAPACITY * 4);
    assert_eq!(managed, 0);
    assert!(site.count(Count::ShedStranger) > 0);
    let mut site = Site::new(3);
    site.offer(CAPACITY / 2, CAPACITY * 4, 5);
    let (from, refused) = (site.now, site.refused);
    site.offer(CAPACITY / 2, CAPACITY * 4, 10);
    let managed = site.managed(from);
    assert!(managed * 100 >= CAPACITY / 2 * 95, "{managed} of {}", CAPACITY / 2);
    assert!(site.refused - refused < CAPACITY / 2, "{} calls were refused", site.refused - refused);
}

#[test]
fn registrations_of_known_peers_yield_where_there_is_nothing_else_to_turn_away() {
    let mut site = Site::new(9);
    let carrier = Flow::to(TRUNK, CARRIER.parse().expect("an address"));
    site.spread("REGISTER", CAPACITY * 6 * 8, 8, |_| carrier);
    site.run(Duration::from_secs(8));
    assert!(site.count(Count::ShedRegistration) > 0);
    assert!(site.unread > CAPACITY, "{} were left unread", site.unread);
    assert_eq!(site.count(Count::ShedDialog), 0);
}

#[test]
fn a_burst_that_is_worked_off_is_refused_nothing() {
    let mut site = Site::new(5);
    for _ in 0..10 {
        let carrier: SocketAddr = CARRIER.parse().expect("an address");
        for _ in 0..90 {
            let invite = request("INVITE", site.number, carrier).to_bytes();
            site.later(Duration::ZERO, 0, Flow::to(TRUNK, carrier), invite);
        }
        site.run(Duration::from_secs(1));
    }
    assert_eq!((site.answered.len(), site.refused, site.lost), (900, 0, 0));
}

#[test]
fn a_sieve_is_gone_a_second_after_the_last_message() {
    let (mut site, _) = offered(10, 0);
    let open = Worker::new(WorkerId(0), site.now).sieve();
    assert_ne!(site.worker.sieve(), open);
    site.run(Duration::from_secs(2));
    assert_eq!(site.worker.sieve(), open);
}

#[test]
fn a_worker_that_cannot_sift_reads_everything() {
    let mut site = Site::new(9);
    site.worker.set_sifts(false);
    site.offer(CAPACITY * 10, 0, 4);
    assert!(site.core.status().load.shed_of(Class::Call) > 50);
    assert_eq!((site.unread, site.core.status().load.unread), (0, [0; 2]));
}
