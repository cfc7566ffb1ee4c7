//! Several targets asked at once (RFC 3261 §16.6, §16.7): all early dialogs pass, the first 2xx has the call, and the
//! answer of those that refuse is the best of them, when the last has spoken.

use crate::count::Count;
use crate::limits;
use crate::proxy::setup::{Setup, Step};

impl Setup {
    /// One of them refused. A 6xx refuses for all: nobody else is tried, and those that ring are cancelled, but
    /// heard out, for one of them may just have answered (§16.7 item 5).
    pub(super) fn on_refusal_of_one(&mut self, status: u16, step: &mut Step<'_>) {
        if self.has_final() {
            return;
        }
        if status >= 600 && self.conclude_at.is_none() {
            self.plan.give_up();
            self.conclude_at = Some(step.now + limits::DECLINED_FORK);
            let reason = format!("SIP;cause={status}");
            self.give_up_others(reason.as_bytes(), step);
        }
        if self.is_somebody_asked() {
            // Its place may be what another of the same q waits for.
            if self.plan.goes_together() && self.may_branch() {
                self.attempt_again(step);
            }
            return;
        }
        if self.plan.has_more() {
            step.core.counters.add(Count::Failovers);
            self.attempt_again(step);
        } else {
            self.conclude(step);
        }
    }

    /// Cancel whoever has not ended, and say why (RFC 3326), where the caller did not.
    pub(super) fn give_up_others(&mut self, reason: &[u8], step: &mut Step<'_>) {
        let others = self.branches.iter().any(|branch| !branch.over);
        if others && self.cancel_reason.is_none() {
            self.cancel_reason = Some(reason.to_vec());
        }
        self.cancel_others(usize::MAX, step);
    }
}
