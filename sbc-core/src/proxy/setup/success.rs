//! A 2xx of one of the branches: it passes, it begins a dialog, it registers (RFC 3261 §16.7 items 5 and 9).

use std::net::SocketAddr;
use std::time::Duration;

use crate::count::Count;
use crate::dialog::{DialogKey, Inside};
use crate::flow::Zone;
use crate::gauge::Held;
use crate::proxy::bindings;
use crate::proxy::incoming::{dialog_key, tag_of};
use crate::proxy::setup::machines::Server;
use crate::proxy::setup::{Setup, Step, with_message};
use crate::proxy::worker::After;
use crate::registration::Binding;
use crate::seal::Peer;
use crate::sip::Method;
use crate::wire::{HeaderName, Message, NameAddr, write_unfolded};

/// Why the others are cancelled: no phone shall show a missed call (RFC 3326 §2).
const ANSWERED_ELSEWHERE: &[u8] = b"SIP;cause=200;text=\"Call completed elsewhere\"";

impl Setup {
    pub(super) fn on_success(&mut self, at: usize, response: &Message<'_>, step: &mut Step<'_>) {
        self.next_attempt_at = None;
        self.trying_at = None;
        self.branches[at].over = true;
        if self.method != Some(Method::Invite) {
            if !self.plan.forks() {
                self.settle_on(at, step);
            }
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
            self.give_up_others(ANSWERED_ELSEWHERE, step);
            if !self.in_dialog {
                let key = self.answered_dialog(response, step);
                let inside = self.inside(at, response, step);
                let member = self.member(at);
                let holds = self.holds(at, step);
                step.worker.after.push(After::Answered { key, member, inside, holds });
                let permits = std::mem::take(&mut self.ruled.permits);
                if !permits.is_empty() {
                    step.worker.after.push(After::Hold { key, permits });
                }
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
    fn answered_dialog(&self, response: &Message<'_>, step: &Step<'_>) -> DialogKey {
        if self.upstream.zone != Zone::Pool {
            return self.dialog;
        }
        let tag = tag_of(response, HeaderName::To).unwrap_or(b"");
        dialog_key(&step.core.hash, response.value(HeaderName::CallId), tag)
    }

    /// The pool's side of the call.
    fn member(&self, at: usize) -> Option<SocketAddr> {
        if self.upstream.zone == Zone::Pool {
            return Some(self.upstream.address());
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

    /// The pool took a request of the dialog: its party is where that came from. Nothing less moves a
    /// dialog, or whoever knows a token could lead it away.
    fn heard(&self, at: usize, step: &mut Step<'_>) {
        if !self.in_dialog {
            return;
        }
        let (key, member, flow) = (self.dialog, self.member(at), self.upstream.flow);
        if self.upstream.zone == Zone::Pool {
            self.taken(step);
        } else {
            step.worker.after.push(After::Heard { key, member, flow });
        }
    }

    /// The same for the pool's side: another member has the dialog now.
    fn taken(&self, step: &mut Step<'_>) {
        let (key, member) = (self.dialog, self.upstream.address());
        let refreshes = matches!(self.method, Some(Method::Invite | Method::Update));
        if !refreshes || step.core.dialogs.member(key) == Some(member) {
            return;
        }
        let target = with_message(&self.request, &mut step.worker.inner_index, |request| {
            NameAddr::parse(request.value(HeaderName::Contact))
                .map_or(Box::default(), |contact| contact.uri.into())
        });
        let (peer, target) = (Peer { port: 0, ..self.upstream_peer }, target.unwrap_or_default());
        step.worker.after.push(After::Taken { key, member, peer, target });
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
            Some((contact, name, bindings::preference(&request), seconds))
        });
        match found.flatten() {
            Some((contact, name, q, seconds)) if seconds > 0 => {
                step.core.counters.add(Count::Registered);
                let binding = Box::new(Binding {
                    aor: registers.aor,
                    name: name.into(),
                    flow: self.upstream.flow,
                    path: registers.path,
                    contact: contact.into(),
                    q,
                    expires: step.now + Duration::from_secs(seconds),
                    order: registers.order,
                    closed: None,
                    refreshed: step.now,
                    generation: 0,
                });
                step.worker.after.push(After::Registered { id: registers.binding, binding });
            }
            _ => {
                let (id, order) = (registers.binding, registers.order);
                step.worker.after.push(After::Unregistered { id, order });
            }
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
