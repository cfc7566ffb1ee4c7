//! One entry per request that we forward with a transaction: its server side, all its branches, and
//! what is still to be tried (RFC 3261 §16's response context).
//!
//! Every step is one call on the entry while it is locked. A step writes to the outbox and leaves
//! further work for the tables in `Worker::after`; it never takes a second entry.

mod answer;
mod attempt;
mod bereaved;
mod branch;
mod cancel;
mod expire;
mod failure;
mod fork;
mod lesson;
mod lost;
mod machines;
mod plan;
mod spare;
mod success;
mod unwanted;

use crate::dialog::DialogKey;
use crate::gauge::Held;
use crate::hash::Digest;
use crate::limits;
use crate::proxy::core::Core;
use crate::proxy::identity::NewFrom;
use crate::proxy::incoming::{Incoming, Upstream};
use crate::proxy::reply::{Reply, write_reply};
use crate::proxy::ruled::Ruled;
use crate::proxy::settings::Settings;
use crate::proxy::turn::Turn;
use crate::proxy::worker::{After, Timer, Worker};
use crate::seal::{BindingId, Peer};
use crate::sip::Method;
use crate::time::Time;
use crate::transaction::{Ack, EntryId, Timers};
use crate::wire::{Framing, HeaderName, Limits, Message};
use branch::Branch;
use machines::{Client, Server};
pub(crate) use plan::{Bound, Fallback, Plan, towards};
pub(crate) use spare::SpareEntries;

/// What a step may use.
pub(crate) struct Step<'a> {
    pub(crate) core: &'a Core,
    pub(crate) settings: &'a Settings,
    pub(crate) worker: &'a mut Worker,
    pub(crate) now: Time,
    pub(crate) id: EntryId,
}

impl<'a> Step<'a> {
    /// A step of the entry `id` in this turn.
    pub(crate) fn of(core: &'a Core, turn: &'a mut Turn<'_>, id: EntryId) -> Self {
        Self { core, settings: turn.settings, worker: &mut *turn.worker, now: turn.now, id }
    }
}

/// The best final answer so far.
struct Best {
    status: u16,
    /// No target said it: whatever one says goes before it.
    is_ours: bool,
    bytes: Vec<u8>,
}

/// What a REGISTER is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Registers {
    pub(crate) binding: BindingId,
    pub(crate) aor: Digest,
    pub(crate) path: Peer,
    /// Its place among all REGISTERs: see [`Directory::next_order`](crate::registration::Directory::next_order).
    pub(crate) order: u64,
}

/// Waiting for a flow to come back.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    key: Digest,
    until: Time,
}

/// One entry.
pub(crate) struct Setup {
    server: Server,
    server_timers: Timers,
    upstream: Upstream,
    /// The upstream as tokens name it.
    upstream_peer: Peer,
    /// As it came.
    request: Vec<u8>,
    /// Its share of what all requests in progress may hold.
    held: Option<Held>,
    method: Option<Method>,
    in_dialog: bool,
    dialog: DialogKey,
    /// How many Route values on top are ours.
    routes: usize,
    registers: Option<Registers>,
    /// The URI that From gets, where the caller wrote somebody else's.
    new_from: NewFrom,
    /// How it leaves, and what it takes of the limits of rules.
    ruled: Ruled,
    /// Its Max-Breadth (RFC 5393 §5): so many branches may be open at once, here and beyond.
    breadth: Option<u32>,
    /// Under which another way of the same INVITE finds this one.
    merge: Option<Digest>,
    plan: Plan,
    branches: Vec<Branch>,
    best: Option<Best>,
    /// The branch whose 2xx the caller has.
    winner: Option<usize>,
    cancelled: bool,
    /// The Reason of the caller's CANCEL (RFC 3326).
    cancel_reason: Option<Vec<u8>>,
    /// When 100 Trying is due.
    trying_at: Option<Time>,
    /// When the next member is tried.
    next_attempt_at: Option<Time>,
    /// When the answer of a fork that was declined no longer waits for those that were cancelled.
    conclude_at: Option<Time>,
    /// When the caller's patience is over, if nobody said anything.
    patience: Time,
    waiting: Option<Waiting>,
    /// Left to the caller's own timer.
    given_up: bool,
    generation: u32,
    scheduled: Time,
}

/// What is known of a request when its entry is made.
pub(crate) struct NewSetup {
    pub(crate) upstream_peer: Peer,
    pub(crate) routes: usize,
    pub(crate) registers: Option<Registers>,
    pub(crate) new_from: NewFrom,
    pub(crate) merge: Option<Digest>,
    pub(crate) plan: Plan,
    pub(crate) ruled: Ruled,
    pub(crate) held: Held,
}

impl Setup {
    pub(crate) fn new(incoming: &Incoming<'_>, new: NewSetup, step: &mut Step<'_>) -> Self {
        let config = &step.settings.config.timers;
        let transport = step
            .settings
            .listener(incoming.upstream.flow.listener)
            .map_or(crate::flow::Transport::Udp, |one| one.transport);
        let server_timers = Timers::new(config, transport);
        let is_invite = incoming.method == Some(Method::Invite);
        Self {
            server: Server::new(is_invite),
            server_timers,
            upstream: incoming.upstream,
            upstream_peer: new.upstream_peer,
            request: step.worker.spare.copy(incoming.message.bytes()),
            held: Some(new.held),
            method: incoming.method,
            in_dialog: incoming.is_in_dialog(),
            dialog: incoming.dialog(&step.core.hash),
            routes: new.routes,
            registers: new.registers,
            new_from: new.new_from,
            breadth: incoming.message.first(HeaderName::MaxBreadth).and_then(|header| number(header.value)),
            merge: new.merge,
            plan: new.plan,
            ruled: new.ruled,
            branches: step.worker.entries.branches(),
            best: None,
            winner: None,
            cancelled: false,
            cancel_reason: None,
            trying_at: Some(
                step.now + if is_invite { limits::TRYING_AFTER } else { limits::TRYING_AFTER_OTHER },
            ),
            next_attempt_at: None,
            conclude_at: None,
            // One T1 before the caller's own Timer B or F.
            patience: step.now + server_timers.timeout().saturating_sub(config.t1),
            waiting: None,
            given_up: false,
            generation: 0,
            scheduled: Time::NEVER,
        }
    }

    /// The same request again (RFC 3261 §17.2.1, §17.2.2).
    pub(crate) fn on_retransmission(&mut self, step: &mut Step<'_>) {
        match self.server.on_retransmission() {
            Some(bytes) => self.send_upstream(bytes, step),
            // The caller does not know yet that its INVITE arrived.
            None if self.trying_at.is_some() && self.method == Some(Method::Invite) => self.send_trying(step),
            None => {}
        }
    }

    /// The ACK of a failure ends here; that of a 2xx passes.
    pub(crate) fn on_ack(&mut self, step: &mut Step<'_>) -> Ack {
        let verdict = self.server.on_ack(step.now, &self.server_timers);
        self.settle(step);
        verdict
    }

    /// 100 Trying, unless a final answer is out already.
    fn send_trying(&mut self, step: &mut Step<'_>) {
        self.trying_at = None;
        let has_said_something = self.has_final() || self.server.on_retransmission().is_some();
        if has_said_something || self.given_up {
            return;
        }
        let mut bytes = step.worker.spare.take();
        with_message(&self.request, &mut step.worker.inner_index, |request| {
            write_reply(&request, self.upstream.source, &Reply::status(100), &step.core.hash, &mut bytes);
        });
        self.send_upstream(&bytes, step);
        self.server.on_provisional(bytes);
    }

    /// End the request with an answer of our own, written from the stored request.
    pub(crate) fn answer(&mut self, reply: &Reply<'_>, step: &mut Step<'_>) {
        let mut bytes = step.worker.spare.take();
        with_message(&self.request, &mut step.worker.inner_index, |request| {
            write_reply(&request, self.upstream.source, reply, &step.core.hash, &mut bytes);
        });
        self.finish(bytes, step);
    }

    /// End the request with an answer of our own.
    fn answer_to(&mut self, request: &Message<'_>, reply: &Reply<'_>, step: &mut Step<'_>) {
        let mut bytes = step.worker.spare.take();
        write_reply(request, self.upstream.source, reply, &step.core.hash, &mut bytes);
        self.finish(bytes, step);
    }

    /// Send a final answer other than 2xx to INVITE, and keep it for repetitions. Nobody goes on ringing for a caller
    /// who has it.
    fn finish(&mut self, bytes: Vec<u8>, step: &mut Step<'_>) {
        self.trying_at = None;
        self.next_attempt_at = None;
        self.conclude_at = None;
        // No call has come of it.
        self.ruled.permits.clear();
        if self.upstream.is_own {
            // Whatever the outside party says to our BYE: nobody is left to say another.
            step.worker.after.push(After::Ended(self.dialog));
        }
        if self.has_final() {
            step.worker.spare.give(bytes);
            return;
        }
        self.send_upstream(&bytes, step);
        self.server.on_final(step.now, &self.server_timers, bytes);
        self.cancel_silent(step);
    }

    /// To the caller: by the flow it came by, or its next connection.
    fn send_upstream(&self, bytes: &[u8], step: &mut Step<'_>) {
        if self.upstream.is_own {
            return;
        }
        if let Some(flow) = step.core.reply_flow(self.upstream.reply, &self.upstream_peer, step.settings) {
            step.core.note_large_answer(&flow, bytes.len(), step.settings);
            step.worker.outbox.send(flow, bytes);
        }
    }

    fn has_final(&self) -> bool {
        self.server.has_final()
    }

    /// Whether the caller was told that it failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.server.has_failed()
    }

    /// After every step: leave when all is over, else ask to be woken in time.
    pub(crate) fn settle(&mut self, step: &mut Step<'_>) {
        if self.is_over() {
            self.leave(step);
            return;
        }
        if self.is_settled() {
            self.forget_request(step);
        }
        let deadline = self.deadline().min(step.now + limits::LONGEST_NAP);
        if deadline < self.scheduled {
            self.generation = self.generation.wrapping_add(1);
            self.scheduled = deadline;
            step.worker.wheel.schedule(deadline, Timer::Entry(step.id, self.generation));
        }
    }

    fn is_over(&self) -> bool {
        (self.server.is_terminated() || self.given_up) && self.branches.iter().all(Branch::is_terminated)
    }

    /// Whether nobody reads the request again: it is answered, and every target has spoken or been given up. The 2xx
    /// of an INVITE may be repeated, and then its Vias are needed.
    fn is_settled(&self) -> bool {
        let is_over = |branch: &Branch| branch.client.has_final() || branch.client.is_terminated();
        self.method != Some(Method::Invite)
            && self.held.is_some()
            && self.has_final()
            && self.branches.iter().all(is_over)
    }

    /// What waits for the last timers need not keep the request, as it came and as it left.
    fn forget_request(&mut self, step: &mut Step<'_>) {
        self.held = None;
        let spare = &mut step.worker.spare;
        spare.give(std::mem::take(&mut self.request));
        self.plan.take_buffer().into_iter().for_each(|buffer| spare.give(buffer));
        for branch in &mut self.branches {
            branch.client.take_buffers(&mut |buffer| spare.give(buffer));
        }
    }

    fn leave(&mut self, step: &mut Step<'_>) {
        for at in 0..self.branches.len() {
            self.forget_flow(at, step);
            self.stop_awaiting(at, step);
        }
        for branch in &self.branches {
            step.worker.after.push(After::Unlink(branch.id));
            step.worker.after.extend(branch.unwanted.iter().map(|one| After::Unlink(one.id)));
        }
        if let Some(waiting) = self.waiting.take() {
            step.worker.after.push(After::StopWaiting(waiting.key));
        }
        step.worker.after.extend(self.merge.map(After::Unmerge));
        step.worker.after.push(After::Remove);
        let spare = &mut step.worker.spare;
        spare.give(std::mem::take(&mut self.request));
        self.plan.take_buffer().into_iter().for_each(|buffer| spare.give(buffer));
        self.server.take_buffers(&mut |buffer| spare.give(buffer));
        for branch in &mut self.branches {
            branch.client.take_buffers(&mut |buffer| spare.give(buffer));
        }
    }

    fn deadline(&self) -> Time {
        let server = self.server.deadline();
        let branches = self.branches.iter().filter_map(Branch::deadline).min();
        let waiting = self.waiting.map(|waiting| waiting.until);
        let patience = self.is_unanswered().then_some(self.patience);
        [server, branches, waiting, patience, self.trying_at, self.next_attempt_at, self.conclude_at]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(Time::NEVER)
    }

    /// Whether a target was asked and has neither spoken nor been given up.
    fn is_somebody_asked(&self) -> bool {
        self.branches.iter().any(|branch| !branch.over && !branch.abandoned)
    }

    /// No final answer, and no branch that said anything, or can be believed to be still at work.
    fn is_unanswered(&self) -> bool {
        let is_at_work =
            |branch: &Branch| !branch.over && branch.client.has_provisional() && !branch.is_lost();
        !self.has_final() && !self.given_up && !self.branches.iter().any(is_at_work)
    }
}

fn number(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Read stored bytes again: they were readable when they were stored.
pub(crate) fn with_message<R>(
    bytes: &[u8],
    index: &mut crate::wire::Index,
    read: impl FnOnce(Message<'_>) -> R,
) -> Option<R> {
    index.parse(bytes, Framing::Datagram, &Limits::default()).ok()?;
    Some(read(Message::new(bytes, index)))
}
