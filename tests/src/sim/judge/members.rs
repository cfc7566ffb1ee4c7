//! Which member gets a request, and what becomes of an answer that nobody waits for.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use sbc_core::flow::Zone;
use sbc_core::time::Time;

use crate::ua::message::Message;

/// What the pools of simulated worlds say: so long is one member waited for, with an INVITE and with another request.
const INVITE_AFTER: Duration = Duration::from_secs(2);
const OTHER_AFTER: Duration = Duration::from_secs(6);
/// A probe without an answer takes a member down together with a request that it does not answer.
const FALL: u32 = 1;

/// One request, whatever way it takes: Call-ID, CSeq number, method, tags of From and To.
type Request = (String, u32, String, [String; 2]);

/// One member that was asked.
#[derive(Debug)]
struct Asked {
    member: SocketAddr,
    branch: String,
    at: Time,
    /// How many restarts there had been.
    life: u32,
    /// It said that it does not take the request, and not because of whom it is for.
    refused: bool,
}

/// A 2xx to an INVITE outside dialogs, as it came to sbc.
#[derive(Debug, Clone, Copy, Default)]
struct Answer {
    /// How many restarts there had been when its INVITE left.
    life: u32,
    /// Whoever asked was sent it.
    passed: bool,
    /// A BYE went to whoever gave it. His own does not count: for want of an ACK he hangs up 64*T1 later.
    ended: bool,
}

/// Requests to the pool and answers of calls.
#[derive(Debug, Default)]
pub(super) struct Members {
    requests: HashMap<Request, Vec<Asked>>,
    /// When the network said last that nobody is there.
    unreachable: HashMap<SocketAddr, Time>,
    /// Probes that left since it answered the last one, and that one's Call-ID and CSeq number.
    probes: HashMap<SocketAddr, (u32, (String, u32))>,
    /// INVITEs outside dialogs that left, by the branch of their top Via; and how many restarts there had been.
    invites: HashMap<String, u32>,
    /// By Call-ID and the tag of whoever answered.
    answers: HashMap<(String, String), Answer>,
    /// Dialogs that somebody was told of, and whether one of its sides has ended it: by Call-ID.
    dialogs: HashMap<String, bool>,
    restarts: u32,
    /// Members are limited or drained: a node that was killed chooses among them anew, as if they had no calls.
    pub(super) forgets_places: bool,
}

impl Members {
    pub(super) fn restarted(&mut self) {
        self.restarts += 1;
    }

    pub(super) fn unreachable(&mut self, now: Time, member: SocketAddr) {
        self.unreachable.insert(member, now);
    }

    pub(super) fn failovers(&self) -> u64 {
        self.requests.values().filter(|asked| asked.len() > 1).count() as u64
    }

    /// A request leaves for `to`.
    pub(super) fn asked(
        &mut self,
        now: Time,
        to: SocketAddr,
        zone: Zone,
        message: &Message,
    ) -> Option<String> {
        if zone != Zone::Pool || matches!(message.method(), "ACK" | "CANCEL") {
            return None;
        }
        if message.method() == "OPTIONS" {
            let (unanswered, last) = self.probes.entry(to).or_default();
            *unanswered += 1;
            *last = name_of(message);
            return None;
        }
        let (branch, _) = message.top_via()?;
        let (method, call_id) = (message.method().to_owned(), message.call_id().to_owned());
        let tags = |to| [message.tag("From"), to];
        let asked = self
            .requests
            .entry((call_id.clone(), message.cseq(), method.clone(), tags(message.tag("To"))))
            .or_default();
        if asked.iter().any(|known| known.member == to && known.branch == branch) {
            return None;
        }
        let is_double = asked.iter().any(|known| known.member == to);
        let patience = if method == "INVITE" { INVITE_AFTER } else { OTHER_AFTER };
        let is_gone = |one: &Asked| self.unreachable.get(&one.member).is_some_and(|since| *since >= one.at);
        let is_down =
            |one: &Asked| self.probes.get(&one.member).is_some_and(|(unanswered, _)| *unanswered >= FALL);
        let life = self.restarts;
        // Who had challenged a registration is forgotten with the process as well.
        let is_forgotten =
            |one: &Asked| one.life != life && (self.forgets_places || message.method() == "REGISTER");
        let has_cause = asked.is_empty()
            || asked.iter().any(is_forgotten)
            || asked
                .iter()
                .any(|one| one.refused || is_gone(one) || is_down(one) || now.since(one.at) >= patience);
        let before = asked.last().map(|one| (one.member, now.since(one.at).as_millis()));
        asked.push(Asked { member: to, branch, at: now, life, refused: false });
        match before {
            Some(_) if is_double => Some(format!("{method} of {call_id} reached {to} under two branches")),
            Some((member, millis)) if !has_cause => Some(format!(
                "{method} of {call_id} went to {to} {millis} ms after {member}, without a cause"
            )),
            _ => None,
        }
    }

    pub(super) fn arrived(&mut self, from: SocketAddr, zone: Zone, message: &Message) {
        if message.method() == "OPTIONS" {
            // A late answer to an older one says nothing.
            if self.probes.get(&from).is_some_and(|(_, last)| *last == name_of(message)) {
                self.probes.remove(&from);
            }
            return;
        }
        if message.is_request() {
            if message.method() == "BYE" {
                self.dialogs.entry(message.call_id().to_owned()).and_modify(|ended| *ended = true);
            }
            return;
        }
        let status = message.status();
        if zone == Zone::Pool && status == 503 && message.get("Reason").is_none() {
            self.refused(from, message);
        }
        let branch = message.top_via().map(|(branch, _)| branch).unwrap_or_default();
        let Some(life) = self.invites.get(&branch).copied() else { return };
        if message.method() == "INVITE" && (200..300).contains(&status) {
            let key = (message.call_id().to_owned(), message.tag("To"));
            self.answers.entry(key).or_insert(Answer { life, ..Answer::default() });
        }
    }

    pub(super) fn departed(&mut self, message: &Message) {
        let call_id = message.call_id();
        if message.is_request() && message.method() == "INVITE" && message.tag("To").is_empty() {
            let branch = message.top_via().map(|(branch, _)| branch).unwrap_or_default();
            self.invites.entry(branch).or_insert(self.restarts);
        }
        if message.is_request() && message.method() == "BYE" {
            self.ended(call_id, &message.tag("To"));
        }
        if !message.is_request() && message.method() == "INVITE" && (200..300).contains(&message.status()) {
            self.passed(message);
            self.dialogs.entry(call_id.to_owned()).or_default();
        }
    }

    /// Whoever asked was sent this answer, though his connection may be gone.
    pub(super) fn passed(&mut self, answer: &Message) {
        let key = (answer.call_id().to_owned(), answer.tag("To"));
        self.answers.entry(key).and_modify(|answer| answer.passed = true);
    }

    fn refused(&mut self, member: SocketAddr, message: &Message) {
        let tags = |to| [message.tag("From"), to];
        let key = (
            message.call_id().to_owned(),
            message.cseq(),
            message.method().to_owned(),
            // Only requests outside dialogs are refused so.
            tags(String::new()),
        );
        let asked = self.requests.get_mut(&key).into_iter().flatten();
        asked.filter(|one| one.member == member).for_each(|one| one.refused = true);
    }

    fn ended(&mut self, call_id: &str, tag: &str) {
        self.answers.entry((call_id.to_owned(), tag.to_owned())).and_modify(|answer| answer.ended = true);
        self.dialogs.entry(call_id.to_owned()).and_modify(|ended| *ended = true);
    }

    /// A node that was killed since may never have known whose answer it was.
    pub(super) fn ghosts(&self) -> Vec<String> {
        let is_ghost = |answer: &Answer| answer.life == self.restarts && !answer.passed && !answer.ended;
        let ghosts = self.answers.iter().filter(|(_, answer)| is_ghost(answer));
        ghosts.map(|((call_id, tag), _)| format!("the answer {tag:?} of {call_id} was never ended")).collect()
    }

    pub(super) fn is_ended_but_for_one(&self, call_id: &str) -> bool {
        let of_it = || self.answers.iter().filter(|((id, _), _)| id == call_id).map(|(_, answer)| answer);
        of_it().filter(|answer| answer.passed).count() <= 1
            && of_it().filter(|answer| !answer.passed).all(|answer| answer.ended)
    }

    pub(super) fn open_dialogs(&self) -> usize {
        self.dialogs.values().filter(|ended| !**ended).count()
    }
}

fn name_of(probe: &Message) -> (String, u32) {
    (probe.call_id().to_owned(), probe.cseq())
}
