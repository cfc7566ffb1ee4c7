//! A response to one of the branches (RFC 3261 §16.7).

use std::net::SocketAddr;

use crate::flow::Zone;
use crate::hash::Digest;
use crate::pool::Seat;
use crate::proxy::incoming::tag_of;
use crate::proxy::members::note_answer;
use crate::proxy::passing::{Passing, write_response};
use crate::proxy::setup::machines::Client;
use crate::proxy::setup::{Branch, Setup, Step, with_message};
use crate::proxy::via::collect_vias;
use crate::sip::Method;
use crate::transaction::ClientResponse;
use crate::wire::{HeaderName, Message};

impl Setup {
    /// A response arrived whose Via branch hashes to `branch_id`.
    pub(crate) fn on_response(&mut self, branch_id: Digest, response: &Message<'_>, step: &mut Step<'_>) {
        let is_of =
            |branch: &Branch| branch.id == branch_id || branch.unwanted.iter().any(|one| one.id == branch_id);
        let Some(at) = self.branches.iter().position(is_of) else { return };
        let (now, status) = (step.now, response.status());
        let branch = &mut self.branches[at];
        if let Some(one) = branch.unwanted.iter_mut().find(|one| one.id == branch_id) {
            one.bye.on_response(now, &branch.timers, status);
        } else if response.method_text() == b"CANCEL" {
            // It has the branch of its INVITE.
            if let Some(cancel) = &mut branch.cancel {
                cancel.on_response(now, &branch.timers, status);
                branch.cancel_missed = status == 481;
            }
        } else {
            self.on_branch_response(at, response, step);
        }
        self.was_heard(at, step);
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
        if matches!(verdict, ClientResponse::Success | ClientResponse::Failure) {
            self.learn(at, response, step);
        }
        match verdict {
            ClientResponse::Absorb => {}
            ClientResponse::Provisional => self.on_provisional(at, response, step),
            ClientResponse::Success => self.on_success(at, response, step),
            ClientResponse::Failure => self.on_failure(at, response, step),
            ClientResponse::RepeatAck => {
                let branch = &self.branches[at];
                if let Client::Invite(client) = &branch.client
                    && let Some(ack) = client.ack()
                {
                    step.worker.outbox.send(branch.flow, ack);
                }
            }
        }
    }

    fn on_provisional(&mut self, at: usize, response: &Message<'_>, step: &mut Step<'_>) {
        let branch = &mut self.branches[at];
        if branch.cancel_wanted {
            self.send_cancel(at, step);
            return;
        }
        if branch.abandoned || branch.over {
            self.cancel_unheard(at, step);
            return;
        }
        branch.rang |= response.status() > 100 && tag_of(response, HeaderName::To).is_some();
        if self.plan.forks() {
            self.next_attempt_at = None;
        } else {
            self.settle_on(at, step);
        }
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
    pub(super) fn settle_on(&mut self, at: usize, step: &mut Step<'_>) {
        self.next_attempt_at = None;
        for other in (0..self.branches.len()).filter(|other| *other != at) {
            let branch = &mut self.branches[other];
            if branch.over || branch.abandoned {
                continue;
            }
            branch.abandoned = true;
            branch.client.stop_retransmitting();
            if branch.client.is_invite() && branch.cancel.is_none() {
                self.send_cancel(other, step);
            }
        }
    }

    /// The response as it goes to the caller.
    pub(super) fn passed(&self, at: usize, response: &Message<'_>, step: &mut Step<'_>) -> Vec<u8> {
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
}

/// Challenges are marked where more than one member could get the answer.
fn challenger(branch: &Branch) -> Option<SocketAddr> {
    branch.member.as_ref().filter(|member| member.has_others()).map(Seat::address)
}
