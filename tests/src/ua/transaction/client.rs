//! Client transactions (RFC 3261 §17.1, RFC 6026 §7.2): one for INVITE, one for the rest.

use std::net::SocketAddr;

use sbc_core::time::Time;

use super::super::message::{Message, Start};
use super::repeat::{Repeat, Timers};

/// What the owner does with a response, or when a timer fires.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing.
    Absorb,
    /// Send these bytes where the request went.
    Send(Vec<u8>),
    /// Hand the response to the user; send these bytes too, if any.
    Pass(Option<Vec<u8>>),
    /// The user is told that nothing came.
    Timeout,
    /// The machine has ended.
    Done,
    /// The peer did what it must not.
    Violation(String),
}

/// §17.1.1.
#[derive(Debug)]
pub(super) enum InviteState {
    Calling { repeat: Option<Repeat>, gives_up: Time },
    Proceeding { gives_up: Option<Time> },
    Completed { ack: Vec<u8>, until: Time },
    Accepted { acks: Vec<Accepted>, until: Time },
}

/// A 2xx and the ACK that its user made for it.
#[derive(Debug)]
pub(super) struct Accepted {
    tag: String,
    ack: Option<(SocketAddr, Vec<u8>)>,
}

/// One INVITE on its way.
#[derive(Debug)]
pub(super) struct InviteClient {
    pub request: Message,
    pub bytes: Vec<u8>,
    pub to: SocketAddr,
    pub state: InviteState,
    /// Headers of a CANCEL that waits for a provisional response (§9.1).
    pub cancel_wanted: Option<Vec<(String, String)>>,
}

impl InviteClient {
    pub(super) fn new(now: Time, request: Message, to: SocketAddr, timers: &Timers) -> Self {
        let repeat = (!timers.reliable).then(|| Repeat::new(now, timers.invite, timers.timeout));
        let state = InviteState::Calling { repeat, gives_up: now + timers.timeout };
        Self { bytes: request.to_bytes(), request, to, state, cancel_wanted: None }
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        match &self.state {
            InviteState::Calling { repeat, gives_up } => {
                Some(repeat.map_or(*gives_up, |repeat| repeat.at().min(*gives_up)))
            }
            InviteState::Proceeding { gives_up } => *gives_up,
            InviteState::Completed { until, .. } | InviteState::Accepted { until, .. } => Some(*until),
        }
    }

    pub(super) fn on_time(&mut self, now: Time) -> Step {
        match &mut self.state {
            InviteState::Calling { gives_up, .. } if *gives_up <= now => Step::Timeout,
            InviteState::Calling { repeat: Some(repeat), .. } if repeat.at() <= now => {
                repeat.advance(now);
                Step::Send(self.bytes.clone())
            }
            InviteState::Proceeding { gives_up: Some(at) } if *at <= now => Step::Timeout,
            InviteState::Completed { until, .. } | InviteState::Accepted { until, .. } if *until <= now => {
                Step::Done
            }
            _ => Step::Absorb,
        }
    }

    pub(super) fn on_response(&mut self, now: Time, response: &Message, timers: &Timers) -> Step {
        let status = response.status();
        match &mut self.state {
            InviteState::Calling { .. } | InviteState::Proceeding { .. } if status < 200 => {
                if matches!(self.state, InviteState::Calling { .. }) {
                    self.state = InviteState::Proceeding { gives_up: None };
                }
                Step::Pass(None)
            }
            InviteState::Calling { .. } | InviteState::Proceeding { .. } if status < 300 => {
                let acks = vec![Accepted { tag: response.tag("To"), ack: None }];
                self.state = InviteState::Accepted { acks, until: now + timers.timeout };
                Step::Pass(None)
            }
            InviteState::Calling { .. } | InviteState::Proceeding { .. } => {
                let ack = self.ack_failure(response);
                let until = now + timers.unless_reliable(timers.timeout);
                self.state = InviteState::Completed { ack: ack.clone(), until };
                Step::Pass(Some(ack))
            }
            InviteState::Completed { ack, .. } if status >= 300 => Step::Send(ack.clone()),
            InviteState::Completed { .. } => Step::Absorb,
            InviteState::Accepted { acks, .. } => on_late(acks, response, timers.reliable),
        }
    }

    /// The user acknowledged the 2xx with this To tag: its repetitions are answered with the same bytes.
    pub(super) fn keep_ack(&mut self, tag: &str, to: SocketAddr, bytes: Vec<u8>) {
        if let InviteState::Accepted { acks, .. } = &mut self.state
            && let Some(accepted) = acks.iter_mut().find(|accepted| accepted.tag == tag)
        {
            accepted.ack = Some((to, bytes));
        }
    }

    /// The ACK kept for a repeated 2xx, and where it goes.
    pub(super) fn kept_ack(&self, tag: &str) -> Option<(SocketAddr, Vec<u8>)> {
        let InviteState::Accepted { acks, .. } = &self.state else {
            return None;
        };
        acks.iter().find(|accepted| accepted.tag == tag)?.ack.clone()
    }

    /// §17.1.1.3: the ACK of a failure belongs to the transaction.
    fn ack_failure(&self, response: &Message) -> Vec<u8> {
        let mut ack = self.follow_up("ACK");
        if let Some(to) = response.get("To") {
            ack.headers
                .iter_mut()
                .filter(|(name, _)| name == "To")
                .for_each(|(_, value)| *value = to.to_owned());
        }
        ack.close(None);
        ack.to_bytes()
    }

    /// §9.1: Via, Route, From, To, Call-ID and CSeq number of the INVITE.
    pub(super) fn follow_up(&self, method: &str) -> Message {
        let mut message = Message::request(method, self.request.uri());
        if let Some(via) = self.request.get("Via") {
            message.push("Via", via);
        }
        message.copy(&self.request, "Route");
        message.push("Max-Forwards", "70");
        for name in ["From", "To", "Call-ID"] {
            message.copy(&self.request, name);
        }
        message.push("CSeq", format!("{} {method}", self.request.cseq()));
        message
    }
}

/// A response after a 2xx. Datagrams may overtake each other; on a connection nothing does, so that anything but
/// another 2xx is a fault there.
fn on_late(acks: &mut Vec<Accepted>, response: &Message, ordered: bool) -> Step {
    let tag = response.tag("To");
    match response.status() {
        200..=299 => match acks.iter().find(|accepted| accepted.tag == tag) {
            Some(Accepted { ack: Some((_, bytes)), .. }) => Step::Send(bytes.clone()),
            Some(_) => Step::Absorb,
            None => {
                acks.push(Accepted { tag, ack: None });
                Step::Pass(None)
            }
        },
        status if ordered || status >= 300 => {
            Step::Violation(format!("{status} after the 2xx of {}", response.call_id()))
        }
        _ => Step::Absorb,
    }
}

/// §17.1.2.
#[derive(Debug)]
pub(super) enum PlainState {
    Trying { repeat: Option<Repeat>, gives_up: Time },
    Completed { until: Time },
}

/// One request other than INVITE and ACK on its way.
#[derive(Debug)]
pub(super) struct PlainClient {
    pub bytes: Vec<u8>,
    pub to: SocketAddr,
    pub state: PlainState,
}

impl PlainClient {
    pub(super) fn new(now: Time, request: &Message, to: SocketAddr, timers: &Timers) -> Self {
        let repeat = (!timers.reliable).then(|| Repeat::new(now, timers.t1, timers.t2));
        let state = PlainState::Trying { repeat, gives_up: now + timers.timeout };
        Self { bytes: request.to_bytes(), to, state }
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        Some(match &self.state {
            PlainState::Trying { repeat, gives_up } => {
                repeat.map_or(*gives_up, |repeat| repeat.at().min(*gives_up))
            }
            PlainState::Completed { until } => *until,
        })
    }

    pub(super) fn on_time(&mut self, now: Time) -> Step {
        match &mut self.state {
            PlainState::Trying { gives_up, .. } if *gives_up <= now => Step::Timeout,
            PlainState::Trying { repeat: Some(repeat), .. } if repeat.at() <= now => {
                repeat.advance(now);
                Step::Send(self.bytes.clone())
            }
            PlainState::Completed { until } if *until <= now => Step::Done,
            _ => Step::Absorb,
        }
    }

    pub(super) fn on_response(&mut self, now: Time, response: &Message, timers: &Timers) -> Step {
        if matches!(self.state, PlainState::Completed { .. }) {
            return Step::Absorb;
        }
        if response.status() >= 200 {
            self.state = PlainState::Completed { until: now + timers.unless_reliable(timers.t4) };
        }
        Step::Pass(None)
    }
}

/// A response belongs to a request when the methods agree too.
pub(super) fn key(message: &Message) -> Option<String> {
    let (branch, _) = message.top_via()?;
    let method = match &message.start {
        Start::Request { method, .. } => method.as_str(),
        Start::Response { .. } => message.method(),
    };
    Some(format!("{branch} {method}"))
}
