//! Phones, browsers and carriers: endpoints that a test tells what to do, and that remember what they saw.

mod answer;
mod browser;
mod carrier;
mod exchange;
mod front;
mod phone;
mod record;
mod refer;
mod register;
mod script;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use sbc_core::time::Time;

pub use self::carrier::Carrier;
pub use self::exchange::Exchange;
pub use self::record::{By, Call, Registered, State, Traced};
pub use crate::ua::{Endpoint, LegId, Output};

use self::register::Registration;
use self::script::Subscription;
use crate::ua::alarm::Alarms;
use crate::ua::message::Message;
use crate::ua::{Happening, Ua};

/// Messages kept in a trace; the first ones stay.
const MAX_TRACE: usize = 20_000;

/// What an agent does with a call that comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Nothing: the test answers.
    Manual,
    /// 180 and no more.
    Ring,
    /// 180, then 200.
    Answer {
        /// How long it rings.
        after: Duration,
    },
    /// A final status at once.
    Reject(u16),
}

/// Who an agent is and where.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its own address. Of a browser: the client end of its WebSocket, which appears in no message.
    pub address: SocketAddr,
    /// Where its requests outside dialogs go; of a browser: everything.
    pub edge: SocketAddr,
    /// Its user.
    pub user: String,
    /// Its domain.
    pub domain: String,
    /// Its password; without one it answers no challenge.
    pub password: Option<String>,
    /// Seed of all its identifiers.
    pub seed: u64,
}

/// What kind of endpoint an agent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Habit {
    Phone,
    Browser,
}

/// Something an agent does at a time of its own choice.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Task {
    Answer(LegId),
    Refresh(LegId),
    Register,
}

/// One endpoint.
#[derive(Debug)]
pub struct Agent {
    settings: Settings,
    habit: Habit,
    ua: Ua,
    /// What to do with calls that come in.
    pub policy: Policy,
    /// Candidates in its offers beside the first one.
    pub more_candidates: u16,
    /// Contact URI.
    contact: String,
    /// Parameters of the Contact in REGISTER.
    contact_params: String,
    /// Begins each Call-ID of a browser.
    own_id: String,
    registration: Registration,
    calls: BTreeMap<LegId, Call>,
    subscriptions: Vec<Subscription>,
    tasks: Alarms<Task>,
    trace: Vec<Traced>,
    /// Outputs that are in the trace already.
    traced: usize,
    violations: Vec<String>,
    /// The registrar and authority that a carrier is.
    exchange: Option<Exchange>,
}

impl Agent {
    fn build(settings: Settings, habit: Habit, ua: Ua, contact: String) -> Self {
        Self {
            settings,
            habit,
            ua,
            policy: Policy::Manual,
            more_candidates: 0,
            contact,
            contact_params: String::new(),
            own_id: String::new(),
            registration: Registration::default(),
            calls: BTreeMap::new(),
            subscriptions: Vec::new(),
            tasks: Alarms::default(),
            trace: Vec::new(),
            traced: 0,
            violations: Vec::new(),
            exchange: None,
        }
    }

    /// Who it is.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Its Contact URI, as it registers it.
    pub fn contact_uri(&self) -> &str {
        &self.contact
    }

    /// One call, past or present.
    pub fn call_of(&self, leg: LegId) -> Option<&Call> {
        self.calls.get(&leg)
    }

    /// How far a call is.
    pub fn state(&self, leg: LegId) -> State {
        self.calls.get(&leg).map_or(State::Idle, |call| call.state)
    }

    /// All calls, past and present, oldest first.
    pub fn calls(&self) -> impl Iterator<Item = (LegId, &Call)> {
        self.calls.iter().map(|(leg, call)| (*leg, call))
    }

    /// The newest call that came in.
    pub fn incoming(&self) -> Option<LegId> {
        self.calls.iter().rev().find(|(_, call)| call.inbound).map(|(leg, _)| *leg)
    }

    /// Every message sent and received, in order.
    pub fn trace(&self) -> &[Traced] {
        &self.trace
    }

    /// What peers did that they must not.
    pub fn violations(&self) -> Vec<String> {
        self.violations.iter().chain(&self.ua.stack.violations).cloned().collect()
    }

    /// The WebSocket is another one now, or the phone's edge has moved.
    pub fn move_to(&mut self, address: SocketAddr, edge: SocketAddr) {
        self.settings.address = address;
        self.settings.edge = edge;
        if self.habit == Habit::Browser {
            let legs: Vec<_> = self.calls.keys().copied().collect();
            for leg in legs {
                if let Some(leg) = self.ua.leg_mut(leg) {
                    leg.dialog.fixed = Some(edge);
                }
            }
        }
    }

    fn note(&mut self, at: Time, sent: bool, peer: SocketAddr, message: Message) {
        if self.trace.len() < MAX_TRACE {
            self.trace.push(Traced { at, sent, peer, message });
        }
    }

    fn settle(&mut self, now: Time) {
        while let Some(happening) = self.ua.happening() {
            self.on_happening(now, happening);
        }
        let fresh: Vec<_> = self.ua.stack.out.iter().skip(self.traced).cloned().collect();
        self.traced = self.ua.stack.out.len();
        for output in fresh {
            if let Ok(message) = Message::read(&output.bytes) {
                self.note(now, true, output.to, message);
            }
        }
    }

    fn on_happening(&mut self, now: Time, happening: Happening) {
        match happening {
            Happening::Invite { id, from, message } => self.on_invite(now, &id, from, &message),
            Happening::Outside { id, message, .. } => self.on_outside(now, &id, &message),
            Happening::Inside { leg, id, message } => self.on_inside(now, leg, &id, &message),
            Happening::Progress { leg, message } => self.set(leg, |call| call.progress(message.status())),
            Happening::Answered { leg, message } => self.on_answered(now, leg, &message),
            Happening::Failed { leg, message } => self.on_failed(now, leg, message.as_ref()),
            Happening::Cancelled { leg } => self.ended(leg, By::Them, 487),
            Happening::Confirmed { leg } => self.set(leg, |call| call.confirmed = true),
            Happening::Ended { leg } => self.ended(leg, By::Them, 200),
            Happening::NoAck { leg } => {
                self.violations.push("no ACK for a 200".into());
                self.bye(now, leg);
            }
            Happening::Reply { leg, method, message } => {
                let status = message.as_ref().map_or(408, Message::status);
                let notify = method == "NOTIFY";
                self.set(leg, |call| call.replies.push((method, status)));
                if notify {
                    self.told(now, leg);
                }
            }
            Happening::OutsideReply { token, message } => self.on_outside_reply(now, token, message.as_ref()),
        }
    }

    fn set(&mut self, leg: LegId, change: impl FnOnce(&mut Call)) {
        if let Some(call) = self.calls.get_mut(&leg) {
            change(call);
        }
    }

    /// Close a call's record, once.
    fn ended(&mut self, leg: LegId, by: By, status: u16) {
        self.tasks.set(&Task::Answer(leg), None);
        self.tasks.set(&Task::Refresh(leg), None);
        self.set(leg, |call| {
            if !matches!(call.state, State::Ended { .. }) {
                call.state = State::Ended { by, status };
            }
        });
    }
}

impl Endpoint for Agent {
    fn handle(&mut self, now: Time, from: SocketAddr, bytes: &[u8]) {
        match Message::read(bytes) {
            Ok(message) => {
                self.note(now, false, from, message.clone());
                if self.accepts(&message) {
                    self.ua.receive(now, from, bytes, message);
                }
            }
            // CRLF keepalives are no messages; anything else ought to be one.
            Err(error) if !bytes.iter().all(|byte| b"\r\n".contains(byte)) => {
                self.violations.push(format!("not SIP: {error}"));
            }
            Err(_) => {}
        }
        self.settle(now);
    }

    fn next_deadline(&self) -> Option<Time> {
        self.ua.stack.next_deadline().into_iter().chain(self.tasks.next()).min()
    }

    fn on_time(&mut self, now: Time) {
        self.ua.on_time(now);
        while let Some(task) = self.tasks.pop_due(now) {
            match task {
                Task::Answer(leg) => self.answer(now, leg),
                Task::Refresh(leg) => self.refresh(now, leg),
                Task::Register => self.register(now, self.registration.asked),
            }
        }
        self.settle(now);
    }

    fn outputs(&mut self) -> Vec<Output> {
        self.traced = 0;
        std::mem::take(&mut self.ua.stack.out)
    }
}
