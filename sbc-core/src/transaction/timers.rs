//! The timer values of RFC 3261 §17, table 4, for one transport.
//!
//! A reliable transport repeats nothing, so it has no timers A, E and G; what only waits for repetitions of the
//! other side (D, I, J, K) is zero there. The machines never ask for a transport, only for these values.

use std::time::Duration;

use crate::config;
use crate::flow::{Transport, is_reliable};
use crate::time::Time;

/// §17.1.1.2: "at least 32 seconds" on unreliable transports, also where T1 was made shorter.
const SHORTEST_D: Duration = Duration::from_secs(32);

/// No repetition follows another sooner, whatever T1 and T2 say: zero would repeat for ever at one point in time.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);

/// Timer values for one transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// Round-trip time estimate: the first interval of A, E and G.
    pub t1: Duration,
    /// Longest interval between repetitions of a non-INVITE request (E) or a final response (G).
    pub t2: Duration,
    /// How long a message stays in the network.
    pub t4: Duration,
    /// Nothing sent is lost, so nothing is repeated.
    pub reliable: bool,
    /// Timer C (§16.6): how long a forwarded INVITE may go without a provisional response above 100.
    pub ring: Duration,
}

impl Timers {
    /// The configured values as they apply to a transaction over `transport`.
    pub fn new(config: &config::Timers, transport: Transport) -> Self {
        Self {
            t1: config.t1,
            t2: config.t2,
            t4: config.t4,
            reliable: is_reliable(transport),
            ring: config.ring,
        }
    }

    /// 64 times T1: timers B, F and H of RFC 3261, L and M of RFC 6026, on every transport.
    pub const fn timeout(&self) -> Duration {
        self.t1.saturating_mul(64)
    }

    /// Timer D: how long an INVITE client answers repetitions of a failure with its ACK.
    pub fn d(&self) -> Duration {
        self.unless_reliable(self.timeout().max(SHORTEST_D))
    }

    /// Timer I: how long an INVITE server absorbs repetitions of the ACK.
    pub fn i(&self) -> Duration {
        self.unless_reliable(self.t4)
    }

    /// Timer J: how long a non-INVITE server answers repetitions of the request.
    pub fn j(&self) -> Duration {
        self.unless_reliable(self.timeout())
    }

    /// Timer K: how long a non-INVITE client absorbs repetitions of the final response.
    pub fn k(&self) -> Duration {
        self.unless_reliable(self.t4)
    }

    fn unless_reliable(&self, wait: Duration) -> Duration {
        if self.reliable { Duration::ZERO } else { wait }
    }
}

/// One of the repeating timers A, E and G: when it fires next, and how long it was set for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Retransmit {
    pub(super) at: Time,
    interval: Duration,
}

impl Retransmit {
    /// Started at T1; none where the transport is reliable.
    pub(super) fn start(now: Time, timers: &Timers) -> Option<Self> {
        (!timers.reliable).then(|| Self::set(now, timers.t1))
    }

    /// Set to fire after `interval`.
    pub(super) fn set(now: Time, interval: Duration) -> Self {
        let interval = interval.max(SHORTEST_INTERVAL);
        Self { at: now + interval, interval }
    }

    /// Set again for twice as long, but not longer than `cap`. It counts from `now`, not from when it should have
    /// fired, so that a late caller does not send a burst.
    pub(super) fn doubled(self, now: Time, cap: Duration) -> Self {
        Self::set(now, self.interval.saturating_mul(2).min(cap))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The defaults over UDP.
    pub(in crate::transaction) fn udp() -> Timers {
        Timers::new(&config::Timers::default(), Transport::Udp)
    }

    /// The defaults over secure WebSocket.
    pub(in crate::transaction) fn wss() -> Timers {
        Timers::new(&config::Timers::default(), Transport::Wss)
    }

    /// Milliseconds after the origin.
    pub(in crate::transaction) fn ms(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    #[test]
    fn values_over_udp_are_those_of_table_4() {
        let timers = udp();
        assert_eq!(timers.timeout(), Duration::from_secs(32));
        assert_eq!(timers.d(), Duration::from_secs(32));
        assert_eq!(timers.i(), Duration::from_secs(5));
        assert_eq!(timers.j(), Duration::from_secs(32));
        assert_eq!(timers.k(), Duration::from_secs(5));
    }

    #[test]
    fn reliable_transports_wait_for_no_repetition() {
        for transport in [Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss] {
            let timers = Timers::new(&config::Timers::default(), transport);
            assert!(timers.reliable, "{transport}");
            for zero in [timers.d(), timers.i(), timers.j(), timers.k()] {
                assert_eq!(zero, Duration::ZERO, "{transport}");
            }
            assert_eq!(timers.timeout(), Duration::from_secs(32), "{transport}");
        }
    }

    #[test]
    fn d_stays_at_32_seconds_when_t1_is_short() {
        let timers = Timers { t1: Duration::from_millis(100), ..udp() };
        assert_eq!(timers.d(), Duration::from_secs(32));
        assert_eq!(timers.j(), Duration::from_millis(6400));
    }

    #[test]
    fn a_zero_t1_still_lets_time_pass_between_repetitions() {
        let timers = Timers { t1: Duration::ZERO, t2: Duration::ZERO, ..udp() };
        let first = Retransmit::start(ms(0), &timers).expect("UDP repeats");
        assert!(first.at > ms(0));
        assert!(first.doubled(first.at, timers.t2).at > first.at);
    }
}
