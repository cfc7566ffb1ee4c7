//! The configuration is read again and again under SIPp: no call fails, and no browser loses its connection.

use std::fmt;
use std::time::Duration;

use crate::agent::State;
use crate::process::{Balance, Caller, Live, Outcome, PATIENCE, Sbc, SippMember, Site, until};

/// How long each call lasts.
const LENGTH: Duration = Duration::from_millis(500);
/// Connections that are held open.
const BROWSERS: usize = 10;

/// What came of it.
#[derive(Debug, Clone)]
pub struct Reloaded {
    /// How often it was read.
    pub reloads: u32,
    /// What the caller counted.
    pub outcome: Outcome,
    /// Connections that were open before, and those of them that carried a call at the end.
    pub connections: (usize, usize),
}

impl Reloaded {
    /// What is not as it must be.
    pub fn broken(&self) -> Vec<String> {
        let Outcome { begun, answered, failed, unexpected, .. } = self.outcome;
        let (before, after) = self.connections;
        let mut broken = Vec::new();
        if answered != begun || failed + unexpected > 0 {
            broken.push(format!(
                "{answered} of {begun} calls answered, {failed} failed, {unexpected} unexpected"
            ));
        }
        if after != before {
            broken.push(format!("{after} of {before} connections are left"));
        }
        broken
    }
}

impl fmt::Display for Reloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcome { begun, answered, failed, .. } = self.outcome;
        writeln!(f, "reloads under calls         {:>7}", self.reloads)?;
        writeln!(f, "calls                       {begun:>7}")?;
        writeln!(f, "answered                    {answered:>7}")?;
        writeln!(f, "failed                      {failed:>7}")?;
        writeln!(f, "connections kept            {:>7} of {}", self.connections.1, self.connections.0)
    }
}

/// Reload so often, evenly over so many calls, so many a second.
///
/// # Panics
/// When a program does not start or end, or a reload is refused.
pub fn reload(reloads: u32, calls: u32, rate: u32) -> Reloaded {
    let site = Site::new("reloads");
    let _members = SippMember::pair(&site);
    let sbc = Sbc::start(&site, Balance::CallId);
    let browsers: Vec<_> =
        (0..BROWSERS).map(|number| Live::browser(&site, &(1000 + number).to_string())).collect();
    let mut caller = Caller::start(&site, calls, rate, LENGTH);
    for reload in 1..=reloads {
        let wanted = u64::from(calls) * u64::from(reload) / u64::from(reloads + 1);
        until("calls go on being answered", || caller.answered() + u64::from(rate) >= wanted);
        sbc.reload_with_rule(reload);
    }
    let outcome = caller.finish_within(2 * PATIENCE);
    let legs: Vec<_> = browsers.iter().map(|browser| (browser, browser.call("9196"))).collect();
    let is_up = |(browser, leg): &&(&Live, _)| {
        crate::process::until_within(PATIENCE, || browser.state(*leg) == State::Up)
    };
    let kept = legs.iter().filter(is_up).count();
    legs.iter().for_each(|(browser, leg)| browser.act(|agent, now| agent.bye(now, *leg)));
    Reloaded { reloads, outcome, connections: (BROWSERS, kept) }
}
