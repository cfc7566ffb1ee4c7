//! The legs of the member's calls: what is known of each beside its dialog, and how one that comes in begins.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use sbc_core::time::Time;

use super::dialplan::{self, AFTER_WAIT, After, Destination};
use super::{Member, Task};
use crate::ua::message::{Body, Message, uri_user};
use crate::ua::sdp::{Kind, Media};
use crate::ua::{LegId, LegState, Parts, ServerId};

/// Requests that wait in one leg; more are dropped.
const MAX_QUEUE: usize = 16;
/// Wait before a request that the leg was not ready for.
const RETRY: Duration = Duration::from_millis(500);

/// One leg.
#[derive(Debug)]
pub(super) struct Call {
    /// The other side called.
    pub(super) inbound: bool,
    /// Number dialled or user called.
    pub(super) number: String,
    pub(super) media: Media,
    pub(super) kind: Kind,
    pub(super) answered: bool,
    /// The leg it is bridged with.
    pub(super) partner: Option<LegId>,
    /// Legs called for this one.
    pub(super) branches: Vec<LegId>,
    /// The leg that this one was called for.
    pub(super) caller: Option<LegId>,
    /// The status to hand on when the last branch has failed.
    pub(super) failure: u16,
    /// 3xx followed so far.
    pub(super) redirects: u8,
    /// Ringing has been shown to the caller.
    pub(super) shown: bool,
    /// A reliable 183 carried the SDP, so that the 200 does not.
    pub(super) sdp_given: bool,
    pub(super) after: After,
    /// The leg that asked for the transfer under way, and is told how it goes.
    pub(super) transferor: Option<LegId>,
    /// Requests that wait for the reply to the one before them, so that loss does not change their order.
    queue: VecDeque<(&'static str, Parts)>,
    busy: bool,
}

impl Call {
    pub(super) const fn new(inbound: bool, number: String, media: Media, kind: Kind) -> Self {
        Self {
            inbound,
            number,
            media,
            kind,
            answered: false,
            partner: None,
            branches: Vec::new(),
            caller: None,
            failure: 480,
            redirects: 0,
            shown: false,
            sdp_given: false,
            after: After::Nothing,
            transferor: None,
            queue: VecDeque::new(),
            busy: false,
        }
    }
}

impl Member {
    /// An INVITE outside any dialog.
    pub(super) fn on_invite(&mut self, now: Time, id: &ServerId, from: SocketAddr, message: &Message) {
        let bare = message.get("Proxy-Authorization").is_none();
        self.counters.invite(message.call_id(), |count| {
            if bare {
                count.bare += 1;
            } else {
                count.with_credentials += 1;
            }
        });
        if self.is_full() {
            return self.refuse_full(now, id);
        }
        if message.lists("Require", "100rel") && !self.config.enable_100rel {
            return self.ua.respond(now, id, 420, Parts::default().with("Unsupported", "100rel"));
        }
        if self.refuse_short_session(now, id, message) {
            return;
        }
        if !self.is_trusted(from, message) && !self.authenticate(now, id, message) {
            return;
        }
        self.begin(now, id, from, message);
    }

    fn begin(&mut self, now: Time, id: &ServerId, from: SocketAddr, message: &Message) {
        let number = self.gateway_number(message).unwrap_or_else(|| uri_user(message.uri()));
        self.counters.invite(message.call_id(), |count| count.started += 1);
        let contact =
            format!("<sip:{}@{}{}>", uri_user(message.uri()), self.config.sip, self.config.answering());
        let leg = self.ua.adopt(id, from, message, contact);
        let media = self.media();
        self.calls
            .insert(leg, Call::new(true, number.clone(), media, crate::ua::sdp::kind_of(&message.body)));
        self.ua.answer(now, leg, 100, Parts::default());
        if message.body.is_empty() {
            self.reject(now, leg, 480, 18);
        } else if message.get("Replaces").is_some() {
            self.replace(now, leg, message);
        } else {
            self.dial(now, leg, &number);
        }
    }

    pub(super) fn media(&mut self) -> Media {
        Media::new("FreeSWITCH", &self.config.sip.ip().to_string(), &mut self.ua.stack.ids)
    }

    /// Do what the dialplan says for a leg, whether it waits for an answer or is being transferred.
    pub(super) fn dial(&mut self, now: Time, leg: LegId, number: &str) {
        let patience = self.config.ring_timeout.map(|longest| now + longest);
        self.tasks.set(&Task::NoAnswer(leg), patience);
        match dialplan::destination(&self.config, number) {
            Destination::Answer(after) => {
                if let Some(call) = self.calls.get_mut(&leg) {
                    call.after = after;
                }
                self.connect_here(now, leg);
            }
            Destination::Ring { answer_after } => {
                self.ua.answer(now, leg, 180, self.extras(leg));
                self.tasks.set(&Task::Answer(leg), answer_after.map(|wait| now + wait));
            }
            Destination::Reject { status, cause } => self.give_up(now, leg, status, cause),
            Destination::Redirect(user) => {
                let contact = format!("<sip:{user}@{}{}>", self.config.sip, self.config.asking());
                self.ua.answer(now, leg, 302, Parts::default().with("Contact", contact));
                self.drop_call(now, leg);
            }
            Destination::User(user) => self.call_user(now, leg, &user),
            Destination::Gateway(number) => self.call_gateway(now, leg, &number),
        }
    }

    /// The member itself is the other party of this leg.
    fn connect_here(&mut self, now: Time, leg: LegId) {
        if self.ua.leg(leg).is_some_and(|leg| leg.state == LegState::Up) {
            self.finish_transfer(now, leg, 200);
        } else {
            self.answer(now, leg, None);
        }
    }

    /// Answer a leg with 200; `answer` is what the called party said.
    pub(super) fn answer(&mut self, now: Time, leg: LegId, answer: Option<&Message>) {
        let Some(invite) = self.ua.leg(leg).map(|leg| leg.invite.clone()) else {
            return;
        };
        let mut parts = self.extras(leg);
        parts.head = self.negotiate(now, leg, &invite);
        let Some(call) = self.calls.get_mut(&leg) else {
            return;
        };
        call.answered = true;
        if !call.sdp_given {
            parts.body = Some(Body::sdp(call.media.answer(&invite.body)));
        }
        parts.tail.extend(answer.into_iter().flat_map(super::compose::passed_on));
        self.counters.answered += 1;
        self.counters.invite(invite.call_id(), |count| count.answered += 1);
        self.ua.answer(now, leg, 200, parts);
    }

    /// It has rung too long.
    pub(super) fn no_answer(&mut self, now: Time, leg: LegId) {
        if self.ua.leg(leg).is_some_and(|leg| leg.state == LegState::Early) {
            self.reject(now, leg, 480, 19);
        }
    }

    /// Refuse a leg that waits, with a Q.850 Reason.
    pub(super) fn reject(&mut self, now: Time, leg: LegId, status: u16, cause: u16) {
        let mut parts = self.extras(leg);
        parts.head.push(("Reason".into(), dialplan::reason(cause)));
        self.ua.answer(now, leg, status, parts);
        self.drop_call(now, leg);
    }

    /// BYE headers with a Q.850 cause.
    pub(super) fn bye_parts(cause: u16) -> Parts {
        Parts::default().with("Reason", dialplan::reason(cause))
    }

    /// End a leg and all that hangs on it.
    pub(super) fn hang_up(&mut self, now: Time, leg: LegId, parts: Parts) {
        self.ua.hang_up(now, leg, parts);
        self.drop_call(now, leg);
    }

    /// Forget a leg; its branches are cancelled and its partner hangs up.
    pub(super) fn drop_call(&mut self, now: Time, leg: LegId) {
        let Some(call) = self.calls.remove(&leg) else {
            return;
        };
        for task in [
            Task::Answer(leg),
            Task::NoAnswer(leg),
            Task::HangUp(leg),
            Task::Reinvite(leg),
            Task::Refresh(leg),
            Task::Expire(leg),
        ] {
            self.tasks.set(&task, None);
        }
        self.counters.ended += u64::from(call.answered);
        for branch in call.branches {
            self.hang_up(
                now,
                branch,
                Parts::default().with("Reason", "SIP;cause=487;text=\"ORIGINATOR_CANCEL\""),
            );
        }
        if let Some(partner) = call.partner {
            self.hang_up(now, partner, Self::bye_parts(16));
        }
    }

    /// Our 200 was acknowledged: what the number asks for begins.
    pub(super) fn on_confirmed(&mut self, now: Time, leg: LegId) {
        match self.calls.get(&leg).map(|call| call.after) {
            Some(After::HangUp) => self.tasks.set(&Task::HangUp(leg), Some(now + AFTER_WAIT)),
            Some(After::Reinvite) => self.tasks.set(&Task::Reinvite(leg), Some(now + AFTER_WAIT)),
            Some(After::Requests) => {
                let digit = Body {
                    kind: "application/dtmf-relay".into(),
                    text: "Signal=5\r\nDuration=160\r\n".into(),
                };
                self.queue(now, leg, "INFO", Parts::body(digit));
                self.queue(now, leg, "UPDATE", Parts::default());
            }
            Some(After::Messages) => {
                let text = Body { kind: "text/plain".into(), text: "Your call matters to us.\r\n".into() };
                self.queue(now, leg, "MESSAGE", Parts::body(text));
                self.queue(now, leg, "OPTIONS", Parts::default());
            }
            Some(After::Refer(user)) => {
                let target = format!("<sip:{user}@{}>", self.config.sip);
                let referred_by = format!("<sip:mod_sofia@{}>", self.config.sip);
                let parts = Parts::default().with("Refer-To", target).with("Referred-By", referred_by);
                self.queue(now, leg, "REFER", parts);
            }
            Some(After::Nothing) | None => {}
        }
    }

    /// The re-INVITE of a number, as a session refresh is.
    pub(super) fn reinvite(&mut self, now: Time, leg: LegId) {
        if self.ua.leg(leg).is_some() && !self.send_refresh(now, leg) {
            self.tasks.set(&Task::Reinvite(leg), Some(now + RETRY));
        }
    }

    /// Send a request inside a leg when the ones before it have been answered.
    pub(super) fn queue(&mut self, now: Time, leg: LegId, method: &'static str, parts: Parts) {
        if let Some(call) = self.calls.get_mut(&leg).filter(|call| call.queue.len() < MAX_QUEUE) {
            call.queue.push_back((method, parts));
            self.pump(now, leg);
        }
    }

    fn pump(&mut self, now: Time, leg: LegId) {
        let Some(call) = self.calls.get_mut(&leg).filter(|call| !call.busy) else {
            return;
        };
        match call.queue.pop_front() {
            Some(("BYE", parts)) => self.hang_up(now, leg, parts),
            Some((method, parts)) => {
                call.busy = true;
                self.ua.request(now, leg, method, parts);
            }
            None => {}
        }
    }

    /// The reply to one of our requests inside a leg.
    pub(super) fn on_reply(&mut self, now: Time, leg: LegId, method: &str, message: Option<&Message>) {
        let status = message.map_or(408, Message::status);
        match method {
            "INVITE" if status == 491 => self.tasks.set(&Task::Reinvite(leg), Some(now + RETRY)),
            "INVITE" => self.on_refreshed(now, leg, message),
            "INFO" | "UPDATE" | "NOTIFY" | "MESSAGE" | "OPTIONS" | "REFER" => {
                let Some(call) = self.calls.get_mut(&leg) else {
                    return;
                };
                call.busy = false;
                if method == "UPDATE" && call.after == After::Requests {
                    self.check_sync(now, leg);
                }
                self.pump(now, leg);
            }
            _ => {}
        }
        // RFC 3261 §12.2.1.2: the dialog is gone.
        if matches!(status, 408 | 481) && self.calls.contains_key(&leg) {
            self.hang_up(now, leg, Self::bye_parts(41));
        }
    }

    /// A request inside a leg.
    pub(super) fn on_inside(&mut self, now: Time, leg: LegId, id: &ServerId, message: &Message) {
        match message.method() {
            "INVITE" | "UPDATE" => {
                if self.refuse_short_session(now, id, message) {
                    return;
                }
                let mut parts = Parts { head: self.negotiate(now, leg, message), ..Parts::default() };
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
                self.ua.reply(now, leg, id, 200, Parts::default());
                let deflected =
                    self.calls.get(&leg).is_some_and(|call| matches!(call.after, After::Refer(_)));
                if deflected && message.body.starts_with("SIP/2.0 200") {
                    self.hang_up(now, leg, Self::bye_parts(16));
                }
            }
            "INFO" | "OPTIONS" => self.ua.reply(now, leg, id, 200, Parts::default()),
            "REFER" => self.on_refer(now, leg, id, message),
            "MESSAGE" => {
                if self.authenticate(now, id, message) {
                    self.ua.reply(now, leg, id, 202, Parts::default());
                }
            }
            "SUBSCRIBE" => self.ua.reply(now, leg, id, 489, Parts::default()),
            _ => self.ua.reply(now, leg, id, 501, Parts::default()),
        }
    }
}
