//! The non-INVITE server transaction: RFC 3261 §17.2.2, figure 8.
//!
//! It answers a repeated request with the last response, until timer J. It has no timer of its own before the final
//! response, and it makes none: RFC 4320 §4.2 forbids a 408 here, since the client has given up by then. Nor may the
//! TU send a provisional response other than 100 (§4.1).

use std::mem;

use super::invite_server::ServerTimer;
use super::timers::Timers;
use crate::time::Time;

/// A received request other than INVITE and ACK, on its way to be answered.
#[derive(Debug, Default)]
pub struct NonInviteServer {
    state: State,
    /// What a repeated request is answered with, in Proceeding and Completed.
    response: Vec<u8>,
    /// A response that a newer one replaced, kept only to be handed back.
    spent: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    /// Nothing was sent yet.
    #[default]
    Trying,
    Proceeding,
    /// The final response was sent; repeated requests get it again.
    Completed {
        timer_j: Time,
    },
    Terminated,
}

impl NonInviteServer {
    /// In Trying: the request was just received for the first time.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same request came again: what to send now.
    pub fn on_retransmission(&self) -> Option<&[u8]> {
        match self.state {
            State::Proceeding | State::Completed { .. } => Some(&self.response),
            State::Trying | State::Terminated => None,
        }
    }

    /// The TU sends this 100: it answers repeated requests from now on. False when the final response is already
    /// out, so that this one must not be sent.
    pub fn on_provisional(&mut self, bytes: Vec<u8>) -> bool {
        let sent = !self.has_final();
        if sent {
            self.keep(bytes);
            self.state = State::Proceeding;
        }
        sent
    }

    /// The TU sends this 200-699. False when a final response is already out, so that this one must not be sent.
    pub fn on_final(&mut self, now: Time, timers: &Timers, bytes: Vec<u8>) -> bool {
        let sent = !self.has_final();
        if sent {
            self.keep(bytes);
            self.state = State::Completed { timer_j: now + timers.j() };
        }
        sent
    }

    /// Call when [`deadline`](Self::deadline) has passed, until it says [`ServerTimer::Idle`].
    pub fn on_timer(&mut self, now: Time) -> ServerTimer<'_> {
        match self.state {
            State::Completed { timer_j } if now >= timer_j => {
                self.state = State::Terminated;
                ServerTimer::Done
            }
            _ => ServerTimer::Idle,
        }
    }

    /// When [`on_timer`](Self::on_timer) has something to say.
    pub fn deadline(&self) -> Option<Time> {
        match self.state {
            State::Completed { timer_j } => Some(timer_j),
            State::Trying | State::Proceeding | State::Terminated => None,
        }
    }

    /// True once the transaction is over.
    pub fn is_terminated(&self) -> bool {
        matches!(self.state, State::Terminated)
    }

    /// True once a final response was sent.
    pub fn has_final(&self) -> bool {
        matches!(self.state, State::Completed { .. } | State::Terminated)
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
    use super::super::timers::tests::{ms, udp, wss};
    use super::*;

    #[test]
    fn trying_absorbs_retransmissions() {
        let server = NonInviteServer::new();
        assert_eq!(server.on_retransmission(), None);
        assert_eq!(server.deadline(), None);
    }

    #[test]
    fn proceeding_answers_a_retransmission_with_the_last_provisional() {
        let mut server = NonInviteServer::new();
        assert!(server.on_provisional(b"100 first".to_vec()));
        assert_eq!(server.on_retransmission(), Some(&b"100 first"[..]));
        assert!(server.on_provisional(b"100 second".to_vec()));
        assert_eq!(server.on_retransmission(), Some(&b"100 second"[..]));
        assert_eq!(server.deadline(), None);
        assert!(!server.has_final());
    }

    #[test]
    fn trying_completes_with_a_final() {
        let mut server = NonInviteServer::new();
        assert!(server.on_final(ms(0), &udp(), b"200".to_vec()));
        assert!(server.has_final());
        assert_eq!(server.on_retransmission(), Some(&b"200"[..]));
        assert_eq!(server.deadline(), Some(ms(32_000)));
    }

    #[test]
    fn proceeding_completes_with_a_final() {
        let mut server = NonInviteServer::new();
        server.on_provisional(b"100".to_vec());
        assert!(server.on_final(ms(3500), &udp(), b"404".to_vec()));
        assert_eq!(server.on_retransmission(), Some(&b"404"[..]));
        assert_eq!(server.deadline(), Some(ms(35_500)));
    }

    #[test]
    fn completed_discards_every_other_response() {
        let mut server = NonInviteServer::new();
        server.on_final(ms(0), &udp(), b"200".to_vec());
        assert!(!server.on_provisional(b"100".to_vec()));
        assert!(!server.on_final(ms(1), &udp(), b"500".to_vec()));
        assert_eq!(server.on_retransmission(), Some(&b"200"[..]));
        assert_eq!(server.deadline(), Some(ms(32_000)));
    }

    #[test]
    fn j_ends_it_and_not_a_microsecond_earlier() {
        let mut server = NonInviteServer::new();
        server.on_final(ms(0), &udp(), b"200".to_vec());
        assert_eq!(server.on_timer(Time::from_micros(31_999_999)), ServerTimer::Idle);
        assert_eq!(server.on_timer(ms(32_000)), ServerTimer::Done);
        assert!(server.is_terminated() && server.has_final());
        assert_eq!(server.on_retransmission(), None);
        assert_eq!(server.deadline(), None);
        assert_eq!(server.on_timer(ms(40_000)), ServerTimer::Idle);
    }

    #[test]
    fn j_is_zero_over_a_reliable_transport() {
        let mut server = NonInviteServer::new();
        server.on_final(ms(9), &wss(), b"200".to_vec());
        assert_eq!(server.deadline(), Some(ms(9)));
        assert_eq!(server.on_timer(ms(9)), ServerTimer::Done);
    }

    #[test]
    fn buffers_come_back_once() {
        let mut server = NonInviteServer::new();
        server.on_provisional(b"100".to_vec());
        server.on_final(ms(0), &wss(), b"200".to_vec());
        let mut given = Vec::new();
        server.take_buffers(&mut |buffer| given.push(buffer));
        assert_eq!(given, [b"200", b"100"]);
        server.take_buffers(&mut |_| panic!("a buffer was handed back twice"));
    }
}
