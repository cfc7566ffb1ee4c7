//! What makes an agent a carrier: it knows users, challenges them and keeps their bindings.

use std::collections::BTreeMap;

use sbc_core::time::Time;

use super::Agent;
use crate::ua::challenge::{Challenger, Verdict};
use crate::ua::message::{Message, uri_host, uri_user};
use crate::ua::registrar::{Binding, Multiple, Registrar};
use crate::ua::{Parts, ServerId};

/// Users, nonces and bindings of a carrier.
#[derive(Debug)]
pub struct Exchange {
    challenger: Challenger,
    registrar: Registrar,
    users: BTreeMap<String, String>,
    challenge_calls: bool,
}

impl Exchange {
    /// An exchange for `realm` whose users have these passwords.
    pub fn new(realm: &str, users: &[(&str, &str)], challenge_calls: bool) -> Self {
        let users =
            users.iter().map(|(user, password)| ((*user).to_owned(), (*password).to_owned())).collect();
        Self {
            challenger: Challenger::new(realm),
            registrar: Registrar::new(Multiple::Contact),
            users,
            challenge_calls,
        }
    }

    /// The bindings of all its users.
    pub fn bindings(&self) -> &[Binding] {
        self.registrar.all()
    }
}

impl Agent {
    /// Challenge a call; true when the INVITE has been answered so.
    pub(super) fn challenges(&mut self, now: Time, id: &ServerId, message: &Message) -> bool {
        let calls = self.exchange.as_ref().is_some_and(|exchange| exchange.challenge_calls);
        calls && self.authenticates(now, id, message, (407, "Proxy-Authenticate", "Proxy-Authorization"))
    }

    /// Take in a REGISTER; true when it has been answered.
    pub(super) fn registers(&mut self, now: Time, id: &ServerId, message: &Message) -> bool {
        if self.exchange.is_none() {
            return false;
        }
        if self.authenticates(now, id, message, (401, "WWW-Authenticate", "Authorization")) {
            return true;
        }
        let Some(exchange) = &mut self.exchange else {
            return false;
        };
        let to = message.uri_of("To").unwrap_or_default();
        let contacts =
            exchange.registrar.register(now, &format!("{}@{}", uri_user(&to), uri_host(&to)), message);
        let parts =
            contacts.into_iter().fold(Parts::default(), |parts, contact| parts.with("Contact", contact));
        self.ua.respond(now, id, 200, parts);
        true
    }

    /// True when the request has been answered with a challenge or 403.
    fn authenticates(
        &mut self,
        now: Time,
        id: &ServerId,
        message: &Message,
        names: (u16, &str, &str),
    ) -> bool {
        let (status, asks, gives) = names;
        let Some(exchange) = &mut self.exchange else {
            return false;
        };
        let Exchange { challenger, users, .. } = exchange;
        match challenger.judge(now, message.get(gives), message.method(), |user| users.get(user).cloned()) {
            Verdict::Good(_) => return false,
            Verdict::Refused => self.ua.respond(now, id, 403, Parts::default()),
            Verdict::Ask { stale } => {
                let challenge = challenger.challenge(now, &mut self.ua.stack.ids, stale);
                self.ua.respond(now, id, status, Parts::default().with(asks, challenge));
            }
        }
        true
    }
}
