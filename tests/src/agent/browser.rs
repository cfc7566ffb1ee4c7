//! A browser with JsSIP's habits (RFC 7118): no address of its own, one WebSocket for everything.

use super::phone::credentials;
use super::{Agent, Habit, Settings};
use crate::ua::ids::Ids;
use crate::ua::message::{Message, uri_user};
use crate::ua::transaction::Timers;
use crate::ua::{Local, Parts, ServerId, Style, Ua};
use sbc_core::time::Time;

impl Agent {
    /// A browser. `settings.edge` is its WebSocket's server.
    pub fn browser(settings: Settings) -> Self {
        let mut ids = Ids::new(settings.seed);
        let host = format!("{}.invalid", ids.text(12).to_lowercase());
        let style = Style {
            user_agent: "JsSIP 3.13.8",
            allow: "INVITE,ACK,CANCEL,BYE,UPDATE,MESSAGE,OPTIONS,REFER,INFO,NOTIFY",
            supported: "timer,ice,replaces,outbound".into(),
            allow_events: None,
            first_seq: 0,
        };
        let contact = format!("sip:{}@{host};transport=ws", ids.text(8).to_lowercase());
        let instance = ids.uuid();
        let own_id = ids.text(5).to_lowercase();
        let mut ua = Ua::new(Local { transport: "WSS", sent_by: host }, Timers::rfc3261(true), ids, style);
        ua.credentials = credentials(&settings);
        let mut agent = Self::build(settings, Habit::Browser, ua, contact);
        agent.contact_params = format!(";+sip.instance=\"<urn:uuid:{instance}>\";reg-id=1");
        agent.own_id = own_id;
        agent
    }

    /// False for what JsSIP drops: a response with more than one Via.
    pub(super) fn accepts(&mut self, message: &Message) -> bool {
        let vias = message.list("Via").len();
        let good = message.is_request() || self.habit != Habit::Browser || vias == 1;
        if !good {
            let what = format!("{} {} with {vias} Via", message.status(), message.method());
            self.violations.push(what);
        }
        good
    }

    /// What JsSIP refuses before it looks at the method; true when it has been answered.
    pub(super) fn refuses(&mut self, now: Time, id: &ServerId, message: &Message) -> bool {
        if self.habit != Habit::Browser {
            return false;
        }
        let user = uri_user(message.uri());
        let status = if message.uri().starts_with("sips:") {
            416
        } else if user != self.settings.user && user != uri_user(&self.contact) {
            404
        } else if message.call_id().starts_with(&self.own_id) {
            482
        } else {
            return false;
        };
        // FreeSWITCH sends its check-sync under the Call-ID of the REGISTER, and JsSIP takes that for a loop of
        // its own: neither is the fault of whoever stands between.
        if (status, message.method()) != (482, "NOTIFY") {
            self.violations.push(format!("{} refused with {status}: {}", message.method(), message.uri()));
        }
        self.ua.respond(now, id, status, Parts::default());
        true
    }
}
