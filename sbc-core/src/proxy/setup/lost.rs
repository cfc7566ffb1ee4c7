//! A connection closed while something that was said over it had no answer (RFC 3261 §16.9, §17.1.4 and §18.4, RFC
//! 5626 §5.3): it may never have been read, or its answer be lost with the connection. Nothing repeats it, for the
//! transport was a reliable one.
//!
//! It follows its party to the next connection, byte for byte: by its branch the party tells a repetition from another
//! request, and what rings already goes on ringing. A party that does not come back in time has failed.

use crate::count::Count;
use crate::flow::{ConnectionId, Flow, Zone, is_stream};
use crate::hash::Digest;
use crate::limits;
use crate::proxy::reach::Reach;
use crate::proxy::reply::Reply;
use crate::proxy::setup::{Branch, Setup, Step, Waiting};
use crate::proxy::worker::After;
use crate::seal::BindingId;
use crate::sip::Method;
use crate::time::Time;
use crate::transaction::NonInviteClient;

impl Setup {
    /// What goes to this branch has no answer: whoever hears that the way there is gone shall find it.
    pub(super) fn remember(&mut self, at: usize, step: &mut Step<'_>) {
        let Some(branch) = self.branches.get_mut(at) else { return };
        if let Some(member) = &branch.member {
            return member.sent(step.id, branch.flow.listener, step.now);
        }
        if !is_told_of(&branch.flow, step) {
            if !self.in_dialog {
                step.core.directory.asked(&branch.flow, step.id);
            }
            return;
        }
        if branch.is_remembered {
            return;
        }
        branch.is_remembered = step.core.directory.sent(&branch.flow, step.id);
        if let (false, Some(connection)) = (branch.is_remembered, branch.flow.connection) {
            // It closed since somebody looked.
            step.worker.after.push(After::Closed(connection));
        }
    }

    /// The flow that a branch is reached over now. False where its connection is gone.
    pub(super) fn find_again(&mut self, at: usize, step: &mut Step<'_>) -> bool {
        let branch = &self.branches[at];
        let Some(flow) = step.core.reply_flow(branch.flow, &branch.peer, step.settings) else { return false };
        if flow != branch.flow {
            self.forget_flow(at, step);
            self.branches[at].flow = flow;
            self.remember(at, step);
        }
        true
    }

    /// Nobody need find it any more.
    pub(super) fn forget_flow(&mut self, at: usize, step: &Step<'_>) {
        let Some(branch) = self.branches.get_mut(at) else { return };
        if std::mem::take(&mut branch.is_remembered) {
            step.core.directory.answered(&branch.flow, step.id);
        }
    }

    /// A response came: the branch is not lost, and may owe nothing any more.
    pub(super) fn was_heard(&mut self, at: usize, step: &mut Step<'_>) {
        self.stop_awaiting(at, step);
        if self.branches.get(at).is_some_and(|branch| branch.is_remembered && !branch.owes()) {
            self.forget_flow(at, step);
        }
    }

    pub(super) fn stop_awaiting(&mut self, at: usize, step: &mut Step<'_>) {
        let lost = self.branches.get_mut(at).and_then(|branch| branch.lost.take());
        step.worker.after.extend(lost.map(|lost| After::StopWaiting(lost.key)));
    }

    /// A connection closed. `reads`: its party did not owe so much that it cannot have read any more.
    pub(crate) fn on_closed(&mut self, connection: ConnectionId, reads: bool, step: &mut Step<'_>) {
        let is_kept = self.in_dialog || self.method == Some(Method::Invite);
        let may_wait = is_kept || (reads && self.request.len() <= limits::FOLLOWING_BYTES);
        for at in 0..self.branches.len() {
            let branch = &mut self.branches[at];
            if branch.flow.connection == Some(connection) && branch.lost.is_none() {
                branch.is_remembered = false;
                if branch.owes() {
                    self.flow_is_lost(at, may_wait, step);
                }
            }
        }
        self.answer_if_cancelled(step);
        self.settle(step);
    }

    /// A party has registered over another connection than the one it was reached by. RFC 5626 §5.3: that is its flow
    /// from now on, and the other is not waited for.
    pub(crate) fn on_moved(&mut self, binding: BindingId, from: Flow, flow: Flow, step: &mut Step<'_>) {
        for at in 0..self.branches.len() {
            let branch = &self.branches[at];
            let is_there = branch.flow == from && branch.peer.binding == Some(binding);
            if is_there && branch.owes() && branch.sent_again < limits::SENT_AGAIN {
                self.follow(at, flow, step);
            }
        }
        self.settle(step);
    }

    fn flow_is_lost(&mut self, at: usize, may_wait: bool, step: &mut Step<'_>) {
        match self.where_it_is(at, step) {
            Reach::Wait { .. } if !may_wait => self.flow_is_dead(at, step),
            _ if self.branches[at].sent_again >= limits::SENT_AGAIN => self.flow_is_dead(at, step),
            Reach::Flow(flow) => self.follow(at, flow, step),
            Reach::Wait { key, until } if step.core.directory.wait(key, step.id) => {
                // Whoever asked for anything but a call waits no longer than 64*T1 himself.
                let is_call = self.method == Some(Method::Invite);
                let until = if is_call { until } else { until.min(self.patience) };
                self.branches[at].lost = Some(Waiting { key, until });
                // It may have come back between the look and the wait.
                if let Reach::Flow(flow) = self.where_it_is(at, step) {
                    step.core.directory.stop_waiting(key, step.id);
                    self.branches[at].lost = None;
                    self.follow(at, flow, step);
                }
            }
            Reach::Wait { .. } | Reach::Dead => self.flow_is_dead(at, step),
        }
    }

    fn where_it_is(&self, at: usize, step: &Step<'_>) -> Reach {
        let dialog = (self.in_dialog && self.upstream.zone == Zone::Pool).then_some(self.dialog);
        let peer = &self.branches[at].peer;
        let reach = step.core.reach(peer, dialog, step.settings, step.now);
        let is_open = |connection| step.core.directory.connection(connection).is_some();
        match (reach, peer.binding) {
            // Its connection is just closing, and the binding is not marked yet.
            (Reach::Flow(Flow { connection: Some(connection), .. }), binding) if !is_open(connection) => {
                let until = step.now + limits::FLOW_RETURN;
                binding.map_or(Reach::Dead, |binding| Reach::Wait { key: binding.0, until })
            }
            (reach, _) => reach,
        }
    }

    /// What was waited for under `key` is back at `flow`.
    pub(super) fn follow_to(&mut self, key: Digest, flow: Flow, step: &mut Step<'_>) {
        for at in 0..self.branches.len() {
            if self.branches[at].lost.take_if(|lost| lost.key == key).is_some() {
                step.core.counters.add(Count::FlowReturned);
                self.follow(at, flow, step);
            }
        }
    }

    /// The party is reached over another flow now: what it owes an answer to is said once more.
    fn follow(&mut self, at: usize, flow: Flow, step: &mut Step<'_>) {
        let transport = |flow: &Flow| step.settings.listener(flow.listener).map(|one| one.transport);
        if transport(&flow) != transport(&self.branches[at].flow) {
            // The Via in it says another one.
            return self.flow_is_dead(at, step);
        }
        self.forget_flow(at, step);
        let is_wanted = !self.has_final() && !self.cancelled;
        let branch = &mut self.branches[at];
        branch.flow = flow;
        branch.sent_again += 1;
        let is_wanted = is_wanted && !branch.over && !branch.abandoned && !branch.cancel_wanted;
        for extra in branch.extras().filter(|extra| !extra.has_final()) {
            step.core.counters.add(Count::SentAgain);
            step.worker.outbox.send(flow, extra.request().unwrap_or_default());
        }
        if !branch.client.has_final() {
            if is_wanted && branch.cancel.is_none() {
                step.core.counters.add(Count::SentAgain);
                step.worker.outbox.send(flow, branch.client.request().unwrap_or_default());
            } else if branch.client.is_invite() && branch.cancel.is_none() {
                self.send_cancel(at, step);
            }
        }
        self.remember(at, step);
    }

    /// Flows that are waited for no longer.
    pub(super) fn end_waits(&mut self, step: &mut Step<'_>) {
        for at in 0..self.branches.len() {
            if self.branches[at].lost.is_some_and(|lost| lost.until <= step.now) {
                self.flow_is_dead(at, step);
            }
        }
    }

    /// The party does not come back (RFC 5626 §5.3.1). If it does later, what rings there for nobody is cancelled.
    fn flow_is_dead(&mut self, at: usize, step: &mut Step<'_>) {
        step.core.counters.add(Count::FlowDead);
        self.cancel_branch(at, step);
        let branch = &mut self.branches[at];
        let was_waited_for = !branch.over && !branch.abandoned && !branch.client.has_final();
        branch.over = true;
        if branch.client.is_invite() && !branch.client.has_final() {
            branch.lost = branch.lost.map(|lost| Waiting { until: Time::NEVER, ..lost });
        } else {
            self.stop_awaiting(at, step);
        }
        if was_waited_for && !self.tries_next(step) {
            self.nobody_answers(Self::answer_for_the_lost, step);
        }
    }

    /// A dialog whose other side is gone may end in peace; anything else has failed.
    pub(super) fn answer_for_the_lost(&mut self, step: &mut Step<'_>) {
        if self.method == Some(Method::Bye) {
            step.worker.after.push(After::Ended(self.dialog));
            self.answer(&Reply::status(200), step);
        } else {
            self.answer(&Reply::status(430), step);
        }
    }

    /// A caller that gave up need not wait for those who are away.
    pub(super) fn answer_if_cancelled(&mut self, step: &mut Step<'_>) {
        let is_away = |branch: &Branch| branch.over || branch.lost.is_some();
        if self.cancelled && !self.has_final() && self.branches.iter().all(is_away) {
            self.answer(&Reply::status(487), step);
        }
    }
}

impl Branch {
    /// Something that was said to it has no final answer.
    fn owes(&self) -> bool {
        let waits = !self.client.has_final() && !self.client.is_terminated();
        waits || self.extras().any(|extra| !NonInviteClient::has_final(extra) && !extra.is_terminated())
    }
}

/// Whether we hear of it when this way is gone: connections close, and servers tell by ICMP. What networks say of
/// phones at the addresses of strangers is nothing to go by.
fn is_told_of(flow: &Flow, step: &Step<'_>) -> bool {
    let listener = step.settings.listener(flow.listener);
    flow.connection.is_some()
        || listener.is_some_and(|one| one.zone != Zone::Public || is_stream(one.transport))
}
