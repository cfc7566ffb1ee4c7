//! A failure of one of the branches: whether the next target is tried, and which answer is the best (RFC
//! 3261 §16.7 items 6 and 7).

use crate::count::Count;
use crate::flow::Zone;
use crate::limits;
use crate::proxy::cancelling::write_ack;
use crate::proxy::incoming::tag_of;
use crate::proxy::reply::{Reply, write_reply};
use crate::proxy::setup::machines::Client;
use crate::proxy::setup::{Best, Plan, Setup, Step, with_message};
use crate::proxy::worker::After;
use crate::sip::Method;
use crate::time::Time;
use crate::wire::{Framing, HeaderName, Limits, Message};

impl Setup {
    pub(super) fn on_failure(&mut self, at: usize, response: &Message<'_>, step: &mut Step<'_>) {
        let branch = &mut self.branches[at];
        if let Client::Invite(client) = &mut branch.client {
            let mut ack = step.worker.spare.take();
            if let Some(sent) = client.request() {
                with_message(sent, &mut step.worker.inner_index, |request| {
                    write_ack(&request, response, &mut ack)
                });
            }
            step.worker.outbox.send(branch.flow, &ack);
            client.set_ack(ack);
        }
        let was_waited_for = !branch.abandoned && !branch.over;
        branch.over = true;
        if !was_waited_for {
            return;
        }
        let status = response.status();
        if self.method == Some(Method::Bye) && matches!(status, 408 | 481) {
            step.worker.after.push(After::Ended(self.dialog));
        }
        if status == 481 {
            self.dialog_is_lost(at, step);
        }
        if status == 408 && self.method != Some(Method::Invite) {
            // RFC 4320 §4.2: it would only come too late.
            if self.is_somebody_asked() {
                return;
            }
            if self.goes_on(at, response, step) && self.plan.has_next(step.now) {
                step.core.counters.add(Count::Failovers);
                self.attempt_again(step);
            } else {
                self.give_up(step);
            }
            return;
        }
        self.keep_if_better(at, response, step);
        if self.plan.forks() && !self.cancelled {
            self.on_refusal_of_one(status, step);
        } else if self.goes_on(at, response, step) && self.others_may_answer(step.now) {
            step.core.counters.add(Count::Failovers);
            self.try_another(step);
        } else {
            self.settle_on(at, step);
            self.conclude(step);
        }
    }

    /// Whoever was asked knows nothing of the call (RFC 5057 §5.1: 481 ends what the request was about; that of a
    /// NOTIFY or REFER is another thing than the call).
    fn dialog_is_lost(&self, at: usize, step: &mut Step<'_>) {
        let is_about_call = matches!(self.method, Some(Method::Invite | Method::Update | Method::Info));
        if !self.in_dialog || !is_about_call {
            return;
        }
        let key = self.dialog;
        if self.upstream.zone == Zone::Pool {
            step.worker.after.push(After::Ended(key));
        } else if self.branches.get(at).is_some_and(|branch| branch.zone == Zone::Pool) {
            let tag = with_message(&self.request, &mut step.worker.inner_index, |request| {
                tag_of(&request, HeaderName::To).map(|tag| step.core.hash.of(&[tag]))
            });
            step.worker.after.extend(tag.flatten().map(|tag| After::Lost { key, tag }));
        }
    }

    /// Whether this failure lets the next target be tried.
    fn goes_on(&mut self, at: usize, response: &Message<'_>, step: &Step<'_>) -> bool {
        if self.cancelled || self.has_final() {
            return false;
        }
        match &self.plan {
            Plan::Pool { .. } => {
                let zone = self.branches[at].zone;
                self.may_change_member(step)
                    && (speaks_of_its_server(response, zone)
                        || (is_of_nobody(response.status()) && self.plan.turn_home(step.now)))
            }
            Plan::Bindings(_) => response.status() < 600,
            Plan::Peer { .. } => false,
        }
    }

    /// Never once a member began a dialog (101-199 with a To tag): the caller hears that member. And never
    /// beyond the time that the caller itself would wait.
    pub(super) fn may_change_member(&self, step: &Step<'_>) -> bool {
        step.now < self.patience && !self.branches.iter().any(|branch| branch.rang)
    }

    /// Whether anybody is left to try, or was asked and has not spoken.
    fn others_may_answer(&self, now: Time) -> bool {
        self.plan.has_next(now) || self.is_somebody_asked()
    }

    fn try_another(&mut self, step: &mut Step<'_>) {
        if self.plan.has_next(step.now) {
            self.attempt_again(step);
        }
    }

    fn keep_if_better(&mut self, at: usize, response: &Message<'_>, step: &mut Step<'_>) {
        let status = response.status();
        let best = self.best.as_ref().filter(|best| !best.is_ours).map(|best| best.status);
        if best.is_some_and(|best| rank(best) <= rank(status)) {
            if best.is_some_and(is_challenge) && is_challenge(status) {
                self.add_challenges(at, response, step);
            }
            return;
        }
        let bytes = if status == 503 && self.upstream.zone != Zone::Pool {
            self.instead_of_503(at, response, step)
        } else {
            self.passed(at, response, step)
        };
        if let Some(old) = self.best.replace(Best { status, is_ours: false, bytes }) {
            step.worker.spare.give(old.bytes);
        }
    }

    /// §16.7 item 7: the challenges of all targets go to the caller in one answer, in the order they came.
    fn add_challenges(&mut self, at: usize, response: &Message<'_>, step: &mut Step<'_>) {
        let passed = self.passed(at, response, step);
        let mut lines = step.worker.spare.take();
        with_message(&passed, &mut step.worker.inner_index, |message| {
            let of_challenge =
                |name| matches!(name, HeaderName::WwwAuthenticate | HeaderName::ProxyAuthenticate);
            for header in message.headers().filter(|header| of_challenge(header.name)) {
                lines.extend_from_slice(message.bytes().get(header.line()).unwrap_or(b""));
            }
        });
        if let Some(best) = &mut self.best
            && best.bytes.len() + lines.len() <= step.settings.config.admission.max_message
            && step.worker.inner_index.parse(&best.bytes, Framing::Datagram, &Limits::default()).is_ok()
        {
            let end = Message::new(&best.bytes, &step.worker.inner_index).head_end();
            best.bytes.splice(end..end, lines.iter().copied());
        }
        step.worker.spare.give(passed);
        step.worker.spare.give(lines);
    }

    /// RFC 3261 §16.7 item 6: a member's 503 and its Retry-After speak of that member, and a caller would
    /// take them for ours. What it said of the call beyond it becomes a 500.
    fn instead_of_503(&self, at: usize, response: &Message<'_>, step: &mut Step<'_>) -> Vec<u8> {
        let (status, extra) = match response.first(HeaderName::Reason) {
            Some(_) => (500, self.passed_lines(at, response, HeaderName::Reason, step)),
            None => (503, format!("Retry-After: {}\r\n", limits::RETRY_AFTER_SECONDS)),
        };
        let mut out = step.worker.spare.take();
        with_message(&self.request, &mut step.worker.inner_index, |request| {
            let reply = Reply { status, reason: None, extra: &extra };
            write_reply(&request, self.upstream.source, &reply, &step.core.hash, &mut out);
        });
        out
    }

    /// The lines of one header of a response, as they would pass: nothing of the inside stands in them.
    fn passed_lines(
        &self,
        at: usize,
        response: &Message<'_>,
        name: HeaderName,
        step: &mut Step<'_>,
    ) -> String {
        let passed = self.passed(at, response, step);
        let mut lines = Vec::new();
        with_message(&passed, &mut step.worker.inner_index, |message| {
            for header in message.all(name) {
                lines.extend_from_slice(message.bytes().get(header.line()).unwrap_or(b""));
            }
        });
        step.worker.spare.give(passed);
        String::from_utf8_lossy(&lines).into_owned()
    }

    /// Answer with the best there was.
    pub(super) fn conclude(&mut self, step: &mut Step<'_>) {
        if let Some(best) = self.best.take() {
            if is_challenge(best.status) {
                // What comes with credentials is the call, and counts.
                self.ruled.permits.iter_mut().for_each(|permit| permit.give_back(step.now));
            }
            self.finish(best.bytes, step);
        }
    }
}

/// Whether a failure speaks of the server that sent it, so that another one may do better.
///
/// FreeSWITCH at a limit of its own says 503 and Retry-After. With a Reason (RFC 3326) the same 503 tells how the
/// call beyond it ended, and any other member would meet the same. Carriers mean themselves by it (RFC 3261
/// §21.5.4).
fn speaks_of_its_server(response: &Message<'_>, zone: Zone) -> bool {
    response.status() == 503 && (zone != Zone::Pool || response.first(HeaderName::Reason).is_none())
}

/// What a registrar says that does not know a user, or not where he is.
const fn is_of_nobody(status: u16) -> bool {
    matches!(status, 404 | 480)
}

const fn is_challenge(status: u16) -> bool {
    matches!(status, 401 | 407)
}

/// Smaller is better (RFC 3261 §16.7 item 6): a 6xx, then the lowest class; in it what the caller can act on
/// first, and last what says least. Of two alike the earlier stands.
fn rank(status: u16) -> u16 {
    let class = match status / 100 {
        6 => 0,
        class => class,
    };
    let within = match status {
        401 | 407 | 415 | 420 | 422 | 484 => 0,
        408 | 503 => 2,
        _ => 1,
    };
    class * 10 + within
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3261 §16.7 item 6.
    #[test]
    fn the_best_answer_is_a_6xx_or_of_the_lowest_class() {
        let order = [603, 302, 401, 486, 408, 500, 503];
        for pair in order.windows(2) {
            assert!(rank(pair[0]) < rank(pair[1]), "{pair:?}");
        }
        assert_eq!(rank(486), rank(480));
        assert_eq!(rank(401), rank(407));
    }
}
