//! A phone: one address, symmetric (RFC 3581).

use sbc_core::flow::Transport;

use super::{Agent, Habit, Settings};
use crate::ua::digest::Credentials;
use crate::ua::ids::Ids;
use crate::ua::transaction::Timers;
use crate::ua::{Local, Style, Ua};

impl Agent {
    /// A phone over UDP. It follows Contact and Route inside dialogs, as the RFC says.
    pub fn phone(settings: Settings) -> Self {
        Self::phone_by(Transport::Udp, settings)
    }

    /// The same over UDP, TCP or TLS.
    pub fn phone_by(transport: Transport, settings: Settings) -> Self {
        let (word, parameter) = match transport {
            Transport::Tcp => ("TCP", ";transport=tcp"),
            Transport::Tls => ("TLS", ";transport=tls"),
            _ => ("UDP", ""),
        };
        let local = Local { transport: word, sent_by: settings.address.to_string() };
        let style = Style {
            user_agent: "Test phone 1.0",
            allow: "INVITE, ACK, BYE, CANCEL, OPTIONS, MESSAGE, INFO, UPDATE, REFER, NOTIFY, PRACK",
            supported: "timer, replaces, path".into(),
            allow_events: None,
            first_seq: 0,
        };
        let reliable = transport != Transport::Udp;
        let mut ua = Ua::new(local, Timers::rfc3261(reliable), Ids::new(settings.seed), style);
        ua.credentials = credentials(&settings);
        let contact = format!("sip:{}@{}{parameter}", settings.user, settings.address);
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
