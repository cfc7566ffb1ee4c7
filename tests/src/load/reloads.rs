//! The configuration is read again and again under SIPp, and something in it is another each time, or it goes back to
//! what it was: no call fails, and no browser loses its connection.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use sbc_core::flow::Transport;

use crate::agent::State;
use crate::process::{
    Balance, Caller, Live, Outcome, PATIENCE, Puppet, Sbc, SippMember, Site, until, until_within,
};
use crate::ua::message::Message;

/// How long each call lasts.
const LENGTH: Duration = Duration::from_millis(500);
/// What the caller asks for in one: INVITE, ACK and BYE.
const REQUESTS: u32 = 3;
/// Connections that are held open.
const BROWSERS: usize = 10;
/// What the pool goes by, one after the other.
const BALANCES: [&str; 4] = ["hash:call-id", "round-robin", "least-calls", "weighted"];

/// What came of it.
#[derive(Debug, Clone)]
pub struct Reloaded {
    /// How often it was read.
    pub reloads: u32,
    /// How often of these it went back to what ran before.
    pub back: u32,
    /// What the caller counted.
    pub outcome: Outcome,
    /// Connections that were open before, and those of them that carried a call at the end.
    pub connections: (usize, usize),
    /// Calls of the member that came and went: before it went for the first time, and later.
    pub at_the_third: [u32; 2],
    /// Different numbers from the rule that all calls meet, as the other members have seen them.
    pub numbers: usize,
    /// Reloads after which other members or other changes were told of than should be.
    pub astray: Vec<String>,
}

impl Reloaded {
    /// What is not as it must be.
    pub fn broken(&self) -> Vec<String> {
        let Outcome { begun, answered, failed, unexpected, orphaned, .. } = self.outcome;
        let (before, after) = self.connections;
        let mut broken = self.astray.clone();
        if answered != begun || failed + unexpected + orphaned > 0 {
            broken.push(format!(
                "{answered} of {begun} calls answered, {failed} failed, {unexpected} unexpected, {orphaned} BYEs found nobody"
            ));
        }
        if after != before {
            broken.push(format!("{after} of {before} connections are left"));
        }
        if self.at_the_third.contains(&0) {
            broken.push(format!("the member that comes and goes had {:?} calls", self.at_the_third));
        }
        if self.numbers < 2 {
            broken.push("the rule that all calls meet was the same all the time".to_owned());
        }
        broken
    }
}

impl fmt::Display for Reloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcome { begun, answered, failed, orphaned, .. } = self.outcome;
        writeln!(f, "reloads under calls         {:>7}", self.reloads)?;
        writeln!(f, "of them back to the last    {:>7}", self.back)?;
        writeln!(f, "calls                       {begun:>7}")?;
        writeln!(f, "answered                    {answered:>7}")?;
        writeln!(f, "failed                      {failed:>7}")?;
        writeln!(f, "BYE found nobody            {orphaned:>7}")?;
        writeln!(f, "at who comes and goes       {:>7}", self.at_the_third.iter().sum::<u32>())?;
        writeln!(f, "connections kept            {:>7} of {}", self.connections.1, self.connections.0)
    }
}

/// What differs from one configuration to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version {
    /// Whether the pool has its third member.
    has_third: bool,
    /// The place of its balance.
    balance: usize,
    /// The number of a rule that no call meets.
    unused: u32,
    /// The number in the rule that all calls meet.
    used: u32,
}

/// What is done at one reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Member,
    UsedRule,
    Balance,
    UnusedRule,
    /// `sbc reload --previous`.
    Back,
}

impl Step {
    /// So many changes are followed by one way back: over time each of them is undone.
    const CHANGES: u32 = 3;

    fn of(reload: u32) -> Self {
        let (rounds, place) = (reload / (Self::CHANGES + 1), reload % (Self::CHANGES + 1));
        match (rounds * Self::CHANGES + place) % 4 {
            _ if place == 0 => Self::Back,
            1 => Self::Member,
            2 => Self::Balance,
            3 => Self::UsedRule,
            _ => Self::UnusedRule,
        }
    }
}

impl Version {
    const FIRST: Self = Self { has_third: true, balance: 0, unused: 0, used: 0 };

    fn after(self, step: Step, reload: u32) -> Self {
        match step {
            Step::Member => Self { has_third: !self.has_third, ..self },
            Step::UsedRule => Self { used: reload, ..self },
            Step::Balance => Self { balance: (self.balance + 1) % BALANCES.len(), ..self },
            Step::UnusedRule => Self { unused: reload, ..self },
            Step::Back => self,
        }
    }

    /// Whether the program says what has changed: rules it only counts.
    const fn is_named_after(self, before: Self) -> bool {
        self.has_third != before.has_third || self.balance != before.balance
    }

    fn write(self, site: &Site, third: SocketAddr) {
        let Self { unused, used, .. } = self;
        site.rewrite(|config, rules| {
            let balance = format!("balance = \"{}\"", BALANCES[self.balance]);
            let mut config = config.replace("balance = \"hash:call-id\"", &balance);
            if !self.has_third {
                config = config.replace(&format!(", {{ uri = \"sip:{third}\" }}"), "");
            }
            let more = format!(
                "[[rule]]\nname = \"number {unused}\"\nmatch = {{ user = \"{unused}\" }}\nreject = {{ status = 404 }}\n"
            );
            let own = "match = { zone = \"public\" }\n";
            let rules = rules.replace(own, &format!("{own}set = {{ headers = {{ X-Number = \"{used}\" }} }}\n"));
            (config, format!("{more}{rules}"))
        });
    }

    fn members(self, site: &Site) -> Vec<String> {
        let members = site.pool().into_iter().take(if self.has_third { 3 } else { 2 });
        members.map(|member| member.to_string()).collect()
    }
}

/// Reload so often, evenly over so many calls, so many a second.
///
/// # Panics
/// When a program does not start or end, or a reload is refused.
pub fn reload(reloads: u32, calls: u32, rate: u32) -> Reloaded {
    let site = Site::new("reloads").and_third_member();
    let members = SippMember::pair(&site);
    let third = site.pool()[2];
    let puppet = Puppet::start(third, Transport::Udp);
    let sbc = Sbc::start(&site, Balance::CallId);
    let browsers: Vec<_> =
        (0..BROWSERS).map(|number| Live::browser(&site, &(1000 + number).to_string())).collect();
    let mut caller = Caller::start(&site, calls, rate, LENGTH);
    let (mut running, mut before) = (Version::FIRST, Version::FIRST);
    let (mut back, mut astray, mut at_first) = (0, Vec::new(), None);
    for reload in 1..=reloads {
        let wanted = u64::from(calls * REQUESTS) * u64::from(reload) / u64::from(reloads + 1);
        until("calls go on", || sbc.metric("sbc_proxy_requests_total") >= wanted);
        let step = Step::of(reload);
        let next = if step == Step::Back { before } else { running.after(step, reload) };
        if step == Step::Back {
            back += 1;
        } else {
            next.write(&site, third);
        }
        let changes = sbc.reload(step == Step::Back);
        (before, running) = (running, next);
        let is_named = running.is_named_after(before);
        if sbc.members() != running.members(&site) || changes.is_empty() == is_named {
            astray.push(format!("reload {reload}, {step:?}: {changes:?}, {:?}", sbc.members()));
        }
        if !running.has_third {
            at_first.get_or_insert_with(|| puppet.heard().calls);
        }
    }
    let outcome = caller.finish_within(2 * PATIENCE);
    let legs: Vec<_> = browsers.iter().map(|browser| (browser, browser.call("9196"))).collect();
    let is_up = |(browser, leg): &&(&Live, _)| until_within(PATIENCE, || browser.state(*leg) == State::Up);
    let kept = legs.iter().filter(is_up).count();
    legs.iter().for_each(|(browser, leg)| browser.act(|agent, now| agent.bye(now, *leg)));
    let at_first = at_first.unwrap_or(0);
    let at_the_third = [at_first, puppet.heard().calls - at_first];
    let received = members.iter().flat_map(SippMember::received);
    let numbers: BTreeSet<_> =
        received.filter_map(|bytes| Message::read(&bytes).ok()?.get("X-Number").map(str::to_owned)).collect();
    let numbers = numbers.len();
    Reloaded { reloads, back, outcome, connections: (BROWSERS, kept), at_the_third, numbers, astray }
}
