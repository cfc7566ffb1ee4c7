//! How many calls must live in each weather, and end on both sides.
//!
//! A call that is sure lives where one copy of each of its messages comes through in time. With loss `p` outside and
//! `q` at the pool, whose answer comes within the 6 s at least that callers wait:
//! - an INVITE has copies at 0, 0.5, 1.5 and 3.5 s on each of two hops (timer A), the second one with credentials as
//!   well: it fails with `2 * (p^4 + q^4)`;
//! - its 200 has copies at the same times (RFC 3261 §13.3.1.4), each of which has to pass both hops: it fails with
//!   `(1 - (1 - p) * (1 - q))^4`; and where the callee is a user, this and the INVITE come twice.
//!
//! At `p = q = 0.3` that is 10 % of the least patient callers' calls to a number, and 20 % of those to a user; few are
//! that impatient. A BYE has 11 copies and two hops: at most one in a thousand is given up. What a weather takes beside
//! that (a member's calls, a browser's way) it takes from some calls for some seconds.

use super::script::{self, BROWSERS, Hope, Plan};
use super::{Chaos, Figures, Weather};
use crate::agent::{By, Call, State};
use crate::sim::CARRIER;

/// Callers who wait less, in milliseconds, may have hung up before the answer: callees ring for three seconds.
const PATIENT: u64 = 6000;
/// A single world may be below the floor of its weather by so many standard deviations.
const DEVIATIONS: f64 = 5.0;

/// Out of a thousand.
struct Floor {
    /// Calls that are sure to be answered or refused.
    live: u64,
    /// Answered calls that end on both sides.
    close: u64,
}

const fn floor(weather: Weather) -> Floor {
    let (live, close) = match weather {
        Weather::Calm => (1000, 1000),
        Weather::Drizzle => (990, 995),
        Weather::Rain => (930, 990),
        Weather::Storm => (850, 980),
        Weather::DeadMember => (900, 900),
        Weather::Disconnected => (850, 900),
        Weather::SmallMtu => (930, 900),
        Weather::Damaged => (850, 900),
        Weather::Killed | Weather::NodeKilled => (850, 900),
    };
    Floor { live, close }
}

impl Chaos {
    /// What must come of a call where nothing is in its way.
    pub(super) fn hope(&mut self, plan: &Plan) -> Option<Hope> {
        // An INVITE that is too large for the path never arrives, nor does an answer to it.
        let is_small = self.weather == Weather::SmallMtu;
        let number = plan.uri.trim_start_matches("sip:").split('@').next().unwrap_or_default();
        let of_number = script::hope_of_number(number);
        if plan.patience < PATIENT || (is_small && (of_number.is_none() || !BROWSERS.contains(&plan.caller)))
        {
            return None;
        }
        // Of two phones one may answer and the other refuse; and a world of forks has users without any.
        of_number.or_else(|| {
            let callee = if number.starts_with('+') { Some(CARRIER) } else { self.only_phone(number) };
            callee.and_then(|callee| script::hope_of_policy(self.world.agent(callee).policy))
        })
    }

    /// The phone of a user who has one.
    fn only_phone(&self, user: &str) -> Option<&'static str> {
        let everybody = BROWSERS.iter().chain(&script::PHONES).copied();
        let of_user: Vec<_> =
            everybody.enumerate().filter(|(lot, _)| script::user(*lot, self.ground.forks) == user).collect();
        if let [(_, phone)] = of_user[..] { Some(phone) } else { None }
    }
}

/// Count how a call ended.
pub(super) fn count(figures: &mut Figures, plan: &Plan, call: Option<&Call>) {
    let Some(call) = call else { return };
    let is_answered = matches!(call.state, State::Ended { status: 200, .. });
    let is_met = |hope: Hope| match hope {
        Hope::Answer => is_answered,
        Hope::Refusal(wanted) => call.state == State::Ended { by: By::Them, status: wanted },
    };
    figures.hoped += u64::from(plan.hope.is_some());
    figures.met += u64::from(plan.hope.is_some_and(is_met));
    // 481: the other side's BYE was quicker.
    let is_agreed = match call.state {
        State::Ended { by: By::Us, .. } => matches!(call.reply("BYE"), Some(200 | 481)),
        State::Ended { by, .. } => by == By::Them,
        _ => false,
    };
    figures.closed += u64::from(is_answered && is_agreed);
}

/// Where fewer calls lived or ended than chance explains.
pub(super) fn below(weather: Weather, figures: &Figures) -> Vec<String> {
    let Floor { live, close } = floor(weather);
    let counts = [
        ("calls that are sure came to their end", figures.met, figures.hoped, live),
        ("answered calls ended on both sides", figures.closed, figures.answered, close),
    ];
    let too_few = counts.into_iter().filter(|(_, good, of, floor)| is_below(*good, *of, *floor));
    too_few
        .map(|(what, good, of, floor)| {
            format!("{good} of {of} {what}, {floor} of 1000 at least: {}", weather.name())
        })
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "counts of calls are small")]
fn is_below(good: u64, of: u64, floor: u64) -> bool {
    let (good, of, floor) = (good as f64, of as f64, floor as f64 / 1000.0);
    let deviation = (of * floor * (1.0 - floor)).sqrt();
    good < of * floor - DEVIATIONS * deviation
}
