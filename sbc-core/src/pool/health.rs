//! What is known of a member: whether it is alive, has room, and what the operator wants of it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use super::pace::Pace;
use super::probe::Probing;
use super::silence::Silence;
use crate::config::Member;
use crate::flow::ListenerId;
use crate::gauge::{Gauge, Held};
use crate::limits;
use crate::lock::Lock;
use crate::time::Time;
use crate::transaction::EntryId;

/// Whether a member is there.
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

/// What the operator wants of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// It takes its share.
    Enabled,
    /// It gets nothing new; its calls go on to their end.
    Draining,
    /// It gets nothing new, and is not waited for.
    Disabled,
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
    /// It joined a pool at work: until it has answered, others go first.
    pub(super) joined_late: bool,
    health: AtomicU8,
    order: AtomicU8,
    /// How long it has given no sign of life.
    pub silence: Silence,
    probing: Lock<Probing>,
    /// A request to it went unanswered since it last said anything.
    suspect: AtomicBool,
    /// Its probes say that it takes nothing.
    busy: AtomicBool,
    /// Full until then, in microseconds: it said so.
    full_until: AtomicU64,
    /// Requests in a row that it could not handle, as it said itself.
    failures: AtomicU8,
    /// It was found dead: one call at a time tries it, until it has answered one.
    half_open: AtomicBool,
    /// When the last such call was sent, in microseconds.
    trial: AtomicU64,
    /// Down by requests alone, without probes that could bring it back: until then, in microseconds.
    ejected_until: AtomicU64,
    calls: Gauge,
    pub(super) pace: Pace,
    /// Until when it is not asked for a connection that large requests would need, in microseconds.
    no_connection_until: AtomicU64,
    /// The newest requests sent to it, and from where: whom an ICMP error concerns.
    in_flight: Lock<VecDeque<(EntryId, ListenerId)>>,
}

impl MemberState {
    /// A member nobody has asked yet; `id` is the stable hash of its address.
    pub fn new(member: &Member, id: u64, joined_late: bool) -> Self {
        Self {
            address: member.address,
            listener: member.listener,
            uri: member.uri.clone(),
            id,
            joined_late,
            health: AtomicU8::new(0),
            order: AtomicU8::new(0),
            silence: Silence::default(),
            probing: Lock::new(Probing::new(id)),
            suspect: AtomicBool::new(false),
            busy: AtomicBool::new(false),
            full_until: AtomicU64::new(0),
            failures: AtomicU8::new(0),
            half_open: AtomicBool::new(false),
            trial: AtomicU64::new(0),
            ejected_until: AtomicU64::new(0),
            calls: Gauge::default(),
            pace: Pace::default(),
            no_connection_until: AtomicU64::new(0),
            in_flight: Lock::new(VecDeque::new()),
        }
    }

    /// Whether it is this one of the configuration.
    pub fn is(&self, member: &Member) -> bool {
        self.address == member.address && self.uri == member.uri && self.listener == member.listener
    }

    /// It was taken out and is a member again: what was known of it is old, and one call tries it.
    pub(super) fn returns(&self) {
        self.suspect.store(true, Ordering::Relaxed);
        self.half_open.store(true, Ordering::Relaxed);
    }

    /// Whether it is there.
    pub fn health(&self) -> Health {
        match self.health.load(Ordering::Relaxed) {
            0 => Health::Unknown,
            1 => Health::Up,
            _ => Health::Down,
        }
    }

    /// What the operator wants of it.
    pub fn order(&self) -> Order {
        match self.order.load(Ordering::Relaxed) {
            0 => Order::Enabled,
            1 => Order::Draining,
            _ => Order::Disabled,
        }
    }

    /// The operator wants something else of it.
    pub fn set_order(&self, order: Order) {
        self.order.store(order as u8, Ordering::Relaxed);
    }

    /// Calls that it has, set-ups included, as far as this process knows.
    pub fn calls(&self) -> u32 {
        self.calls.get()
    }

    /// One more call, as long as what is returned lives.
    pub fn hold_call(&self) -> Held {
        self.calls.hold()
    }

    /// When it has room again, as it said itself; in the past where it has.
    pub fn full_until(&self) -> Time {
        Time::from_micros(self.full_until.load(Ordering::Relaxed))
    }

    /// It said that it is full, and when to ask again.
    pub fn full(&self, retry_after: Option<Duration>, now: Time) {
        let pause = retry_after.unwrap_or(limits::PAUSE).min(limits::LONGEST_PAUSE);
        self.full_until.fetch_max((now + pause).as_micros(), Ordering::Relaxed);
    }

    /// It could not handle a request, and that was its own fault. When it says so again and again, others go first for
    /// a while.
    pub fn failed(&self, now: Time) {
        if self.failures.fetch_add(1, Ordering::Relaxed) >= limits::OWN_FAILURES - 1 {
            self.failures.store(0, Ordering::Relaxed);
            self.full(None, now);
        }
    }

    /// It handled a request.
    pub fn handled(&self) {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// Whether its probes say that it takes nothing.
    pub fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed)
    }

    /// Run `step` on its probe state, and take over the health that results.
    pub fn probing<R>(&self, step: impl FnOnce(&mut Probing) -> R) -> R {
        let mut probing = self.probing.lock();
        let before = probing.health();
        let result = step(&mut probing);
        if before != Health::Down && probing.health() == Health::Down {
            self.suspect.store(true, Ordering::Relaxed);
            self.half_open.store(true, Ordering::Relaxed);
        }
        self.health.store(probing.health() as u8, Ordering::Relaxed);
        self.busy.store(probing.is_busy(), Ordering::Relaxed);
        result
    }

    /// A request was not answered in time. `may_eject`: that alone may take it down. Without probes it is
    /// down for a while only.
    pub(super) fn missed(&self, fall: u8, may_eject: bool, has_probes: bool, now: Time) {
        self.suspect.store(true, Ordering::Relaxed);
        let was_trial = self.half_open.load(Ordering::Relaxed);
        let fall = if was_trial { 1 } else { fall };
        self.probing(|probing| probing.missed_request(fall, may_eject));
        if !has_probes && self.health() == Health::Down {
            self.ejected_until.store((now + limits::EJECTION).as_micros(), Ordering::Relaxed);
        }
    }

    /// It answered a request: misses are no longer in a row, and a trial went well. Without probes that brings it
    /// back.
    pub fn answered(&self, has_probes: bool) {
        if self.suspect.load(Ordering::Relaxed) && self.suspect.swap(false, Ordering::Relaxed) {
            self.half_open.store(false, Ordering::Relaxed);
            self.probing(|probing| probing.on_request_answered(has_probes));
        }
    }

    /// Whether a call that would only try it has to wait for the one that does.
    pub(super) fn is_on_trial(&self, now: Time) -> bool {
        let since = Time::from_micros(self.trial.load(Ordering::Relaxed));
        self.half_open.load(Ordering::Relaxed) && since != Time::ZERO && now.since(since) < limits::TRIAL
    }

    /// Whether it was left alone for long enough, where it is down and has no probes.
    pub(super) fn may_be_tried(&self, now: Time) -> bool {
        self.ejected_until.load(Ordering::Relaxed) <= now.as_micros()
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

    /// A request was sent to it, from a listener.
    pub fn sent(&self, entry: EntryId, from: ListenerId, now: Time) {
        if self.half_open.load(Ordering::Relaxed) {
            self.trial.store(now.as_micros(), Ordering::Relaxed);
        }
        let mut in_flight = self.in_flight.lock();
        if in_flight.len() >= limits::IN_FLIGHT_PER_MEMBER {
            in_flight.pop_front();
        }
        in_flight.push_back((entry, from));
    }

    /// Nobody is there for a listener: the requests from it that it may still owe an answer. What left by another
    /// transport is another matter.
    pub fn take_in_flight(&self, from: ListenerId) -> Vec<EntryId> {
        let mut taken = Vec::new();
        self.in_flight.lock().retain(|(entry, listener)| {
            let is_meant = *listener == from;
            taken.extend(is_meant.then_some(*entry));
            !is_meant
        });
        taken
    }

    /// All requests that it may still owe an answer.
    pub fn in_flight(&self) -> Vec<EntryId> {
        self.in_flight.lock().iter().map(|(entry, _)| *entry).collect()
    }
}
