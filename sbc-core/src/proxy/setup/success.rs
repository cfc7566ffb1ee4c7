//! A 2xx of one of the branches: it passes, it begins a dialog, it registers (RFC 3261 §16.7 items 5 and 9).

use std::net::SocketAddr;
use std::time::Duration;

use crate::count::Count;
use crate::dialog::{Answered, DialogKey, Farewell, Inside};
use crate::flow::Zone;
use crate::gauge::Held;
use crate::proxy::bindings;
use crate::proxy::farewell::{Begun, as_asked, contact};
use crate::proxy::incoming::{dialog_key, tag_of};
use crate::proxy::setup::machines::Server;
use crate::proxy::setup::{Setup, Step, with_message};
use crate::proxy::worker::After;
use crate::registration::Binding;
use crate::seal::Peer;
use crate::sip::Method;
use crate::wire::{HeaderName, Message, NameAddr, is_zero, write_unfolded};

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
        self.heard(at, response, step);
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
                let call = Answered {
                    member: self.member(at),
                    inside: self.inside(at, response, step),
                    farewell: self.farewell(at, response, step),
                    holds: self.holds(at, step),
                };
                step.worker.after.push(After::Answered { key, call });
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

    /// The call's places among those of the members that have it: the pool's side, and the other one where both
    /// are members.
    fn holds(&mut self, at: usize, step: &Step<'_>) -> [Option<Held>; 2] {
        let answering = self.branches.get_mut(at).and_then(|branch| branch.call.take());
        if self.upstream.zone != Zone::Pool {
            return [answering, None];
        }
        let calling = step.settings.member_at(self.upstream.flow.listener, self.upstream.address());
        [calling.map(|member| member.hold_unpaced()), answering]
    }

    /// The dialog that the answer begins.
    fn answered_dialog(&self, response: &Message<'_>, step: &Step<'_>) -> DialogKey {
        let tag = |name| tag_of(response, name).unwrap_or(b"");
        let (caller, callee) = (tag(HeaderName::From), tag(HeaderName::To));
        let (outside, inside) =
            if self.upstream.zone == Zone::Pool { (callee, caller) } else { (caller, callee) };
        dialog_key(&step.core.hash, response.value(HeaderName::CallId), outside, inside)
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
        let mut target = Vec::new();
        write_unfolded(&mut target, contact.uri);
        Some(Box::new(Inside {
            outside: self.upstream.flow,
            tag: step.core.hash.of(&[tag_of(response, HeaderName::To)?]),
            peer: self.branches.get(at)?.peer,
            target: target.into(),
        }))
    }

    /// How the call ends when its member is dead, where that is wanted.
    fn farewell(&self, at: usize, response: &Message<'_>, step: &mut Step<'_>) -> Option<Box<Farewell>> {
        let branch = self.branches.get(at)?;
        let is_pools = self.upstream.zone == Zone::Pool;
        let (outside, member) = match is_pools {
            true => (&branch.peer, &self.upstream.flow),
            false => (&self.upstream_peer, &branch.flow),
        };
        if is_pools == (branch.zone == Zone::Pool) || !is_released(self.member(at)?, step) {
            return None;
        }
        let (settings, hash) = (step.settings, &step.core.hash);
        let farewell = with_message(&self.request, &mut step.worker.inner_index, |invite| {
            let begun = Begun { invite: &invite, answer: response, outside, member };
            if is_pools {
                begun.ended_by_caller(settings, hash)
            } else {
                begun.ended_by_callee(settings, hash)
            }
        });
        farewell.flatten().map(Box::new)
    }

    /// The pool took a request of the dialog: its party is where that came from. Nothing less moves a
    /// dialog, or whoever knows a token could lead it away.
    fn heard(&self, at: usize, response: &Message<'_>, step: &mut Step<'_>) {
        if !self.in_dialog {
            return;
        }
        let (key, member, flow) = (self.dialog, self.member(at), self.upstream.flow);
        if self.upstream.zone == Zone::Pool {
            self.taken(response, step);
        } else {
            step.worker.after.push(After::Heard { key, member, flow });
        }
        self.retargeted(response, step);
    }

    /// The same for the pool's side: another member has the dialog now. Or the same one says what the record of it lacks:
    /// after a restart it may be of what the party outside asked first.
    fn taken(&self, response: &Message<'_>, step: &mut Step<'_>) {
        if !self.refreshes() {
            return;
        }
        let (key, member) = (self.dialog, self.upstream.address());
        let is_known = step.core.dialogs.member(key) == Some(member);
        let is_released = is_released(member, step);
        if is_known && !(is_released && step.core.dialogs.lacks_farewell(key)) {
            return;
        }
        let (target, farewell) = with_message(&self.request, &mut step.worker.inner_index, |request| {
            let farewell = is_released.then(|| as_asked(&request, response, &step.core.hash)).flatten();
            (contact(&request).unwrap_or_default(), farewell.map(Box::new))
        })
        .unwrap_or_default();
        if is_known {
            step.worker.after.extend(farewell.map(|farewell| After::Refreshed { key, farewell }));
            return;
        }
        let peer = Peer { port: 0, ..self.upstream_peer };
        let seat = step.settings.member_at(self.upstream.flow.listener, member);
        let hold = seat.map(|member| member.hold_unpaced());
        step.worker.after.push(After::Taken { key, member, peer, target, hold, farewell });
    }

    /// Whether a 2xx to it names the remote targets of its dialog anew (RFC 3261 §12.2.1.2, RFC 3311 §5.1).
    const fn refreshes(&self) -> bool {
        matches!(self.method, Some(Method::Invite | Method::Update))
    }

    /// The outside party may have given another Contact, in its request or its answer.
    fn retargeted(&self, response: &Message<'_>, step: &mut Step<'_>) {
        if !self.refreshes() {
            return;
        }
        let (key, dialogs) = (self.dialog, &step.core.dialogs);
        let is_new = |message: &Message<'_>| {
            let uri = NameAddr::parse(message.value(HeaderName::Contact)).ok()?.uri;
            dialogs.leads_elsewhere(key, uri).then(|| contact(message)).flatten()
        };
        let target = match self.upstream.zone {
            Zone::Pool => is_new(response),
            _ => with_message(&self.request, &mut step.worker.inner_index, |request| is_new(&request))
                .flatten(),
        };
        step.worker.after.extend(target.map(|target| After::Retargeted { key, target }));
    }

    fn after_success(&mut self, at: usize, response: &Message<'_>, step: &mut Step<'_>) {
        if self.method != Some(Method::Bye) {
            self.heard(at, response, step);
        }
        match self.method {
            Some(Method::Bye) => step.worker.after.push(After::Ended(self.dialog)),
            Some(Method::Register) => self.after_register(at, response, step),
            _ => {}
        }
    }

    fn after_register(&mut self, at: usize, response: &Message<'_>, step: &mut Step<'_>) {
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
                    member: self.member(at),
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

/// Whether the calls of a member are ended when it is dead.
fn is_released(member: SocketAddr, step: &Step<'_>) -> bool {
    step.settings.pool_member(member).is_some_and(|seat| seat.is_released())
}

/// Whether a REGISTER asks for its own end (RFC 3261 §10.2.2).
fn asks_to_leave(request: &Message<'_>) -> bool {
    let contact =
        request.first(HeaderName::Contact).and_then(|header| crate::wire::split(header.value).next());
    let own = contact.and_then(|item| NameAddr::parse(item.text).ok()?.params.value("expires"));
    is_zero(own.unwrap_or_else(|| request.value(HeaderName::Expires)))
}
