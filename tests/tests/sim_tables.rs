//! What has ended leaves nothing behind: neither in a table nor in the timer wheel.

use std::sync::Arc;
use std::time::Duration;

use sbc_core::config::Config;
use sbc_core::count::Count;
use sbc_core::flow::{Flow, ListenerId, WorkerId};
use sbc_core::io::Input;
use sbc_core::limits;
use sbc_core::time::Time;
use sbc_core::{Core, Worker};
use sbc_tests::sim::{CARRIER, EdgeSettings, MEMBERS, edge_config};

const CALLS: u64 = 100_000;
/// Calls that begin in a second.
const RATE: u64 = 200;
/// RFC 3261 table 4: the longest that a transaction which was answered is kept for its repetitions.
const LONGEST: Duration = Duration::from_secs(32);
const TRUNK: ListenerId = ListenerId(2);
const INSIDE: ListenerId = ListenerId(3);

struct Edge {
    core: Core,
    worker: Worker,
    now: Time,
}

impl Edge {
    fn new() -> Self {
        let mut config = Config::clone(&edge_config(&EdgeSettings::new(&MEMBERS[..1])));
        // Probes are timers that never end.
        config.pools.iter_mut().for_each(|pool| pool.probe = None);
        let now = Time::from_millis(1);
        Self { core: Core::new(Arc::new(config), [5; 32], now), worker: Worker::new(WorkerId(0), now), now }
    }

    /// What the one message that a message leads to says; where it goes.
    fn hear(&mut self, flow: Flow, text: &str) -> (Flow, String) {
        let input = Input::Received { flow, source: flow.remote, bytes: text.as_bytes() };
        self.core.handle(&mut self.worker, self.now, input);
        let outbox = &self.worker.outbox;
        let sent = outbox.transmits().last().map(|one| {
            (one.flow, String::from_utf8(outbox.bytes(&one.range).to_vec()).expect("a message of letters"))
        });
        self.worker.outbox.clear();
        sent.unwrap_or_else(|| panic!("nothing comes of {text}"))
    }

    /// Until then, all timers do what is theirs.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.core.next_deadline(&self.worker).filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.core.handle(&mut self.worker, self.now, Input::Deadline);
            self.worker.outbox.clear();
        }
        self.now = end;
    }

    /// A call of the carrier that is answered and hung up at once.
    fn call(&mut self, number: u64) {
        let caller = Flow::to(TRUNK, CARRIER.parse().expect("an address"));
        let (there, invite) = self.hear(caller, &request("INVITE", "sip:9196@198.51.100.7:5062", "", number));
        assert_eq!(there.listener, INSIDE);
        let (_, ok) = self.hear(there, &granted(&invite));
        let target = line(&ok, "Contact: ").trim_start_matches('<').trim_end_matches('>');
        let (_, ack) = self.hear(caller, &request("ACK", target, ";tag=b", number));
        assert!(ack.starts_with("ACK "));
        let (_, bye) = self.hear(caller, &request("BYE", target, ";tag=b", number));
        let (_, ended) = self.hear(there, &granted(&bye));
        assert!(ended.starts_with("SIP/2.0 200 "));
    }
}

fn request(method: &str, uri: &str, to_tag: &str, number: u64) -> String {
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {CARRIER};branch=z9hG4bK{method}{number}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:4930@carrier.test>;tag=a\r\nTo: <sip:9196@198.51.100.7>{to_tag}\r\n\
         Call-ID: short-{number}\r\nCSeq: {} {method}\r\nContact: <sip:4930@{CARRIER}>\r\n\
         Content-Length: 0\r\n\r\n",
        if method == "BYE" { 2 } else { 1 }
    )
}

/// The value of a header.
fn line<'m>(message: &'m str, name: &str) -> &'m str {
    message.lines().find_map(|line| line.strip_prefix(name)).expect("a header")
}

fn granted(request: &str) -> String {
    let is_kept = |line: &&str| {
        ["Via: ", "Record-Route: ", "From: ", "Call-ID: ", "CSeq: "].iter().any(|name| line.starts_with(name))
    };
    let kept: String = request.lines().filter(is_kept).map(|line| format!("{line}\r\n")).collect();
    let to = line(request, "To: ");
    let tag = if to.contains(";tag=") { "" } else { ";tag=b" };
    format!(
        "SIP/2.0 200 OK\r\n{kept}To: {to}{tag}\r\nContact: <sip:9196@{}>\r\nContent-Length: 0\r\n\r\n",
        MEMBERS[0]
    )
}

#[test]
fn a_hundred_thousand_short_calls_leave_nothing() {
    let mut edge = Edge::new();
    for number in 0..CALLS {
        edge.call(number);
        edge.pass(Duration::from_secs(1) / RATE as u32);
    }
    assert_eq!(edge.core.status().dialogs, 0, "each ended with its BYE");
    edge.pass(LONGEST + Duration::from_secs(1));
    let status = edge.core.status();
    assert!(status.is_at_rest() && status.dialogs == 0 && status.calls == 0, "left over: {status:?}");
    assert_eq!(edge.core.next_deadline(&edge.worker), None, "timers are left over");
}

#[test]
fn requests_in_progress_hold_so_many_bytes_and_no_more() {
    let mut edge = Edge::new();
    let caller = Flow::to(TRUNK, CARRIER.parse().expect("an address"));
    let message = |number| {
        let body = "x".repeat(60_000);
        let end = format!("Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let uri = "sip:9196@198.51.100.7:5062";
        request("MESSAGE", uri, "", number).replace("Content-Length: 0\r\n\r\n", &end)
    };
    let fit = u64::from(limits::TRANSACTION_BYTES) / message(1_000_000).len() as u64;
    for number in 1_000_000..1_000_000 + fit {
        let (there, _) = edge.hear(caller, &message(number));
        assert_eq!(there.listener, INSIDE, "message {number}");
    }
    let (back, refusal) = edge.hear(caller, &message(2_000_000));
    assert!(back == caller && refusal.starts_with("SIP/2.0 503 "), "{refusal}");
    assert_eq!(edge.core.counters().get(Count::TableFull), 1);
    // RFC 3261 table 4: timers F and K.
    edge.pass(LONGEST + Duration::from_secs(10));
    let (there, _) = edge.hear(caller, &message(2_000_001));
    assert_eq!(there.listener, INSIDE, "what has ended makes room");
}

/// A machine that slept finds much due at once: each input does a bounded part of it, and the next is due at once.
#[test]
fn what_is_due_after_a_pause_is_done_in_parts() {
    const WAITING: u64 = 20_000;
    let mut edge = Edge::new();
    let mut sent = 0;
    for number in 0..WAITING {
        let invite = request("INVITE", "sip:9196@198.51.100.7:5062", "", number);
        let (to, invite) = edge.hear(Flow::to(TRUNK, CARRIER.parse().expect("an address")), &invite);
        assert!(to.listener == INSIDE && invite.starts_with("INVITE "), "{invite}");
    }
    edge.now += Duration::from_secs(2);
    let now = edge.now;
    let mut inputs = 0;
    while edge.core.next_deadline(&edge.worker).is_some_and(|due| due <= now) {
        edge.core.handle(&mut edge.worker, now, Input::Deadline);
        let messages = edge.worker.outbox.transmits().len();
        // A repetition and a 100 for each.
        assert!(messages <= 2 * limits::TIMERS_AT_ONCE, "{messages} messages of one input");
        edge.worker.outbox.clear();
        sent += messages as u64;
        inputs += 1;
    }
    assert!(sent >= WAITING, "{sent} messages of {inputs} inputs");
}
