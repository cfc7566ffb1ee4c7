//! sbc is killed while calls are being set up: who gets an answer, and whose call is begun twice.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use super::script::{BROWSERS, PHONES};
use super::{Act, Chaos, Plan, RING_TIMEOUT, Weather};
use crate::agent::{By, Policy, State};
use crate::sim::{Link, World};

/// Calls under way when sbc is killed, or about to begin.
const CALLS: usize = 40;
/// They begin within so many milliseconds, and the kill falls somewhere into these.
const WINDOW: u64 = 4000;
/// Numbers called: answered at once, answered after ringing, refused; users are called too.
const NUMBERS: [&str; 3] = ["9196", "9180", "9486"];

/// What came of some kills.
#[derive(Debug, Clone, Default)]
pub struct Kills {
    /// How often sbc was killed.
    pub kills: u64,
    /// Calls begun.
    pub calls: u64,
    /// Calls whose caller got one final answer.
    pub answered: u64,
    /// Calls that had our 100 and no word of the pool when sbc was killed: nobody repeats their INVITE.
    pub lost_between: u64,
    /// Calls whose failure was lost on the way when sbc was killed: nobody repeats it. Only where datagrams are lost.
    pub answer_lost: u64,
    /// Calls of browsers whose INVITE had no answer of anybody's yet, or whose failure never left: it was on its way over
    /// a WebSocket that died, or found none.
    pub lost_on_socket: u64,
    /// Calls that the pool answered twice, one member or both.
    pub doubles: u64,
    /// What must not be: calls without an answer and without such an excuse, and what the judge complains of.
    pub broken: Vec<String>,
}

impl Kills {
    /// Take another's counts in.
    pub fn add(&mut self, other: Self) {
        self.kills += other.kills;
        self.calls += other.calls;
        self.answered += other.answered;
        self.lost_between += other.lost_between;
        self.answer_lost += other.answer_lost;
        self.lost_on_socket += other.lost_on_socket;
        self.doubles += other.doubles;
        self.broken.extend(other.broken);
    }

    /// Calls without an answer, each with its excuse.
    pub const fn lost(&self) -> u64 {
        self.lost_between + self.answer_lost + self.lost_on_socket
    }

    /// At most one call in two hundred is lost, and each of those has its excuse.
    pub const fn is_good(&self) -> bool {
        self.broken.is_empty() && self.doubles == 0 && self.lost() * 200 <= self.calls
    }
}

impl fmt::Display for Kills {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kills, calls, answered, lost_between, answer_lost, lost_on_socket, doubles, .. } = self;
        writeln!(f, "killed during call set-up   {kills:>7}")?;
        writeln!(f, "calls                       {calls:>7}")?;
        writeln!(f, "with one final answer       {answered:>7}")?;
        writeln!(f, "lost after our 100          {lost_between:>7}")?;
        writeln!(f, "their answer lost with us   {answer_lost:>7}")?;
        writeln!(f, "lost with their WebSocket   {lost_on_socket:>7}")?;
        writeln!(f, "answered twice by the pool  {doubles:>7}")
    }
}

impl Chaos {
    /// Kill sbc once, at a point of call set-up that the seed decides, over links that lose so much.
    pub fn kill_once(seed: u64, loss_percent: u64) -> Kills {
        Self::before_kill(seed, loss_percent).play_kill()
    }

    /// The world of that kill.
    pub fn before_kill(seed: u64, loss_percent: u64) -> Self {
        let mut chaos = Self::new(seed, Weather::Killed, 0);
        chaos.agenda.clear();
        chaos.loses = loss_percent > 0;
        chaos.world.link =
            Link { jitter: Duration::from_millis(20), duplicate_percent: 5, ..Link::lossy(loss_percent) };
        chaos.world.inside_link = None;
        chaos.plan_set_ups();
        chaos
    }

    /// Play it.
    pub fn play_kill(mut self) -> Kills {
        let until = self.world.now + Duration::from_millis(3 * WINDOW);
        while let Some(((at, _), act)) = self.agenda.pop_first() {
            self.run_to(at);
            self.act(act);
        }
        self.run_to(until);
        let settled = 2 * RING_TIMEOUT.as_millis() as u64;
        let plans = std::mem::take(&mut self.plans);
        let has_answer = |world: &mut World, plan: &Plan| {
            plan.leg
                .is_none_or(|leg| !matches!(world.state(plan.caller, leg), State::Calling | State::Ringing))
        };
        self.world.until(settled, |world| plans.iter().all(|plan| has_answer(world, plan)));
        self.plans = plans;
        self.count()
    }

    fn plan_set_ups(&mut self) {
        let start = self.world.now;
        let everybody: Vec<_> = BROWSERS.into_iter().chain(PHONES).collect();
        for address in &everybody {
            let after = Duration::from_millis(self.chance.below(1500));
            self.world.agent(address).policy = Policy::Answer { after };
        }
        for at in 0..CALLS {
            let begin = start + Duration::from_millis(self.chance.below(WINDOW));
            let lot = self.chance.below(everybody.len() as u64) as usize;
            let other = (lot + 1 + self.chance.below(everybody.len() as u64 - 1) as usize) % everybody.len();
            let number = match NUMBERS.get(self.chance.below(5) as usize) {
                Some(number) => (*number).to_owned(),
                None => (1001 + other).to_string(),
            };
            let uri = format!("sip:{number}@example.test");
            self.plans.push(Plan { caller: everybody[lot], uri, patience: 0, hope: None, leg: None });
            self.put(begin, Act::Call(at));
        }
        let at = start + Duration::from_millis(self.chance.below(WINDOW));
        self.crash_at(at);
    }

    fn count(mut self) -> Kills {
        let calls = self.plans.iter().filter(|plan| plan.leg.is_some()).count() as u64;
        let mut kills = Kills { kills: 1, calls, ..Kills::default() };
        let Some(judge) = self.world.judge.take() else { return kills };
        let plans = std::mem::take(&mut self.plans);
        for plan in &plans {
            let Some(leg) = plan.leg else { continue };
            let Some(call) = self.world.agent(plan.caller).call_of(leg).cloned() else { continue };
            kills.broken.extend(self.different_finals(plan, &call.call_id));
            if matches!(call.state, State::Up | State::Ended { by: By::Them, .. }) {
                kills.answered += 1;
                continue;
            }
            // A challenge was answered by a second INVITE: the last one is what the caller waits for.
            let of_it = judge.setups().iter().filter(|((id, _), _)| *id == call.call_id);
            let last = of_it.max_by_key(|((_, cseq), _)| *cseq).map(|(_, setup)| *setup).unwrap_or_default();
            let is_browser = BROWSERS.contains(&plan.caller);
            if last.lost_between {
                kills.lost_between += 1;
            } else if last.answer_lost && !is_browser && self.loses {
                kills.answer_lost += 1;
            } else if is_browser && ((!last.trying && !last.pool_spoke) || last.answer_lost) {
                kills.lost_on_socket += 1;
            } else if is_browser && !last.trying && matches!(call.state, State::Ended { by: By::Silence, .. })
            {
                // Nobody could tell it that the pool has its call, and it gave up when its own timer B was over.
                kills.lost_on_socket += 1;
            } else {
                kills.broken.push(format!("seed {}: {} {:?} {last:?}", self.seed, call.call_id, call.state));
            }
        }
        let seed = self.seed;
        let doubles = self.answered_twice();
        kills.doubles = doubles.len() as u64;
        kills
            .broken
            .extend(doubles.iter().map(|call_id| format!("seed {seed}: {call_id} was answered twice")));
        kills.broken.extend(judge.complaints().iter().map(|what| format!("seed {seed}: {what}")));
        kills
    }

    /// Final answers that a caller got after another one to the same INVITE, before the kill or after it.
    fn different_finals(&mut self, plan: &Plan, call_id: &str) -> Vec<String> {
        let mut finals: BTreeMap<u32, BTreeSet<(u16, String)>> = BTreeMap::new();
        let trace = self.world.agent(plan.caller).trace();
        let answers = trace.iter().filter(|one| !one.sent && one.message.call_id() == call_id);
        for answer in answers.map(|one| &one.message).filter(|answer| answer.method() == "INVITE") {
            if !answer.is_request() && answer.status() >= 200 {
                finals.entry(answer.cseq()).or_default().insert((answer.status(), answer.tag("To")));
            }
        }
        let several = finals.into_values().filter(|finals| finals.len() > 1);
        several.map(|finals| format!("seed {}: {call_id} was answered with {finals:?}", self.seed)).collect()
    }

    /// Calls that the members answered more than once, together.
    fn answered_twice(&mut self) -> Vec<String> {
        let now = self.world.now;
        let mut answered: BTreeMap<String, u32> = BTreeMap::new();
        for member in self.ground.members() {
            for (call_id, invites) in self.world.member(member).status(now).counters.invites {
                *answered.entry(call_id).or_default() += invites.answered;
            }
        }
        answered.into_iter().filter(|(_, times)| *times > 1).map(|(call_id, _)| call_id).collect()
    }
}
