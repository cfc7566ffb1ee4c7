//! The INVITE server transaction: RFC 3261 §17.2.1, figure 7, with the Accepted state of RFC 6026 §7.1.
//!
//! It answers repeated INVITEs, repeats a failure until its ACK comes, and lets every 2xx of the TU and every ACK
//! for it pass while timer L runs. It makes no response of its own: also the 100 is the TU's.

use std::mem;

use super::timers::{Retransmit, Timers};
use crate::time::Time;

/// A received INVITE on its way to be answered.
#[derive(Debug, Default)]
pub struct InviteServer {
    state: State,
    /// What a repeated INVITE is answered with: the last provisional response, later the failure. Empty: none yet.
    response: Vec<u8>,
    /// A response that a newer one replaced, kept only to be handed back.
    spent: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Proceeding,
    /// A failure was sent and its ACK is awaited.
    Completed {
        timer_g: Option<Retransmit>,
        timer_h: Time,
    },
    /// The ACK came; its repetitions are absorbed.
    Confirmed {
        timer_i: Time,
    },
    /// A 2xx was sent. It is the TU that repeats it, end to end.
    Accepted {
        timer_l: Time,
    },
    Terminated,
}

/// What an ACK means to whoever received it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ack {
    /// It acknowledges our failure response and ends here.
    Absorbed,
    /// It acknowledges a 2xx: the TU forwards it.
    PassUp,
    /// No final response was sent that it could acknowledge, or the transaction is over.
    Unexpected,
}

/// What a server transaction asks for when a deadline has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerTimer<'a> {
    /// Nothing before [`deadline`](InviteServer::deadline).
    Idle,
    /// Timer G: send this response again.
    Resend(&'a [u8]),
    /// Timer H: the ACK never came. The transaction is over.
    NoAck,
    /// Timer I, J or L: all went well. The transaction is over.
    Done,
}

impl InviteServer {
    /// In Proceeding: the INVITE was just received for the first time.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same INVITE came again: what to send now. After a 2xx that is nothing; the TU repeats it.
    pub fn on_retransmission(&self) -> Option<&[u8]> {
        match self.state {
            State::Proceeding | State::Completed { .. } => {
                (!self.response.is_empty()).then_some(&self.response)
            }
            State::Confirmed { .. } | State::Accepted { .. } | State::Terminated => None,
        }
    }

    /// The TU sends this 1xx: it answers repeated INVITEs from now on. False when a final response is already out,
    /// so that this one must not be sent.
    pub fn on_provisional(&mut self, bytes: Vec<u8>) -> bool {
        let sent = matches!(self.state, State::Proceeding);
        if sent {
            self.keep(bytes);
        }
        sent
    }

    /// The TU sends a 2xx, or sends it again. False after a failure: it must not be sent.
    pub fn on_success(&mut self, now: Time, timers: &Timers) -> bool {
        match self.state {
            State::Proceeding => {
                self.state = State::Accepted { timer_l: now + timers.timeout() };
                true
            }
            // RFC 6026 §7.1: each one passes, and none of them prolongs timer L.
            State::Accepted { .. } => true,
            State::Completed { .. } | State::Confirmed { .. } | State::Terminated => false,
        }
    }

    /// The TU sends this 300-699: it is repeated until its ACK comes. False when a final response is already out,
    /// so that this one must not be sent.
    pub fn on_failure(&mut self, now: Time, timers: &Timers, bytes: Vec<u8>) -> bool {
        let sent = matches!(self.state, State::Proceeding);
        if sent {
            self.keep(bytes);
            self.state =
                State::Completed { timer_g: Retransmit::start(now, timers), timer_h: now + timers.timeout() };
        }
        sent
    }

    /// An ACK for this INVITE came, found by branch or (for a 2xx) by whoever keeps dialogs.
    pub fn on_ack(&mut self, now: Time, timers: &Timers) -> Ack {
        match self.state {
            State::Completed { .. } => {
                self.state = State::Confirmed { timer_i: now + timers.i() };
                Ack::Absorbed
            }
            State::Confirmed { .. } => Ack::Absorbed,
            State::Accepted { .. } => Ack::PassUp,
            State::Proceeding | State::Terminated => Ack::Unexpected,
        }
    }

    /// Call when [`deadline`](Self::deadline) has passed, until it says [`ServerTimer::Idle`].
    pub fn on_timer(&mut self, now: Time, timers: &Timers) -> ServerTimer<'_> {
        match self.state {
            State::Completed { timer_h, .. } if now >= timer_h => {
                self.state = State::Terminated;
                ServerTimer::NoAck
            }
            State::Completed { timer_g: Some(timer_g), timer_h } if now >= timer_g.at => {
                self.state = State::Completed { timer_g: Some(timer_g.doubled(now, timers.t2)), timer_h };
                ServerTimer::Resend(&self.response)
            }
            State::Confirmed { timer_i: end } | State::Accepted { timer_l: end } if now >= end => {
                self.state = State::Terminated;
                ServerTimer::Done
            }
            _ => ServerTimer::Idle,
        }
    }

    /// When [`on_timer`](Self::on_timer) has something to say. In Proceeding only the TU limits the time.
    pub fn deadline(&self) -> Option<Time> {
        match self.state {
            State::Completed { timer_g, timer_h } => {
                Some(timer_g.map_or(timer_h, |timer_g| timer_g.at.min(timer_h)))
            }
            State::Confirmed { timer_i: end } | State::Accepted { timer_l: end } => Some(end),
            State::Proceeding | State::Terminated => None,
        }
    }

    /// True once the transaction is over.
    pub fn is_terminated(&self) -> bool {
        matches!(self.state, State::Terminated)
    }

    /// True once a final response was sent, of whichever kind.
    pub fn has_final(&self) -> bool {
        !matches!(self.state, State::Proceeding)
    }

    /// True from a failure on until its ACK is no longer repeated.
    pub fn has_failed(&self) -> bool {
        matches!(self.state, State::Completed { .. } | State::Confirmed { .. })
    }

    /// True while timer L runs after a 2xx.
    pub fn is_accepted(&self) -> bool {
        matches!(self.state, State::Accepted { .. })
    }

    /// Hands all buffers back; for the end, since nothing can be repeated afterwards.
    pub fn take_buffers(&mut self, give: &mut impl FnMut(Vec<u8>)) {
        for buffer in [&mut self.response, &mut self.spent] {
            if buffer.capacity() > 0 {
                give(mem::take(buffer));
            }
        }
    }

    fn keep(&mut self, bytes: Vec<u8>) {
        self.spent = mem::replace(&mut self.response, bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::timers::tests::{ms, udp, wss};
    use super::*;

    fn failed(timers: &Timers) -> InviteServer {
        let mut server = InviteServer::new();
        assert!(server.on_failure(ms(0), timers, b"486".to_vec()));
        server
    }

    fn accepted() -> InviteServer {
        let mut server = InviteServer::new();
        assert!(server.on_success(ms(0), &udp()));
        server
    }

    #[test]
    fn proceeding_answers_nothing_before_the_first_provisional() {
        let server = InviteServer::new();
        assert_eq!(server.on_retransmission(), None);
        assert_eq!(server.deadline(), None);
        assert!(!server.has_final());
    }

    #[test]
    fn proceeding_answers_a_retransmission_with_the_last_provisional() {
        let mut server = InviteServer::new();
        assert!(server.on_provisional(b"100".to_vec()));
        assert!(server.on_provisional(b"180".to_vec()));
        assert_eq!(server.on_retransmission(), Some(&b"180"[..]));
    }

    #[test]
    fn proceeding_does_not_expect_an_ack() {
        let mut server = InviteServer::new();
        assert_eq!(server.on_ack(ms(0), &udp()), Ack::Unexpected);
        assert!(!server.has_final());
    }

    #[test]
    fn completed_repeats_the_final_at_g_doubling_to_t2() {
        let mut server = failed(&udp());
        let mut repeated = Vec::new();
        for now in (0..32_000).step_by(100).map(ms) {
            if server.on_timer(now, &udp()) == ServerTimer::Resend(b"486") {
                repeated.push(now.as_micros() / 1000);
                assert_eq!(server.on_timer(now, &udp()), ServerTimer::Idle);
            }
        }
        assert_eq!(repeated, [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
    }

    #[test]
    fn g_fires_at_its_deadline_and_not_a_microsecond_earlier() {
        let mut server = failed(&udp());
        assert_eq!(server.deadline(), Some(ms(500)));
        assert_eq!(server.on_timer(Time::from_micros(499_999), &udp()), ServerTimer::Idle);
        assert_eq!(server.on_timer(ms(500), &udp()), ServerTimer::Resend(b"486"));
        assert_eq!(server.deadline(), Some(ms(1500)));
    }

    #[test]
    fn a_late_caller_repeats_once_and_not_in_a_burst() {
        let mut server = failed(&udp());
        assert_eq!(server.on_timer(ms(20_000), &udp()), ServerTimer::Resend(b"486"));
        assert_eq!(server.on_timer(ms(20_000), &udp()), ServerTimer::Idle);
    }

    #[test]
    fn completed_over_a_reliable_transport_has_no_g() {
        let mut server = failed(&wss());
        assert_eq!(server.deadline(), Some(ms(32_000)));
        assert_eq!(server.on_timer(ms(31_999), &wss()), ServerTimer::Idle);
        assert_eq!(server.on_timer(ms(32_000), &wss()), ServerTimer::NoAck);
    }

    #[test]
    fn completed_answers_a_retransmission_with_the_final() {
        let mut server = InviteServer::new();
        assert!(server.on_provisional(b"180".to_vec()));
        assert!(server.on_failure(ms(0), &udp(), b"486".to_vec()));
        assert_eq!(server.on_retransmission(), Some(&b"486"[..]));
    }

    #[test]
    fn h_without_ack_fails() {
        let mut server = failed(&udp());
        assert_eq!(server.on_timer(ms(32_000), &udp()), ServerTimer::NoAck);
        assert!(server.is_terminated());
        assert_eq!(server.deadline(), None);
        assert_eq!(server.on_retransmission(), None);
        assert_eq!(server.on_ack(ms(32_001), &udp()), Ack::Unexpected);
    }

    #[test]
    fn after_a_failure_no_other_response_is_sent() {
        let mut server = failed(&udp());
        assert!(!server.on_provisional(b"180".to_vec()));
        assert!(!server.on_success(ms(1), &udp()));
        assert!(!server.on_failure(ms(1), &udp(), b"500".to_vec()));
        assert_eq!(server.on_retransmission(), Some(&b"486"[..]));
        assert_eq!(server.deadline(), Some(ms(500)));
    }

    #[test]
    fn ack_confirms_a_failure_and_stops_g() {
        let mut server = failed(&udp());
        assert_eq!(server.on_ack(ms(100), &udp()), Ack::Absorbed);
        assert_eq!(server.on_retransmission(), None);
        assert_eq!(server.on_timer(ms(500), &udp()), ServerTimer::Idle);
        assert_eq!(server.deadline(), Some(ms(5100)));
    }

    #[test]
    fn confirmed_absorbs_further_acks_until_i() {
        let mut server = failed(&udp());
        server.on_ack(ms(0), &udp());
        assert_eq!(server.on_ack(ms(4999), &udp()), Ack::Absorbed);
        assert_eq!(server.on_timer(ms(4999), &udp()), ServerTimer::Idle);
        assert_eq!(server.on_timer(ms(5000), &udp()), ServerTimer::Done);
        assert!(server.is_terminated());
    }

    #[test]
    fn confirmed_over_a_reliable_transport_is_done_at_once() {
        let mut server = failed(&wss());
        server.on_ack(ms(7), &wss());
        assert_eq!(server.deadline(), Some(ms(7)));
        assert_eq!(server.on_timer(ms(7), &wss()), ServerTimer::Done);
    }

    #[test]
    fn success_accepts_and_absorbs_retransmissions() {
        let mut server = InviteServer::new();
        server.on_provisional(b"180".to_vec());
        assert!(server.on_success(ms(0), &udp()));
        assert!(server.is_accepted() && server.has_final());
        assert_eq!(server.on_retransmission(), None);
    }

    #[test]
    fn accepted_passes_ack_up() {
        let mut server = accepted();
        assert_eq!(server.on_ack(ms(1), &udp()), Ack::PassUp);
        assert_eq!(server.on_ack(ms(2), &udp()), Ack::PassUp);
        assert!(server.is_accepted());
    }

    #[test]
    fn accepted_passes_every_repeated_success_without_prolonging_l() {
        let mut server = accepted();
        assert!(server.on_success(ms(500), &udp()));
        assert!(server.on_success(ms(1500), &udp()));
        assert_eq!(server.deadline(), Some(ms(32_000)));
    }

    #[test]
    fn accepted_takes_no_provisional_and_no_failure() {
        let mut server = accepted();
        assert!(!server.on_provisional(b"180".to_vec()));
        assert!(!server.on_failure(ms(1), &udp(), b"486".to_vec()));
        assert!(server.is_accepted());
    }

    #[test]
    fn accepted_ends_at_l_on_every_transport() {
        for timers in [udp(), wss()] {
            let mut server = InviteServer::new();
            server.on_success(ms(0), &timers);
            assert_eq!(server.on_timer(ms(31_999), &timers), ServerTimer::Idle);
            assert_eq!(server.on_timer(ms(32_000), &timers), ServerTimer::Done);
            assert!(server.is_terminated() && !server.is_accepted());
            assert!(!server.on_success(ms(32_000), &timers));
        }
    }

    #[test]
    fn buffers_come_back_once() {
        let mut server = InviteServer::new();
        server.on_provisional(b"100".to_vec());
        server.on_failure(ms(0), &udp(), b"486".to_vec());
        assert_eq!(server.on_timer(ms(0) + Duration::from_secs(32), &udp()), ServerTimer::NoAck);
        let mut given = Vec::new();
        server.take_buffers(&mut |buffer| given.push(buffer));
        assert_eq!(given, [b"486", b"100"]);
        server.take_buffers(&mut |_| panic!("a buffer was handed back twice"));
    }
}
