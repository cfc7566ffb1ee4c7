//! What a user and a source of the public zone may call: how many at once, and how fast one after the other.

use std::time::Duration;

use crate::count::Count;
use crate::hash::Digest;
use crate::limiting::{Allowance, Over, Permit};
use crate::limits;
use crate::proxy::core::Core;
use crate::proxy::hop::Answer;
use crate::proxy::turn::{Asked, Turn};
use crate::sip::Method;
use crate::time::Time;

/// A kind of callers, and how their calls are refused.
struct Kind {
    /// Where there are as many as there may be. 486 and 480 speak of a user, 503 of what lies behind an address.
    calls: (u16, Count),
    /// Where they come too fast.
    rate: (u16, Count),
}

const USER: Kind = Kind { calls: (486, Count::UserCalls), rate: (480, Count::UserCallRate) };
const SOURCE: Kind = Kind { calls: (503, Count::SourceCalls), rate: (503, Count::SourceCallRate) };

impl Core {
    /// A call from the public zone counts for its source and its user; of one that is refused nothing is counted.
    pub(super) fn permits_of_caller(
        &self,
        asked: &Asked<'_>,
        turn: &Turn<'_>,
    ) -> Result<Vec<Permit>, Answer> {
        let incoming = &asked.incoming;
        let mut permits = Vec::new();
        let is_limited = turn.knock.is_some_and(|knock| !knock.is_exempt());
        if incoming.method != Some(Method::Invite) || !is_limited {
            return Ok(permits);
        }
        let admission = &turn.settings.config.admission;
        let of_user = Allowance { calls: admission.max_calls_per_user, rate: admission.call_rate_per_user };
        if of_user != Allowance::default() {
            let user = self.hash.of(&[b"caller", &incoming.caller_aor(turn.settings).to_be_bytes()]);
            permits.extend(self.permit(user, &of_user, &USER, turn.now)?);
        }
        let of_source =
            Allowance { calls: admission.max_calls_per_source, rate: admission.call_rate_per_source };
        let source = self.gate.key_of(incoming.upstream.source.ip());
        match self.permit(source, &of_source, &SOURCE, turn.now) {
            Ok(permit) => permits.extend(permit),
            Err(answer) => {
                permits.iter_mut().for_each(|permit| permit.give_back(turn.now));
                return Err(answer);
            }
        }
        Ok(permits)
    }

    fn permit(
        &self,
        caller: Digest,
        allowance: &Allowance,
        kind: &Kind,
        now: Time,
    ) -> Result<Option<Permit>, Answer> {
        self.callers.pass(caller, allowance, now).map_err(|over| {
            let ((status, count), retry_after) = match over {
                Over::Calls => (kind.calls, (kind.calls.0 == 503).then_some(limits::RETRY_AFTER_SECONDS)),
                Over::Rate { wait } => (kind.rate, Some(whole_seconds(wait))),
            };
            Answer { status, reason: Some("Too Many Calls".into()), retry_after, count: Some(count) }
        })
    }
}

/// So that whoever comes back after them passes; at least 1.
fn whole_seconds(wait: Duration) -> u32 {
    u32::try_from(wait.as_micros().div_ceil(1_000_000)).unwrap_or(u32::MAX).max(1)
}
