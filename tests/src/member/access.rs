//! Requests outside dialogs: who may, and what the simple ones get.

use std::net::SocketAddr;

use sbc_core::time::Time;

use super::Member;
use crate::ua::challenge::Verdict;
use crate::ua::message::{Message, uri_host, uri_user};
use crate::ua::{Parts, ServerId};

impl Member {
    /// True when another session would reach `max-sessions`.
    pub(super) fn is_full(&self) -> bool {
        self.config.paused || self.ua.leg_count() + 1 >= self.config.max_sessions
    }

    /// FreeSWITCH's answer at its limit.
    pub(super) fn refuse_full(&mut self, now: Time, id: &ServerId) {
        self.counters.refused_full += 1;
        let parts = Parts::default().with("Retry-After", "300");
        self.ua.respond_as(now, id, (503, "Maximum Calls In Progress"), None, parts);
    }

    /// True when the request needs no credentials.
    pub(super) fn is_trusted(&self, from: SocketAddr, message: &Message) -> bool {
        let token = self.config.token_header.as_ref().and_then(|name| message.get(name));
        let address =
            message.get("X-AUTH-IP").and_then(|value| value.trim().parse().ok()).unwrap_or(from.ip());
        !self.config.auth_calls
            || self.config.peers.contains(&from)
            || self.config.inbound_acl.contains(&address)
            || token.is_some_and(|token| !token.trim().is_empty())
            || self.is_for_gateway(message)
    }

    /// Check the credentials of a request; false when it has been answered with 401, 407 or 403.
    pub(super) fn authenticate(&mut self, now: Time, id: &ServerId, message: &Message) -> bool {
        let register = message.method() == "REGISTER";
        let (status, asks, gives) = if register {
            (401, "WWW-Authenticate", "Authorization")
        } else {
            (407, "Proxy-Authenticate", "Proxy-Authorization")
        };
        let config = &self.config;
        let verdict =
            self.challenger.judge(now, message.get(gives), message.method(), |user| config.password_of(user));
        let owner = message.uri_of("To").map(|uri| uri_user(&uri)).unwrap_or_default();
        match verdict {
            // A registration is its user's own; who calls may name himself as he likes.
            Verdict::Good(user) if !register || user == owner => return true,
            Verdict::Good(_) | Verdict::Refused => self.ua.respond(now, id, 403, Parts::default()),
            Verdict::Ask { stale } => {
                let challenge = self.challenger.challenge(now, &mut self.ua.stack.ids, stale);
                if message.method() == "INVITE" {
                    self.counters.invite(message.call_id(), |count| count.challenged += 1);
                }
                self.ua.respond(now, id, status, Parts::default().with(asks, challenge));
            }
        }
        false
    }

    /// A request other than INVITE that belongs to no leg.
    pub(super) fn on_outside(&mut self, now: Time, id: &ServerId, from: SocketAddr, message: &Message) {
        let limited = matches!(message.method(), "REGISTER" | "NOTIFY" | "INFO");
        if self.config.paused || (limited && self.is_full()) {
            return self.refuse_full(now, id);
        }
        match message.method() {
            "REGISTER" => self.on_register(now, id, message),
            "MESSAGE" => {
                if self.is_trusted(from, message) || self.authenticate(now, id, message) {
                    self.ua.respond(now, id, 202, Parts::default());
                }
            }
            "SUBSCRIBE" => self.on_subscribe(now, id, from, message),
            "REFER" => self.ua.respond(now, id, 202, Parts::default()),
            "NOTIFY" => {
                self.ua.respond_as(now, id, (481, "Subscription Does Not Exist"), None, Parts::default())
            }
            "OPTIONS" | "PUBLISH" | "INFO" => self.ua.respond(now, id, 200, Parts::default()),
            "BYE" | "UPDATE" | "PRACK" => self.ua.respond(now, id, 481, Parts::default()),
            _ => self.ua.respond(now, id, 501, Parts::default()),
        }
    }

    fn on_register(&mut self, now: Time, id: &ServerId, message: &Message) {
        if message.lists("Require", "outbound") {
            return self.ua.respond(now, id, 420, Parts::default().with("Unsupported", "outbound"));
        }
        if !self.authenticate(now, id, message) {
            return;
        }
        let to = message.uri_of("To").unwrap_or_default();
        let aor = format!("{}@{}", uri_user(&to), uri_host(&to));
        let contacts = self.registrar.register(now, &aor, message);
        let parts =
            contacts.into_iter().fold(Parts::default(), |parts, contact| parts.with("Contact", contact));
        self.ua.respond(now, id, 200, parts);
    }
}
