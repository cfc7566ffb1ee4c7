//! The non-INVITE client transaction: RFC 3261 §17.1.2, figure 6.
//!
//! It repeats the request until the final response, at T2 once something provisional came, and gives up at timer F.
//! What the TU makes of that is not a 408 sent back: RFC 4320 §4.2 wants silence there.

use std::mem;

use super::invite_client::{ClientResponse, ClientTimer};
use super::timers::{Retransmit, Timers};
use crate::time::Time;

/// A forwarded request other than INVITE and ACK, waiting for its answer.
#[derive(Debug)]
pub struct NonInviteClient {
    state: State,
    request: Vec<u8>,
    /// A 1xx came, whatever came later.
    provisional: bool,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Trying {
        timer_e: Option<Retransmit>,
        timer_f: Time,
    },
    Proceeding {
        timer_e: Option<Retransmit>,
        timer_f: Time,
    },
    /// The final response came; its repetitions are absorbed.
    Completed {
        timer_k: Time,
    },
    Terminated {
        answered: bool,
    },
}

impl NonInviteClient {
    /// In Trying: the request was just sent for the first time.
    pub fn new(now: Time, timers: &Timers, request: Vec<u8>) -> Self {
        let state =
            State::Trying { timer_e: Retransmit::start(now, timers), timer_f: now + timers.timeout() };
        Self { state, request, provisional: false }
    }

    /// The request as it was sent: until [`take_buffers`](Self::take_buffers).
    pub fn request(&self) -> Option<&[u8]> {
        (!self.request.is_empty()).then_some(&self.request)
    }

    /// A response with this status code came: what the TU must do. It is never
    /// [`RepeatAck`](ClientResponse::RepeatAck), and a failure is not acknowledged.
    pub fn on_response(&mut self, now: Time, timers: &Timers, status: u16) -> ClientResponse {
        match self.state {
            State::Trying { timer_e, timer_f } | State::Proceeding { timer_e, timer_f } => match status {
                100..=199 => {
                    self.state = State::Proceeding { timer_e, timer_f };
                    self.provisional = true;
                    ClientResponse::Provisional
                }
                200..=699 => {
                    self.state = State::Completed { timer_k: now + timers.k() };
                    if status < 300 { ClientResponse::Success } else { ClientResponse::Failure }
                }
                _ => ClientResponse::Absorb,
            },
            State::Completed { .. } | State::Terminated { .. } => ClientResponse::Absorb,
        }
    }

    /// Another branch took over: the request is not repeated any more. A late answer still counts, until timer F.
    pub fn stop_retransmitting(&mut self) {
        if let State::Trying { timer_e, .. } | State::Proceeding { timer_e, .. } = &mut self.state {
            *timer_e = None;
        }
    }

    /// Call when [`deadline`](Self::deadline) has passed, until it says [`ClientTimer::Idle`].
    pub fn on_timer(&mut self, now: Time, timers: &Timers) -> ClientTimer<'_> {
        match self.state {
            State::Trying { timer_f, .. } | State::Proceeding { timer_f, .. } if now >= timer_f => {
                self.state = State::Terminated { answered: false };
                ClientTimer::Timeout
            }
            State::Trying { timer_e: Some(timer_e), timer_f } if now >= timer_e.at => {
                self.state = State::Trying { timer_e: Some(timer_e.doubled(now, timers.t2)), timer_f };
                ClientTimer::Resend(&self.request)
            }
            State::Proceeding { timer_e: Some(timer_e), timer_f } if now >= timer_e.at => {
                self.state = State::Proceeding { timer_e: Some(Retransmit::set(now, timers.t2)), timer_f };
                ClientTimer::Resend(&self.request)
            }
            State::Completed { timer_k } if now >= timer_k => {
                self.state = State::Terminated { answered: true };
                ClientTimer::Done
            }
            _ => ClientTimer::Idle,
        }
    }

    /// When [`on_timer`](Self::on_timer) has something to say.
    pub fn deadline(&self) -> Option<Time> {
        match self.state {
            State::Trying { timer_e, timer_f } | State::Proceeding { timer_e, timer_f } => {
                Some(timer_e.map_or(timer_f, |timer_e| timer_e.at.min(timer_f)))
            }
            State::Completed { timer_k } => Some(timer_k),
            State::Terminated { .. } => None,
        }
    }

    /// True once the transaction is over.
    pub fn is_terminated(&self) -> bool {
        matches!(self.state, State::Terminated { .. })
    }

    /// True while nothing has answered.
    pub fn is_trying(&self) -> bool {
        matches!(self.state, State::Trying { .. })
    }

    /// True between the first provisional and the final response.
    pub fn is_proceeding(&self) -> bool {
        matches!(self.state, State::Proceeding { .. })
    }

    /// True once a provisional response came, also after the final one.
    pub fn has_provisional(&self) -> bool {
        self.provisional
    }

    /// True once a final response came; it stays so when the transaction is over.
    pub fn has_final(&self) -> bool {
        matches!(self.state, State::Completed { .. } | State::Terminated { answered: true })
    }

    /// Hands the buffer back; for the end, since nothing can be repeated afterwards.
    pub fn take_buffers(&mut self, give: &mut impl FnMut(Vec<u8>)) {
        if self.request.capacity() > 0 {
            give(mem::take(&mut self.request));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::timers::tests::{ms, udp, wss};
    use super::*;

    fn trying() -> NonInviteClient {
        NonInviteClient::new(ms(0), &udp(), b"BYE".to_vec())
    }

    /// When the request is repeated from `from` on, in milliseconds.
    fn repeated(client: &mut NonInviteClient, from: u64) -> Vec<u64> {
        let mut at = Vec::new();
        for now in (from..32_000).step_by(100).map(ms) {
            if client.on_timer(now, &udp()) == ClientTimer::Resend(b"BYE") {
                at.push(now.as_micros() / 1000);
            }
        }
        at
    }

    #[test]
    fn trying_repeats_the_request_at_e_doubling_to_t2() {
        let expected = [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
        assert_eq!(repeated(&mut trying(), 0), expected);
    }

    #[test]
    fn proceeding_repeats_the_request_at_t2() {
        let mut client = trying();
        assert_eq!(client.on_response(ms(100), &udp(), 100), ClientResponse::Provisional);
        assert!(client.is_proceeding() && client.has_provisional() && !client.is_trying());
        assert_eq!(repeated(&mut client, 100), [500, 4500, 8500, 12_500, 16_500, 20_500, 24_500, 28_500]);
    }

    #[test]
    fn e_fires_at_its_deadline_and_not_a_microsecond_earlier() {
        let mut client = trying();
        assert_eq!(client.deadline(), Some(ms(500)));
        assert_eq!(client.on_timer(Time::from_micros(499_999), &udp()), ClientTimer::Idle);
        assert_eq!(client.on_timer(ms(500), &udp()), ClientTimer::Resend(b"BYE"));
        assert_eq!(client.on_timer(ms(500), &udp()), ClientTimer::Idle);
    }

    #[test]
    fn a_reliable_transport_has_no_e() {
        let mut client = NonInviteClient::new(ms(0), &wss(), b"BYE".to_vec());
        assert_eq!(client.deadline(), Some(ms(32_000)));
        client.on_response(ms(100), &wss(), 100);
        assert_eq!(client.deadline(), Some(ms(32_000)));
        assert_eq!(client.on_timer(ms(31_999), &wss()), ClientTimer::Idle);
        assert_eq!(client.on_timer(ms(32_000), &wss()), ClientTimer::Timeout);
    }

    #[test]
    fn f_times_out_in_trying_and_in_proceeding() {
        for statuses in [&[][..], &[100]] {
            let mut client = trying();
            for &status in statuses {
                client.on_response(ms(0), &udp(), status);
            }
            assert_eq!(client.on_timer(ms(32_000), &udp()), ClientTimer::Timeout);
            assert!(client.is_terminated() && !client.has_final());
            assert_eq!(client.deadline(), None);
            assert_eq!(client.on_response(ms(32_001), &udp(), 200), ClientResponse::Absorb);
        }
    }

    #[test]
    fn trying_and_proceeding_complete_with_a_final() {
        for statuses in [&[][..], &[100]] {
            for (status, expected) in [
                (200, ClientResponse::Success),
                (302, ClientResponse::Failure),
                (699, ClientResponse::Failure),
            ] {
                let mut client = trying();
                for &status in statuses {
                    client.on_response(ms(0), &udp(), status);
                }
                assert_eq!(client.on_response(ms(1000), &udp(), status), expected);
                assert!(client.has_final());
                assert_eq!(client.deadline(), Some(ms(6000)));
            }
        }
    }

    #[test]
    fn completed_absorbs_repeated_and_late_responses() {
        let mut client = trying();
        client.on_response(ms(0), &udp(), 200);
        for status in [100, 200, 500] {
            assert_eq!(client.on_response(ms(1), &udp(), status), ClientResponse::Absorb);
        }
        assert_eq!(client.on_timer(ms(500), &udp()), ClientTimer::Idle);
        assert_eq!(client.deadline(), Some(ms(5000)));
    }

    #[test]
    fn completed_ends_at_k() {
        let mut client = trying();
        client.on_response(ms(0), &udp(), 200);
        assert_eq!(client.on_timer(ms(4999), &udp()), ClientTimer::Idle);
        assert_eq!(client.on_timer(ms(5000), &udp()), ClientTimer::Done);
        assert!(client.is_terminated() && client.has_final());
    }

    #[test]
    fn k_is_zero_over_a_reliable_transport() {
        let mut client = NonInviteClient::new(ms(0), &wss(), b"BYE".to_vec());
        client.on_response(ms(30), &wss(), 200);
        assert_eq!(client.deadline(), Some(ms(30)));
        assert_eq!(client.on_timer(ms(30), &wss()), ClientTimer::Done);
    }

    #[test]
    fn abandoned_repeats_no_more_but_hears_a_late_answer() {
        for statuses in [&[][..], &[100]] {
            let mut client = trying();
            for &status in statuses {
                client.on_response(ms(0), &udp(), status);
            }
            client.stop_retransmitting();
            assert!(repeated(&mut client, 0).is_empty());
            assert_eq!(client.on_response(ms(31_999), &udp(), 200), ClientResponse::Success);
        }
    }

    #[test]
    fn status_codes_outside_100_to_699_change_nothing() {
        let mut client = trying();
        for status in [0, 99, 700, u16::MAX] {
            assert_eq!(client.on_response(ms(0), &udp(), status), ClientResponse::Absorb);
        }
        assert!(client.is_trying());
    }

    #[test]
    fn buffers_come_back_once() {
        let mut client = trying();
        let mut given = Vec::new();
        client.take_buffers(&mut |buffer| given.push(buffer));
        assert_eq!(given, [b"BYE"]);
        assert_eq!(client.request(), None);
        client.take_buffers(&mut |_| panic!("a buffer was handed back twice"));
    }
}
