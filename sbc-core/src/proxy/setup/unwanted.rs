//! A 2xx that nobody waits for any more, because its target was given up for another: we acknowledge it and end it
//! ourselves, so that no ghost of a call stays there (RFC 3261 §13.2.2.4).
//!
//! §16.7 item 5 would hand it on, for the caller to end. But the caller never asked for a second target: it was
//! tried because the first one was silent, and its caller has one call, or has given it up. Where one target
//! itself answers several times (a carrier that forks), all answers pass.

use crate::count::Count;
use crate::hash::Digest;
use crate::limits;
use crate::proxy::cancelling::{target_of, write_ack_of_success, write_bye};
use crate::proxy::incoming::tag_of;
use crate::proxy::setup::{Setup, Step, with_message};
use crate::proxy::worker::After;
use crate::transaction::NonInviteClient;
use crate::wire::{HeaderName, Message, Uri};

/// The end of one dialog that nobody wanted.
pub(super) struct Unwanted {
    /// Hash of the Via branch of its BYE.
    pub(super) id: Digest,
    pub(super) bye: NonInviteClient,
}

impl Setup {
    /// Take the 2xx and end its dialog. A repetition of it is acknowledged again.
    pub(super) fn end_unwanted(&mut self, at: usize, response: &Message<'_>, step: &mut Step<'_>) {
        let branch = &mut self.branches[at];
        let Some(listener) = step.settings.listener(branch.flow.listener) else { return };
        // A target that forked answers once for each of its dialogs.
        let tag = tag_of(response, HeaderName::To).unwrap_or(b"");
        let branch_of = |what: &[u8]| {
            let digest = step.settings.stable.of(&[what, &branch.id.to_be_bytes(), tag]);
            format!("z9hG4bK{digest:032x}")
        };
        let (ack_branch, bye_branch) = (branch_of(b"ack"), branch_of(b"bye"));
        let port = branch.flow.port;
        let asked = |sent: Message<'_>| target_of(response, sent.request_uri());
        let sent = branch.client.request().unwrap_or_default();
        let target = with_message(sent, &mut step.worker.inner_index, asked).unwrap_or_default();
        let ours = |uri: &Uri<'_>| step.settings.is_ours(uri);
        let mut ack = step.worker.spare.take();
        write_ack_of_success(response, &target, listener, port, ack_branch.as_bytes(), &ours, &mut ack);
        step.worker.outbox.send(branch.flow, &ack);
        step.worker.spare.give(ack);
        if self.in_dialog {
            // Its caller was told that a change of the session has failed: that ends no call (RFC 3261 §14.1).
            return;
        }
        let id = step.core.hash.of(&[b"branch", bye_branch.as_bytes(), response.value(HeaderName::CallId)]);
        let is_known = branch.unwanted.iter().any(|one| one.id == id);
        if is_known || branch.unwanted.len() >= limits::UNWANTED_ANSWERS {
            return;
        }
        step.core.counters.add(Count::LateAnswers);
        let mut bye = step.worker.spare.take();
        write_bye(response, &target, listener, port, bye_branch.as_bytes(), &ours, &mut bye);
        step.worker.outbox.send(branch.flow, &bye);
        let bye = NonInviteClient::new(step.now, &branch.timers, bye);
        branch.unwanted.push(Unwanted { id, bye });
        step.worker.after.push(After::Link(id));
        self.remember(at, step);
    }
}
