//! What came of worlds of chaos: each one's complaints, and figures over all of them.

use std::collections::BTreeMap;
use std::fmt;

use sbc_core::flow::Transport;

use super::{Chaos, Weather, floor};
use crate::agent::{By, State};
use crate::sim::canary::CANARY;

/// What came of one world.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Its seed.
    pub seed: u64,
    /// What it had to bear.
    pub weather: Weather,
    /// The counts.
    pub figures: Figures,
    /// What must not be; empty where all is well.
    pub broken: Vec<String>,
}

/// Counts, of one world or of many.
#[derive(Debug, Clone, Copy, Default)]
pub struct Figures {
    /// Worlds.
    pub worlds: u64,
    /// Calls made.
    pub calls: u64,
    /// Answered, and ended by BYE.
    pub answered: u64,
    /// Refused, as the number called does.
    pub refused: u64,
    /// Calls of which it is known how they must end, and whose callers wait for it.
    pub hoped: u64,
    /// Those of them that ended so.
    pub met: u64,
    /// Answered calls whose end both sides have agreed on.
    pub closed: u64,
    /// Given up by the caller before the answer.
    pub cancelled: u64,
    /// Nobody answered, or sbc or a member said that it could not.
    pub died: u64,
    /// Agents whose call was over for the other side alone.
    pub left_alone: u64,
    /// Requests that more than one member was asked.
    pub failovers: u64,
    /// Messages that came to sbc and left it.
    pub messages: u64,
    /// The most messages that one input made.
    pub most_at_once: u64,
}

impl Figures {
    /// Take another's counts in.
    pub fn add(&mut self, other: &Self) {
        self.worlds += other.worlds;
        self.calls += other.calls;
        self.answered += other.answered;
        self.refused += other.refused;
        self.hoped += other.hoped;
        self.met += other.met;
        self.closed += other.closed;
        self.cancelled += other.cancelled;
        self.died += other.died;
        self.left_alone += other.left_alone;
        self.failovers += other.failovers;
        self.messages += other.messages;
        self.most_at_once = self.most_at_once.max(other.most_at_once);
    }

    fn end(&mut self, state: State) {
        match state {
            State::Ended { status: 200, .. } => self.answered += 1,
            State::Ended { by: By::Us, .. } => self.cancelled += 1,
            // 500 is what a member's 503 about the callee becomes.
            State::Ended { by: By::Them, status: 404 | 480 | 486 | 500 } => self.refused += 1,
            _ => self.died += 1,
        }
    }
}

impl Chaos {
    pub(super) fn outcome(mut self, ended: bool, quiet: bool) -> Outcome {
        // A browser without a connection makes no call.
        let calls = self.plans.iter().filter(|plan| plan.leg.is_some()).count() as u64;
        let mut figures = Figures { worlds: 1, calls, ..Figures::default() };
        let mut broken = self.world.violations();
        // Two threads may hand their answers to one connection in the other order.
        // The judge knows which were handed over in one moment.
        let by_threads =
            |what: &String| self.world.at_once && what.starts_with('1') && what.contains("after the 2xx");
        broken.retain(|what| !self.weather.excuses(what) && !by_threads(what));
        for plan in &self.plans {
            if let Some(leg) = plan.leg {
                figures.end(self.world.state(plan.caller, leg));
                floor::count(&mut figures, plan, self.world.agent(plan.caller).call_of(leg));
            }
        }
        figures.left_alone = self.left_alone.len() as u64;
        if !self.weather.kills() || self.is_released {
            broken.extend(self.left_alone.iter().cloned());
        }
        if !ended {
            // A damaged answer may leave a member a leg that it has no call for: that is its own affair.
            let by_damage = |what: &String| self.weather == Weather::Damaged && what.contains("number: \"\"");
            broken.extend(self.world.unended().into_iter().filter(|what| !by_damage(what)));
        }
        if !quiet {
            let silent = self.world.judge.as_ref().map(|judge| self.world.now.since(judge.last_message()));
            for core in self.world.cores() {
                let status = core.status();
                broken.push(format!(
                    "{} transactions, {} branches, {} that wait and {} merges are left {silent:?} after the last message",
                    status.transactions, status.branches, status.waiting, status.merges
                ));
            }
        }
        if let Some(judge) = &self.world.judge {
            broken.extend(judge.complaints().iter().cloned());
            if self.weather != Weather::Damaged {
                broken.extend(judge.ghosts());
            }
            // A node that was away, or had no part in it, hears nothing of the end of a dialog.
            if !matches!(self.weather, Weather::Damaged | Weather::Killed | Weather::NodeKilled) {
                broken.extend(self.kept_dialogs(judge.open_dialogs()));
            }
            figures.failovers = judge.failovers();
            figures.messages = judge.messages();
            figures.most_at_once = judge.most_at_once() as u64;
        }
        let canary = CANARY.parse().expect("an address");
        if self.world.destinations.contains(&canary) {
            broken.push(format!("something was sent to {CANARY}"));
        }
        // A member knows an INVITE by its Via: repeated by a node with an address of its own, it is another one.
        if !matches!(self.weather, Weather::Damaged | Weather::NodeKilled) {
            broken.extend(self.world.doubles());
        }
        if self.weather == Weather::Calm {
            broken.extend(
                (figures.died > 0).then(|| format!("{} calls died though nothing was lost", figures.died)),
            );
            let failovers = figures.failovers;
            broken.extend((failovers > 0).then(|| format!("{failovers} failovers though nobody was away")));
        }
        // What a stream loses is time, and callers give up in their own: of such worlds the floor holds over all.
        let is_datagrams = self.ground.transport == Transport::Udp;
        broken.extend(floor::below(self.weather, &figures).into_iter().filter(|_| is_datagrams));
        Outcome { seed: self.seed, weather: self.weather, figures, broken }
    }

    /// A dialog whose end has passed keeps no record, and no place at a member.
    fn kept_dialogs(&self, open: usize) -> Vec<String> {
        let mut kept = Vec::new();
        for core in self.world.cores() {
            let status = core.status();
            let members = status.pools.iter().flat_map(|pool| &pool.members);
            let calls: u32 = members.map(|member| member.calls).sum();
            // A call between two members has a place at each.
            let counts = [
                ("records of dialogs", status.dialogs, open),
                ("calls at members", calls as usize, 2 * open),
            ];
            let too_many = counts.into_iter().filter(|(_, count, most)| count > most);
            kept.extend(
                too_many.map(|(what, count, most)| format!("{count} {what} are left, {most} may be")),
            );
        }
        kept
    }
}

/// Figures by weather.
#[derive(Debug, Clone, Default)]
pub struct Table(BTreeMap<Weather, Figures>);

impl Table {
    /// Take the outcome of a world in.
    pub fn add(&mut self, outcome: &Outcome) {
        self.0.entry(outcome.weather).or_default().add(&outcome.figures);
    }

    /// Over all weathers.
    pub fn total(&self) -> Figures {
        let mut total = Figures::default();
        self.0.values().for_each(|figures| total.add(figures));
        total
    }
}

impl Table {
    /// Weathers in which too few calls lived, or ended on both sides.
    pub fn broken(&self) -> Vec<String> {
        self.0.iter().flat_map(|(weather, figures)| floor::below(*weather, figures)).collect()
    }
}

const COLUMNS: [&str; 13] = [
    "worlds",
    "calls",
    "answered",
    "refused",
    "cancelled",
    "died",
    "sure",
    "met",
    "closed",
    "alone",
    "failovers",
    "messages",
    "at once",
];

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<28}", "weather")?;
        COLUMNS.iter().try_for_each(|column| write!(f, " {column:>9}"))?;
        let total = self.total();
        let rows = self.0.iter().map(|(weather, figures)| (weather.name(), figures));
        for (name, row) in rows.chain([("all", &total)]) {
            write!(f, "\n{name:<28}")?;
            row.cells().iter().try_for_each(|cell| write!(f, " {cell:>9}"))?;
        }
        writeln!(f)
    }
}

impl Figures {
    const fn cells(&self) -> [u64; COLUMNS.len()] {
        [
            self.worlds,
            self.calls,
            self.answered,
            self.refused,
            self.cancelled,
            self.died,
            self.hoped,
            self.met,
            self.closed,
            self.left_alone,
            self.failovers,
            self.messages,
            self.most_at_once,
        ]
    }
}
