//! The most laborious messages that pass, and the nastiest that do not, cost no more than a bounded number of plain
//! INVITEs: what is quadratic in them is bounded by a limit with a name.
//!
//! Time is told by comparison alone: the quickest of many rounds of each, in turn, in one process. A disturbance makes a
//! round slower, never quicker, and it takes one undisturbed round of each.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use sbc_core::flow::{Flow, ListenerId, WorkerId};
use sbc_core::io::Input;
use sbc_core::limits;
use sbc_core::time::Time;
use sbc_core::{Core, Worker};
use sbc_tests::sim::{EdgeSettings, MEMBERS, PHONE, answer, edge_config, unlimited};
use sbc_tests::ua::message::{Body, Message};

const PHONES: ListenerId = ListenerId(1);
/// A message may cost as much as so many INVITEs, each of which costs some 10 to 15 µs where it is compiled for speed: no
/// more than about a millisecond. What comes nearest is the answer to a REGISTER of 64 Contacts, each of which is looked
/// for among 64: some 55.
const MOST_INVITES: u32 = 40;
const ROUNDS: usize = 40;
/// Bytes of the largest message that a listener passes on.
const LARGEST: usize = 64 * 1024;

/// A core, and a phone that talks to it.
struct Edge {
    core: Core,
    worker: Worker,
    now: Time,
}

impl Edge {
    fn new() -> Self {
        let settings = EdgeSettings { admission: unlimited(), ..EdgeSettings::new(&MEMBERS[..1]) };
        let now = Time::from_millis(1);
        let core = Core::new(edge_config(&settings), [5; 32], now);
        Self { core, worker: Worker::new(WorkerId(0), now), now }
    }

    /// What a message costs, and what it leads to.
    fn hear(&mut self, flow: Flow, bytes: &[u8]) -> (Duration, Vec<(Flow, Vec<u8>)>) {
        let input = Input::Received { flow, source: flow.remote, bytes };
        let begun = Instant::now();
        self.core.handle(&mut self.worker, self.now, input);
        let cost = begun.elapsed();
        let outbox = &self.worker.outbox;
        let sent = outbox.transmits().iter();
        let sent = sent.map(|one| (one.flow, outbox.bytes(&one.range).to_vec()));
        let sent = sent.collect();
        self.worker.outbox.clear();
        (cost, sent)
    }

    /// What the answer to a request costs, that `change` has changed. Gives the cost of the request, too.
    fn ask(&mut self, request: &Message, change: impl Fn(&mut Message)) -> [Duration; 2] {
        let (asked, sent) = self.hear(phone(), &request.to_bytes());
        let (at, received) = sent.iter().find_map(|(at, bytes)| request_in(*at, bytes)).expect("it passes");
        let mut ok = answer(&received, 200, "member");
        change(&mut ok);
        ok.close(None);
        let (answered, sent) = self.hear(at, &ok.to_bytes());
        assert!(sent.iter().any(|(_, bytes)| bytes.starts_with(b"SIP/2.0 200 ")), "the answer passes");
        [asked, answered]
    }
}

fn request_in(at: Flow, bytes: &[u8]) -> Option<(Flow, Message)> {
    let message = Message::read(bytes).ok().filter(Message::is_request)?;
    Some((at, message))
}

fn phone() -> Flow {
    Flow::to(PHONES, PHONE.parse().expect("an address"))
}

fn request(method: &str, uri: &str, round: usize, name: &str) -> Message {
    let mut request = Message::request(method, uri);
    request.push("Via", format!("SIP/2.0/UDP {PHONE};rport;branch=z9hG4bK{name}{round}"));
    request.push("Max-Forwards", "70");
    request.push("From", "<sip:1003@example.test>;tag=phone");
    request.push("To", "<sip:1003@example.test>");
    request.push("Call-ID", format!("{name}-{round}"));
    request.push("CSeq", format!("1 {method}"));
    request
}

fn invite(round: usize, name: &str) -> Message {
    let mut invite = request("INVITE", "sip:9196@example.test", round, name);
    invite.push("Contact", format!("<sip:1003@{PHONE}>"));
    invite
}

/// As many Contacts as there may be, all but alike, so that telling them apart takes the longest.
fn contacts() -> Vec<String> {
    let long = "x".repeat(200);
    (0..limits::CONTACTS).map(|number| format!("<sip:{long}{number:02}@{PHONE}>;expires=600")).collect()
}

type Costs = Vec<(&'static str, Duration)>;

/// One round: a plain INVITE first, then everything that is compared with it.
fn round(edge: &mut Edge, round: usize) -> Costs {
    let mut plain = invite(round, "plain");
    plain.close(Some(Body::sdp("v=0\r\no=- 1 1 IN IP4 192.0.2.23\r\ns=-\r\nt=0 0\r\n".into())));
    let member = format!("<sip:9196@{}>", MEMBERS[0]);
    let [first, second] = edge.ask(&plain, |ok| ok.push("Contact", member.clone()));
    let mut costs = vec![("plain", first.max(second))];

    let mut register = request("REGISTER", "sip:example.test", round, "register");
    contacts().into_iter().for_each(|contact| register.push("Contact", contact));
    register.close(None);
    let [asked, answered] = edge.ask(&register, |ok| {
        // The registrar gives them in another order: the search for each ends late.
        contacts().into_iter().rev().for_each(|contact| ok.push("Contact", contact));
    });
    costs.extend([("REGISTER of 64 Contacts", asked), ("its 200", answered)]);

    let mut told = invite(round, "told");
    told.close(None);
    let [_, answered] = edge.ask(&told, |ok| {
        ok.push("Contact", member.clone());
        // Each of them names the inside, and is rewritten.
        for number in 0..INSIDE_HEADERS {
            let names = format!("<sip:{}>,", MEMBERS[0]).repeat(INSIDE_NAMES);
            ok.push(&format!("X-Told-{number}"), names.trim_end_matches(','));
        }
    });
    costs.push(("a 200 that tells of the inside a thousand times", answered));

    for (name, message) in nasty(round) {
        let (cost, sent) = edge.hear(phone(), &message);
        assert!(sent.iter().all(|(_, bytes)| bytes.starts_with(b"SIP/2.0 ")), "{name} passes");
        costs.push((name, cost));
    }
    costs
}

const INSIDE_HEADERS: usize = 50;
const INSIDE_NAMES: usize = 20;

/// Messages as large as they come, each of them a request that is refused.
fn nasty(round: usize) -> Vec<(&'static str, Vec<u8>)> {
    let head = invite(round, "nasty").to_bytes();
    let head = String::from_utf8(head).expect("text");
    let head = head.trim_end_matches("\r\n");
    let filled = |begin: &str, piece: &str| {
        let mut text = format!("{head}\r\n{begin}");
        while text.len() + piece.len() + 4 <= LARGEST {
            text.push_str(piece);
        }
        text.push_str("\r\n\r\n");
        text.into_bytes()
    };
    let mut lines = String::new();
    for number in 0..100 {
        // Writing to a String cannot fail.
        let _ = write!(lines, "Via: SIP/2.0/UDP host{number}.example.test;branch=z9hG4bK{number}\r\n");
    }
    vec![
        ("parameters of one header", filled("Accept: a/b", ";x")),
        ("values of one header", filled("Accept: a/b", ",a/b")),
        ("headers", filled("", "X-Some: value\r\n")),
        ("Via headers", filled("", &lines)),
        ("quotes that never close", filled("Contact: ", "\"\\\"\\\"")),
        ("brackets that never close", filled("Contact: ", "<sip:a@b")),
        ("comments in comments", filled("Server: ", "(")),
    ]
}

#[test]
fn no_message_costs_more_than_a_bounded_number_of_invites() {
    let mut edge = Edge::new();
    let mut best = round(&mut edge, 0);
    for at in 1..ROUNDS {
        for ((_, quickest), (_, cost)) in best.iter_mut().zip(round(&mut edge, at)) {
            *quickest = cost.min(*quickest);
        }
    }
    let plain = best[0].1;
    let all: Vec<_> = best.iter().map(|(name, cost)| format!("{name}: {cost:?}")).collect();
    println!("{all:#?}");
    let too_long: Vec<_> = best.iter().filter(|(_, cost)| *cost > plain * MOST_INVITES).collect();
    assert!(
        too_long.is_empty(),
        "an INVITE takes {plain:?}, and these more than {MOST_INVITES} times that: {too_long:?}"
    );
}
