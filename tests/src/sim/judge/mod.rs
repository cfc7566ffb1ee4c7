//! Looks at every message that comes to sbc and leaves it, and says what must never be.
//!
//! What it holds against sbc:
//! - a request reaches a member of the pool under one branch only; another member gets it only where there is a cause
//!   for failover; an answer of a call that nobody waits for is ended (`members.rs`);
//! - towards whoever asked, nothing provisional leaves after the final answer, and no success that is not the same
//!   (`answers.rs`);
//! - an answer goes to whoever asked, a request to whom it names or whose tag it bears (`ways.rs`);
//! - one input makes few messages.

mod answers;
mod members;
mod ways;

use std::collections::HashMap;
use std::net::SocketAddr;

use sbc_core::flow::Zone;
use sbc_core::time::Time;

pub(super) use self::answers::SetUp;

use self::answers::Answers;
use self::members::Members;
use self::ways::Ways;
use crate::ua::message::Message;

/// Messages that one input may make: all timers of a moment are one input too. The worlds that are judged have a
/// hundred calls, of which a moment concerns some.
const MOST_AT_ONCE: usize = 128;
/// Complaints kept.
const MOST_COMPLAINTS: usize = 50;

/// The judge of one world.
#[derive(Debug, Default)]
pub struct Judge {
    /// Damaged datagrams are other messages than were sent: what they look like proves nothing.
    pub is_damaged: bool,
    /// Several threads send side by side: what left first within one moment cannot be told.
    pub is_unordered: bool,
    ways: Ways,
    members: Members,
    answers: Answers,
    most_at_once: usize,
    messages: u64,
    last_message: Time,
    complaints: Vec<String>,
}

impl Judge {
    /// A judge who knows nobody.
    pub fn new() -> Self {
        Self::default()
    }

    /// Somebody is at this address, whom nothing is for but the answers to what he asks.
    pub fn know(&mut self, address: SocketAddr) {
        self.ways.know(address);
    }

    /// Who asks for one of these users may mean whoever is at this address.
    pub fn introduce(&mut self, address: SocketAddr, users: &[&str]) {
        self.ways.introduce(address, users);
    }

    /// What members take depends on what a node remembers: one that was killed may choose otherwise.
    pub fn forgets_places(&mut self) {
        self.members.forgets_places = true;
    }

    /// A member of a pool.
    pub fn introduce_member(&mut self, address: SocketAddr) {
        self.ways.introduce_member(address);
    }

    /// Whoever asks for a number of the telephone network may mean this carrier.
    pub fn introduce_carrier(&mut self, address: SocketAddr) {
        self.ways.introduce_carrier(address);
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

    /// When a message that is no probe of ours, nor its answer, came to sbc or left it last.
    pub const fn last_message(&self) -> Time {
        self.last_message
    }

    /// Requests that more than one member was asked.
    pub fn failovers(&self) -> u64 {
        self.members.failovers()
    }

    /// The INVITEs outside dialogs, by Call-ID and CSeq number.
    pub const fn setups(&self) -> &HashMap<(String, u32), SetUp> {
        self.answers.setups()
    }

    /// Answers of calls that somebody gave, that nobody heard, and that were not ended.
    pub fn ghosts(&self) -> Vec<String> {
        self.members.ghosts()
    }

    /// Whether of all answers that a call got only one was not ended by sbc.
    pub fn is_ended_but_for_one(&self, call_id: &str) -> bool {
        self.members.is_ended_but_for_one(call_id)
    }

    /// Dialogs that may have a record: begun, and no BYE in them has passed.
    pub fn open_dialogs(&self) -> usize {
        self.members.open_dialogs()
    }

    fn complain(&mut self, what: Option<String>) {
        if self.complaints.len() < MOST_COMPLAINTS {
            self.complaints.extend(what);
        }
    }

    pub(super) fn restarted(&mut self) {
        self.answers.restarted();
        self.members.restarted();
    }

    /// The network said that nobody is there.
    pub(super) fn unreachable(&mut self, now: Time, member: SocketAddr) {
        self.members.unreachable(now, member);
    }

    /// A message was written into a connection that is gone.
    pub(super) fn swallowed(&mut self, bytes: &[u8]) {
        if let Ok(message) = Message::read(bytes) {
            self.ways.swallowed(&message);
            self.members.passed(&message);
        }
    }

    pub(super) fn outbox(&mut self, messages: usize) {
        self.most_at_once = self.most_at_once.max(messages);
        if messages > MOST_AT_ONCE {
            self.complain(Some(format!("{messages} messages from one input")));
        }
    }

    pub(super) fn arrived(&mut self, now: Time, from: SocketAddr, zone: Zone, bytes: &[u8]) {
        self.messages += 1;
        let Ok(message) = Message::read(bytes) else { return };
        if message.method() != "OPTIONS" {
            self.last_message = now;
        }
        self.ways.arrived(from, zone, &message);
        self.answers.arrived(zone, &message);
        self.members.arrived(from, zone, &message);
    }

    pub(super) fn departed(&mut self, now: Time, node: usize, to: SocketAddr, zone: Zone, bytes: &[u8]) {
        self.messages += 1;
        let stray = self.ways.is_nobody(to);
        self.complain(
            stray.then(|| format!("sent to {to}, where nobody is: {}", String::from_utf8_lossy(bytes))),
        );
        let Ok(message) = Message::read(bytes) else {
            let is_keepalive = bytes.iter().all(|byte| b"\r\n".contains(byte));
            let is_broken = !is_keepalive && !self.is_damaged;
            let what = || format!("sent what cannot be read: {}", String::from_utf8_lossy(bytes));
            return self.complain(is_broken.then(what));
        };
        if message.method() != "OPTIONS" {
            self.last_message = now;
        }
        let mut complaints = vec![self.ways.departed(to, zone, &message)];
        self.members.departed(&message);
        if message.is_request() {
            complaints.push(self.members.asked(now, to, zone, &message));
        } else {
            complaints.push(self.answers.departed(now, node, zone, &message, self.is_unordered));
        }
        if !self.is_damaged {
            complaints.into_iter().for_each(|complaint| self.complain(complaint));
        }
    }
}
