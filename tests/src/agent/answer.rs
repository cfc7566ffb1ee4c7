//! What an agent does by itself: with requests that come in, and with answers to its own.

use std::net::SocketAddr;
use std::time::Duration;

use sbc_core::time::Time;

use super::record::Call;
use super::{Agent, By, Habit, LegId, Policy, State, Task};
use crate::ua::message::{Body, Message};
use crate::ua::{Parts, ServerId};

impl Agent {
    pub(super) fn on_invite(&mut self, now: Time, id: &ServerId, from: SocketAddr, message: &Message) {
        if self.refuses(now, id, message) || self.challenges(now, id, message) {
            return;
        }
        let leg = self.ua.adopt(id, from, message, self.dialog_contact());
        let fixed = self.fixed();
        if let Some(leg) = self.ua.leg_mut(leg) {
            leg.dialog.fixed = fixed;
        }
        let (media, _) = self.media();
        let kind = crate::ua::sdp::kind_of(&message.body);
        let mut call = Call::new(true, message.call_id().into(), media, kind);
        call.first = Some(message.clone());
        self.calls.insert(leg, call);
        self.ua.answer(now, leg, 100, Parts::default());
        match self.policy {
            Policy::Manual => {}
            Policy::Ring => self.ring(now, leg),
            Policy::Answer { after } => {
                self.ring(now, leg);
                self.tasks.set(&Task::Answer(leg), Some(now + after));
            }
            Policy::Reject(status) => self.reject(now, leg, status),
        }
    }

    /// Session-Expires for the 200 to an INVITE: what was asked for, refreshed by who asked (RFC 4028 §9).
    pub(super) fn timer_answer(invite: &Message) -> Vec<(String, String)> {
        match invite.number("Session-Expires").filter(|_| invite.lists("Supported", "timer")) {
            Some(seconds) => vec![
                ("Require".into(), "timer".into()),
                ("Session-Expires".into(), format!("{seconds};refresher=uac")),
            ],
            None => Vec::new(),
        }
    }

    pub(super) fn on_outside(&mut self, now: Time, id: &ServerId, message: &Message) {
        if message.method() == "NOTIFY" && !message.tag("To").is_empty() {
            return self.on_subscription_notify(now, id, message);
        }
        if self.refuses(now, id, message)
            || (message.method() == "REGISTER" && self.registers(now, id, message))
        {
            return;
        }
        let status = match message.method() {
            "OPTIONS" | "NOTIFY" | "MESSAGE" | "INFO" => 200,
            "SUBSCRIBE" => 489,
            "BYE" | "UPDATE" | "PRACK" => 481,
            "REFER" => 603,
            _ => 501,
        };
        self.ua.respond(now, id, status, Parts::default());
    }

    fn on_subscription_notify(&mut self, now: Time, id: &ServerId, message: &Message) {
        let known = self
            .subscriptions
            .iter_mut()
            .find(|one| one.dialog.call_id == message.call_id() && one.dialog.local_tag == message.tag("To"));
        let Some(subscription) = known else {
            return self.ua.respond(now, id, 481, Parts::default());
        };
        subscription.notifies += 1;
        self.ua.respond(now, id, 200, Parts::default());
    }

    pub(super) fn on_other_reply(&mut self, token: u64, message: Option<&Message>) {
        let Some(subscription) = self.subscriptions.iter_mut().find(|one| one.token == token) else {
            return;
        };
        subscription.status = Some(message.map_or(408, Message::status));
        if let Some(message) = message.filter(|message| message.status() < 300) {
            if subscription.dialog.remote_tag.is_empty() {
                subscription.dialog.learn_response(message);
            } else {
                subscription.dialog.learn_target(message);
            }
        }
    }

    pub(super) fn on_inside(&mut self, now: Time, leg: LegId, id: &ServerId, message: &Message) {
        self.set(leg, |call| call.requests.push(message.method().to_owned()));
        match message.method() {
            "INVITE" | "UPDATE" => {
                let mut parts = Parts { head: Self::timer_answer(message), ..Parts::default() };
                if let Some(call) = self.calls.get(&leg) {
                    parts.body = match (message.body.is_empty(), message.method()) {
                        (false, _) => Some(Body::sdp(call.media.answer(&message.body))),
                        (true, "INVITE") => Some(Body::sdp(call.media.directed(call.kind, "sendrecv"))),
                        (true, _) => None,
                    };
                }
                self.ua.reply(now, leg, id, 200, parts);
            }
            "NOTIFY" => {
                if let Some(status) = sipfrag_status(message) {
                    self.set(leg, |call| call.transfer.push(status));
                }
                self.ua.reply(now, leg, id, 200, Parts::default());
            }
            "INFO" | "OPTIONS" | "MESSAGE" => self.ua.reply(now, leg, id, 200, Parts::default()),
            "REFER" => self.on_refer(now, leg, id, message),
            "SUBSCRIBE" => self.ua.reply(now, leg, id, 489, Parts::default()),
            _ => self.ua.reply(now, leg, id, 501, Parts::default()),
        }
    }

    pub(super) fn on_answered(&mut self, now: Time, leg: LegId, message: &Message) {
        self.set(leg, |call| {
            call.state = State::Up;
            call.first = Some(message.clone());
        });
        self.watch(now, leg, message);
        self.report(now, leg, 200);
    }

    pub(super) fn on_failed(&mut self, now: Time, leg: LegId, message: Option<&Message>) {
        let cancelled = self.calls.get(&leg).is_some_and(|call| call.cancelled);
        let (by, status) = match message.map(Message::status) {
            Some(487) => (By::Us, 487),
            Some(status) => (By::Them, status),
            // The answer crossed our CANCEL, and was acknowledged and ended.
            None if cancelled => (By::Us, 487),
            None => (By::Silence, 408),
        };
        self.ended(leg, by, status);
        self.report(now, leg, status);
    }

    /// Be the refresher when the 2xx says so (RFC 4028 §10).
    fn watch(&mut self, now: Time, leg: LegId, answer: &Message) {
        let ours = answer.get("Session-Expires").is_some_and(|value| value.contains("refresher=uac"));
        if let Some(seconds) = answer.number("Session-Expires").filter(|_| ours) {
            self.tasks.set(&Task::Refresh(leg), Some(now + Duration::from_secs(seconds / 2)));
        }
    }

    /// Refresh the session: a browser by UPDATE, a phone by re-INVITE.
    pub(super) fn refresh(&mut self, now: Time, leg: LegId) {
        let Some(answer) = self.calls.get(&leg).and_then(|call| call.first.clone()) else {
            return;
        };
        match self.habit {
            Habit::Browser => self.update(now, leg),
            Habit::Phone => self.reinvite(now, leg, "sendrecv"),
        };
        self.watch(now, leg, &answer);
    }
}

/// The status in the body of a NOTIFY about a REFER.
fn sipfrag_status(message: &Message) -> Option<u16> {
    let line =
        message.body.lines().next().filter(|_| message.get("Event").is_some_and(|event| event == "refer"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
