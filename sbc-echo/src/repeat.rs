//! A message that is repeated until the other side confirms it: T1, doubling up to T2, for 64*T1
//! (RFC 3261 §13.3.1.4 for a 2xx, §17.2.1 for other finals, §17.1.2 for a BYE).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

pub(crate) const T1: Duration = Duration::from_millis(500);
pub(crate) const T2: Duration = Duration::from_secs(4);

/// How long a transaction lasts: 64*T1.
pub(crate) const PATIENCE: Duration = Duration::from_secs(32);

#[derive(Debug)]
pub(crate) struct Repeat {
    to: SocketAddr,
    bytes: Vec<u8>,
    interval: Duration,
    next: Instant,
    until: Instant,
}

/// What is due.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due<'a> {
    Nothing,
    Again(SocketAddr, &'a [u8]),
    GaveUp,
}

impl Repeat {
    /// `bytes` have just been sent.
    pub(crate) fn new(now: Instant, to: SocketAddr, bytes: Vec<u8>) -> Self {
        Self { to, bytes, interval: T1, next: now + T1, until: now + PATIENCE }
    }

    /// When to look again.
    pub(crate) fn due_at(&self) -> Instant {
        self.next.min(self.until)
    }

    /// What to do at `now`.
    pub(crate) fn due(&mut self, now: Instant) -> Due<'_> {
        if now >= self.until {
            return Due::GaveUp;
        }
        if now < self.next {
            return Due::Nothing;
        }
        self.interval = (self.interval * 2).min(T2);
        self.next = now + self.interval;
        Due::Again(self.to, &self.bytes)
    }
}
