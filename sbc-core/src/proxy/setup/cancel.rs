//! CANCEL, from the caller and towards every branch (RFC 3261 §9 and §16.10).

use crate::proxy::cancelling::write_cancel;
use crate::proxy::setup::{Branch, Client, Setup, Step, with_message};
use crate::proxy::worker::After;
use crate::transaction::NonInviteClient;

impl Setup {
    /// The caller gave up. `reason` is its Reason header.
    pub(crate) fn on_cancel(&mut self, reason: Option<&[u8]>, step: &mut Step<'_>) {
        // A final answer is out: CANCEL changes nothing any more.
        if self.has_final() {
            return;
        }
        self.cancelled = true;
        let told = reason.is_some_and(|reason| step.settings.hidden.next(reason, 0).is_some());
        self.cancel_reason = reason.filter(|_| !told).map(<[u8]>::to_vec);
        self.next_attempt_at = None;
        if let Some(waiting) = self.waiting.take() {
            step.worker.after.push(After::StopWaiting(waiting.key));
        }
        self.answer_if_cancelled(step);
        for at in 0..self.branches.len() {
            self.cancel_branch(at, step);
        }
        self.settle(step);
    }

    /// Cancel every branch but `winner`.
    pub(super) fn cancel_others(&mut self, winner: usize, step: &mut Step<'_>) {
        for at in (0..self.branches.len()).filter(|at| *at != winner) {
            self.cancel_branch(at, step);
        }
    }

    /// §9.1: not before something provisional arrived; until then it is only wanted.
    pub(super) fn cancel_branch(&mut self, at: usize, step: &mut Step<'_>) {
        let branch = &mut self.branches[at];
        if branch.over || branch.client.has_final() || branch.cancel.is_some() || !branch.client.is_invite() {
            return;
        }
        branch.cancel_wanted = true;
        if branch.client.has_provisional() {
            self.send_cancel(at, step);
        }
    }

    /// Cancel every branch that has not ended, those that said nothing too: where only the answers were lost, somebody's
    /// phone rings for a caller who has its final answer. Their INVITEs are not repeated any more.
    pub(super) fn cancel_silent(&mut self, step: &mut Step<'_>) {
        for at in 0..self.branches.len() {
            let branch = &mut self.branches[at];
            if !branch.client.is_invite() || branch.client.has_final() || branch.refused {
                continue;
            }
            branch.abandoned = true;
            branch.client.stop_retransmitting();
            if branch.cancel.is_none() {
                self.send_cancel(at, step);
            }
        }
    }

    /// A target that was given up speaks: it was never cancelled, or the CANCEL came before the INVITE.
    pub(super) fn cancel_unheard(&mut self, at: usize, step: &mut Step<'_>) {
        let branch = &self.branches[at];
        if branch.client.is_invite() && (branch.cancel.is_none() || branch.cancel_missed) {
            self.send_cancel(at, step);
        }
    }

    /// The CANCEL that was wanted can be sent.
    pub(super) fn send_cancel(&mut self, at: usize, step: &mut Step<'_>) {
        // A browser that has reconnected rings all the same. One that is away gets it when it is back.
        let reached = self.find_again(at, step);
        let reason = self.cancel_reason.as_deref();
        let branch: &mut Branch = &mut self.branches[at];
        branch.cancel_wanted = false;
        branch.cancel_missed = false;
        let mut bytes = step.worker.spare.take();
        if let Some(sent) = branch.client.request() {
            with_message(sent, &mut step.worker.inner_index, |sent| write_cancel(&sent, reason, &mut bytes));
        }
        if reached {
            step.worker.outbox.send(branch.flow, &bytes);
        }
        branch.cancel = Some(NonInviteClient::new(step.now, &branch.timers, bytes));
        if let Client::Invite(client) = &mut branch.client {
            client.on_cancel(step.now, &branch.timers);
        }
    }
}
