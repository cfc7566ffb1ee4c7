//! Server transactions (RFC 3261 §17.2, RFC 6026 §7.1): one for INVITE, one for the rest.
//!
//! The 2xx of an INVITE, and a reliable provisional response (RFC 3262), are repeated here too, though the RFC
//! gives that to their user: an endpoint has one place that repeats.

use std::net::SocketAddr;

use sbc_core::time::Time;

use super::super::message::Message;
use super::repeat::{Repeat, Timers};

/// What the owner does when a timer fires.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Tick {
    /// Nothing.
    Nothing,
    /// Send these bytes where responses go.
    Send(Vec<u8>),
    /// The machine has ended; true when the ACK of its 2xx never came.
    Done {
        /// No ACK for a 2xx.
        unacknowledged: bool,
    },
}

/// §17.2.1.
#[derive(Debug)]
enum InviteState {
    Proceeding { last: Option<Vec<u8>>, repeat: Option<Repeat> },
    Completed { bytes: Vec<u8>, repeat: Option<Repeat>, until: Time },
    Confirmed { until: Time },
    Accepted { bytes: Vec<u8>, repeat: Option<Repeat>, until: Time },
}

/// One INVITE received.
#[derive(Debug)]
pub(super) struct InviteServer {
    pub request: Message,
    pub received: Vec<u8>,
    pub back: SocketAddr,
    state: InviteState,
}

impl InviteServer {
    pub(super) const fn new(request: Message, received: Vec<u8>, back: SocketAddr) -> Self {
        Self { request, received, back, state: InviteState::Proceeding { last: None, repeat: None } }
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        match &self.state {
            InviteState::Proceeding { repeat, .. } => repeat.map(|repeat| repeat.at()),
            InviteState::Confirmed { until } => Some(*until),
            InviteState::Completed { repeat, until, .. } | InviteState::Accepted { repeat, until, .. } => {
                Some(repeat.map_or(*until, |repeat| repeat.at().min(*until)))
            }
        }
    }

    pub(super) fn on_time(&mut self, now: Time) -> Tick {
        match &mut self.state {
            InviteState::Confirmed { until } | InviteState::Completed { until, .. } if *until <= now => {
                Tick::Done { unacknowledged: false }
            }
            InviteState::Accepted { until, repeat, .. } if *until <= now => {
                Tick::Done { unacknowledged: repeat.is_some() }
            }
            InviteState::Completed { bytes, repeat: Some(repeat), .. }
            | InviteState::Accepted { bytes, repeat: Some(repeat), .. }
            | InviteState::Proceeding { last: Some(bytes), repeat: Some(repeat) }
                if repeat.at() <= now =>
            {
                repeat.advance(now);
                Tick::Send(bytes.clone())
            }
            _ => Tick::Nothing,
        }
    }

    /// The same INVITE again: what to say to it.
    pub(super) fn on_repeat(&self) -> Option<Vec<u8>> {
        match &self.state {
            InviteState::Proceeding { last, .. } => last.clone(),
            InviteState::Completed { bytes, .. } | InviteState::Accepted { bytes, .. } => Some(bytes.clone()),
            InviteState::Confirmed { .. } => None,
        }
    }

    /// Send a response; false when a final one has gone out already.
    pub(super) fn respond(&mut self, now: Time, response: &Message, timers: &Timers) -> Option<Vec<u8>> {
        let InviteState::Proceeding { .. } = self.state else {
            return None;
        };
        let bytes = response.to_bytes();
        let t1 = Repeat::new(now, timers.t1, timers.t2);
        let until = now + timers.timeout;
        self.state = match response.status() {
            100..=199 if response.lists("Require", "100rel") => {
                InviteState::Proceeding { last: Some(bytes.clone()), repeat: Some(t1) }
            }
            100..=199 => InviteState::Proceeding { last: Some(bytes.clone()), repeat: None },
            // A 2xx is repeated over any transport: what loses it may be a hop further on (§13.3.1.4).
            200..=299 => InviteState::Accepted { bytes: bytes.clone(), repeat: Some(t1), until },
            _ => InviteState::Completed {
                bytes: bytes.clone(),
                repeat: (!timers.reliable).then_some(t1),
                until,
            },
        };
        Some(bytes)
    }

    /// The ACK of a failure.
    pub(super) fn on_ack_of_failure(&mut self, now: Time, timers: &Timers) {
        if matches!(self.state, InviteState::Completed { .. }) {
            self.state = InviteState::Confirmed { until: now + timers.unless_reliable(timers.t4) };
        }
    }

    /// The ACK of the 2xx; true when it is the first.
    pub(super) fn on_ack_of_success(&mut self) -> bool {
        let InviteState::Accepted { repeat, .. } = &mut self.state else {
            return false;
        };
        repeat.take().is_some()
    }

    /// PRACK came: the provisional response rests.
    pub(super) const fn on_prack(&mut self) {
        if let InviteState::Proceeding { repeat, .. } = &mut self.state {
            *repeat = None;
        }
    }

    /// True while no final response has gone out.
    pub(super) const fn is_open(&self) -> bool {
        matches!(self.state, InviteState::Proceeding { .. })
    }
}

/// §17.2.2: Trying while there is no response, Completed after it.
#[derive(Debug)]
pub(super) struct PlainServer {
    pub request: Message,
    pub received: Vec<u8>,
    pub back: SocketAddr,
    done: Option<(Vec<u8>, Time)>,
}

impl PlainServer {
    pub(super) const fn new(request: Message, received: Vec<u8>, back: SocketAddr) -> Self {
        Self { request, received, back, done: None }
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.done.as_ref().map(|(_, until)| *until)
    }

    pub(super) fn on_repeat(&self) -> Option<Vec<u8>> {
        self.done.as_ref().map(|(bytes, _)| bytes.clone())
    }

    pub(super) fn respond(&mut self, now: Time, response: &Message, timers: &Timers) -> Option<Vec<u8>> {
        if self.done.is_some() {
            return None;
        }
        let bytes = response.to_bytes();
        if response.status() >= 200 {
            self.done = Some((bytes.clone(), now + timers.unless_reliable(timers.timeout)));
        }
        Some(bytes)
    }
}
