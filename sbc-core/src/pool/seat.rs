//! A member as one request has it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::choice::{FALL, PoolState};
use super::health::{Health, MemberState};
use crate::config::Large;
use crate::flow::{ListenerId, Zone};
use crate::gauge::Held;
use crate::time::Time;
use crate::transaction::EntryId;

/// A member of a pool, and the pool as it was configured when the request was given to it. It stays right
/// when the configuration changes: no number in it could come to mean another member.
#[derive(Debug, Clone)]
pub struct Seat {
    pool: Arc<PoolState>,
    member: Arc<MemberState>,
}

impl Seat {
    /// One member of a pool by its place.
    pub fn of(pool: &Arc<PoolState>, member: usize) -> Option<Self> {
        Some(Self { pool: Arc::clone(pool), member: Arc::clone(pool.members.get(member)?) })
    }

    /// The pool, as it was configured then.
    pub fn pool(&self) -> &Arc<PoolState> {
        &self.pool
    }

    /// What is known of the member.
    pub fn member(&self) -> &Arc<MemberState> {
        &self.member
    }

    /// Whom it faces.
    pub fn zone(&self) -> Zone {
        self.pool.config.zone
    }

    /// Where messages for it go.
    pub fn address(&self) -> SocketAddr {
        self.member.address
    }

    /// The listener it is reached from.
    pub fn listener(&self) -> ListenerId {
        self.member.listener
    }

    /// The listener whose address it is told.
    pub fn told(&self) -> ListenerId {
        self.pool.config.listener
    }

    /// What happens to requests for it that are too large for a datagram.
    pub fn large(&self) -> Large {
        self.pool.config.large
    }

    /// Whether a connection is worth trying, where it is reached by UDP.
    pub fn accepts_connections(&self, now: Time) -> bool {
        self.member.accepts_connections(now)
    }

    /// Whether its calls are ended when it is dead, so that what their ends would say has to be known.
    pub fn is_released(&self) -> bool {
        self.pool.config.release.is_some()
    }

    /// Whether another member could get what is meant for this one.
    pub fn has_others(&self) -> bool {
        self.pool.members.len() > 1
    }

    /// Whether it answered its last probe; a pool without probes vouches for nobody.
    pub fn is_in_good_health(&self) -> bool {
        self.pool.config.probe.is_some() && self.member.probing(|probing| probing.is_in_good_health())
    }

    /// What is known of it.
    pub fn health(&self) -> Health {
        self.member.health()
    }

    /// A request was sent to it, from a listener.
    pub fn sent(&self, entry: EntryId, from: ListenerId, now: Time) {
        self.member.sent(entry, from, now);
    }

    /// A new call was given to it; it has one more as long as what is returned lives.
    pub fn hold_call(&self, now: Time) -> Held {
        let own = self.pool.config.members.iter().find(|one| self.member.is(one));
        self.member.pace.count(own.and_then(|one| one.share.max_cps), now);
        self.member.hold_call()
    }

    /// It has one more call that its pace need not count: it has counted it before, or did not get it from us.
    pub fn hold_unpaced(&self) -> Held {
        self.member.hold_call()
    }

    /// It said that it is full, and when to ask again.
    pub fn full(&self, retry_after: Option<Duration>, now: Time) {
        self.member.full(retry_after, now);
    }

    /// It answered a request.
    pub fn answered(&self) {
        self.member.answered(self.pool.config.probe.is_some());
    }

    /// It did not answer a request in time.
    pub fn missed(&self, now: Time) {
        let probe = self.pool.config.probe.as_ref();
        let fall = probe.map_or(FALL, |probe| probe.fall);
        self.member.missed(fall, self.pool.may_eject(), probe.is_some(), now);
    }

    /// The network says that nobody is there: its probe in flight is missed, or a request.
    pub fn unreachable(&self, now: Time) {
        match &self.pool.config.probe {
            Some(probe) if self.member.probing(|probing| probing.is_waiting()) => {
                self.member.probing(|probing| probing.on_unreachable(probe));
            }
            _ => self.missed(now),
        }
    }
}
