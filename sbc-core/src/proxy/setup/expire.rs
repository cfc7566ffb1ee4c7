//! Time passes: repetitions, failover, the end of patience (RFC 3261 §16.8 and §17).

use crate::count::Count;
use crate::flow::Zone;
use crate::limits;
use crate::pool::{Health, Seat};
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
        if self.conclude_at.take_if(|at| *at <= step.now).is_some() {
            self.conclude(step);
        }
        if self.waiting.is_some_and(|waiting| waiting.until <= step.now) {
            self.stop_waiting(step);
        }
        self.end_waits(step);
        if self.patience <= step.now && self.is_unanswered() && self.waiting.is_none() {
            self.give_up(step);
        }
        self.settle(step);
    }

    fn server_timer(&mut self, step: &mut Step<'_>) {
        loop {
            match self.server.on_timer(step.now, &self.server_timers) {
                ServerTimer::Resend(bytes) => {
                    if let Some(flow) =
                        step.core.reply_flow(self.upstream.reply, &self.upstream_peer, step.settings)
                    {
                        step.worker.outbox.send(flow, bytes);
                    }
                }
                ServerTimer::Idle | ServerTimer::NoAck | ServerTimer::Done => return,
            }
        }
    }

    fn branch_timer(&mut self, at: usize, step: &mut Step<'_>) -> Due {
        let branch = &mut self.branches[at];
        let (timers, flow) = (branch.timers, branch.flow);
        for extra in branch.extras_mut() {
            while let ClientTimer::Resend(bytes) = extra.on_timer(step.now, &timers) {
                step.worker.outbox.send(flow, bytes);
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
        // Another one has the request, or the network spoke for this one: its silence says nothing any more.
        if was_waited_for {
            miss(branch, step.now);
        }
        if was_waited_for && !self.tries_next(step) {
            self.give_up(step);
        }
    }

    /// Timer C (§16.8): CANCEL, and then whatever the target answers. Its 487 passes, or a 200 that was quicker;
    /// with no answer at all, [`Self::on_timeout`] follows.
    fn on_ring_timeout(&mut self, at: usize, step: &mut Step<'_>) {
        if self.branches[at].cancel.is_none() {
            self.send_cancel(at, step);
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
        if self.gives_up_connection(step) {
            return;
        }
        let last =
            self.branches.iter().rfind(|branch| !branch.over).and_then(|branch| branch.member.as_ref());
        let is_alive = last.is_some_and(Seat::is_in_good_health);
        let answers = matches!(self.plan, super::Plan::Pool { answers: true, .. });
        let must_stay = is_alive && (answers || self.method != Some(Method::Invite));
        if must_stay || self.breadth_left() == Some(0) {
            self.next_attempt_at = Some(step.now + limits::LOOK_AT_MEMBER);
            return;
        }
        if let Some(branch) = self.branches.iter_mut().rfind(|branch| !branch.over) {
            miss(branch, step.now);
        }
        if !self.plan.has_next(step.now) {
            // Nobody may have it now: drained, or with as many calls as it takes. That may change.
            self.next_attempt_at = Some(step.now + limits::LOOK_AT_MEMBER);
            return;
        }
        step.core.counters.add(Count::Failovers);
        self.attempt_again(step);
    }

    /// A large request waits for a connection that does not come about: a firewall may drop what would open it. That says
    /// nothing against the member, which is asked by UDP. True where it is so.
    fn gives_up_connection(&mut self, step: &mut Step<'_>) -> bool {
        let waits = |branch: &&mut Branch| branch.falls_back && !branch.over && !branch.abandoned;
        let is_call = self.method == Some(Method::Invite);
        let Some(branch) = self.branches.last_mut().filter(waits).filter(|_| is_call) else { return false };
        let Some(member) = branch.member.clone() else { return false };
        branch.abandoned = true;
        branch.call = None;
        branch.client.stop_retransmitting();
        member.member().refused_connection(step.now);
        self.plan.again(&member);
        self.attempt_again(step);
        true
    }

    /// The network says that nobody is there. What a target said before counts: once it began a dialog it is
    /// waited for, because networks err for moments.
    pub(crate) fn on_unreachable(&mut self, flow: crate::flow::Flow, step: &mut Step<'_>) {
        let is_there =
            |branch: &Branch| branch.flow.remote == flow.remote && branch.flow.listener == flow.listener;
        self.lose(|branch| is_there(branch) && !branch.rang, step);
    }

    /// These targets will not answer (RFC 3261 §16.9: as if each had said 503).
    pub(super) fn lose(&mut self, is_lost: impl Fn(&Branch) -> bool, step: &mut Step<'_>) {
        let mut was_waited_for = false;
        for at in 0..self.branches.len() {
            let branch = &self.branches[at];
            if branch.over || branch.client.has_final() || !is_lost(branch) {
                continue;
            }
            // Where it had said 100: the network may be wrong, and then that call must not go on.
            self.cancel_branch(at, step);
            let branch = &mut self.branches[at];
            if let (true, false, Some(member)) = (branch.falls_back, branch.abandoned, &branch.member) {
                self.plan.again(member);
            }
            was_waited_for |= !branch.abandoned;
            branch.over = true;
            branch.refused = true;
            branch.call = None;
            // Networks err: what ends a call that somebody pays for is said on until its time is over.
            if self.method != Some(Method::Bye) || branch.zone == Zone::Pool {
                branch.client.stop_retransmitting();
            }
            self.forget_flow(at, step);
        }
        if was_waited_for && !self.takes_its_place(step) && !self.tries_next(step) {
            self.nobody_is_there(step);
        }
        self.settle(step);
    }

    /// Of several targets asked at once one is lost: its place may be what another of the same q waits for.
    fn takes_its_place(&mut self, step: &mut Step<'_>) -> bool {
        let may = !self.cancelled && !self.has_final() && self.plan.goes_together() && self.may_branch();
        if may {
            self.attempt_again(step);
        }
        may
    }

    /// The connection that was opened to this flow's remote is gone. What was sent over it may never have been read,
    /// or its answer be lost: once, it is sent again over the next one. The branch tells a repetition from a new
    /// request.
    pub(crate) fn on_disconnected(&mut self, flow: crate::flow::Flow, step: &mut Step<'_>) {
        for at in 0..self.branches.len() {
            let branch = &mut self.branches[at];
            let went_there = branch.flow.listener == flow.listener
                && branch.flow.remote == flow.remote
                && branch.flow.connection.is_none();
            let owes = !branch.over && !branch.client.has_provisional() && !branch.client.has_final();
            if !went_there || !owes || branch.sent_again > 0 {
                continue;
            }
            branch.sent_again = 1;
            if let Some(request) = branch.client.request() {
                step.core.counters.add(Count::SentAgain);
                step.worker.outbox.send(branch.flow, request);
                self.remember(at, step);
            }
        }
    }

    /// Probes say that this member is gone. That may be the network's fault, so it is only waited for less.
    pub(crate) fn on_member_down(&mut self, step: &mut Step<'_>) {
        self.hurry_if_dead(step);
        self.ask_instead_of_lost(step);
        self.settle(step);
    }

    /// FreeSWITCH says 100 to every INVITE at once: a host that dies after that has said nothing yet of the call. The
    /// next member is asked as well, and whoever speaks first has the request, as with one that was silent from the
    /// start.
    fn ask_instead_of_lost(&mut self, step: &mut Step<'_>) {
        let is_waited_for = |branch: &Branch| !branch.over && !branch.abandoned;
        let mut asked = self.branches.iter().filter(|branch| is_waited_for(branch)).peekable();
        let are_lost = asked.peek().is_some() && asked.all(Branch::is_lost);
        if !are_lost || !self.is_unanswered() || self.cancelled {
            return;
        }
        if self.method == Some(Method::Invite) {
            // Its caller has heard 100, and waits.
            self.patience = self.patience.max(step.now + limits::DEAD_MEMBER);
        }
        if self.may_change_member(step) && self.plan.has_next(step.now) {
            step.core.counters.add(Count::Failovers);
            self.attempt_again(step);
        }
    }

    /// A request to the one member that can answer it, which does not answer its probes, gets a quick answer.
    pub(super) fn hurry_if_dead(&mut self, step: &Step<'_>) {
        if self.is_for_dead_member() {
            let is_short = matches!(self.method, Some(Method::Invite | Method::Bye));
            let wait = if is_short { limits::DEAD_MEMBER } else { limits::DEAD_MEMBER_OTHER };
            self.patience = self.patience.min(step.now + wait);
        }
    }

    fn is_for_dead_member(&self) -> bool {
        let member = self.branches.last().and_then(|branch| branch.member.as_ref());
        let is_down = member.is_some_and(|member| member.health() == Health::Down);
        is_down && matches!(self.plan, super::Plan::Peer { .. })
    }

    /// Whether somebody else is being tried, or was asked already, or the caller has its answer.
    pub(super) fn tries_next(&mut self, step: &mut Step<'_>) -> bool {
        self.next_attempt_at = None;
        if self.is_somebody_asked() || self.has_final() {
            return true;
        }
        let may_change = matches!(self.plan, super::Plan::Bindings(_)) || self.may_change_member(step);
        if self.cancelled || !may_change || !self.plan.has_next(step.now) {
            return false;
        }
        step.core.counters.add(Count::Failovers);
        self.attempt_again(step);
        true
    }

    /// Known at once, and so said at once.
    fn nobody_is_there(&mut self, step: &mut Step<'_>) {
        self.nobody_answers(Self::answer_for_the_dead, step);
    }

    /// No target is left, and `otherwise` says what that means where the request had only one.
    pub(super) fn nobody_answers(&mut self, otherwise: fn(&mut Self, &mut Step<'_>), step: &mut Step<'_>) {
        if self.best.is_some() {
            self.conclude(step);
        } else if self.cancelled {
            self.answer(&Reply::status(487), step);
        } else if matches!(self.plan, super::Plan::Bindings(_)) {
            // A 503 would speak of us (RFC 3261 §16.7 item 6).
            step.core.counters.add(Count::NoTarget);
            self.answer(&Reply::status(480), step);
        } else {
            otherwise(self, step);
        }
    }

    /// Its server is gone. A BYE is granted, for what it ends is over. Anything else has failed for now: a 503
    /// ends no dialog (RFC 5057 §5.1), because another member may take it over (FreeSWITCH's `sofia recover`).
    fn answer_for_the_dead(&mut self, step: &mut Step<'_>) {
        let is_bye = self.method == Some(Method::Bye);
        let target = self.branches.last().filter(|branch| self.in_dialog && branch.member.is_some());
        step.core.counters.add(if target.is_some() { Count::DeadMember } else { Count::NoTarget });
        if let Some(branch) = target {
            let (member, method) = (branch.flow.remote, self.method);
            tracing::warn!(%member, ?method, "the member with this dialog does not answer: answered here");
        }
        if is_bye {
            step.worker.after.push(After::Ended(self.dialog));
            self.answer(&Reply::status(200), step);
        } else {
            let extra = format!("Retry-After: {}\r\n", limits::RETRY_AFTER_SECONDS);
            self.answer(&Reply { status: 503, reason: None, extra: &extra }, step);
        }
    }

    /// Nobody said anything in time: everybody is cancelled. RFC 4320 §4.2: a request
    /// other than INVITE is left to the caller's own timer, a 408 would only come too late.
    pub(super) fn give_up(&mut self, step: &mut Step<'_>) {
        self.patience = Time::NEVER;
        self.next_attempt_at = None;
        for branch in self.branches.iter_mut().filter(|branch| !branch.over && !branch.abandoned) {
            miss(branch, step.now);
        }
        if self.best.is_some() {
            self.conclude(step);
        } else if self.cancelled {
            self.answer(&Reply::status(487), step);
        } else if self.method == Some(Method::Bye) || self.is_for_dead_member() {
            self.answer_for_the_dead(step);
        } else if self.method == Some(Method::Invite) {
            step.core.counters.add(Count::NoTarget);
            self.answer(&Reply::status(408), step);
        } else {
            self.given_up = true;
        }
    }

    fn stop_waiting(&mut self, step: &mut Step<'_>) {
        let Some(waiting) = self.waiting.take() else { return };
        step.worker.after.push(After::StopWaiting(waiting.key));
        step.core.counters.add(Count::FlowDead);
        self.answer_for_the_lost(step);
    }
}

/// An INVITE that got nothing at all in its time counts against its member, once. Other requests do not:
/// a slow look-up is not a dead server, and probes will tell.
fn miss(branch: &mut Branch, now: Time) {
    // Where only a connection was missing, nothing was heard of the member itself.
    let is_silent = branch.client.is_invite() && !branch.client.has_provisional() && !branch.falls_back;
    if let (Some(member), true, false) = (&branch.member, is_silent, branch.missed) {
        branch.missed = true;
        member.missed(now);
    }
}
