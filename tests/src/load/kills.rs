//! `kill -9` of sbc again and again while SIPp calls through it, each time started again as a supervisor would.

use std::fmt;
use std::time::{Duration, Instant};

use super::by_call::Calls;
use crate::process::{Balance, Caller, Outcome, PATIENCE, Sbc, SippMember, Site, until, until_within};

/// How long each call lasts.
const LENGTH: Duration = Duration::from_millis(500);
/// From one kill to the next, in seconds of calls.
const EVERY: u32 = 2;
/// A call that has said nothing for so long is lost, and everything else over.
const SILENCE: Duration = Duration::from_secs(45);
/// The restarted program answers within this.
const BACK_WITHIN: Duration = Duration::from_secs(2);

/// What came of it.
#[derive(Debug, Clone)]
pub struct Killed {
    /// How often sbc was killed.
    pub kills: u32,
    /// What the caller counted.
    pub outcome: Outcome,
    /// Calls begun, as the messages say.
    pub begun: usize,
    /// Calls that never got a final answer, by Call-ID.
    pub unanswered: Vec<String>,
    /// Calls that got several final answers which are not the same.
    pub answered_twice: Vec<String>,
    /// Calls that are several at the members: two INVITE transactions, or one at each of two.
    pub doubled: Vec<String>,
    /// Calls at the members that nobody has begun.
    pub invented: Vec<String>,
    /// The longest time from a kill to all members being up again in the restarted program's eyes.
    pub longest_away: Duration,
}

impl Killed {
    /// What is not as it must be.
    pub fn broken(&self) -> Vec<String> {
        let Self { outcome: Outcome { begun, failed, .. }, unanswered, .. } = self;
        let mut broken = Vec::new();
        if unanswered.len() * 200 > self.begun {
            broken.push(format!("{} of {begun} calls got no answer: {unanswered:?}", unanswered.len()));
        }
        if *failed > unanswered.len() as u64 {
            broken.push(format!("{failed} calls failed, {} of them without an answer", unanswered.len()));
        }
        if self.begun as u64 != *begun {
            broken.push(format!("the caller counts {begun} calls, and has sent {}", self.begun));
        }
        let wrong = [
            ("answered in two ways", &self.answered_twice),
            ("set up twice at the members", &self.doubled),
            ("at a member, and begun by nobody", &self.invented),
        ];
        let wrong = wrong.into_iter().filter(|(_, calls)| !calls.is_empty());
        broken.extend(wrong.map(|(what, calls)| format!("{} calls {what}: {calls:?}", calls.len())));
        if self.longest_away > BACK_WITHIN {
            broken.push(format!("away for {:?}", self.longest_away));
        }
        broken
    }
}

impl fmt::Display for Killed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcome { begun, answered, orphaned, .. } = self.outcome;
        writeln!(f, "kill -9 under calls         {:>7}", self.kills)?;
        writeln!(f, "calls                       {begun:>7}")?;
        writeln!(f, "answered                    {answered:>7}")?;
        writeln!(f, "without an answer           {:>7}", self.unanswered.len())?;
        writeln!(f, "answered in two ways        {:>7}", self.answered_twice.len())?;
        writeln!(f, "twice at the members        {:>7}", self.doubled.len())?;
        writeln!(f, "BYE found nobody            {orphaned:>7}")?;
        writeln!(f, "longest until ready, ms     {:>7}", self.longest_away.as_millis())
    }
}

/// Kill sbc so often, under so many calls a second.
///
/// # Panics
/// When a program does not start or does not end.
pub fn kills(kills: u32, rate: u32, mut tell: impl FnMut(u32)) -> Killed {
    let site = Site::new("kills");
    let members = SippMember::pair(&site);
    let mut sbc = Sbc::start(&site, Balance::CallId);
    let calls = rate * EVERY * (kills + 1);
    let mut caller = Caller::start(&site, calls, rate, LENGTH);
    let mut longest_away = Duration::ZERO;
    for kill in 1..=kills {
        let wanted = u64::from(rate * EVERY * kill) * 9 / 10;
        until("calls go on being answered", || caller.answered() >= wanted);
        let begun = Instant::now();
        sbc.kill();
        sbc.restart();
        longest_away = longest_away.max(begun.elapsed());
        tell(kill);
    }
    let outcome = caller.finish_within(SILENCE + PATIENCE);
    let all = || members.iter().map(SippMember::calls).sum::<u64>();
    // SIPp writes its counts once a second, and its messages no later; where calls were lost they never add up.
    until_within(Duration::from_secs(3), || all() >= outcome.begun);
    let mut calls = Calls::default();
    calls.sent(&caller.sent());
    calls.heard(&caller.received());
    for (place, member) in members.iter().enumerate() {
        calls.reached(place, &member.received());
    }
    let owned = |ids: Vec<&str>| ids.into_iter().map(str::to_owned).collect();
    Killed {
        kills,
        outcome,
        begun: calls.begun(),
        unanswered: owned(calls.unanswered()),
        answered_twice: owned(calls.answered_twice()),
        doubled: owned(calls.doubled()),
        invented: owned(calls.invented()),
        longest_away,
    }
}
