//! Whether a member is alive: probes and what really happened to requests.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::probe::Probing;
use crate::config::Member;
use crate::flow::ListenerId;
use crate::limits;
use crate::time::Time;
use crate::transaction::EntryId;

/// What is known of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// Not asked yet.
    Unknown,
    /// It answers.
    Up,
    /// It does not.
    Down,
}

impl Health {
    /// As metrics and the admin API call it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// One member; the same under every configuration that has it.
#[derive(Debug)]
pub struct MemberState {
    /// Where messages for it go.
    pub address: SocketAddr,
    /// The listener it is reached from.
    pub listener: ListenerId,
    /// Its URI as written.
    pub uri: Box<str>,
    /// Hash of its address with the stable key.
    pub(super) id: u64,
    health: AtomicU8,
    probing: Mutex<Probing>,
    /// A request to it went unanswered since it last said anything.
    suspect: AtomicBool,
    /// Until when it is not asked for a connection that large requests would need, in microseconds.
    no_connection_until: AtomicU64,
    /// The newest requests sent to it: whom an ICMP error concerns.
    in_flight: Mutex<VecDeque<EntryId>>,
}

impl MemberState {
    /// A member nobody has asked yet; `id` is the stable hash of its address.
    pub fn new(member: &Member, id: u64) -> Self {
        Self {
            address: member.address,
            listener: member.listener,
            uri: member.uri.clone(),
            id,
            health: AtomicU8::new(0),
            probing: Mutex::new(Probing::default()),
            suspect: AtomicBool::new(false),
            no_connection_until: AtomicU64::new(0),
            in_flight: Mutex::new(VecDeque::new()),
        }
    }

    /// Whether it is this one of the configuration.
    pub fn is(&self, member: &Member) -> bool {
        self.address == member.address && self.uri == member.uri && self.listener == member.listener
    }

    /// What is known of it.
    pub fn health(&self) -> Health {
        match self.health.load(Ordering::Relaxed) {
            0 => Health::Unknown,
            1 => Health::Up,
            _ => Health::Down,
        }
    }

    /// Run `step` on its probe state, and take over the health that results.
    pub fn probing<R>(&self, step: impl FnOnce(&mut Probing) -> R) -> R {
        let mut probing = self.probing.lock().unwrap_or_else(PoisonError::into_inner);
        let result = step(&mut probing);
        self.health.store(probing.health() as u8, Ordering::Relaxed);
        result
    }

    /// A request was not answered in time: it counts like a missed probe.
    pub fn missed(&self, fall: u8) {
        self.suspect.store(true, Ordering::Relaxed);
        self.probing(|probing| probing.missed(fall));
    }

    /// It answered a request: misses are no longer in a row.
    pub fn answered(&self) {
        if self.suspect.swap(false, Ordering::Relaxed) {
            self.probing(Probing::on_request_answered);
        }
    }

    /// It is reached by UDP and did not accept a connection.
    pub fn refused_connection(&self, now: Time) {
        let until = now + limits::WITHOUT_CONNECTION;
        self.no_connection_until.store(until.as_micros(), Ordering::Relaxed);
    }

    /// Whether a connection is worth trying, for a member that is reached by UDP.
    pub fn accepts_connections(&self, now: Time) -> bool {
        Time::from_micros(self.no_connection_until.load(Ordering::Relaxed)) <= now
    }

    /// A request was sent to it.
    pub fn sent(&self, entry: EntryId) {
        let mut in_flight = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        if in_flight.len() >= limits::IN_FLIGHT_PER_MEMBER {
            in_flight.pop_front();
        }
        in_flight.push_back(entry);
    }

    /// Nobody is there: the requests it may still owe an answer.
    pub fn take_in_flight(&self) -> VecDeque<EntryId> {
        std::mem::take(&mut *self.in_flight.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
