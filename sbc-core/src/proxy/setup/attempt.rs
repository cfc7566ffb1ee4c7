//! Trying a target: the request leaves, a client transaction keeps it (RFC 3261 §16.6).

use crate::count::Count;
use crate::flow::{Transport, Zone};
use crate::hash::Digest;
use crate::limits;
use crate::proxy::hop::refusal_of;
use crate::proxy::incoming::Incoming;
use crate::proxy::large::Way;
use crate::proxy::loops::routing_hash;
use crate::proxy::outgoing::{Hop, write_request};
use crate::proxy::reply::{Reply, write_reply};
use crate::proxy::secure;
use crate::proxy::setup::plan::Next;
use crate::proxy::setup::{Best, Branch, Client, Plan, Setup, Step, Waiting, with_message};
use crate::proxy::via::write_branch;
use crate::proxy::worker::After;
use crate::seal::{BranchSeal, Peer};
use crate::sip::Method;
use crate::time::Time;
use crate::transaction::Timers;
use crate::transaction::key::proof;
use crate::wire::Message;

/// A request that is ready to leave.
struct Written {
    /// Its Via branch.
    branch: Vec<u8>,
    /// Its part of the request's Max-Breadth.
    breadth: Option<u32>,
    bytes: Vec<u8>,
}

impl Setup {
    /// Try the next target that can be asked, or all that are asked together; with none left, answer for all of them.
    pub(crate) fn attempt(&mut self, incoming: &Incoming<'_>, step: &mut Step<'_>) {
        self.next_attempt_at = None;
        self.renew_patience(step);
        let mut was_sent = false;
        while (!was_sent || self.plan.goes_together())
            && let Some(next) = self.next_target(incoming, step)
        {
            was_sent |= self.send(incoming, next, step);
        }
        if !was_sent {
            self.nothing_left(&incoming.message, step);
        }
    }

    fn next_target(&mut self, incoming: &Incoming<'_>, step: &mut Step<'_>) -> Option<Next> {
        let next = |plan: &mut Plan| plan.next(incoming.call_id, step.now, step.core, step.settings);
        self.may_branch().then(|| next(&mut self.plan)).flatten()
    }

    /// Whether one more target may be asked.
    pub(super) fn may_branch(&self) -> bool {
        self.branches.len() < limits::BRANCHES && self.breadth_left() != Some(0)
    }

    /// A caller that heard something waits as long as it rings: what is tried next gets its whole time again.
    fn renew_patience(&mut self, step: &Step<'_>) {
        let is_call = self.method == Some(Method::Invite) && matches!(self.plan, Plan::Bindings(_));
        if is_call && self.server.on_retransmission().is_some() {
            self.patience = self.patience.max(step.now + self.server_timers.timeout());
        }
    }

    /// The same from the stored request.
    pub(super) fn attempt_again(&mut self, step: &mut Step<'_>) {
        let request = std::mem::take(&mut self.request);
        let mut index = std::mem::take(&mut step.worker.inner_index);
        let upstream = self.upstream;
        with_message(&request, &mut index, |message| {
            let listener = step.settings.listener(upstream.flow.listener);
            let incoming = listener
                .and_then(|listener| Incoming::read(message, listener, upstream.flow, upstream.source));
            if let Some(incoming) = incoming {
                self.attempt(&incoming, step);
            }
        });
        step.worker.inner_index = index;
        self.request = request;
    }

    /// The flow that the request waited for is back.
    pub(crate) fn resume(&mut self, key: Digest, flow: crate::flow::Flow, step: &mut Step<'_>) {
        if self.waiting.take().is_none() {
            self.follow_to(key, flow, step);
            return self.settle(step);
        }
        if let Plan::Peer { flow: known, .. } = &mut self.plan {
            *known = Some(flow);
        }
        step.core.counters.add(Count::FlowReturned);
        self.attempt_again(step);
        self.settle(step);
    }

    /// The peer of the one target this request has.
    pub(crate) fn awaited_peer(&self) -> Option<Peer> {
        match &self.plan {
            Plan::Peer { peer, .. } if self.waiting.is_some() => Some(*peer),
            _ => None,
        }
    }

    /// The dialog that the request belongs to.
    pub(crate) fn dialog_key(&self) -> Option<crate::dialog::DialogKey> {
        self.in_dialog.then_some(self.dialog)
    }

    /// Wait for the peer's flow to come back.
    pub(crate) fn wait(&mut self, key: crate::hash::Digest, until: Time) {
        self.waiting = Some(Waiting { key, until });
    }

    /// What is left of the request's Max-Breadth (RFC 5393 §5.3.3); `None`: it has none, and nobody minds.
    pub(super) fn breadth_left(&self) -> Option<u32> {
        let pending = self.branches.iter().filter(|branch| !branch.over && !branch.client.has_final());
        Some(self.breadth?.saturating_sub(pending.filter_map(|branch| branch.breadth).sum()))
    }

    /// The next target's part of it. One at a time is the rule, but while a target is silent others are asked, so
    /// one is kept back for each of those.
    fn breadth_share(&self) -> Option<u32> {
        let left = self.breadth_left()?;
        Some(left.saturating_sub(self.plan.left()).max(1))
    }

    /// Whether the request left for `next`. Where it cannot, that is the failure of this target alone.
    fn send(&mut self, incoming: &Incoming<'_>, next: Next, step: &mut Step<'_>) -> bool {
        let Some(written) = self.write(incoming, &next, step) else { return false };
        let asked = incoming.message.request_uri();
        let (zone, flow) = (next.zone, &next.flow);
        if !step.core.is_secure_enough(asked, &written.bytes, zone, flow, self.in_dialog, step.settings) {
            let refusal = Reply { status: 480, reason: None, extra: secure::WARNING };
            self.keep_own(&incoming.message, &refusal, step);
            return false;
        }
        match step.core.way_of(&next.flow, written.bytes.len(), step.settings, step.now) {
            Way::Flow => self.go(incoming, next, written, false, step),
            Way::Refuse => {
                self.keep_own(&incoming.message, &Reply::status(513), step);
                return false;
            }
            Way::Connection { listener, falls_back } => {
                step.worker.spare.give(written.bytes);
                step.worker.spare.give(written.branch);
                let next = next.by_connection(listener, step.settings);
                let Some(written) = self.write(incoming, &next, step) else { return false };
                self.go(incoming, next, written, falls_back, step);
            }
        }
        true
    }

    /// What the caller is told of a target that cannot be asked, should nobody have a better answer.
    fn keep_own(&mut self, request: &Message<'_>, reply: &Reply<'_>, step: &mut Step<'_>) {
        if self.best.is_none() {
            let mut bytes = step.worker.spare.take();
            write_reply(request, self.upstream.source, reply, &step.core.hash, &mut bytes);
            self.best = Some(Best { status: reply.status, is_ours: true, bytes });
        }
    }

    /// The request as it leaves for `next`; `None`: it leads nowhere.
    fn write(&mut self, incoming: &Incoming<'_>, next: &Next, step: &mut Step<'_>) -> Option<Written> {
        let branch = self.branch_text(incoming, next, step);
        let breadth = self.breadth_share();
        let mut bytes = step.worker.spare.take();
        let hop = Hop {
            zone: next.zone,
            flow: next.flow,
            target: next.target.as_deref(),
            member: next.address,
            branch: &branch,
            upstream: self.upstream_peer,
            path: self.registers.filter(|_| next.zone == Zone::Pool).map(|registers| registers.path),
            routes: self.routes,
            new_from: self.new_from.as_deref(),
            changes: self.ruled.changes.as_deref(),
            breadth,
            replaced_at: step.core.holder_of_replaced(&incoming.message),
        };
        let wrote = write_request(incoming, &hop, step.settings, &mut step.worker.edits, &mut bytes);
        if let Err(error) = wrote {
            let (status, count) = refusal_of(error);
            step.core.counters.add(count);
            self.keep_own(&incoming.message, &Reply::status(status), step);
            return None;
        }
        Some(Written { branch, breadth, bytes })
    }

    /// It leaves, and a client transaction keeps it.
    fn go(
        &mut self,
        incoming: &Incoming<'_>,
        next: Next,
        written: Written,
        falls_back: bool,
        step: &mut Step<'_>,
    ) {
        let Written { branch, breadth, bytes } = written;
        step.worker.outbox.send(next.flow, &bytes);
        step.core.counters.add(Count::Forwarded);
        let timers = timers_of(&next, step);
        let client = Client::new(self.method == Some(Method::Invite), step.now, &timers, bytes);
        let call = next.member.as_ref().filter(|_| self.is_new_call());
        let call = call.map(|member| match next.is_paid {
            true => member.hold_unpaced(),
            false => member.hold_call(step.now),
        });
        let id = link(branch, incoming, step);
        self.branches.push(Branch { call, breadth, falls_back, ..Branch::new(id, client, timers, &next) });
        self.remember(self.branches.len() - 1, step);
        if let Some(unused) = next.target.and_then(|target| self.plan.keep(target)) {
            step.worker.spare.give(unused);
        }
        self.next_attempt_at = self.failover_at(step);
        self.hurry_if_dead(step);
    }

    /// The INVITE left before a restart, and its caller gives up: cancel it wherever it may be.
    pub(crate) fn cancel_forgotten(
        &mut self,
        incoming: &Incoming<'_>,
        reason: Option<&[u8]>,
        step: &mut Step<'_>,
    ) {
        self.trying_at = None;
        while let Some(next) = self.plan.next(incoming.call_id, step.now, step.core, step.settings) {
            // How large it was is forgotten, too.
            let large = step.core.way_of_large(&next.flow, step.settings, step.now);
            let large = large.map(|listener| next.clone().by_connection(listener, step.settings));
            for next in [Some(next), large].into_iter().flatten() {
                if self.branches.len() < limits::BRANCHES {
                    self.suppose(incoming, &next, step);
                }
            }
        }
        self.on_cancel(reason, step);
    }

    /// A branch as it is where the INVITE went to `next` and was answered provisionally.
    fn suppose(&mut self, incoming: &Incoming<'_>, next: &Next, step: &mut Step<'_>) {
        let Some(written) = self.write(incoming, next, step) else { return };
        let timers = timers_of(next, step);
        let client = Client::proceeding(step.now, &timers, written.bytes);
        let id = link(written.branch, incoming, step);
        self.branches.push(Branch::new(id, client, timers, next));
    }

    /// Whether it begins a call, and so counts where calls are counted.
    fn is_new_call(&self) -> bool {
        self.method == Some(Method::Invite) && !self.in_dialog
    }

    /// When the next member is tried if this one says nothing. A connection that only a large request needs has to come
    /// about in half that time, so that the same member can be asked by UDP before.
    fn failover_at(&self, step: &Step<'_>) -> Option<Time> {
        let is_call = self.method == Some(Method::Invite);
        let needs_connection = is_call && self.branches.last().is_some_and(|branch| branch.falls_back);
        if !self.plan.has_more() && !needs_connection {
            return None;
        }
        let patience = match &self.plan {
            Plan::Peer { .. } => return None,
            Plan::Bindings(_) => limits::BINDING_PATIENCE,
            Plan::Pool { pool, .. } => {
                let failover = &pool.config.failover;
                if is_call { failover.invite_after } else { failover.other_after }
            }
        };
        let at = step.now + if needs_connection { patience / 2 } else { patience };
        (at < self.patience).then_some(at)
    }

    /// Our branch: the same for the same request to the same target, after a restart too.
    fn branch_text(&self, incoming: &Incoming<'_>, next: &Next, step: &mut Step<'_>) -> Vec<u8> {
        let mut vias = step.worker.spare.take();
        if self.upstream.zone == Zone::Pool && next.zone != Zone::Pool {
            crate::proxy::via::collect_vias(&incoming.message, &mut vias);
        }
        let seal = BranchSeal {
            peer: reply_peer(&self.upstream_peer),
            leg: next.leg,
            proof: proof(&step.settings.stable, &incoming.message, &incoming.via),
            routing: routing_hash(incoming, step.settings),
            vias: &vias,
        };
        let mut text = step.worker.spare.take();
        write_branch(&step.settings.tokens, incoming.call_id, &seal, &mut text);
        step.worker.spare.give(vias);
        text
    }

    /// All targets failed: the best answer there was, or one of our own (RFC 3261 §16.7 item 6). As long as somebody
    /// is still asked, nothing is over.
    fn nothing_left(&mut self, request: &Message<'_>, step: &mut Step<'_>) {
        if self.is_somebody_asked() {
            return;
        }
        if let Some(best) = self.best.take() {
            self.finish(best.bytes, step);
            return;
        }
        step.core.counters.add(Count::NoTarget);
        if self.cancelled {
            self.answer_to(request, &Reply::status(487), step);
            return;
        }
        let was_silence = self.branches.iter().any(|branch| !branch.refused && !branch.client.has_final());
        let status = match (&self.plan, was_silence) {
            (Plan::Bindings(_), _) => 480,
            (_, true) if self.method == Some(Method::Invite) => 408,
            _ => 503,
        };
        let extra = format!("Retry-After: {}\r\n", limits::RETRY_AFTER_SECONDS);
        let extra = if status == 503 { extra.as_str() } else { "" };
        self.answer_to(request, &Reply { status, reason: None, extra }, step);
    }
}

/// Let a Via branch lead here.
fn link(branch: Vec<u8>, incoming: &Incoming<'_>, step: &mut Step<'_>) -> Digest {
    let id = step.core.hash.of(&[b"branch", &branch, incoming.call_id]);
    step.worker.spare.give(branch);
    step.worker.after.push(After::Link(id));
    id
}

fn timers_of(next: &Next, step: &Step<'_>) -> Timers {
    let listener = step.settings.listener(next.flow.listener);
    let transport = listener.map_or(Transport::Udp, |listener| listener.transport);
    Timers::new(&step.settings.config.timers, transport)
}

/// Answers to UDP go to the address; a binding is only needed where a connection may have died.
fn reply_peer(peer: &Peer) -> Peer {
    match peer.address {
        crate::seal::PeerAddress::At(_) => Peer { binding: None, ..*peer },
        _ => *peer,
    }
}
