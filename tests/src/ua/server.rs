//! The answering side of the user agent: which leg a request belongs to, and what needs no decision.

use std::net::SocketAddr;

use sbc_core::time::Time;

use super::dialog::Dialog;
use super::message::{Message, phrase};
use super::{Happening, Leg, LegId, LegState, Parts, ServerId, Ua};

impl Ua {
    pub(super) fn on_request(&mut self, now: Time, id: ServerId, from: SocketAddr, message: Message) {
        if message.method() == "CANCEL" {
            return self.on_cancel(now, &id);
        }
        let tag = message.tag("To");
        if tag.is_empty() {
            self.happenings.push_back(if message.method() == "INVITE" {
                Happening::Invite { id, from, message }
            } else {
                Happening::Outside { id, from, message }
            });
            return;
        }
        match self.find(message.call_id(), &tag) {
            Some(leg) => self.on_inside(now, leg, id, message),
            // Subscriptions are dialogs that the owner keeps.
            None if matches!(message.method(), "SUBSCRIBE" | "NOTIFY") => {
                self.happenings.push_back(Happening::Outside { id, from, message });
            }
            None => self.respond(now, &id, 481, Parts::default()),
        }
    }

    fn on_cancel(&mut self, now: Time, id: &ServerId) {
        let Some(invite) = self.stack.cancelled(id) else {
            return self.respond(now, id, 481, Parts::default());
        };
        let leg = self.legs.iter().find(|(_, leg)| leg.server.as_ref() == Some(&invite)).map(|(id, _)| *id);
        let tag = leg.and_then(|leg| self.legs.get(&leg)).map(|leg| leg.dialog.local_tag.clone());
        let tag = tag.unwrap_or_else(|| self.stack.ids.text(13));
        self.respond_as(now, id, (200, "OK"), Some((&tag, None)), Parts::default());
        let Some(request) = self.stack.request(&invite).cloned() else {
            return;
        };
        let terminated = self.response(&request, 487, &tag, None, Parts::default());
        self.stack.respond(now, &invite, &terminated);
        let Some(leg) = leg else { return };
        if self.legs.get(&leg).is_some_and(|leg| leg.state == LegState::Up) {
            // A re-INVITE was cancelled: the call itself goes on.
            if let Some(leg) = self.legs.get_mut(&leg) {
                leg.server = None;
            }
            return;
        }
        self.forget(leg);
        self.happenings.push_back(Happening::Cancelled { leg });
    }

    fn on_inside(&mut self, now: Time, id: LegId, server: ServerId, message: Message) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        if message.cseq() < leg.dialog.remote_seq {
            return self.respond(now, &server, 500, Parts::default());
        }
        leg.dialog.remote_seq = message.cseq();
        match message.method() {
            "BYE" => {
                self.respond(now, &server, 200, Parts::default());
                self.refuse_open_invite(now, id);
                self.forget(id);
                self.happenings.push_back(Happening::Ended { leg: id });
            }
            "PRACK" => {
                let invite = leg.server.clone();
                invite.iter().for_each(|invite| self.stack.on_prack(invite));
                let status = if invite.is_some() { 200 } else { 481 };
                self.respond(now, &server, status, Parts::default());
            }
            "INVITE" if leg.client.is_some() || leg.server.is_some() => {
                self.respond(now, &server, 491, Parts::default());
            }
            method => {
                if matches!(method, "INVITE" | "UPDATE") {
                    leg.dialog.learn_target(&message);
                }
                self.happenings.push_back(Happening::Inside { leg: id, id: server, message });
            }
        }
    }

    /// A BYE before our answer: the INVITE is owed a final response still (§15.1.2).
    fn refuse_open_invite(&mut self, now: Time, id: LegId) {
        let Some(leg) = self.legs.get(&id) else {
            return;
        };
        let (Some(server), tag) = (leg.server.clone(), leg.dialog.local_tag.clone()) else {
            return;
        };
        let Some(request) = self.stack.request(&server).cloned() else {
            return;
        };
        let response = self.response(&request, 487, &tag, None, Parts::default());
        self.stack.respond(now, &server, &response);
    }

    /// Make a leg of an INVITE; nothing is sent yet.
    pub(crate) fn adopt(
        &mut self,
        id: &ServerId,
        from: SocketAddr,
        message: &Message,
        contact: String,
    ) -> LegId {
        let tag = self.stack.ids.text(13);
        self.keep(Leg {
            dialog: Dialog::of_request(message, from, tag, contact, self.style.first_seq),
            state: LegState::Early,
            invite: message.clone(),
            server: Some(id.clone()),
            client: None,
            confirmed: false,
            bye_wanted: None,
            rseq: 0,
        })
    }

    /// Answer the INVITE of a leg: provisional, final, or a failure that ends the leg.
    pub(crate) fn answer(&mut self, now: Time, id: LegId, status: u16, parts: Parts) {
        self.answer_as(now, id, (status, phrase(status)), parts);
    }

    /// As [`Self::answer`], with a phrase of our own.
    pub(crate) fn answer_as(&mut self, now: Time, id: LegId, (status, reason): (u16, &str), parts: Parts) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        let Some(server) = leg.server.clone() else {
            return;
        };
        let (tag, own) = (leg.dialog.local_tag.clone(), leg.dialog.contact.clone());
        if (200..300).contains(&status) {
            leg.state = LegState::Up;
        }
        if status >= 200 {
            leg.server = None;
        }
        let given = parts.head.iter().any(|(name, _)| name == "Contact");
        let contact = (status < 300 && !given).then_some(own.as_str());
        let Some(request) = self.stack.request(&server).cloned() else {
            return;
        };
        let mut response = self.response(&request, status, &tag, contact, parts);
        response.start = super::message::Start::Response { status, reason: reason.into() };
        self.stack.respond(now, &server, &response);
        if status >= 300 {
            self.forget(id);
        }
    }

    /// Answer a provisional response reliably (RFC 3262).
    pub(crate) fn answer_reliably(&mut self, now: Time, id: LegId, status: u16, parts: Parts) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        leg.rseq += 1;
        let parts = parts.with("Require", "100rel").with("RSeq", leg.rseq.to_string());
        self.answer(now, id, status, parts);
    }

    /// Answer a request inside a leg.
    pub(crate) fn reply(&mut self, now: Time, leg: LegId, id: &ServerId, status: u16, parts: Parts) {
        let dialog =
            self.legs.get(&leg).map(|leg| (leg.dialog.local_tag.clone(), leg.dialog.contact.clone()));
        let Some((tag, contact)) = dialog else {
            return self.respond(now, id, 481, parts);
        };
        let Some(request) = self.stack.request(id).cloned() else {
            return;
        };
        let carries = matches!(request.method(), "INVITE" | "UPDATE" | "REFER") && status < 300;
        let response = self.response(&request, status, &tag, carries.then_some(contact.as_str()), parts);
        self.stack.respond(now, id, &response);
    }

    pub(super) fn on_ack(&mut self, now: Time, ack: &Message) {
        let Some(id) = self.find(ack.call_id(), &ack.tag("To")) else {
            return;
        };
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        let first = !leg.confirmed;
        leg.confirmed = true;
        if first {
            self.happenings.push_back(Happening::Confirmed { leg: id });
        }
        self.send_waiting_bye(now, id);
    }

    pub(super) fn on_no_ack(&mut self, invite: &Message) {
        let waiting =
            |leg: &Leg| leg.dialog.call_id == invite.call_id() && leg.dialog.remote_tag == invite.tag("From");
        let Some(id) = self.legs.iter().find(|(_, leg)| waiting(leg)).map(|(id, _)| *id) else {
            return;
        };
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.confirmed = true;
        }
        self.happenings.push_back(Happening::NoAck { leg: id });
    }

    /// A callee may send BYE only after the ACK (§15).
    fn send_waiting_bye(&mut self, now: Time, id: LegId) {
        if let Some(parts) = self.legs.get_mut(&id).and_then(|leg| leg.bye_wanted.take()) {
            self.hang_up(now, id, parts);
        }
    }
}
