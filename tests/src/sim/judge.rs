//! Looks at every message that comes to sbc and leaves it, and says what must never be.
//!
//! What it holds against sbc:
//! - a request reaches a member of the pool under one branch only; another member gets it by failover;
//! - towards whoever asked, nothing provisional leaves after the final answer, and no success that is not the same;
//! - nothing leaves to an address that nobody in the world has;
//! - one input makes few messages.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;

use sbc_core::flow::Zone;
use sbc_core::time::Time;

use crate::ua::message::Message;

/// Messages that one input may make: all timers of a moment are one input too.
const MOST_AT_ONCE: usize = 4096;
/// Complaints kept.
const MOST_COMPLAINTS: usize = 50;

/// One request, whatever way it takes: Call-ID, CSeq number, method, tag of From.
type Request = (String, u32, String, String);
/// One server transaction of ours: branch of the top Via, Call-ID, CSeq number and method.
type Server = (String, String, u32, String);

/// How far a server transaction is.
#[derive(Debug, Clone)]
struct Answered {
    /// The status and tag of its final answer.
    fin: Option<(u16, String)>,
    /// The node that said it.
    node: usize,
    /// How many restarts there had been when its request came first.
    life: u32,
}

/// What became of an INVITE outside dialogs that came from outside.
#[derive(Debug, Clone, Copy, Default)]
pub struct SetUp {
    /// It came to sbc at least once.
    pub arrived: bool,
    /// We said 100.
    pub trying: bool,
    /// The pool said anything about it.
    pub pool_spoke: bool,
    /// A final answer left for its caller.
    pub answered: bool,
    /// It was under way when a node was killed, after our 100 and before the pool's first answer.
    pub lost_between: bool,
    /// The same between a failure that we sent and its ACK.
    pub answer_lost: bool,
    /// Its caller acknowledged an answer.
    pub acknowledged: bool,
}

/// The judge of one world.
#[derive(Debug, Default)]
pub struct Judge {
    /// Everybody there is.
    known: BTreeSet<SocketAddr>,
    /// Damaged datagrams are other messages than were sent: what they look like proves nothing.
    pub is_damaged: bool,
    /// Several threads send side by side: what left first cannot be told.
    pub is_unordered: bool,
    requests: HashMap<Request, Vec<(SocketAddr, String)>>,
    servers: HashMap<Server, Answered>,
    setups: HashMap<(String, u32), SetUp>,
    restarts: u32,
    most_at_once: usize,
    messages: u64,
    last_arrival: Time,
    complaints: Vec<String>,
}

impl Judge {
    /// A judge who knows these addresses.
    pub fn new(known: impl IntoIterator<Item = SocketAddr>) -> Self {
        Self { known: known.into_iter().collect(), ..Self::default() }
    }

    /// One more address is somebody's.
    pub fn know(&mut self, address: SocketAddr) {
        self.known.insert(address);
    }

    /// What was wrong.
    pub fn complaints(&self) -> &[String] {
        &self.complaints
    }

    /// Messages that came and left.
    pub const fn messages(&self) -> u64 {
        self.messages
    }

    /// The most messages that one input made.
    pub const fn most_at_once(&self) -> usize {
        self.most_at_once
    }

    /// When a message that is no probe of ours, nor its answer, came to sbc last.
    pub const fn last_arrival(&self) -> Time {
        self.last_arrival
    }

    /// Requests that more than one member was asked.
    pub fn failovers(&self) -> u64 {
        self.requests.values().filter(|branches| branches.len() > 1).count() as u64
    }

    /// The INVITEs outside dialogs, by Call-ID and CSeq number.
    pub const fn setups(&self) -> &HashMap<(String, u32), SetUp> {
        &self.setups
    }

    fn complain(&mut self, what: impl FnOnce() -> String) {
        if self.complaints.len() < MOST_COMPLAINTS {
            self.complaints.push(what());
        }
    }

    pub(super) fn restarted(&mut self) {
        self.restarts += 1;
        for setup in self.setups.values_mut() {
            setup.lost_between |= setup.trying && !setup.pool_spoke && !setup.answered;
            setup.answer_lost |= setup.answered && !setup.acknowledged;
        }
    }

    pub(super) fn outbox(&mut self, messages: usize) {
        self.most_at_once = self.most_at_once.max(messages);
        if messages > MOST_AT_ONCE {
            self.complain(|| format!("{messages} messages from one input"));
        }
    }

    pub(super) fn arrived(&mut self, now: Time, zone: Zone, bytes: &[u8]) {
        self.messages += 1;
        let Ok(message) = Message::read(bytes) else { return };
        if message.method() != "OPTIONS" {
            self.last_arrival = now;
        }
        let key = (message.call_id().to_owned(), message.cseq());
        if message.method() == "ACK" && zone != Zone::Pool {
            self.setups.entry(key).and_modify(|setup| setup.acknowledged = true);
            return;
        }
        self.note_server(&message);
        if message.method() != "INVITE" {
            return;
        }
        if message.is_request() && zone != Zone::Pool && message.tag("To").is_empty() {
            self.setups.entry(key).or_default().arrived = true;
        } else if !message.is_request() && zone == Zone::Pool {
            self.setups.entry(key).and_modify(|setup| setup.pool_spoke = true);
        }
    }

    pub(super) fn departed(&mut self, now: Time, node: usize, to: SocketAddr, zone: Zone, bytes: &[u8]) {
        self.messages += 1;
        if !self.known.contains(&to) {
            self.complain(|| format!("sent to {to}, where nobody is: {}", String::from_utf8_lossy(bytes)));
        }
        let Ok(message) = Message::read(bytes) else {
            let is_keepalive = bytes.iter().all(|byte| b"\r\n".contains(byte));
            if !is_keepalive && !self.is_damaged {
                self.complain(|| format!("sent what cannot be read: {}", String::from_utf8_lossy(bytes)));
            }
            return;
        };
        if message.is_request() {
            self.request_left(to, zone, &message);
        } else {
            self.response_left(now, node, zone, &message);
        }
    }

    fn request_left(&mut self, to: SocketAddr, zone: Zone, message: &Message) {
        if zone != Zone::Pool || self.is_damaged || matches!(message.method(), "ACK" | "CANCEL") {
            return;
        }
        let Some((branch, _)) = message.top_via() else { return };
        let method = message.method().to_owned();
        let key = (message.call_id().to_owned(), message.cseq(), method, message.tag("From"));
        let branches = self.requests.entry(key).or_default();
        if branches.iter().any(|known| *known == (to, branch.clone())) {
            return;
        }
        let is_double = branches.iter().any(|(member, _)| *member == to);
        branches.push((to, branch));
        if is_double {
            let (method, call_id) = (message.method(), message.call_id());
            self.complain(|| format!("{method} of {call_id} reached {to} under two branches"));
        }
    }

    fn response_left(&mut self, now: Time, node: usize, zone: Zone, message: &Message) {
        let Some((branch, _)) = message.top_via() else { return };
        let (status, method) = (message.status(), message.method().to_owned());
        if method == "INVITE" && zone != Zone::Pool {
            self.note_setup(message, status);
        }
        if self.is_damaged {
            return;
        }
        let key = (branch, message.call_id().to_owned(), message.cseq(), method);
        let life = self.restarts;
        let server = self.servers.entry(key).or_insert(Answered { fin: None, node, life });
        // A node that was killed forgot what it had said, and none knows what another has.
        let remembers = server.life == life && server.node == node;
        let now_said = (status, message.tag("To"));
        let complaint = match &server.fin {
            Some(_) if status < 200 && self.is_unordered => None,
            Some((fin, _)) if status < 200 => Some(format!("{status} after {fin}")),
            Some(fin) if *fin != now_said && status < 300 => Some(format!("{now_said:?} after {fin:?}")),
            // The failure of a branch that nobody remembers any more goes home by its branch: it changes nothing.
            Some(_) => None,
            None => {
                if status >= 200 {
                    server.node = node;
                    server.fin = Some(now_said);
                }
                None
            }
        };
        if let Some(what) = complaint.filter(|_| remembers) {
            let of = format!("{} {}", message.method(), message.call_id());
            self.complain(|| format!("{what} for {of} at {} ms", now.as_micros() / 1000));
        }
    }

    /// An answer may go home without a transaction after a restart: it says nothing of the node that is there now.
    fn note_server(&mut self, request: &Message) {
        let Some((branch, _)) = request.top_via().filter(|_| request.is_request()) else { return };
        let key = (branch, request.call_id().to_owned(), request.cseq(), request.method().to_owned());
        self.servers.entry(key).or_insert(Answered { fin: None, node: 0, life: self.restarts });
    }

    fn note_setup(&mut self, message: &Message, status: u16) {
        let key = (message.call_id().to_owned(), message.cseq());
        if let Some(setup) = self.setups.get_mut(&key) {
            setup.trying |= status == 100;
            setup.answered |= status >= 200;
        }
    }
}
