//! The connection of a client is gone, and with it the answers that it owed (RFC 3261 §17.1.4).
//!
//! A request inside a dialog is sent again over the peer's next connection, as one that comes while he is away is. Any other
//! has failed, and its sender may ask again: what a client never reads must not be kept. An INVITE is left as it is, since
//! whoever rings answers over the next connection, too.

use crate::count::Count;
use crate::flow::ConnectionId;
use crate::hash::Digest;
use crate::proxy::reach::Reach;
use crate::proxy::reply::Reply;
use crate::proxy::setup::plan::Next;
use crate::proxy::setup::{Branch, Plan, Setup, Step};
use crate::proxy::worker::After;
use crate::seal::Peer;
use crate::sip::Method;

impl Setup {
    /// What is kept of a request that just left. Over a client's connection nothing repeats it: when that closes, it is
    /// written anew. The connection owes an answer from now on.
    pub(super) fn keep_sent(&self, next: &Next, bytes: Vec<u8>, step: &mut Step<'_>) -> Vec<u8> {
        let Some(connection) = next.flow.connection.filter(|_| self.method != Some(Method::Invite)) else {
            return bytes;
        };
        step.core.directory.sent_over(connection, step.id);
        step.worker.spare.give(bytes);
        Vec::new()
    }

    /// A connection is gone. The key under which the peer's return is announced, where that is waited for.
    pub(crate) fn on_closed(&mut self, connection: ConnectionId, step: &mut Step<'_>) -> Option<Digest> {
        let is_owed = |branch: &Branch| branch.flow.connection == Some(connection) && owes(branch);
        if !self.branches.iter().any(is_owed) || self.has_final() || self.waiting.is_some() {
            return None;
        }
        match &self.plan {
            Plan::Peer { peer, .. } if self.in_dialog => {
                let peer = *peer;
                self.wait_for_return(&peer, step);
            }
            Plan::Peer { .. } => self.answer_for_the_gone(step),
            Plan::Pool { .. } | Plan::Bindings(_) => {
                for branch in self.branches.iter_mut().filter(|branch| is_owed(branch)) {
                    branch.over = true;
                    branch.client.on_transport_error();
                }
                if !self.tries_next(step) {
                    self.nobody_answers(step);
                }
            }
        }
        self.settle(step);
        self.waiting.map(|waiting| waiting.key)
    }

    /// It may come after all, over the next connection: until that is here, the transaction stays open.
    fn wait_for_return(&mut self, peer: &Peer, step: &mut Step<'_>) {
        match step.core.reach(peer, self.dialog_key(), step.settings, step.now) {
            Reach::Flow(flow) => {
                self.forget_unanswered(step);
                if let Plan::Peer { flow: known, .. } = &mut self.plan {
                    *known = Some(flow);
                }
                self.attempt_again(step);
            }
            Reach::Wait { key, until } if step.core.directory.wait(key, step.id) => {
                // Its caller does not wait longer.
                self.wait(key, until.min(self.patience));
            }
            Reach::Wait { .. } | Reach::Dead => self.answer_for_the_gone(step),
        }
    }

    fn nobody_answers(&mut self, step: &mut Step<'_>) {
        if self.best.is_some() {
            self.conclude(step);
        } else {
            step.core.counters.add(Count::NoTarget);
            self.answer(&Reply::status(480), step);
        }
    }

    /// An answer came, by whatever way: the peer's return is not waited for any more.
    pub(super) fn stop_waiting_for_return(&mut self, step: &mut Step<'_>) {
        if let Some(waiting) = self.waiting.take() {
            step.worker.after.push(After::StopWaiting(waiting.key));
        }
    }

    /// Branches that nobody answers are over.
    pub(super) fn end_unanswered(&mut self) {
        for branch in self.branches.iter_mut().filter(|branch| owes(branch)) {
            branch.over = true;
            branch.client.on_transport_error();
        }
    }

    /// They are taken out, since the same request is sent again.
    pub(super) fn forget_unanswered(&mut self, step: &mut Step<'_>) {
        let (after, directory, id) = (&mut step.worker.after, &step.core.directory, step.id);
        self.branches.retain(|branch| {
            let is_gone = owes(branch);
            if is_gone {
                after.push(After::Unlink(branch.id));
                branch.flow.connection.into_iter().for_each(|one| directory.settled_over(one, id));
            }
            !is_gone
        });
    }

    /// Connections that it was sent over owe it nothing any more.
    pub(super) fn stop_owing(&self, step: &Step<'_>) {
        if self.method == Some(Method::Invite) {
            return;
        }
        for connection in self.branches.iter().filter_map(|branch| branch.flow.connection) {
            step.core.directory.settled_over(connection, step.id);
        }
    }
}

/// Whether a client owes an answer to this branch.
fn owes(branch: &Branch) -> bool {
    let is_answered = branch.over || branch.client.has_final() || branch.client.is_terminated();
    branch.flow.connection.is_some() && !branch.client.is_invite() && !is_answered
}
