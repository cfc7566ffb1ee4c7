//! The INVITE client transaction: RFC 3261 §17.1.1, figure 5, with the Accepted state of RFC 6026 §7.2, and timer C
//! of a proxy (§16.6 item 11, §16.8), which bounds the ringing.
//!
//! It repeats the INVITE until something answers, repeats the ACK for a failure, and lets every 2xx pass while timer
//! M runs. An answer that comes after timer B is taken all the same, as long as somebody keeps the transaction: whoever
//! sent it repeats it until it is acknowledged, and a 2xx is a call. It builds neither the ACK nor the CANCEL; it keeps
//! the request that both are built from.

use std::mem;

use super::timers::{Retransmit, Timers};
use crate::time::Time;

/// A forwarded INVITE waiting for its answer.
#[derive(Debug)]
pub struct InviteClient {
    state: State,
    request: Vec<u8>,
    /// The ACK for a failure; empty until the TU has built it.
    ack: Vec<u8>,
    /// A 1xx came, whatever came later.
    provisional: bool,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Calling {
        timer_a: Option<Retransmit>,
        timer_b: Time,
        timer_c: Time,
    },
    /// A provisional response came.
    Proceeding {
        timer_c: Time,
    },
    /// Proceeding, and CANCEL was sent: the final response has until `give_up` (§9.1).
    Canceled {
        give_up: Time,
    },
    /// A failure came; its repetitions are acknowledged here.
    Completed {
        timer_d: Time,
    },
    /// A 2xx came; its repetitions are the TU's.
    Accepted {
        timer_m: Time,
    },
    Terminated {
        answered: bool,
    },
}

/// What the TU of a client transaction does about a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientResponse {
    /// Nothing: a repetition, or a response that comes too late to count.
    Absorb,
    /// A 1xx. 101-199 are forwarded; a 100 ends here (§16.7 item 5).
    Provisional,
    /// A 2xx. For INVITE also each repetition of it: all are forwarded.
    Success,
    /// The first 300-699. To an INVITE the TU answers with an ACK, and leaves it in [`InviteClient::set_ack`].
    Failure,
    /// The failure again: send [`InviteClient::ack`] again.
    RepeatAck,
}

/// What a client transaction asks for when a deadline has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientTimer<'a> {
    /// Nothing before [`deadline`](InviteClient::deadline).
    Idle,
    /// Timer A or E: send this request again.
    Resend(&'a [u8]),
    /// No final response came in time (timer B or F, or nothing after a CANCEL): as if it were a 408. The
    /// transaction is over.
    Timeout,
    /// Timer C: it rang for too long. The TU sends CANCEL; the transaction goes on for another 64 times T1.
    RingTimeout,
    /// Timer D, K or M: nothing more is expected. The transaction is over.
    Done,
}

impl InviteClient {
    /// In Calling: the request was just sent for the first time.
    pub fn new(now: Time, timers: &Timers, request: Vec<u8>) -> Self {
        let state = State::Calling {
            timer_a: Retransmit::start(now, timers),
            timer_b: now + timers.timeout(),
            timer_c: now + timers.ring,
        };
        Self { state, request, ack: Vec::new(), provisional: false }
    }

    /// In Proceeding: the request was sent, and answered provisionally.
    pub fn proceeding(now: Time, timers: &Timers, request: Vec<u8>) -> Self {
        let state = State::Proceeding { timer_c: now + timers.ring };
        Self { state, request, ack: Vec::new(), provisional: true }
    }

    /// The request as it was sent, for the ACK and the CANCEL: until [`take_buffers`](Self::take_buffers).
    pub fn request(&self) -> Option<&[u8]> {
        (!self.request.is_empty()).then_some(&self.request)
    }

    /// A response with this status code came: what the TU must do.
    pub fn on_response(&mut self, now: Time, timers: &Timers, status: u16) -> ClientResponse {
        match status {
            100..=199 => self.on_provisional(now, timers, status),
            200..=299 => self.on_success(now, timers),
            300..=699 => self.on_failure(now, timers),
            _ => ClientResponse::Absorb,
        }
    }

    fn on_provisional(&mut self, now: Time, timers: &Timers, status: u16) -> ClientResponse {
        match self.state {
            State::Calling { timer_c, .. } | State::Proceeding { timer_c } => {
                // §16.7 item 2: a 100 does not prolong the ringing.
                let timer_c = if status == 100 { timer_c } else { now + timers.ring };
                self.state = State::Proceeding { timer_c };
                self.provisional = true;
                ClientResponse::Provisional
            }
            State::Canceled { .. } => ClientResponse::Provisional,
            State::Completed { .. } | State::Accepted { .. } | State::Terminated { .. } => {
                ClientResponse::Absorb
            }
        }
    }

    fn on_success(&mut self, now: Time, timers: &Timers) -> ClientResponse {
        match self.state {
            State::Calling { .. }
            | State::Proceeding { .. }
            | State::Canceled { .. }
            | State::Terminated { answered: false } => {
                self.state = State::Accepted { timer_m: now + timers.timeout() };
                ClientResponse::Success
            }
            State::Accepted { .. } => ClientResponse::Success,
            State::Completed { .. } | State::Terminated { answered: true } => ClientResponse::Absorb,
        }
    }

    fn on_failure(&mut self, now: Time, timers: &Timers) -> ClientResponse {
        match self.state {
            State::Calling { .. }
            | State::Proceeding { .. }
            | State::Canceled { .. }
            | State::Terminated { answered: false } => {
                self.state = State::Completed { timer_d: now + timers.d() };
                ClientResponse::Failure
            }
            State::Completed { .. } => ClientResponse::RepeatAck,
            State::Accepted { .. } | State::Terminated { answered: true } => ClientResponse::Absorb,
        }
    }

    /// The TU has sent this ACK for the [`Failure`](ClientResponse::Failure): it answers the repetitions.
    pub fn set_ack(&mut self, ack: Vec<u8>) {
        self.ack = ack;
    }

    /// The ACK to send on [`RepeatAck`](ClientResponse::RepeatAck).
    pub fn ack(&self) -> Option<&[u8]> {
        (!self.ack.is_empty()).then_some(&self.ack)
    }

    /// The TU has sent CANCEL: the final response has 64 times T1 to come (§9.1), and timer C is over. Changes
    /// nothing unless a provisional response came, because before that no CANCEL may be sent.
    pub fn on_cancel(&mut self, now: Time, timers: &Timers) {
        if let State::Proceeding { .. } = self.state {
            self.state = State::Canceled { give_up: now + timers.timeout() };
        }
    }

    /// Another branch took over: the request is not repeated any more. A late answer still counts, until timer B.
    pub fn stop_retransmitting(&mut self) {
        if let State::Calling { timer_a, .. } = &mut self.state {
            *timer_a = None;
        }
    }

    /// Call when [`deadline`](Self::deadline) has passed, until it says [`ClientTimer::Idle`].
    pub fn on_timer(&mut self, now: Time, timers: &Timers) -> ClientTimer<'_> {
        match self.state {
            // §16.8: timer C without a provisional response is a 408 as well.
            State::Calling { timer_b, timer_c, .. } if now >= timer_b.min(timer_c) => {
                self.end(ClientTimer::Timeout)
            }
            State::Calling { timer_a: Some(timer_a), timer_b, timer_c } if now >= timer_a.at => {
                let timer_a = Some(timer_a.doubled(now, timers.timeout()));
                self.state = State::Calling { timer_a, timer_b, timer_c };
                ClientTimer::Resend(&self.request)
            }
            State::Proceeding { timer_c } if now >= timer_c => {
                self.on_cancel(now, timers);
                ClientTimer::RingTimeout
            }
            State::Canceled { give_up } if now >= give_up => self.end(ClientTimer::Timeout),
            State::Completed { timer_d: end } | State::Accepted { timer_m: end } if now >= end => {
                self.end(ClientTimer::Done)
            }
            _ => ClientTimer::Idle,
        }
    }

    fn end<'a>(&mut self, why: ClientTimer<'a>) -> ClientTimer<'a> {
        self.state = State::Terminated { answered: self.has_final() };
        why
    }

    /// When [`on_timer`](Self::on_timer) has something to say.
    pub fn deadline(&self) -> Option<Time> {
        match self.state {
            State::Calling { timer_a, timer_b, timer_c } => {
                let end = timer_b.min(timer_c);
                Some(timer_a.map_or(end, |timer_a| timer_a.at.min(end)))
            }
            State::Proceeding { timer_c: end }
            | State::Canceled { give_up: end }
            | State::Completed { timer_d: end }
            | State::Accepted { timer_m: end } => Some(end),
            State::Terminated { .. } => None,
        }
    }

    /// True once the transaction is over.
    pub fn is_terminated(&self) -> bool {
        matches!(self.state, State::Terminated { .. })
    }

    /// True while nothing has answered.
    pub fn is_calling(&self) -> bool {
        matches!(self.state, State::Calling { .. })
    }

    /// True between the first provisional and the final response: a CANCEL may be sent.
    pub fn is_proceeding(&self) -> bool {
        matches!(self.state, State::Proceeding { .. } | State::Canceled { .. })
    }

    /// True once a provisional response came, also after the final one.
    pub fn has_provisional(&self) -> bool {
        self.provisional
    }

    /// True once a final response came; it stays so when the transaction is over.
    pub fn has_final(&self) -> bool {
        match self.state {
            State::Completed { .. } | State::Accepted { .. } => true,
            State::Terminated { answered } => answered,
            State::Calling { .. } | State::Proceeding { .. } | State::Canceled { .. } => false,
        }
    }

    /// Hands all buffers back; for the end, since nothing can be repeated afterwards.
    pub fn take_buffers(&mut self, give: &mut impl FnMut(Vec<u8>)) {
        for buffer in [&mut self.request, &mut self.ack] {
            if buffer.capacity() > 0 {
                give(mem::take(buffer));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::timers::tests::{ms, udp, wss};
    use super::*;

    fn calling() -> InviteClient {
        InviteClient::new(ms(0), &udp(), b"INVITE".to_vec())
    }

    fn after(statuses: &[u16]) -> InviteClient {
        let mut client = calling();
        for &status in statuses {
            client.on_response(ms(0), &udp(), status);
        }
        client
    }

    #[test]
    fn calling_repeats_the_request_at_a_doubling() {
        let mut client = calling();
        let mut repeated = Vec::new();
        for now in (0..32_000).step_by(100).map(ms) {
            if client.on_timer(now, &udp()) == ClientTimer::Resend(b"INVITE") {
                repeated.push(now.as_micros() / 1000);
            }
        }
        assert_eq!(repeated, [500, 1500, 3500, 7500, 15_500, 31_500]);
    }

    #[test]
    fn a_fires_at_its_deadline_and_not_a_microsecond_earlier() {
        let mut client = calling();
        assert_eq!(client.deadline(), Some(ms(500)));
        assert_eq!(client.on_timer(Time::from_micros(499_999), &udp()), ClientTimer::Idle);
        assert_eq!(client.on_timer(ms(500), &udp()), ClientTimer::Resend(b"INVITE"));
        assert_eq!(client.on_timer(ms(500), &udp()), ClientTimer::Idle);
    }

    #[test]
    fn calling_over_a_reliable_transport_has_no_a() {
        let mut client = InviteClient::new(ms(0), &wss(), b"INVITE".to_vec());
        assert_eq!(client.deadline(), Some(ms(32_000)));
        assert_eq!(client.on_timer(ms(31_999), &wss()), ClientTimer::Idle);
        assert_eq!(client.on_timer(ms(32_000), &wss()), ClientTimer::Timeout);
    }

    #[test]
    fn b_without_any_response_times_out() {
        let mut client = calling();
        assert_eq!(client.on_timer(ms(32_000), &udp()), ClientTimer::Timeout);
        assert!(client.is_terminated() && !client.has_final() && !client.has_provisional());
        assert_eq!(client.deadline(), None);
        assert_eq!(client.request(), Some(&b"INVITE"[..]));
        assert_eq!(client.on_response(ms(32_001), &udp(), 180), ClientResponse::Absorb);
    }

    #[test]
    fn a_final_answer_after_b_is_taken_until_its_own_timer() {
        for (status, taken, again) in [
            (200, ClientResponse::Success, ClientResponse::Success),
            (487, ClientResponse::Failure, ClientResponse::RepeatAck),
        ] {
            let mut client = calling();
            assert_eq!(client.on_timer(ms(32_000), &udp()), ClientTimer::Timeout);
            assert_eq!(client.on_response(ms(45_000), &udp(), status), taken);
            assert!(client.has_final() && !client.is_terminated());
            assert_eq!(client.on_response(ms(45_500), &udp(), status), again);
            assert_eq!(client.on_timer(ms(77_000), &udp()), ClientTimer::Done);
            assert_eq!(client.on_response(ms(77_001), &udp(), status), ClientResponse::Absorb);
        }
    }

    #[test]
    fn c_shorter_than_b_times_out_in_calling() {
        let timers = Timers { ring: Duration::from_secs(10), ..udp() };
        let mut client = InviteClient::new(ms(0), &timers, b"INVITE".to_vec());
        assert_eq!(client.on_timer(ms(10_000), &timers), ClientTimer::Timeout);
    }

    #[test]
    fn provisional_stops_a_and_b() {
        let mut client = calling();
        assert!(client.is_calling());
        assert_eq!(client.on_response(ms(10), &udp(), 100), ClientResponse::Provisional);
        assert!(client.is_proceeding() && client.has_provisional() && !client.is_calling());
        assert_eq!(client.on_timer(ms(500), &udp()), ClientTimer::Idle);
        assert_eq!(client.on_timer(ms(32_000), &udp()), ClientTimer::Idle);
    }

    #[test]
    fn c_is_refreshed_by_180_and_not_by_100() {
        let mut client = calling();
        client.on_response(ms(1000), &udp(), 100);
        assert_eq!(client.deadline(), Some(ms(180_000)));
        assert_eq!(client.on_response(ms(2000), &udp(), 180), ClientResponse::Provisional);
        assert_eq!(client.deadline(), Some(ms(182_000)));
        client.on_response(ms(3000), &udp(), 100);
        assert_eq!(client.deadline(), Some(ms(182_000)));
    }

    #[test]
    fn c_asks_once_for_a_cancel_and_then_gives_up() {
        let mut client = after(&[180]);
        assert_eq!(client.on_timer(ms(179_999), &udp()), ClientTimer::Idle);
        assert_eq!(client.on_timer(ms(180_000), &udp()), ClientTimer::RingTimeout);
        assert!(client.is_proceeding());
        assert_eq!(client.on_timer(ms(180_000), &udp()), ClientTimer::Idle);
        assert_eq!(client.on_response(ms(181_000), &udp(), 180), ClientResponse::Provisional);
        assert_eq!(client.deadline(), Some(ms(212_000)));
        assert_eq!(client.on_timer(ms(212_000), &udp()), ClientTimer::Timeout);
        assert!(client.is_terminated() && client.has_provisional() && !client.has_final());
    }

    #[test]
    fn canceled_gives_the_final_response_64_t1() {
        let mut client = after(&[180]);
        client.on_cancel(ms(5000), &udp());
        assert!(client.is_proceeding());
        client.on_cancel(ms(6000), &udp());
        assert_eq!(client.deadline(), Some(ms(37_000)));
        assert_eq!(client.on_response(ms(5100), &udp(), 487), ClientResponse::Failure);
    }

    #[test]
    fn cancel_waits_for_a_provisional() {
        let mut client = calling();
        client.on_cancel(ms(10), &udp());
        assert!(client.is_calling());
        assert_eq!(client.on_timer(ms(500), &udp()), ClientTimer::Resend(b"INVITE"));
    }

    #[test]
    fn success_that_crosses_a_cancel_is_passed_up() {
        let mut client = after(&[180]);
        client.on_cancel(ms(5000), &udp());
        assert_eq!(client.on_response(ms(5001), &udp(), 200), ClientResponse::Success);
        assert_eq!(client.deadline(), Some(ms(37_001)));
    }

    #[test]
    fn calling_and_proceeding_complete_with_a_failure() {
        for statuses in [&[][..], &[100], &[100, 180]] {
            let mut client = after(statuses);
            assert_eq!(client.on_response(ms(0), &udp(), 486), ClientResponse::Failure);
            assert!(client.has_final() && !client.is_proceeding());
            assert_eq!(client.deadline(), Some(ms(32_000)));
        }
    }

    #[test]
    fn completed_repeats_the_ack() {
        let mut client = after(&[486]);
        assert_eq!(client.ack(), None);
        client.set_ack(b"ACK".to_vec());
        assert_eq!(client.on_response(ms(500), &udp(), 486), ClientResponse::RepeatAck);
        assert_eq!(client.ack(), Some(&b"ACK"[..]));
        assert_eq!(client.request(), Some(&b"INVITE"[..]));
    }

    #[test]
    fn completed_absorbs_provisional_and_success() {
        let mut client = after(&[486]);
        assert_eq!(client.on_response(ms(1), &udp(), 180), ClientResponse::Absorb);
        assert_eq!(client.on_response(ms(1), &udp(), 200), ClientResponse::Absorb);
        assert_eq!(client.deadline(), Some(ms(32_000)));
    }

    #[test]
    fn completed_ends_at_d() {
        let mut client = after(&[486]);
        assert_eq!(client.on_timer(ms(31_999), &udp()), ClientTimer::Idle);
        assert_eq!(client.on_timer(ms(32_000), &udp()), ClientTimer::Done);
        assert!(client.is_terminated() && client.has_final());
        assert_eq!(client.on_response(ms(32_001), &udp(), 486), ClientResponse::Absorb);
    }

    #[test]
    fn completed_over_a_reliable_transport_is_done_at_once() {
        let mut client = InviteClient::new(ms(0), &wss(), b"INVITE".to_vec());
        assert_eq!(client.on_response(ms(20), &wss(), 603), ClientResponse::Failure);
        client.set_ack(b"ACK".to_vec());
        assert_eq!(client.deadline(), Some(ms(20)));
        assert_eq!(client.on_timer(ms(20), &wss()), ClientTimer::Done);
    }

    #[test]
    fn calling_and_proceeding_accept_a_success() {
        for statuses in [&[][..], &[100], &[100, 180]] {
            let mut client = after(statuses);
            assert_eq!(client.on_response(ms(0), &udp(), 200), ClientResponse::Success);
            assert!(client.has_final() && !client.is_calling());
            assert_eq!(client.deadline(), Some(ms(32_000)));
        }
    }

    #[test]
    fn accepted_passes_every_repeated_success_without_prolonging_m() {
        let mut client = after(&[200]);
        assert_eq!(client.on_response(ms(500), &udp(), 200), ClientResponse::Success);
        assert_eq!(client.deadline(), Some(ms(32_000)));
    }

    #[test]
    fn accepted_absorbs_provisional_and_failure() {
        let mut client = after(&[200]);
        assert_eq!(client.on_response(ms(1), &udp(), 180), ClientResponse::Absorb);
        assert_eq!(client.on_response(ms(1), &udp(), 486), ClientResponse::Absorb);
        assert_eq!(client.on_response(ms(1), &udp(), 200), ClientResponse::Success);
    }

    #[test]
    fn accepted_ends_at_m_on_every_transport() {
        for timers in [udp(), wss()] {
            let mut client = InviteClient::new(ms(0), &timers, b"INVITE".to_vec());
            client.on_response(ms(0), &timers, 200);
            assert_eq!(client.on_timer(ms(31_999), &timers), ClientTimer::Idle);
            assert_eq!(client.on_timer(ms(32_000), &timers), ClientTimer::Done);
            assert_eq!(client.on_response(ms(32_000), &timers, 200), ClientResponse::Absorb);
        }
    }

    #[test]
    fn abandoned_repeats_no_more_but_hears_a_late_answer() {
        let mut client = calling();
        client.stop_retransmitting();
        assert_eq!(client.deadline(), Some(ms(32_000)));
        assert_eq!(client.on_timer(ms(31_999), &udp()), ClientTimer::Idle);
        assert_eq!(client.on_response(ms(31_999), &udp(), 200), ClientResponse::Success);
    }

    #[test]
    fn status_codes_outside_100_to_699_change_nothing() {
        let mut client = calling();
        for status in [0, 99, 700, u16::MAX] {
            assert_eq!(client.on_response(ms(0), &udp(), status), ClientResponse::Absorb);
        }
        assert!(client.is_calling());
    }

    #[test]
    fn buffers_come_back_once() {
        let mut client = after(&[486]);
        client.set_ack(b"ACK".to_vec());
        client.on_timer(ms(32_000), &udp());
        let mut given = Vec::new();
        client.take_buffers(&mut |buffer| given.push(buffer));
        assert_eq!(given, [&b"INVITE"[..], b"ACK"]);
        assert_eq!(client.request(), None);
        client.take_buffers(&mut |_| panic!("a buffer was handed back twice"));
    }
}
