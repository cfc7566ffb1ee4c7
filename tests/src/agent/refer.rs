//! REFER from the other side of a call: call the target, and tell how it goes (RFC 3515).

use sbc_core::time::Time;

use super::{Agent, LegId};
use crate::ua::message::{Body, Message, phrase};
use crate::ua::refer_to::Target;
use crate::ua::{Parts, ServerId};

/// A REFER that we accepted, on the call it came in.
#[derive(Debug, Clone, Default)]
pub(super) struct Referral {
    /// A NOTIFY is on its way.
    busy: bool,
    /// The status to tell after it.
    next: Option<u16>,
}

impl Agent {
    pub(super) fn on_refer(&mut self, now: Time, leg: LegId, id: &ServerId, message: &Message) {
        let Some(target) = message.uri_of("Refer-To").map(|uri| Target::read(&uri)) else {
            return self.ua.reply(now, leg, id, 400, Parts::default());
        };
        self.ua.reply(now, leg, id, 202, Parts::default());
        self.tell(now, leg, 100);
        let headers = target.replaces.into_iter().map(|value| ("Replaces".to_owned(), value)).collect();
        let called = self.call_with(now, &target.uri, &target.uri, Vec::new(), headers);
        self.set(called, |call| call.referrer = Some(leg));
    }

    /// A call that a REFER asked for has been answered or has failed.
    pub(super) fn report(&mut self, now: Time, called: LegId, status: u16) {
        if let Some(leg) = self.calls.get_mut(&called).and_then(|call| call.referrer.take()) {
            self.tell(now, leg, status);
        }
    }

    /// Our NOTIFY was answered: the next may go.
    pub(super) fn told(&mut self, now: Time, leg: LegId) {
        let Some(call) = self.calls.get_mut(&leg) else { return };
        call.referral.busy = false;
        if let Some(status) = call.referral.next.take() {
            self.tell(now, leg, status);
        }
    }

    fn tell(&mut self, now: Time, leg: LegId, status: u16) {
        let Some(call) = self.calls.get_mut(&leg) else { return };
        if call.referral.busy {
            call.referral.next = Some(status);
            return;
        }
        call.referral.busy = true;
        let state = if status < 200 { "active;expires=60" } else { "terminated;reason=noresource" };
        let text = format!("SIP/2.0 {status} {}\r\n", phrase(status));
        let parts = Parts::body(Body { kind: "message/sipfrag".into(), text })
            .with("Event", "refer")
            .with("Subscription-State", state);
        self.ua.request(now, leg, "NOTIFY", parts);
    }
}
