//! Two legs as one call: forking to a user's bindings, and what one leg's fate means to the other.

use std::net::SocketAddr;

use sbc_core::time::Time;

use super::Member;
use super::calls::Call;
use super::dialplan::{cause_of, reason};
use crate::ua::client::Invite;
use crate::ua::message::{Body, Message, address_uri, uri_address, uri_user};
use crate::ua::registrar::Binding;
use crate::ua::sdp::Kind;
use crate::ua::{LegId, LegState, Parts};

/// 3xx followed for one call.
const MAX_REDIRECTS: u8 = 5;

impl Member {
    /// Ring every binding of a user for `caller`.
    pub(super) fn call_user(&mut self, now: Time, caller: LegId, user: &str) {
        let aor = format!("{user}@{}", self.config.domain);
        let bindings: Vec<_> = self.registrar.of(now, &aor).cloned().collect();
        let is_for_edge = bindings.is_empty() || self.config.all_by_edge;
        if let (true, Some(edge)) = (is_for_edge, self.config.edge) {
            return self.call_elsewhere(now, caller, user, edge);
        }
        if bindings.is_empty() {
            let reason = "SIP;cause=806;text=\"USER_NOT_REGISTERED\"";
            return self.give_up_as(now, caller, 480, reason.into());
        }
        let reached: Vec<_> =
            bindings.iter().filter_map(|binding| self.call_binding(now, caller, user, binding)).collect();
        if reached.is_empty() {
            return self.give_up(now, caller, 480, 41);
        }
        if let Some(call) = self.calls.get_mut(&caller) {
            call.branches = reached;
        }
    }

    /// Call a user who lives on another member: the edge knows where he is.
    fn call_elsewhere(&mut self, now: Time, caller: LegId, user: &str, edge: SocketAddr) {
        let domain = self.config.domain.clone();
        let call = Invite {
            uri: format!("sip:{user}@{domain}"),
            from: self.identity_of(caller, &domain),
            to: format!("<sip:{user}@{domain}>"),
            contact: format!("<sip:mod_sofia@{}{}>", self.config.sip, self.config.asking()),
            ..self.outgoing(caller, edge)
        };
        let branch = self.start(now, caller, call, (user, Kind::Web, &domain));
        if let Some(call) = self.calls.get_mut(&caller) {
            call.branches = vec![branch];
        }
    }

    /// Call one binding; `None` when there is no address to send to.
    fn call_binding(&mut self, now: Time, caller: LegId, user: &str, binding: &Binding) -> Option<LegId> {
        let path = binding.path.first().and_then(|path| address_uri(path)).and_then(|uri| uri_address(&uri));
        let address = path.or_else(|| uri_address(&binding.contact))?;
        let kind = if binding.contact.contains("transport=ws") { Kind::Web } else { Kind::Plain };
        let domain = self.config.domain.clone();
        let call = Invite {
            uri: binding.contact.clone(),
            from: self.identity_of(caller, &domain),
            to: format!("<{}>", binding.contact),
            route: binding.path.clone(),
            contact: format!("<sip:mod_sofia@{}{}>", self.config.sip, self.config.asking()),
            // All that follows in this leg goes to the Path address too, whatever Record-Route says.
            fixed: path,
            ..self.outgoing(caller, address)
        };
        Some(self.start(now, caller, call, (user, kind, &domain)))
    }

    /// An INVITE for `caller` with what does not depend on where it goes.
    pub(super) fn outgoing(&mut self, caller: LegId, address: SocketAddr) -> Invite {
        Invite {
            uri: String::new(),
            from: String::new(),
            to: String::new(),
            call_id: self.ua.stack.ids.uuid(),
            route: Vec::new(),
            contact: String::new(),
            max_forwards: self.forwards(caller),
            address,
            fixed: None,
            parts: Parts::default(),
        }
    }

    /// Send an INVITE for `caller`; `host` is the domain of its identity.
    pub(super) fn start(
        &mut self,
        now: Time,
        caller: LegId,
        mut call: Invite,
        of: (&str, Kind, &str),
    ) -> LegId {
        let (number, kind, host) = of;
        let media = self.media().offerer();
        let extra = std::mem::take(&mut call.parts.head);
        call.parts = self.invite_parts(caller, host, media.offer(kind));
        call.parts.head.extend(extra);
        let leg = self.ua.invite(now, call);
        let mut record = Call::new(false, number.to_owned(), media, kind);
        record.caller = Some(caller);
        self.calls.insert(leg, record);
        leg
    }

    /// A called party rings.
    pub(super) fn on_progress(&mut self, now: Time, branch: LegId, message: &Message) {
        let Some(caller) = self.calls.get(&branch).and_then(|call| call.caller) else {
            return;
        };
        let Some(leg) = self.ua.leg(caller).filter(|leg| leg.state == LegState::Early) else {
            return;
        };
        let reliable = self.config.enable_100rel && leg.invite.lists("Supported", "100rel");
        let offer = leg.invite.body.clone();
        let mut parts = self.extras(caller);
        let Some(call) = self.calls.get_mut(&caller).filter(|call| !call.shown) else {
            return;
        };
        call.shown = true;
        if !self.config.ring_as_183 && message.body.is_empty() {
            return self.ua.answer(now, caller, 180, parts);
        }
        parts.body = Some(Body::sdp(call.media.answer(&offer)));
        call.sdp_given = reliable;
        if reliable {
            self.ua.answer_reliably(now, caller, 183, parts);
        } else {
            self.ua.answer(now, caller, 183, parts);
        }
    }

    /// A called party answered.
    pub(super) fn on_answered(&mut self, now: Time, branch: LegId, message: &Message) {
        let Some(caller) = self.calls.get(&branch).and_then(|call| call.caller) else {
            return self.hang_up(now, branch, Self::bye_parts(16));
        };
        let free = self.calls.get(&caller).is_some_and(|call| call.partner.is_none());
        if !free {
            return self.hang_up(now, branch, Self::bye_parts(16));
        }
        if let Some(call) = self.calls.get_mut(&branch) {
            call.answered = true;
        }
        self.bridge(caller, branch);
        self.watch_own_session(now, branch, message);
        let losers =
            self.calls.get_mut(&caller).map(|call| std::mem::take(&mut call.branches)).unwrap_or_default();
        for loser in losers.into_iter().filter(|loser| *loser != branch) {
            self.hang_up(
                now,
                loser,
                Parts::default().with("Reason", "SIP;cause=200;text=\"Call completed elsewhere\""),
            );
        }
        if self.ua.leg(caller).is_some_and(|leg| leg.state == LegState::Up) {
            self.finish_transfer(now, caller, 200);
        } else {
            self.answer(now, caller, Some(message));
        }
    }

    /// Join two legs.
    pub(super) fn bridge(&mut self, one: LegId, other: LegId) {
        for (leg, partner) in [(one, other), (other, one)] {
            if let Some(call) = self.calls.get_mut(&leg) {
                call.partner = Some(partner);
                call.caller = None;
            }
        }
    }

    /// A called party refused, or nobody was there.
    pub(super) fn on_failed(&mut self, now: Time, branch: LegId, message: Option<&Message>) {
        let Some(caller) = self.calls.remove(&branch).and_then(|call| call.caller) else {
            return;
        };
        let Some(call) = self.calls.get_mut(&caller) else {
            return;
        };
        call.branches.retain(|other| *other != branch);
        let status = message.map_or(408, Message::status);
        // The best of several failures: what a user decided comes before what merely did not work.
        if call.failure == 480 || matches!(status, 486 | 600..=699) {
            call.failure = status;
        }
        if !call.branches.is_empty() || call.partner.is_some() {
            return;
        }
        let target = message
            .filter(|message| message.status() / 100 == 3)
            .and_then(|message| message.uri_of("Contact"));
        if let Some(target) = target.filter(|_| call.redirects < MAX_REDIRECTS) {
            call.redirects += 1;
            return self.dial(now, caller, &uri_user(&target));
        }
        let status = if (300..400).contains(&call.failure) { 480 } else { call.failure };
        self.give_up(now, caller, status, cause_of(status));
    }

    /// A call leads nowhere: refuse the leg that waits, or report the failed transfer.
    pub(super) fn give_up(&mut self, now: Time, leg: LegId, status: u16, cause: u16) {
        self.give_up_as(now, leg, status, reason(cause));
    }

    fn give_up_as(&mut self, now: Time, leg: LegId, status: u16, reason: String) {
        if self.ua.leg(leg).is_some_and(|leg| leg.state == LegState::Up) {
            return self.finish_transfer(now, leg, status);
        }
        let mut parts = self.extras(leg);
        parts.head.push(("Reason".into(), reason));
        self.ua.answer(now, leg, status, parts);
        self.drop_call(now, leg);
    }
}
