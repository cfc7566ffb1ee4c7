//! REFER inside a call (RFC 3515), Replaces (RFC 3891), and the two together: attended transfer.

use sbc_core::time::Time;

use super::Member;
use crate::ua::message::{Body, Message, phrase, uri_address, uri_user};
use crate::ua::refer_to::{Target, replaced};
use crate::ua::sdp::Kind;
use crate::ua::{LegId, Parts, ServerId};

impl Member {
    /// REFER inside `leg`: its partner is connected to the Refer-To target.
    pub(super) fn on_refer(&mut self, now: Time, leg: LegId, id: &ServerId, message: &Message) {
        let Some(target) = message.uri_of("Refer-To").map(|uri| Target::read(&uri)) else {
            return self.ua.reply(now, leg, id, 400, Parts::default());
        };
        self.ua.reply(now, leg, id, 202, Parts::default());
        self.notify_refer(now, leg, 100);
        let partner = self.calls.get(&leg).and_then(|call| call.partner);
        if let Some(replaces) = &target.replaces {
            return self.attended(now, leg, partner, &target.uri, replaces);
        }
        let Some(partner) = partner else {
            // FreeSWITCH: a call with one leg cannot be transferred blindly.
            return self.notify_refer(now, leg, 403);
        };
        self.detach(leg, partner);
        self.dial(now, partner, &uri_user(&target.uri));
    }

    /// `partner` leaves `leg` and waits for another party; `leg` is told how it goes.
    fn detach(&mut self, leg: LegId, partner: LegId) {
        if let Some(call) = self.calls.get_mut(&leg) {
            call.partner = None;
        }
        if let Some(call) = self.calls.get_mut(&partner) {
            call.partner = None;
            call.failure = 480;
            call.transferor = Some(leg);
        }
    }

    fn attended(&mut self, now: Time, leg: LegId, partner: Option<LegId>, uri: &str, replaces: &str) {
        let (call_id, tag) = replaced(replaces);
        if let Some(other) = self.ua.find(&call_id, &tag).filter(|other| *other != leg) {
            let other_partner = self.calls.get_mut(&other).and_then(|call| call.partner.take());
            if let Some(call) = self.calls.get_mut(&leg) {
                call.partner = None;
            }
            match (partner, other_partner) {
                (Some(one), Some(two)) => self.bridge(one, two),
                (Some(one), None) | (None, Some(one)) => self.release(one),
                (None, None) => {}
            }
            self.notify_refer(now, leg, 200);
            self.queue(now, leg, "BYE", Self::bye_parts(16));
            return self.hang_up(now, other, Self::bye_parts(16));
        }
        let (Some(partner), Some(address)) = (partner, uri_address(uri)) else {
            return self.notify_refer(now, leg, 481);
        };
        self.detach(leg, partner);
        let domain = self.config.domain.clone();
        let number = uri_user(uri);
        let mut call = self.outgoing(partner, address);
        call.to = format!("<{uri}>");
        call.uri = uri.to_owned();
        call.from = self.identity_of(partner, &domain);
        call.contact = format!("<sip:mod_sofia@{}{}>", self.config.sip, self.config.asking());
        call.parts = Parts::default().with("Replaces", replaces);
        let branch = self.start(now, partner, call, (&number, Kind::Plain, &domain));
        if let Some(call) = self.calls.get_mut(&partner) {
            call.branches = vec![branch];
        }
    }

    /// A leg loses its partner and stays, with the member itself as its other party.
    fn release(&mut self, leg: LegId) {
        if let Some(call) = self.calls.get_mut(&leg) {
            call.partner = None;
        }
    }

    /// An INVITE with Replaces takes the place of one of our legs.
    pub(super) fn replace(&mut self, now: Time, leg: LegId, message: &Message) {
        let (call_id, tag) = replaced(message.get("Replaces").unwrap_or(""));
        let Some(old) = self.ua.find(&call_id, &tag) else {
            return self.reject(now, leg, 481, 41);
        };
        let partner = self.calls.get_mut(&old).and_then(|call| call.partner.take());
        if let Some(partner) = partner {
            self.bridge(leg, partner);
        }
        self.answer(now, leg, None);
        self.hang_up(now, old, Self::bye_parts(16));
    }

    /// The transfer of `leg` has ended: tell who asked for it. After a failure the two talk on.
    pub(super) fn finish_transfer(&mut self, now: Time, leg: LegId, status: u16) {
        let Some(transferor) = self.calls.get_mut(&leg).and_then(|call| call.transferor.take()) else {
            return;
        };
        self.notify_refer(now, transferor, status);
        if status < 300 {
            self.queue(now, transferor, "BYE", Self::bye_parts(16));
        } else if self.calls.contains_key(&transferor) {
            self.bridge(leg, transferor);
        } else {
            self.hang_up(now, leg, Self::bye_parts(16));
        }
    }

    fn notify_refer(&mut self, now: Time, leg: LegId, status: u16) {
        let state = if status < 200 { "active;expires=60" } else { "terminated;reason=noresource" };
        let fragment = format!("SIP/2.0 {status} {}\r\n", phrase(status));
        let parts = Parts::body(Body { kind: "message/sipfrag".into(), text: fragment })
            .with("Event", "refer")
            .with("Subscription-State", state);
        self.queue(now, leg, "NOTIFY", parts);
    }
}
