//! A member of the pool that behaves as FreeSWITCH's mod_sofia was seen to behave.
//!
//! A value: it is told the time and what arrived, and says what to send. It is a B2BUA: what comes in from one
//! side is answered here, and every call it makes is a dialog of its own.

mod access;
mod bridge;
mod calls;
mod compose;
pub mod config;
mod dialplan;
mod gateway;
mod refer;
mod session_timer;
pub mod status;
mod subscribe;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use sbc_core::time::Time;

use self::calls::Call;
use self::config::Config;
use self::gateway::Registration;
use self::status::Counters;
use self::subscribe::Subscription;
use sbc_core::flow::Transport;

use crate::ua::alarm::Alarms;
use crate::ua::challenge::Challenger;
use crate::ua::ids::Ids;
use crate::ua::message::Message;
use crate::ua::registrar::{Binding, Registrar};
use crate::ua::transaction::Timers;
use crate::ua::{Endpoint, Happening, LegId, Local, Output, Parts, Style, Ua};

const USER_AGENT: &str = "FreeSWITCH-mod_sofia/1.11.2-release+git~20260809T162310Z~3f13ad1b1d~64bit";
const ALLOW: &str =
    "INVITE, ACK, BYE, CANCEL, OPTIONS, MESSAGE, INFO, UPDATE, REGISTER, REFER, NOTIFY, PUBLISH, SUBSCRIBE";
const ALLOW_EVENTS: &str = "talk, hold, conference, presence, as-feature-event, dialog, line-seize, call-info, sla, \
                            include-session-description, presence.winfo, message-summary, refer";

/// Something the member does at a time of its own choice.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Task {
    /// Answer a call that has rung long enough.
    Answer(LegId),
    /// End a call that has rung too long.
    NoAnswer(LegId),
    /// End a call it has answered.
    HangUp(LegId),
    /// A re-INVITE that a number asks for.
    Reinvite(LegId),
    /// Refresh a session.
    Refresh(LegId),
    /// A session was not refreshed.
    Expire(LegId),
    /// REGISTER of the gateway.
    Register,
}

/// One FreeSWITCH-like member.
#[derive(Debug)]
pub struct Member {
    config: Config,
    ua: Ua,
    registrar: Registrar,
    challenger: Challenger,
    calls: BTreeMap<LegId, Call>,
    tasks: Alarms<Task>,
    counters: Counters,
    subscriptions: Vec<Subscription>,
    registration: Registration,
}

impl Member {
    /// A member without calls; a gateway registers with the first [`Endpoint::on_time`].
    pub fn new(config: Config) -> Self {
        let transport = match config.transport {
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
            _ => "UDP",
        };
        let local = Local { transport, sent_by: config.sip.to_string() };
        let rel = if config.enable_100rel { ", 100rel" } else { "" };
        let style = Style {
            user_agent: USER_AGENT,
            allow: ALLOW,
            supported: format!("timer, path, replaces{rel}"),
            allow_events: Some(ALLOW_EVENTS),
            first_seq: 123_028_504,
        };
        let reliable = config.transport != Transport::Udp;
        let mut ua = Ua::new(local, Timers { reliable, ..Timers::sofia() }, Ids::new(config.seed), style);
        ua.credentials = config.gateway.as_ref().map(gateway::credentials);
        let mut tasks = Alarms::default();
        if config.gateway.as_ref().is_some_and(|gateway| gateway.register) {
            tasks.set(&Task::Register, Some(Time::ZERO));
        }
        Self {
            registrar: Registrar::new(config.multiple),
            challenger: Challenger::new(&config.domain),
            calls: BTreeMap::new(),
            tasks,
            counters: Counters::default(),
            subscriptions: Vec::new(),
            registration: Registration::default(),
            ua,
            config,
        }
    }

    /// What it was told to be.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// How many live legs it has.
    pub fn leg_count(&self) -> usize {
        self.ua.leg_count()
    }

    /// Members may share one database of registrations: take over what another has stored.
    pub fn share_bindings(&mut self, others: &[Binding]) {
        self.registrar.share(others);
    }

    /// Stop as FreeSWITCH does: BYE on every call.
    pub fn shutdown(&mut self, now: Time) {
        let legs: Vec<_> = self.ua.legs().map(|(id, _)| id).collect();
        for leg in legs {
            self.hang_up(now, leg, Parts::default().with("Reason", "SIP;cause=701;text=\"SYSTEM_SHUTDOWN\""));
        }
    }

    fn settle(&mut self, now: Time) {
        while let Some(happening) = self.ua.happening() {
            self.on_happening(now, happening);
        }
    }

    fn on_happening(&mut self, now: Time, happening: Happening) {
        match happening {
            Happening::Invite { id, from, message } => self.on_invite(now, &id, from, &message),
            Happening::Outside { id, from, message } => self.on_outside(now, &id, from, &message),
            Happening::Inside { leg, id, message } => self.on_inside(now, leg, &id, &message),
            Happening::Progress { leg, message } => self.on_progress(now, leg, &message),
            Happening::Answered { leg, message } => self.on_answered(now, leg, &message),
            Happening::Failed { leg, message } => self.on_failed(now, leg, message.as_ref()),
            Happening::Cancelled { leg } => self.drop_call(now, leg),
            Happening::Confirmed { leg } => self.on_confirmed(now, leg),
            Happening::Ended { leg } => self.drop_call(now, leg),
            Happening::NoAck { leg } => {
                self.hang_up(now, leg, Parts::default().with("Reason", "SIP;cause=408;text=\"ACK Timeout\""));
            }
            Happening::Reply { leg, method, message } => self.on_reply(now, leg, &method, message.as_ref()),
            Happening::OutsideReply { token, message } => self.on_outside_reply(now, token, message.as_ref()),
        }
    }
}

impl Endpoint for Member {
    fn handle(&mut self, now: Time, from: SocketAddr, bytes: &[u8]) {
        // What is not SIP is ignored, keepalives among it.
        if let Ok(message) = Message::read(bytes) {
            // sofia-sip answers nothing whose top Via is of a transport that it does not serve.
            let via = message.get("Via").unwrap_or_default().to_ascii_uppercase();
            let serves_tls = self.config.transport == Transport::Tls;
            let is_served =
                via.contains("/UDP") || via.contains("/TCP") || (serves_tls && via.contains("/TLS"));
            if is_served || !message.is_request() {
                self.ua.receive(now, from, bytes, message);
            }
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
                Task::Answer(leg) => self.answer(now, leg, None),
                Task::NoAnswer(leg) => self.no_answer(now, leg),
                Task::HangUp(leg) => self.hang_up(now, leg, Self::bye_parts(16)),
                Task::Reinvite(leg) => self.reinvite(now, leg),
                Task::Refresh(leg) => self.refresh(now, leg),
                Task::Expire(leg) => self.expire(now, leg),
                Task::Register => self.register_gateway(now),
            }
        }
        self.settle(now);
    }

    fn outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.ua.stack.out)
    }
}
