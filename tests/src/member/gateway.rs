//! The trunk: registration at it, calls out through it, calls that it sends.

use std::time::Duration;

use sbc_core::time::Time;

use super::config::Gateway;
use super::{Member, Task};
use crate::ua::digest::Credentials;
use crate::ua::message::{Message, uri_user};
use crate::ua::sdp::Kind;
use crate::ua::{LegId, Parts};

/// Wait before a failed registration is tried again.
const RETRY: Duration = Duration::from_secs(30);

/// The gateway's registration. Call-ID and From tag stay the same, the CSeq rises.
#[derive(Debug, Default)]
pub(super) struct Registration {
    pub(super) up: bool,
    call_id: String,
    tag: String,
    cseq: u32,
    token: Option<u64>,
}

/// The credentials of a gateway.
pub(super) fn credentials(gateway: &Gateway) -> Credentials {
    Credentials { user: gateway.user.clone(), password: gateway.password.clone() }
}

impl Member {
    /// Contact of everything that concerns the gateway.
    fn gateway_contact(&self, gateway: &Gateway) -> String {
        let name = &gateway.name;
        format!("<sip:gw+{name}@{}{};gw={name}>", self.config.sip, self.config.answering())
    }

    /// Send a REGISTER for the gateway.
    pub(super) fn register_gateway(&mut self, now: Time) {
        let Some(gateway) = self.config.gateway.clone() else {
            return;
        };
        if self.registration.call_id.is_empty() {
            self.registration.call_id = self.ua.stack.ids.uuid();
            self.registration.tag = self.ua.stack.ids.text(13);
            self.registration.cseq = self.ua.style.first_seq;
        }
        // A challenge takes one number more.
        self.registration.cseq += 2;
        let aor = format!("<sip:{}@{}>", gateway.user, gateway.realm);
        let mut message = Message::request("REGISTER", &format!("sip:{}", gateway.realm));
        message.push("Max-Forwards", "70");
        message.push("From", format!("{aor};tag={}", self.registration.tag));
        message.push("To", aor);
        message.push("Call-ID", self.registration.call_id.clone());
        message.push("CSeq", format!("{} REGISTER", self.registration.cseq));
        message.push("Contact", self.gateway_contact(&gateway));
        message.push("Expires", gateway.expires.to_string());
        self.registration.token = Some(self.ua.ask(now, message, gateway.proxy, Parts::default()));
    }

    /// A reply outside legs: to REGISTER, or to a NOTIFY that nothing depends on.
    pub(super) fn on_outside_reply(&mut self, now: Time, token: u64, message: Option<&Message>) {
        if self.registration.token != Some(token) {
            return self.on_notify_reply(token, message);
        }
        let asked = self.config.gateway.as_ref().map_or(0, |gateway| gateway.expires);
        self.registration.up = message.is_some_and(|message| message.status() / 100 == 2);
        let next = match message {
            Some(message) if message.status() / 100 == 2 => {
                Duration::from_secs(self.granted(message, asked) / 2)
            }
            _ => RETRY,
        };
        self.tasks.set(&Task::Register, Some(now + next));
    }

    /// The seconds that a 200 grants to our own Contact.
    fn granted(&self, message: &Message, asked: u64) -> u64 {
        let own =
            self.config.gateway.as_ref().map(|gateway| format!("gw+{}", gateway.name)).unwrap_or_default();
        let expires =
            |value: &str| value.rsplit_once(";expires=").and_then(|(_, seconds)| seconds.parse().ok());
        let contacts = message.list("Contact");
        let granted = contacts.iter().find(|value| value.contains(&own)).and_then(|value| expires(value));
        granted.or_else(|| message.number("Expires")).unwrap_or(asked).max(2)
    }

    /// True for an INVITE to the gateway's Contact.
    pub(super) fn is_for_gateway(&self, message: &Message) -> bool {
        message.method() == "INVITE" && self.gateway_number(message).is_some()
    }

    /// Whom a call of the trunk is for: the user in To if it is one of ours, else the gateway's extension.
    pub(super) fn gateway_number(&self, message: &Message) -> Option<String> {
        let gateway = self.config.gateway.as_ref()?;
        if uri_user(message.uri()) != format!("gw+{}", gateway.name) {
            return None;
        }
        let to = message.uri_of("To").map(|uri| uri_user(&uri)).unwrap_or_default();
        Some(if self.config.is_user(&to) { to } else { gateway.extension.clone() })
    }

    /// Call out for `caller`.
    pub(super) fn call_gateway(&mut self, now: Time, caller: LegId, number: &str) {
        let Some(gateway) = self.config.gateway.clone() else {
            return;
        };
        let host = gateway.proxy.ip().to_string();
        let mut call = self.outgoing(caller, gateway.proxy);
        call.uri = format!("sip:{number}@{}", gateway.proxy);
        call.from = self.identity_of(caller, &host);
        call.to = format!("<sip:{number}@{}>", gateway.proxy);
        call.contact = self.gateway_contact(&gateway);
        let leg = self.start(now, caller, call, (number, Kind::Plain, &host));
        if let Some(call) = self.calls.get_mut(&caller) {
            call.branches = vec![leg];
        }
    }
}
