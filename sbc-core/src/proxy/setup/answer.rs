//! A response to one of the branches (RFC 3261 §16.7).

use crate::count::Count;
use crate::dialog::Inside;
use crate::flow::Zone;
use crate::gauge::Held;
use crate::hash::Digest;
use crate::limits;
use crate::pool::Seat;
use crate::proxy::bindings;
use crate::proxy::cancelling::{write_ack, write_ack_of_success, write_bye};
use crate::proxy::incoming::{dialog_key, tag_of};
use crate::proxy::members::note_answer;
use crate::proxy::passing::{Passing, write_response};
use crate::proxy::reply::{Reply, write_reply};
use crate::proxy::setup::{Best, Branch, Client, Server, Setup, Step, with_message};
use crate::proxy::via::collect_vias;
use crate::proxy::worker::After;
use crate::registration::Binding;
use crate::sip::Method;
use crate::transaction::{ClientResponse, NonInviteClient};
use crate::wire::{HeaderName, Message, NameAddr, write_unfolded};
use std::time::Duration;

impl Setup {
    /// A response arrived whose Via branch hashes to `branch_id`.
    pub(crate) fn on_response(&mut self, branch_id: Digest, response: &Message<'_>, step: &mut Step<'_>) {
        let Some(at) =
            self.branches.iter().position(|one| one.id == branch_id || one.extra_id == Some(branch_id))
        else {
            return;
        };
        // A CANCEL has its INVITE's branch, the BYE of an unwanted answer one of its own.
        let is_bye = self.branches[at].extra_id == Some(branch_id);
        let is_cancel = response.method_text() == b"CANCEL";
        if is_cancel && self.branches[at].extra_id.is_some() {
            return;
        }
        let is_extra = is_bye || is_cancel;
        if is_extra {
            let branch = &mut self.branches[at];
            if let Some(extra) = &mut branch.extra {
                extra.on_response(step.now, &branch.timers, response.status());
            }
        } else {
            self.on_branch_response(at, response, step);
        }
        self.settle(step);
    }

    fn on_branch_response(&mut self, at: usize, response: &Message<'_>, step: &mut Step<'_>) {
        let branch = &mut self.branches[at];
        let status = response.status();
        if let (Some(member), true) = (&branch.member, status >= 100) {
            note_answer(member, response, step.now);
        }
        if status >= 300 {
            branch.call = None;
        }
        let verdict = branch.client.on_response(step.now, &branch.timers, status);
        match verdict {
            ClientResponse::Absorb => {}
            ClientResponse::Provisional => self.on_provisional(at, response, step),
            ClientResponse::Success => self.on_success(at, response, step),
            ClientResponse::Failure => self.on_failure(at, response, step),
            ClientResponse::RepeatAck => {
                if let Client::Invite(client) = &branch.client
                    && let Some(ack) = client.ack()
                {
                    step.worker.outbox.send(branch.flow, ack);
                }
            }
        }
    }

    fn on_provisional(&mut self, at: usize, response: &Message<'_>, step: &mut Step<'_>) {
        let branch = &self.branches[at];
        if branch.cancel_wanted {
            self.send_cancel(at, step);
            return;
        }
        if branch.abandoned || branch.over {
            return;
        }
        self.settle_on(at, step);
        if self.method != Some(Method::Invite) {
            return;
        }
        if response.status() == 100 {
            if self.trying_at.is_some() {
                self.send_trying(step);
            }
            return;
        }
        self.trying_at = None;
        let bytes = self.passed(at, response, step);
        if self.has_final() {
            step.worker.spare.give(bytes);
            return;
        }
        self.send_upstream(&bytes, step);
        self.server.on_provisional(bytes);
    }

    /// This branch has spoken: whatever comes now comes from it, and the silent ones are let go.
    ///
    /// They are cancelled without a provisional response, which RFC 3261 §9.1 forbids because CANCEL might
    /// overtake its INVITE. Here the INVITE was last sent long before, and the other way is worse: where
    /// only the answers were lost, somebody's phone would ring for a caller who talks to another member.
    fn settle_on(&mut self, at: usize, step: &mut Step<'_>) {
        self.next_attempt_at = None;
        for other in (0..self.branches.len()).filter(|other| *other != at) {
            let branch = &mut self.branches[other];
            if branch.over || branch.abandoned {
                continue;
            }
            branch.abandoned = true;
            branch.client.stop_retransmitting();
            if branch.client.is_invite() && branch.extra.is_none() {
                self.send_cancel(other, step);
            }
        }
    }

    fn on_success(&mut self, at: usize, response: &Message<'_>, step: &mut Step<'_>) {
        self.next_attempt_at = None;
        self.trying_at = None;
        self.branches[at].over = true;
        if self.method != Some(Method::Invite) {
            self.settle_on(at, step);
            self.after_success(at, response, step);
            let bytes = self.passed(at, response, step);
            self.finish(bytes, step);
            return;
        }
        self.heard(at, step);
        let is_late =
            self.winner.is_some_and(|winner| winner != at) || (self.winner.is_none() && self.has_final());
        if is_late {
            self.end_unwanted(at, response, step);
            return;
        }
        if self.winner.replace(at).is_none() {
            self.cancel_others(at, step);
            if !self.in_dialog {
                let key = self.answered_dialog(response, step);
                let inside = self.inside(at, response, step);
                let member = self.member(at);
                let holds = self.holds(at, step);
                step.worker.after.push(After::Answered { key, member, inside, holds });
            }
        }
        let bytes = self.passed(at, response, step);
        if let Server::Invite(server) = &mut self.server
            && server.on_success(step.now, &self.server_timers)
        {
            self.send_upstream(&bytes, step);
        }
        step.worker.spare.give(bytes);
    }

    /// The call's places among those of the members that have it: of the one that answered, and of one
    /// that called.
    fn holds(&mut self, at: usize, step: &Step<'_>) -> [Option<Held>; 2] {
        let answering = self.branches.get_mut(at).and_then(|branch| branch.call.take());
        let from_pool = (self.upstream.zone == Zone::Pool).then_some(self.upstream.flow.remote);
        let calling = from_pool.and_then(|address| step.settings.pools.member_at(address));
        [answering, calling.map(|member| member.hold_call(step.now))]
    }

    /// The dialog's outside tag is in From of a call from outside, in To of one from the pool.
    fn answered_dialog(&self, response: &Message<'_>, step: &Step<'_>) -> crate::dialog::DialogKey {
        if self.upstream.zone != Zone::Pool {
            return self.dialog;
        }
        let tag = tag_of(response, HeaderName::To).unwrap_or(b"");
        dialog_key(&step.core.hash, response.value(HeaderName::CallId), tag)
    }

    /// The pool's side of the call.
    fn member(&self, at: usize) -> Option<std::net::SocketAddr> {
        if self.upstream.zone == Zone::Pool {
            return Some(self.upstream.flow.remote);
        }
        self.branches.get(at).filter(|branch| branch.zone == Zone::Pool).map(|branch| branch.flow.remote)
    }

    /// For callers from outside that will not follow our Contact.
    fn inside(&self, at: usize, response: &Message<'_>, step: &Step<'_>) -> Option<Box<Inside>> {
        if self.upstream.zone == Zone::Pool {
            return None;
        }
        let contact = NameAddr::parse(response.value(HeaderName::Contact)).ok()?;
        Some(Box::new(Inside {
            outside: self.upstream.flow,
            tag: step.core.hash.of(&[tag_of(response, HeaderName::To)?]),
            peer: self.branches.get(at)?.peer,
            target: contact.uri.into(),
        }))
    }

    fn on_failure(&mut self, at: usize, response: &Message<'_>, step: &mut Step<'_>) {
        let branch = &mut self.branches[at];
        if let Client::Invite(client) = &mut branch.client {
            let mut ack = step.worker.spare.take();
            if let Some(sent) = client.request() {
                with_message(sent, &mut step.worker.inner_index, |request| {
                    write_ack(&request, response, &mut ack)
                });
            }
            step.worker.outbox.send(branch.flow, &ack);
            client.set_ack(ack);
        }
        let was_waited_for = !branch.abandoned && !branch.over;
        branch.over = true;
        if !was_waited_for {
            return;
        }
        let status = response.status();
        if self.method == Some(Method::Bye) && matches!(status, 408 | 481) {
            step.worker.after.push(After::Ended(self.dialog));
        }
        if status == 408 && self.method != Some(Method::Invite) {
            // RFC 4320 §4.2: it would only come too late.
            if !self.others_may_answer() {
                self.give_up(step);
            }
            return;
        }
        self.keep_if_better(at, response, step);
        if self.goes_on(status, response) && self.others_may_answer() {
            step.core.counters.add(Count::Failovers);
            self.try_another(step);
        } else {
            self.settle_on(at, step);
            self.conclude(step);
        }
    }

    /// Whether this failure lets the next target be tried.
    ///
    /// A member's 503 about itself does (FreeSWITCH at its limit says no more than Retry-After); one
    /// with a Reason speaks of the call beyond it, and any other member would meet the same.
    fn goes_on(&self, status: u16, response: &Message<'_>) -> bool {
        if self.cancelled {
            return false;
        }
        match &self.plan {
            super::Plan::Pool { .. } => status == 503 && response.first(HeaderName::Reason).is_none(),
            super::Plan::Bindings { .. } => status < 600,
            super::Plan::Peer { .. } => false,
        }
    }

    /// Whether anybody is left to try, or was asked and has not spoken.
    fn others_may_answer(&self) -> bool {
        self.plan.has_more() || self.branches.iter().any(|branch| !branch.over && !branch.abandoned)
    }

    fn try_another(&mut self, step: &mut Step<'_>) {
        if self.plan.has_more() {
            self.attempt_again(step);
        }
    }

    fn keep_if_better(&mut self, at: usize, response: &Message<'_>, step: &mut Step<'_>) {
        let status = response.status();
        if self.best.as_ref().is_some_and(|best| rank(best.status) <= rank(status)) {
            return;
        }
        let bytes = if status == 503 && self.upstream.zone != Zone::Pool {
            self.instead_of_503(response, step)
        } else {
            self.passed(at, response, step)
        };
        if let Some(old) = self.best.replace(Best { status, bytes }) {
            step.worker.spare.give(old.bytes);
        }
    }

    /// RFC 3261 §16.7 item 6: a member's 503 and its Retry-After speak of that member, and a caller would
    /// take them for ours. What it said of the call beyond it becomes a 500.
    fn instead_of_503(&self, response: &Message<'_>, step: &mut Step<'_>) -> Vec<u8> {
        let reason = response.first(HeaderName::Reason).map(|header| String::from_utf8_lossy(header.value));
        let (status, extra) = match reason {
            Some(reason) => (500, format!("Reason: {reason}\r\n")),
            None => (503, format!("Retry-After: {}\r\n", limits::RETRY_AFTER_SECONDS)),
        };
        let mut out = step.worker.spare.take();
        with_message(&self.request, &mut step.worker.inner_index, |request| {
            let reply = Reply { status, reason: None, extra: &extra };
            write_reply(&request, self.upstream.source, &reply, &step.core.hash, &mut out);
        });
        out
    }

    /// Answer with the best there was.
    pub(super) fn conclude(&mut self, step: &mut Step<'_>) {
        self.cancel_others(usize::MAX, step);
        if let Some(best) = self.best.take() {
            self.finish(best.bytes, step);
        }
    }

    /// A 2xx that nobody waits for: take it and end it, so that no ghost of a call stays at the member.
    fn end_unwanted(&mut self, at: usize, response: &Message<'_>, step: &mut Step<'_>) {
        let branch = &mut self.branches[at];
        let Some(listener) = step.settings.listener(branch.flow.listener) else { return };
        let branch_of = |what: &[u8]| {
            let digest = step.settings.stable.of(&[what, &branch.id.to_be_bytes()]);
            format!("z9hG4bK{digest:032x}")
        };
        let mut ack = step.worker.spare.take();
        let ours = |uri: &crate::wire::Uri<'_>| step.settings.is_ours(uri);
        write_ack_of_success(
            response,
            listener,
            branch.flow.port,
            branch_of(b"ack").as_bytes(),
            &ours,
            &mut ack,
        );
        step.worker.outbox.send(branch.flow, &ack);
        step.worker.spare.give(ack);
        if branch.extra_id.is_some() {
            return;
        }
        step.core.counters.add(Count::LateAnswers);
        let bye_branch = branch_of(b"bye");
        let mut bye = step.worker.spare.take();
        write_bye(response, listener, branch.flow.port, bye_branch.as_bytes(), &ours, &mut bye);
        step.worker.outbox.send(branch.flow, &bye);
        let id = step.core.hash.of(&[b"branch", bye_branch.as_bytes(), response.value(HeaderName::CallId)]);
        branch.extra_id = Some(id);
        branch.extra = Some(NonInviteClient::new(step.now, &branch.timers, bye));
        step.worker.after.push(After::Link(id));
    }

    /// The response as it goes to the caller.
    fn passed(&self, at: usize, response: &Message<'_>, step: &mut Step<'_>) -> Vec<u8> {
        let branch = &self.branches[at];
        let mut out = step.worker.spare.take();
        let mut vias = step.worker.spare.take();
        let edits = &mut step.worker.edits;
        with_message(&self.request, &mut step.worker.inner_index, |request| {
            if self.upstream.zone == Zone::Pool && branch.zone != Zone::Pool {
                collect_vias(&request, &mut vias);
            }
            let passing = Passing {
                response: *response,
                request: Some(request),
                from: branch.peer,
                from_zone: branch.zone,
                challenger: challenger(branch),
                to_zone: self.upstream.zone,
                to_flow: self.upstream.flow,
                to_source: self.upstream.source,
                hidden_vias: &vias,
            };
            write_response(&passing, step.settings, edits, &mut out);
        });
        step.worker.spare.give(vias);
        out
    }

    /// The pool took a request of the dialog: its party is where that came from. Nothing less moves a
    /// dialog, or whoever knows a token could lead it away.
    fn heard(&self, at: usize, step: &mut Step<'_>) {
        if self.in_dialog && self.upstream.zone != Zone::Pool {
            let (key, member, flow) = (self.dialog, self.member(at), self.upstream.flow);
            step.worker.after.push(After::Heard { key, member, flow });
        }
    }

    fn after_success(&mut self, at: usize, response: &Message<'_>, step: &mut Step<'_>) {
        if self.method != Some(Method::Bye) {
            self.heard(at, step);
        }
        match self.method {
            Some(Method::Bye) => step.worker.after.push(After::Ended(self.dialog)),
            Some(Method::Register) => self.after_register(response, step),
            _ => {}
        }
    }

    fn after_register(&mut self, response: &Message<'_>, step: &mut Step<'_>) {
        let Some(registers) = self.registers else { return };
        let found = with_message(&self.request, &mut step.worker.inner_index, |request| {
            let uri = bindings::contact_uri(&request)?;
            let seconds = bindings::granted(response, uri).filter(|_| !asks_to_leave(&request))?;
            let mut contact = Vec::new();
            write_unfolded(&mut contact, uri);
            let mut name = Vec::new();
            write_unfolded(&mut name, NameAddr::parse(request.value(HeaderName::To)).ok()?.uri);
            Some((contact, name, seconds))
        });
        match found.flatten() {
            Some((contact, name, seconds)) if seconds > 0 => {
                step.core.counters.add(Count::Registered);
                let binding = Box::new(Binding {
                    aor: registers.aor,
                    name: name.into(),
                    flow: self.upstream.flow,
                    path: registers.path,
                    contact: contact.into(),
                    expires: step.now + Duration::from_secs(seconds),
                    closed: None,
                    refreshed: step.now,
                    generation: 0,
                });
                step.worker.after.push(After::Registered { id: registers.binding, binding });
            }
            _ => step.worker.after.push(After::Unregistered(registers.binding)),
        }
    }
}

/// Whether a REGISTER asks for its own end (RFC 3261 §10.2.2).
fn asks_to_leave(request: &Message<'_>) -> bool {
    let contact =
        request.first(HeaderName::Contact).and_then(|header| crate::wire::split(header.value).next());
    let own = contact.and_then(|item| NameAddr::parse(item.text).ok()?.params.value("expires"));
    own.unwrap_or_else(|| request.value(HeaderName::Expires)) == b"0"
}

/// Challenges are marked where more than one member could get the answer.
fn challenger(branch: &Branch) -> Option<std::net::SocketAddr> {
    branch.member.as_ref().filter(|member| member.has_others()).map(Seat::address)
}

/// Smaller is better (RFC 3261 §16.7 item 6): 6xx, then what the caller can act on, and a 503 last.
fn rank(status: u16) -> u16 {
    match status {
        600..=699 => 0,
        401 | 407 | 415 | 420 | 422 | 484 => 1,
        503 => 1000,
        408 => 900,
        other => other,
    }
}
