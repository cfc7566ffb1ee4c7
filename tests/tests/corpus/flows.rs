//! Call flows of the RFCs, played at each of their hops: what came in there is said by the stranger or by the member, and
//! the addresses that only our predecessor could know become ours. At the first hop the stranger is the caller, at the
//! others the proxies before that one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sbc_core::flow::Flow;
use sbc_tests::sim::replace;
use sbc_tests::ua::message::{Message, Start};
use serde_json::Value;

use super::stage::{Sent, Stage, Way};
use super::{corpus, listed, text};

/// A message of a flow.
struct Step {
    file: String,
    message: Message,
    /// What the manifest lets it become, alone or in its flow.
    allowed: [String; 2],
}

/// A request on its way.
struct Asked {
    /// As it left.
    seen: Message,
    /// Where its answer comes in.
    answers: Flow,
    from_outside: bool,
    /// What the proxies before us recorded.
    recorded: Vec<String>,
}

/// One flow at one hop: requests and responses with so many Vias.
struct Hop<'f> {
    steps: &'f [Step],
    vias: usize,
    stage: Stage,
    asked: BTreeMap<Transaction, Asked>,
    /// The tag of whoever asked last without a dialog.
    caller: String,
    /// Where the stranger sends what belongs to the dialog: our Contact.
    target: String,
    /// Whether a call is up: before, every ACK is of a failure and ends here, under whatever branch the flow writes.
    is_up: bool,
    played: BTreeSet<usize>,
}

/// The transaction that a message names. RFC 3665 §3.3 gives two INVITEs one branch, which no proxy would.
type Transaction = (String, u32);

fn transaction(message: &Message) -> Transaction {
    (message.top_via().map(|via| via.0).unwrap_or_default(), message.cseq())
}

/// The request under a branch that only its own transaction has.
fn with_own_branch(message: &Message) -> Message {
    let (mut message, (branch, number)) = (message.clone(), transaction(message));
    let mut vias = message.list("Via");
    vias[0] = vias[0].replace(&format!("branch={branch}"), &format!("branch={branch}-{number}"));
    replace(&mut message, "Via", &vias);
    message
}

fn set_uri(message: &mut Message, to: &str) {
    if let Start::Request { uri, .. } = &mut message.start {
        *uri = to.to_owned();
    }
}

impl<'f> Hop<'f> {
    fn play(steps: &'f [Step], vias: usize, way: Way) -> BTreeSet<usize> {
        let mut hop = Self {
            steps,
            vias,
            stage: Stage::new(way),
            asked: BTreeMap::new(),
            caller: String::new(),
            target: String::new(),
            is_up: false,
            played: BTreeSet::new(),
        };
        for at in 0..steps.len() {
            hop.step(at);
        }
        hop.played
    }

    fn step(&mut self, at: usize) {
        let Step { message, .. } = &self.steps[at];
        let known = self.asked.contains_key(&transaction(message));
        let is_here = message.list("Via").len() == self.vias;
        match (message.is_request(), message.method()) {
            // Between two proxies they have one Via, too.
            (true, "ACK" | "CANCEL") if !known && self.is_of_another_hop(message) => {}
            (true, "ACK") if !self.is_up && (known || is_here) => self.absorbed(at),
            (true, "INVITE") if known => self.repeated(at),
            (true, "CANCEL") if known => self.cancelled(at),
            // The answer to a CANCEL was ours.
            (false, "CANCEL") if known => drop(self.played.insert(at)),
            (true, _) if is_here => self.request(at),
            (false, _) if is_here && known => self.response(at),
            _ => {}
        }
    }

    fn is_of_another_hop(&self, message: &Message) -> bool {
        let same = |step: &Step| transaction(&step.message) == transaction(message);
        self.steps.iter().any(|step| same(step) && step.message.list("Via").len() != self.vias)
    }

    fn request(&mut self, at: usize) {
        let step = &self.steps[at];
        let mut message = with_own_branch(&step.message);
        let in_dialog = !message.tag("To").is_empty();
        if !in_dialog {
            self.caller = message.tag("From");
        }
        let from_outside = message.tag("From") == self.caller;
        replace(&mut message, "Route", &[]);
        if in_dialog && from_outside {
            set_uri(&mut message, &self.target);
        } else if in_dialog {
            let begun = self.asked.values().find(|asked| asked.seen.method() == "INVITE").expect("an INVITE");
            replace(&mut message, "Route", &begun.seen.list("Record-Route"));
            // RFC 7118 folds a Contact inside its URI.
            let contact = begun.seen.uri_of("Contact").expect("a Contact");
            set_uri(&mut message, &contact.replace(char::is_whitespace, ""));
        }
        let recorded = message.list("Record-Route");
        let from = if from_outside { self.stage.outside() } else { self.stage.inside() };
        let sent = self.stage.hear(from, &message.to_bytes());
        let (one, seen) = self.only(&step.file, sent, !from_outside);
        assert_eq!((seen.method(), &seen.body), (message.method(), &message.body), "{}", step.file);
        assert!(step.allowed.iter().any(|one| one == "forward"), "{}: {:?}", step.file, step.allowed);
        // Nothing answers an ACK, and these flows give it the branch of its INVITE.
        if message.method() != "ACK" {
            self.asked.insert(
                transaction(&step.message),
                Asked { seen, answers: one.flow, from_outside, recorded },
            );
        }
        self.played.insert(at);
    }

    /// The one message that left to the side that was meant.
    fn only(&self, file: &str, sent: Vec<Sent>, to_outside: bool) -> (Sent, Message) {
        let outside = self.stage.outside();
        let told: Vec<_> = sent.iter().map(|one| String::from_utf8_lossy(&one.bytes).into_owned()).collect();
        let mut there: Vec<Sent> =
            sent.into_iter().filter(|one| (one.flow.remote == outside.remote) == to_outside).collect();
        assert_eq!(there.len(), 1, "{file} goes on once, at the hop of {} Vias: {told:?}", self.vias);
        let one = there.remove(0);
        let message = Message::read(&one.bytes).unwrap_or_else(|error| panic!("{file}: {error}"));
        (one, message)
    }

    fn response(&mut self, at: usize) {
        let step = &self.steps[at];
        let asked = &self.asked[&transaction(&step.message)];
        let mut message = step.message.clone();
        replace(&mut message, "Via", &asked.seen.list("Via"));
        replace(&mut message, "Record-Route", &asked.seen.list("Record-Route"));
        let (answers, to_outside, recorded) = (asked.answers, asked.from_outside, asked.recorded.clone());
        let sent = self.stage.hear(answers, &message.to_bytes());
        self.played.insert(at);
        self.is_up |= message.method() == "INVITE" && (200..300).contains(&message.status());
        if message.status() == 100 {
            let theirs = sent.iter().filter(|one| super::stage::status(&one.bytes) != Some(100));
            assert_eq!(theirs.count(), 0, "{}: 100 is hop by hop", step.file);
            return;
        }
        let (_, seen) = self.only(&step.file, sent, to_outside);
        assert_eq!((seen.status(), &seen.body), (message.status(), &message.body), "{}", step.file);
        assert_eq!(seen.list("Via").len(), self.vias, "{}", step.file);
        assert_eq!(seen.tag("To"), step.message.tag("To"), "{}", step.file);
        if to_outside && seen.method() == "INVITE" && seen.status() < 300 {
            assert_eq!(seen.list("Record-Route"), recorded, "{}", step.file);
        }
        if let Some(target) = seen.uri_of("Contact").filter(|_| to_outside) {
            self.target = target;
        }
    }

    /// A repetition ends here.
    fn repeated(&mut self, at: usize) {
        let (outside, inside) = (self.stage.outside(), self.stage.inside());
        let mut message = with_own_branch(&self.steps[at].message);
        replace(&mut message, "Route", &[]);
        let sent = self.stage.hear(outside, &message.to_bytes());
        assert!(sent.iter().all(|one| one.flow.remote != inside.remote), "{}: {sent:?}", self.steps[at].file);
        self.played.insert(at);
    }

    /// The ACK of a failure ends here: the member got ours.
    fn absorbed(&mut self, at: usize) {
        let outside = self.stage.outside();
        let sent = self.stage.hear(outside, &with_own_branch(&self.steps[at].message).to_bytes());
        assert!(sent.is_empty(), "{}: {sent:?}", self.steps[at].file);
        self.played.insert(at);
    }

    fn cancelled(&mut self, at: usize) {
        let step = &self.steps[at];
        let outside = self.stage.outside();
        let mut message = with_own_branch(&step.message);
        replace(&mut message, "Route", &[]);
        let sent = self.stage.hear(outside, &message.to_bytes());
        let of = |method: &str, status| {
            let read = sent.iter().filter_map(|one| Message::read(&one.bytes).ok());
            read.filter(|one| one.method() == method && one.status() == status).count()
        };
        assert_eq!((of("CANCEL", 200), of("CANCEL", 0)), (1, 1), "{}: answered, and passed on", step.file);
        assert!(step.allowed.iter().any(|one| one == "accept[200]"), "{}: {:?}", step.file, step.allowed);
        self.played.insert(at);
    }
}

/// The flows of one RFC by section, in order.
fn flows(set: &Path) -> BTreeMap<String, Vec<Step>> {
    let mut flows: BTreeMap<String, Vec<(u64, Step)>> = BTreeMap::new();
    for listed in listed(set) {
        let file = text(&listed, "file").to_owned();
        let bytes = std::fs::read(set.join(&file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let message = Message::read(&bytes).unwrap_or_else(|error| panic!("{file}: {error}"));
        let allowed = ["in_flow", "expect"].map(|key| text(&listed, key).to_owned());
        let number = listed.get("seq").and_then(Value::as_u64).unwrap_or_default();
        flows
            .entry(text(&listed, "section").to_owned())
            .or_default()
            .push((number, Step { file, message, allowed }));
    }
    let sorted = flows.into_iter().map(|(section, mut steps)| {
        steps.sort_by_key(|(number, _)| *number);
        (section, steps.into_iter().map(|(_, step)| step).collect())
    });
    sorted.collect()
}

/// Play a flow at each of its hops, as if we stood there: which of its messages passed at one of them.
fn play_hops(steps: &[Step]) -> BTreeSet<usize> {
    let is_websocket = steps[0].message.list("Via")[0].contains("/WS");
    let hops = steps.iter().map(|step| step.message.list("Via").len()).max().unwrap_or(0);
    let ways = |hop| if hop == 1 && is_websocket { vec![Way::WebSocket] } else { Way::BOTH.to_vec() };
    let played = |hop| {
        let all = ways(hop).into_iter().map(|way| Hop::play(steps, hop, way));
        all.reduce(|one, other| &one & &other).unwrap_or_default()
    };
    (1..=hops).flat_map(played).collect()
}

/// Play every flow at all of its hops: how many of its messages passed, how many there are, and those that did not.
fn play(set: &Path) -> (usize, usize, Vec<String>) {
    let (mut played, mut count, mut left) = (0, 0, Vec::new());
    for (_, steps) in flows(set) {
        let passed = play_hops(&steps);
        played += passed.len();
        count += steps.len();
        let missed = (0..steps.len()).filter(|at| !passed.contains(at));
        left.extend(missed.map(|at| steps[at].file.clone()));
    }
    (played, count, left)
}

#[test]
fn the_call_flows_of_the_rfcs_pass_end_to_end() {
    let Some(corpus) = corpus() else { return println!("no messages at hand") };
    for set in ["rfc3261", "rfc3665", "rfc7118"] {
        let (played, count, left) = play(&corpus.join(set));
        println!("{set}: {played} of {count} messages played");
        assert!(left.is_empty(), "{set}: nobody sent {left:?}");
    }
}
