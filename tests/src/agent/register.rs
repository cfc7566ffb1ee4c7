//! The agent's own registration.

use std::time::Duration;

use sbc_core::time::Time;

use super::{Agent, Habit, Registered, Task};
use crate::ua::Parts;
use crate::ua::message::{Message, address_uri};

/// Wait before a registration that nobody answered is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// One registration: Call-ID and tag stay, the CSeq rises.
#[derive(Debug, Default)]
pub(super) struct Registration {
    pub(super) state: Registered,
    pub(super) asked: u64,
    /// Refresh at half of the granted time.
    keep: bool,
    call_id: String,
    tag: String,
    cseq: u32,
    token: Option<u64>,
}

impl Agent {
    /// Register, refresh, or with 0 seconds unregister.
    pub fn register(&mut self, now: Time, seconds: u64) {
        if self.registration.call_id.is_empty() {
            // Without what JsSIP's other Call-IDs begin with: FreeSWITCH sends NOTIFY with this one, and JsSIP takes it.
            self.registration.call_id = self.ua.stack.ids.text(22);
            self.registration.tag = self.ua.stack.ids.text(10);
        }
        // A challenge takes one number more.
        self.registration.cseq += 3;
        self.registration.asked = seconds;
        self.registration.state = Registered::Asking;
        let aor = format!("<sip:{}@{}>", self.settings.user, self.settings.domain);
        let mut message = Message::request("REGISTER", &format!("sip:{}", self.settings.domain));
        message.push("Max-Forwards", "70");
        message.push("From", format!("{aor};tag={}", self.registration.tag));
        message.push("To", aor);
        message.push("Call-ID", self.registration.call_id.clone());
        message.push("CSeq", format!("{} REGISTER", self.registration.cseq));
        message.push("Contact", format!("<{}>{};expires={seconds}", self.contact, self.contact_params));
        message.push("Expires", seconds.to_string());
        let usual = self.ua.style.supported.clone();
        if self.habit == Habit::Browser {
            self.ua.style.supported = "path,gruu,outbound".into();
        }
        self.registration.token = Some(self.ua.ask(now, message, self.settings.edge, Parts::default()));
        self.ua.style.supported = usual;
        self.settle(now);
    }

    /// Refresh at half of the granted time from now on.
    pub fn keep_registered(&mut self, on: bool) {
        self.registration.keep = on;
    }

    /// How the registration is.
    pub const fn registered(&self) -> Registered {
        self.registration.state
    }

    pub(super) fn new_call_id(&mut self) -> String {
        format!("{}{}", self.own_id, self.ua.stack.ids.text(15))
    }

    pub(super) fn on_outside_reply(&mut self, now: Time, token: u64, message: Option<&Message>) {
        if self.registration.token != Some(token) {
            return self.on_other_reply(token, message);
        }
        let asked = self.registration.asked;
        let (state, again) = match message {
            Some(message) if message.status() < 300 => {
                let granted = self.granted(message);
                match granted {
                    _ if asked == 0 => (Registered::No, None),
                    // RFC 3261 §10.2.4: the 200 lists the bindings; ours must be there.
                    None => {
                        self.violations.push("the 200 to REGISTER does not list our Contact".into());
                        (Registered::No, None)
                    }
                    Some(seconds) => (Registered::Yes(seconds), Some(Duration::from_secs(seconds / 2))),
                }
            }
            Some(message) => (Registered::Refused(message.status()), Some(RETRY)),
            None => (Registered::Refused(408), Some(RETRY)),
        };
        self.registration.state = state;
        self.tasks.set(&Task::Register, again.filter(|_| self.registration.keep).map(|wait| now + wait));
    }

    /// The seconds that a 200 grants to our own Contact.
    fn granted(&self, message: &Message) -> Option<u64> {
        let contacts = message.list("Contact");
        let own =
            contacts.iter().find(|value| address_uri(value).as_deref() == Some(self.contact.as_str()))?;
        let expires = own.split(';').find_map(|part| part.trim().strip_prefix("expires="));
        expires.and_then(|seconds| seconds.parse().ok()).or_else(|| message.number("Expires"))
    }
}
