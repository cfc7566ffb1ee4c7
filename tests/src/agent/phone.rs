//! A phone: UDP, one address, symmetric (RFC 3581).

use super::{Agent, Habit, Settings};
use crate::ua::digest::Credentials;
use crate::ua::ids::Ids;
use crate::ua::transaction::Timers;
use crate::ua::{Local, Style, Ua};

impl Agent {
    /// A phone over UDP. It follows Contact and Route inside dialogs, as the RFC says.
    pub fn phone(settings: Settings) -> Self {
        let local = Local { transport: "UDP", sent_by: settings.address.to_string() };
        let style = Style {
            user_agent: "Test phone 1.0",
            allow: "INVITE, ACK, BYE, CANCEL, OPTIONS, MESSAGE, INFO, UPDATE, REFER, NOTIFY, PRACK",
            supported: "timer, replaces, path".into(),
            allow_events: None,
            first_seq: 0,
        };
        let mut ua = Ua::new(local, Timers::rfc3261(false), Ids::new(settings.seed), style);
        ua.credentials = credentials(&settings);
        let contact = format!("sip:{}@{}", settings.user, settings.address);
        Self::build(settings, Habit::Phone, ua, contact)
    }

    /// Send credentials for the last nonce unasked, as many phones do.
    pub fn reuse_nonce(&mut self, on: bool) {
        self.ua.reuse_nonce = on;
    }
}

pub(super) fn credentials(settings: &Settings) -> Option<Credentials> {
    settings.password.clone().map(|password| Credentials { user: settings.user.clone(), password })
}
