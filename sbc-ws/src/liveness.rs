//! When to ping a silent client, and when to believe that it is dead. Pure: told the time, keeps no timer.
//!
//! TCP alone notices a vanished browser after many minutes, and its keepalives do not count for load balancers; a
//! WebSocket ping is answered by every browser without the page's help (RFC 6455 §5.5.2).

use std::num::NonZeroU64;
use std::time::Duration;

use tokio::time::Instant;

/// What a due timer asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Beat {
    /// Nothing: the client was heard in the meantime.
    Wait,
    /// Send a ping.
    Ping,
    /// The ping went unanswered.
    Dead,
}

/// The liveness of one client.
#[derive(Debug)]
pub(crate) struct Liveness {
    interval: Duration,
    timeout: Duration,
    heard: Instant,
    pinged: Option<Instant>,
}

impl Liveness {
    /// A client that was heard just now. Its first ping comes after half of the interval up to the whole, by
    /// connection, so that clients which reconnect together are not pinged together for ever.
    pub(crate) fn new(interval: Duration, timeout: Duration, now: Instant, id: NonZeroU64) -> Self {
        // The golden ratio spreads consecutive numbers evenly over the range.
        let spread = (id.get().wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u32;
        let lead = interval.mul_f64(f64::from(spread) / f64::from(u32::MAX) / 2.0);
        Self { interval, timeout, heard: now.checked_sub(lead).unwrap_or(now), pinged: None }
    }

    /// Any frame proves that the client lives.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.pinged = None;
    }

    /// When [`Liveness::beat`] has something to say next.
    pub(crate) fn due(&self) -> Instant {
        match self.pinged {
            Some(at) => at + self.timeout,
            None => self.heard + self.interval,
        }
    }

    /// The timer has come. Answers [`Beat::Ping`] once for each silence.
    pub(crate) fn beat(&mut self, now: Instant) -> Beat {
        if now < self.due() {
            return Beat::Wait;
        }
        if self.pinged.is_some() {
            return Beat::Dead;
        }
        self.pinged = Some(now);
        Beat::Ping
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(20);
    const TIMEOUT: Duration = Duration::from_secs(10);

    fn liveness(now: Instant) -> Liveness {
        let mut liveness = Liveness::new(INTERVAL, TIMEOUT, now, NonZeroU64::MIN);
        liveness.heard(now);
        liveness
    }

    #[test]
    fn a_silent_client_is_pinged_then_dead() {
        let start = Instant::now();
        let mut liveness = liveness(start);
        assert_eq!(liveness.beat(start + INTERVAL), Beat::Ping);
        assert_eq!(liveness.due(), start + INTERVAL + TIMEOUT);
        assert_eq!(liveness.beat(start + INTERVAL + TIMEOUT), Beat::Dead);
    }

    #[test]
    fn any_frame_after_the_ping_keeps_it_alive() {
        let start = Instant::now();
        let mut liveness = liveness(start);
        assert_eq!(liveness.beat(start + INTERVAL), Beat::Ping);
        liveness.heard(start + INTERVAL + TIMEOUT / 2);
        assert_eq!(liveness.beat(start + INTERVAL + TIMEOUT), Beat::Wait);
        assert_eq!(liveness.due(), start + INTERVAL + TIMEOUT / 2 + INTERVAL);
    }

    #[test]
    fn a_talking_client_is_not_pinged() {
        let start = Instant::now();
        let mut liveness = liveness(start);
        liveness.heard(start + INTERVAL / 2);
        assert_eq!(liveness.beat(start + INTERVAL), Beat::Wait);
    }

    #[test]
    fn first_pings_are_spread_over_half_an_interval() {
        let start = Instant::now();
        let due: Vec<_> = (1..=100)
            .filter_map(NonZeroU64::new)
            .map(|id| Liveness::new(INTERVAL, TIMEOUT, start, id).due() - start)
            .collect();
        assert!(due.iter().all(|&after| after >= INTERVAL / 2 && after <= INTERVAL));
        let early = due.iter().filter(|&&after| after < INTERVAL * 3 / 4).count();
        assert!((40..=60).contains(&early), "{early} of 100 in the first half");
    }
}
