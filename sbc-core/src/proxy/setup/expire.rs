//! Time passes: repetitions, failover, the end of patience (RFC 3261 §16.8 and §17).

use crate::count::Count;
use crate::limits;
use crate::pool::Seat;
use crate::proxy::reply::Reply;
use crate::proxy::setup::{Branch, Setup, Step};
use crate::proxy::worker::After;
use crate::sip::Method;
use crate::time::Time;
use crate::transaction::{ClientTimer, ServerTimer};

/// What a branch's timers ask of the entry.
#[derive(PartialEq, Eq)]
enum Due {
    Nothing,
    /// Nobody answered.
    Timeout,
    /// It rang too long (Timer C).
    RingTimeout,
}

impl Setup {
    /// A timer of this entry fired.
    pub(crate) fn on_timer(&mut self, generation: u32, step: &mut Step<'_>) {
        if generation != self.generation {
            return;
        }
        self.scheduled = Time::NEVER;
        self.server_timer(step);
        for at in 0..self.branches.len() {
            match self.branch_timer(at, step) {
                Due::Nothing => {}
                Due::Timeout => self.on_timeout(at, step),
                Due::RingTimeout => self.on_ring_timeout(at, step),
            }
        }
        if self.trying_at.is_some_and(|at| at <= step.now) {
            self.send_trying(step);
        }
        if self.next_attempt_at.is_some_and(|at| at <= step.now) {
            self.give_up_waiting_for_member(step);
        }
        if self.waiting.is_some_and(|waiting| waiting.until <= step.now) {
            self.stop_waiting(step);
        }
        if self.patience <= step.now && self.is_unanswered() && self.waiting.is_none() {
            self.give_up(step);
        }
        self.settle(step);
    }

    fn server_timer(&mut self, step: &mut Step<'_>) {
        loop {
            match self.server.on_timer(step.now, &self.server_timers) {
                ServerTimer::Resend(bytes) => {
                    if let Some(flow) = step.core.reply_flow(self.upstream.reply, &self.upstream_peer) {
                        step.worker.outbox.send(flow, bytes);
                    }
                }
                ServerTimer::Idle | ServerTimer::NoAck | ServerTimer::Done => return,
            }
        }
    }

    fn branch_timer(&mut self, at: usize, step: &mut Step<'_>) -> Due {
        let branch = &mut self.branches[at];
        if let Some(extra) = &mut branch.extra {
            while let ClientTimer::Resend(bytes) = extra.on_timer(step.now, &branch.timers) {
                step.worker.outbox.send(branch.flow, bytes);
            }
        }
        loop {
            match branch.client.on_timer(step.now, &branch.timers) {
                ClientTimer::Resend(bytes) => {
                    step.core.counters.add(Count::Repeated);
                    step.worker.outbox.send(branch.flow, bytes);
                }
                ClientTimer::Idle | ClientTimer::Done => return Due::Nothing,
                ClientTimer::Timeout => return Due::Timeout,
                ClientTimer::RingTimeout => return Due::RingTimeout,
            }
        }
    }

    /// Timer B or F: RFC 3261 §16.8 treats it as a 408 of that branch.
    fn on_timeout(&mut self, at: usize, step: &mut Step<'_>) {
        let branch = &mut self.branches[at];
        let was_waited_for = !branch.abandoned && !branch.over;
        branch.over = true;
        miss(branch, step.now);
        if was_waited_for && !self.tries_next(step) {
            self.give_up(step);
        }
    }

    fn on_ring_timeout(&mut self, at: usize, step: &mut Step<'_>) {
        self.send_cancel(at, step);
        if !self.cancelled {
            self.branches[at].over = true;
            if !self.tries_next(step) {
                self.give_up(step);
            }
        }
    }

    /// `invite_after` or `other_after` is over: the next member is asked too. The silent one is not given
    /// up: what was lost may have been datagrams, and whoever speaks first has the request.
    ///
    /// A request other than INVITE stays where the member answers its probes: FreeSWITCH says nothing while
    /// it looks a user up, and that is not a dead server. So does an INVITE that answers a challenge: another
    /// member would only challenge it again.
    fn give_up_waiting_for_member(&mut self, step: &mut Step<'_>) {
        self.next_attempt_at = None;
        let last =
            self.branches.iter().rfind(|branch| !branch.over).and_then(|branch| branch.member.as_ref());
        let is_alive = last.is_some_and(Seat::is_in_good_health);
        let answers = matches!(self.plan, super::Plan::Pool { answers: true, .. });
        if is_alive && (answers || self.method != Some(Method::Invite)) {
            self.next_attempt_at = Some(step.now + limits::LOOK_AT_MEMBER);
            return;
        }
        if let Some(branch) = self.branches.iter_mut().rfind(|branch| !branch.over) {
            miss(branch, step.now);
        }
        step.core.counters.add(Count::Failovers);
        self.attempt_again(step);
    }

    /// The network says that nobody is there.
    pub(crate) fn on_unreachable(&mut self, flow: crate::flow::Flow, step: &mut Step<'_>) {
        let gone = self.branches.iter_mut().filter(|branch| {
            branch.flow.remote == flow.remote
                && !branch.over
                && !branch.client.has_provisional()
                && !branch.client.has_final()
        });
        let mut was_waited_for = false;
        for branch in gone {
            was_waited_for |= !branch.abandoned;
            branch.over = true;
            branch.client.stop_retransmitting();
        }
        if was_waited_for && !self.tries_next(step) {
            self.nobody_is_there(step);
        }
        self.settle(step);
    }

    /// Whether somebody else is being tried, or was asked already, or the caller has its answer.
    fn tries_next(&mut self, step: &mut Step<'_>) -> bool {
        self.next_attempt_at = None;
        let others = self.branches.iter().any(|branch| !branch.over && !branch.abandoned);
        if others || self.has_final() {
            return true;
        }
        if self.cancelled || !self.plan.has_more() {
            return false;
        }
        step.core.counters.add(Count::Failovers);
        self.attempt_again(step);
        true
    }

    /// Known at once, and so said at once.
    fn nobody_is_there(&mut self, step: &mut Step<'_>) {
        if self.best.is_some() {
            self.conclude(step);
            return;
        }
        step.core.counters.add(Count::NoTarget);
        let status = if self.cancelled { 487 } else { 503 };
        self.answer(&Reply::status(status), step);
    }

    /// Nobody said anything in time. RFC 4320 §4.2: a request other than INVITE is left to the caller's
    /// own timer, a 408 would only come too late.
    pub(super) fn give_up(&mut self, step: &mut Step<'_>) {
        self.patience = Time::NEVER;
        if self.best.is_some() {
            self.conclude(step);
        } else if self.method == Some(Method::Invite) {
            step.core.counters.add(Count::NoTarget);
            let status = if self.cancelled { 487 } else { 408 };
            self.answer(&Reply::status(status), step);
        } else {
            self.given_up = true;
            if self.method == Some(Method::Bye) {
                step.worker.after.push(After::Ended(self.dialog));
            }
        }
    }

    fn stop_waiting(&mut self, step: &mut Step<'_>) {
        let Some(waiting) = self.waiting.take() else { return };
        step.worker.after.push(After::StopWaiting(waiting.key));
        step.core.counters.add(Count::FlowDead);
        // RFC 5626 §5.3.1; a dialog whose other side is gone may end in peace.
        let status = if self.method == Some(Method::Bye) { 200 } else { 430 };
        if status == 200 {
            step.worker.after.push(After::Ended(self.dialog));
        }
        self.answer(&Reply::status(status), step);
    }
}

/// An INVITE that got nothing at all in its time counts against its member, once. Other requests do not:
/// a slow look-up is not a dead server, and probes will tell.
fn miss(branch: &mut Branch, now: Time) {
    let is_silent = branch.client.is_invite() && !branch.client.has_provisional();
    if let (Some(member), true, false) = (&branch.member, is_silent, branch.missed) {
        branch.missed = true;
        member.missed(now);
    }
}
