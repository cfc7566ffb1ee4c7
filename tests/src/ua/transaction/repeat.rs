//! Timer values, and the doubling interval of what is sent until an answer comes (RFC 3261 §17, table 4).

use std::time::Duration;

use sbc_core::time::Time;

/// Timer values of one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timers {
    /// First interval of an INVITE (Timer A): sofia-sip takes 1 s, the RFC T1.
    pub invite: Duration,
    /// T1 for everything else.
    pub t1: Duration,
    /// Longest interval.
    pub t2: Duration,
    /// How long a message may live in the network.
    pub t4: Duration,
    /// Timers B, F, H, L, M.
    pub timeout: Duration,
    /// True when the transport loses nothing, so that nothing is repeated.
    pub reliable: bool,
}

impl Timers {
    /// The RFC's values.
    pub const fn rfc3261(reliable: bool) -> Self {
        Self {
            invite: Duration::from_millis(500),
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            timeout: Duration::from_secs(32),
            reliable,
        }
    }

    /// What sofia-sip does over UDP: an INVITE leaves at 0, 1, 3, 7, 15 and 31 s.
    pub const fn sofia() -> Self {
        Self { invite: Duration::from_secs(1), ..Self::rfc3261(false) }
    }

    /// Zero on a reliable transport.
    pub const fn unless_reliable(&self, wait: Duration) -> Duration {
        if self.reliable { Duration::ZERO } else { wait }
    }
}

/// When to send again, and how long to wait after that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Repeat {
    at: Time,
    interval: Duration,
    longest: Duration,
}

impl Repeat {
    /// First repetition after `interval`, doubling up to `longest`.
    pub(super) fn new(now: Time, interval: Duration, longest: Duration) -> Self {
        Self { at: now + interval, interval, longest }
    }

    /// When it is due.
    pub(super) const fn at(&self) -> Time {
        self.at
    }

    /// It was sent again.
    pub(super) fn advance(&mut self, now: Time) {
        self.interval = (self.interval * 2).min(self.longest);
        self.at = now + self.interval;
    }
}
