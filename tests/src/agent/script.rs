//! The verbs that a test uses.

use std::net::SocketAddr;

use sbc_core::time::Time;

use super::record::Call;
use super::{Agent, By, Habit, LegId, State};
use crate::ua::client::Invite;
use crate::ua::dialog::Dialog;
use crate::ua::message::{Body, Message};
use crate::ua::sdp::{Kind, Media};
use crate::ua::{LegState, Parts};

/// A SUBSCRIBE of ours and what came of it.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) dialog: Dialog,
    pub(super) event: String,
    pub(super) token: u64,
    pub(super) status: Option<u16>,
    pub(super) notifies: usize,
}

impl Agent {
    pub(super) fn media(&mut self) -> (Media, Kind) {
        let host = self.settings.address.ip().to_string();
        // Whoever has candidates to offer speaks WebRTC.
        let is_web = self.habit == Habit::Browser || self.more_candidates > 0;
        let kind = if is_web { Kind::Web } else { Kind::Plain };
        let media = Media::new("-", &host, &mut self.ua.stack.ids);
        (media.with_more_candidates(self.more_candidates), kind)
    }

    /// Contact value in dialogs.
    pub(super) fn dialog_contact(&self) -> String {
        match self.habit {
            Habit::Browser => format!("<{};ob>", self.contact),
            Habit::Phone => format!("<{}>", self.contact),
        }
    }

    /// Where everything in a dialog goes, if not where the dialog says.
    pub(super) fn fixed(&self) -> Option<SocketAddr> {
        (self.habit == Habit::Browser).then_some(self.settings.edge)
    }

    fn own_address(&self) -> String {
        format!("<sip:{}@{}>", self.settings.user, self.settings.domain)
    }

    /// Call a URI.
    pub fn call(&mut self, now: Time, to: &str) -> LegId {
        self.call_with(now, to, to, Vec::new(), Vec::new())
    }

    /// Call a Request-URI, with a To, Route values and headers of the test's choice.
    pub fn call_with(
        &mut self,
        now: Time,
        uri: &str,
        to: &str,
        route: Vec<String>,
        headers: Vec<(String, String)>,
    ) -> LegId {
        let (media, kind) = self.media();
        let media = media.offerer();
        let call_id = self.new_call_id();
        let call = Invite {
            uri: uri.into(),
            from: self.own_address(),
            to: format!("<{to}>"),
            call_id: call_id.clone(),
            route,
            contact: self.dialog_contact(),
            max_forwards: 70,
            address: self.settings.edge,
            fixed: self.fixed(),
            parts: Parts { head: headers, ..Parts::body(Body::sdp(media.offer(kind))) },
        };
        let leg = self.ua.invite(now, call);
        self.calls.insert(leg, Call::new(false, call_id, media, kind));
        self.settle(now);
        leg
    }

    /// 180.
    pub fn ring(&mut self, now: Time, leg: LegId) {
        self.ua.answer(now, leg, 180, Parts::default());
        self.set(leg, |call| call.progress(180));
        self.settle(now);
    }

    /// 183 with SDP, reliable where the caller supports that (RFC 3262).
    pub fn ring_early(&mut self, now: Time, leg: LegId) {
        let Some(invite) = self.ua.leg(leg).map(|leg| leg.invite.clone()) else { return };
        let Some(call) = self.calls.get_mut(&leg) else { return };
        call.progress(183);
        let parts = Parts::body(Body::sdp(call.media.answer(&invite.body)));
        if invite.lists("Supported", "100rel") {
            self.ua.answer_reliably(now, leg, 183, parts);
        } else {
            self.ua.answer(now, leg, 183, parts);
        }
        self.settle(now);
    }

    /// 200 with SDP.
    pub fn answer(&mut self, now: Time, leg: LegId) {
        self.answer_with(now, leg, Vec::new());
    }

    /// 200 with SDP and headers of the test's choice.
    pub fn answer_with(&mut self, now: Time, leg: LegId, headers: Vec<(String, String)>) {
        let Some(open) = self.ua.leg(leg).filter(|leg| leg.state == LegState::Early) else {
            return;
        };
        let (invite, timer) = (open.invite.body.clone(), Self::timer_answer(&open.invite));
        let Some(call) = self.calls.get_mut(&leg) else {
            return;
        };
        call.state = State::Up;
        let parts = Parts {
            head: timer.into_iter().chain(headers).collect(),
            ..Parts::body(Body::sdp(call.media.answer(&invite)))
        };
        self.ua.answer(now, leg, 200, parts);
        self.settle(now);
    }

    /// Refuse a call that came in.
    pub fn reject(&mut self, now: Time, leg: LegId, status: u16) {
        self.ua.answer(now, leg, status, Parts::default());
        self.ended(leg, By::Us, status);
        self.settle(now);
    }

    /// Give up a call that is not answered; its record closes with the final status.
    pub fn cancel(&mut self, now: Time, leg: LegId) {
        self.set(leg, |call| call.cancelled = true);
        self.ua.hang_up(now, leg, Parts::default());
        self.settle(now);
    }

    /// Hang up, or cancel what is not answered yet.
    pub fn bye(&mut self, now: Time, leg: LegId) {
        let up = self.ua.leg(leg).is_some_and(|leg| leg.state == LegState::Up);
        self.ua.hang_up(now, leg, Parts::default());
        if up {
            self.ended(leg, By::Us, 200);
        } else {
            self.set(leg, |call| call.cancelled = true);
        }
        self.settle(now);
    }

    /// Hang up, cancel or refuse, whatever the call is at.
    pub fn leave(&mut self, now: Time, leg: LegId) {
        self.bye(now, leg);
        self.ended(leg, By::Us, 487);
    }

    /// re-INVITE with a direction: `sendonly` holds, `sendrecv` takes back. False when the call is not ready for it.
    pub fn reinvite(&mut self, now: Time, leg: LegId, direction: &str) -> bool {
        let Some(call) = self.calls.get(&leg) else {
            return false;
        };
        let parts = Parts::body(Body::sdp(call.media.directed(call.kind, direction)));
        self.inside(now, leg, "INVITE", parts)
    }

    /// Put the other side on hold.
    pub fn hold(&mut self, now: Time, leg: LegId) -> bool {
        self.reinvite(now, leg, "sendonly")
    }

    /// UPDATE without SDP.
    pub fn update(&mut self, now: Time, leg: LegId) -> bool {
        self.inside(now, leg, "UPDATE", Parts::default())
    }

    /// INFO with one DTMF digit.
    pub fn info(&mut self, now: Time, leg: LegId) -> bool {
        let text = "Signal=1\r\nDuration=100\r\n".into();
        self.inside(now, leg, "INFO", Parts::body(Body { kind: "application/dtmf-relay".into(), text }))
    }

    /// MESSAGE inside a call.
    pub fn message(&mut self, now: Time, leg: LegId, text: &str) -> bool {
        self.inside(now, leg, "MESSAGE", Parts::body(Body { kind: "text/plain".into(), text: text.into() }))
    }

    /// OPTIONS inside a call.
    pub fn options(&mut self, now: Time, leg: LegId) -> bool {
        self.inside(now, leg, "OPTIONS", Parts::default())
    }

    /// REFER the other side of `leg` to a URI (blind transfer).
    pub fn refer(&mut self, now: Time, leg: LegId, to: &str) -> bool {
        self.inside(now, leg, "REFER", self.refer_parts(format!("<{to}>")))
    }

    /// REFER the other side of `leg` to that of `other` (attended transfer, RFC 3891).
    pub fn refer_replacing(&mut self, now: Time, leg: LegId, other: LegId) -> bool {
        let Some(dialog) = self.ua.leg(other).map(|leg| &leg.dialog) else {
            return false;
        };
        let target = dialog.target.split('?').next().unwrap_or_default().to_owned();
        self.refer_replacing_at(now, leg, other, &target)
    }

    /// The same with the other party named by any URI, as JsSIP does with its address of record.
    pub fn refer_replacing_at(&mut self, now: Time, leg: LegId, other: LegId, target: &str) -> bool {
        let Some(dialog) = self.ua.leg(other).map(|leg| &leg.dialog) else {
            return false;
        };
        let replaces = format!(
            "{}%3Bto-tag%3D{}%3Bfrom-tag%3D{}",
            dialog.call_id.replace('@', "%40"),
            dialog.remote_tag,
            dialog.local_tag
        );
        self.inside(now, leg, "REFER", self.refer_parts(format!("<{target}?Replaces={replaces}>")))
    }

    fn refer_parts(&self, target: String) -> Parts {
        Parts::default().with("Refer-To", target).with("Referred-By", self.own_address())
    }

    fn inside(&mut self, now: Time, leg: LegId, method: &str, parts: Parts) -> bool {
        let up = self.ua.leg(leg).is_some_and(|leg| leg.state == LegState::Up);
        let sent = up && self.ua.request(now, leg, method, parts);
        self.settle(now);
        sent
    }

    /// A request outside any dialog, to a URI; true for a MESSAGE's text as its body.
    fn outside(&mut self, now: Time, method: &str, to: &str, parts: Parts) -> (u64, Message) {
        let call_id = self.new_call_id();
        let tag = self.ua.stack.ids.text(10);
        let mut message = Message::request(method, to);
        message.push("Max-Forwards", "70");
        message.push("From", format!("{};tag={tag}", self.own_address()));
        message.push("To", format!("<{to}>"));
        message.push("Call-ID", call_id);
        message.push("CSeq", format!("1 {method}"));
        message.push("Contact", self.dialog_contact());
        let token = self.ua.ask(now, message.clone(), self.settings.edge, parts);
        self.settle(now);
        (token, message)
    }

    /// OPTIONS outside any dialog; its reply is in the trace.
    pub fn ping(&mut self, now: Time, to: &str) {
        self.outside(now, "OPTIONS", to, Parts::default());
    }

    /// MESSAGE outside any dialog; its reply is in the trace.
    pub fn text(&mut self, now: Time, to: &str, text: &str) {
        let body = Body { kind: "text/plain".into(), text: text.into() };
        self.outside(now, "MESSAGE", to, Parts::body(body));
    }

    /// SUBSCRIBE to an event package.
    pub fn subscribe(&mut self, now: Time, to: &str, event: &str, seconds: u64) {
        let parts = Parts::default().with("Event", event).with("Expires", seconds.to_string());
        let (token, message) = self.outside(now, "SUBSCRIBE", to, parts);
        // Seen from the other side our request makes the dialog; turned round it is ours.
        let dialog = Dialog {
            call_id: message.call_id().into(),
            local: message.get("From").unwrap_or("").into(),
            local_tag: message.tag("From"),
            remote: message.get("To").unwrap_or("").into(),
            remote_tag: String::new(),
            local_seq: message.cseq() + 2,
            remote_seq: 0,
            route: Vec::new(),
            target: to.into(),
            contact: self.dialog_contact(),
            fixed: self.fixed(),
            source: self.settings.edge,
        };
        self.subscriptions.push(Subscription {
            dialog,
            event: event.into(),
            token,
            status: None,
            notifies: 0,
        });
    }

    /// Refresh the newest subscription inside its dialog, or with 0 seconds end it.
    pub fn resubscribe(&mut self, now: Time, seconds: u64) {
        let Some(subscription) = self.subscriptions.last_mut() else {
            return;
        };
        let mut message = subscription.dialog.request("SUBSCRIBE", None);
        message.push("Contact", subscription.dialog.contact.clone());
        let parts =
            Parts::default().with("Event", subscription.event.clone()).with("Expires", seconds.to_string());
        let to = subscription.dialog.next_hop();
        let token = self.ua.ask(now, message, to, parts);
        if let Some(subscription) = self.subscriptions.last_mut() {
            subscription.token = token;
            subscription.status = None;
        }
        self.settle(now);
    }

    /// Status of the last SUBSCRIBE and the number of NOTIFYs that came in its dialog.
    pub fn subscribed(&self) -> (Option<u16>, usize) {
        self.subscriptions.last().map_or((None, 0), |last| (last.status, last.notifies))
    }
}
