//! What `/api/v1/status` says, and `sbc status` reads again.

use std::fmt;

use sbc_core::admission::Class;
use sbc_core::count::Count;
use sbc_core::flow::Zone;
use sbc_core::time::Time;
use sbc_core::{Load, MemberStatus, PoolStatus};
use serde::{Deserialize, Serialize};

/// All of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Status {
    /// Name of the node.
    pub node: String,
    /// Version of the program.
    pub version: String,
    /// Since the start.
    pub uptime_seconds: u64,
    /// Worker threads.
    pub workers: u8,
    /// True when every pool of zone pool has a member that is up.
    pub ready: bool,
    /// WebSocket connections open now.
    pub connections: u64,
    /// In the order of the configuration.
    pub listeners: Vec<ListenerReport>,
    /// What the core says.
    #[serde(flatten)]
    pub core: Report,
}

/// One listener.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ListenerReport {
    pub name: String,
    pub transport: String,
    pub zone: String,
    pub bind: String,
    pub advertise: String,
}

/// What the core says of itself.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    /// In the order of the configuration.
    pub pools: Vec<PoolReport>,
    /// Bindings known now.
    pub registrations: u64,
    /// Calls up or being set up.
    pub calls: u64,
    /// Transactions alive.
    pub transactions: u64,
    /// How far the workers are behind.
    #[serde(default)]
    pub load: LoadReport,
    /// How often rules gave each tag.
    #[serde(default)]
    pub tags: Vec<(String, u64)>,
    /// Shown as metrics only.
    #[serde(skip)]
    pub counters: Vec<(Count, u64)>,
    /// Shown as metrics only.
    #[serde(skip)]
    pub tolerated: Vec<(Count, u64)>,
}

/// The worst of the workers.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct LoadReport {
    /// How long inputs stand in its queues.
    pub delay_micros: u64,
    /// What is turned away, in percent of each class: the first goes first.
    pub shed_percent: Vec<(String, u32)>,
    /// What is not even read of requests by UDP that begin something, in percent: of calls, of registrations.
    #[serde(default)]
    pub unread_percent: Vec<(String, u32)>,
}

impl LoadReport {
    fn of(load: &Load) -> Self {
        let shed = |class: Class| (class.as_str().to_owned(), load.shed_of(class));
        Self {
            delay_micros: u64::try_from(load.delay.as_micros()).unwrap_or(u64::MAX),
            shed_percent: Class::ALL.into_iter().map(shed).collect(),
            unread_percent: [Class::Call, Class::Registration]
                .into_iter()
                .zip(load.unread)
                .map(|(class, percent)| (class.as_str().to_owned(), percent))
                .collect(),
        }
    }

    /// What is turned away, in words; `None`: nothing.
    fn shed(&self) -> Option<String> {
        let shed = in_words(&self.shed_percent)?;
        let unread = in_words(&self.unread_percent).map(|unread| format!("; unread by UDP: {unread}"));
        Some(shed + &unread.unwrap_or_default())
    }
}

fn in_words(percents: &[(String, u32)]) -> Option<String> {
    let some = percents.iter().filter(|(_, percent)| *percent > 0);
    let some: Vec<String> = some.map(|(class, percent)| format!("{percent} % of {class}")).collect();
    (!some.is_empty()).then(|| some.join(", "))
}

/// One pool.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PoolReport {
    pub name: String,
    /// `pool` or `trunk`.
    pub zone: String,
    /// Whether any member can be expected to answer.
    pub available: bool,
    pub members: Vec<MemberReport>,
    /// Where DNS lists members, if it does.
    #[serde(default)]
    pub discover: Option<DiscoverReport>,
}

/// What DNS lists of a pool.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct DiscoverReport {
    /// What it is asked for, as configured.
    pub source: String,
    /// How many it listed when it last answered.
    pub members: usize,
    /// Why there is no newer answer.
    pub failing: Option<String>,
}

impl fmt::Display for DiscoverReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, members, failing } = self;
        match failing {
            None => write!(f, "{source} lists {members} members"),
            Some(why) => {
                write!(f, "{source} does not answer ({why}); the {members} members that it listed are kept")
            }
        }
    }
}

/// One member of a pool.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct MemberReport {
    pub name: String,
    pub address: String,
    /// `up`, `full`, `draining`, `down`, `disabled`, or `unknown` before the first probe.
    pub state: String,
    /// Calls that it has, as far as this node knows.
    pub calls: u32,
    /// True where DNS lists it, and not the file.
    #[serde(default)]
    pub discovered: bool,
}

impl Report {
    /// What the core said, in words.
    pub(crate) fn of(status: &sbc_core::Status, now: Time) -> Self {
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        Self {
            pools: status.pools.iter().map(|pool| PoolReport::of(pool, now)).collect(),
            registrations: count(status.registrations),
            calls: count(status.calls),
            transactions: count(status.transactions),
            load: LoadReport::of(&status.load),
            tags: status.tags.clone(),
            counters: status.counters.clone(),
            tolerated: status.tolerated.clone(),
        }
    }

    /// The first pool of zone pool that no call can go to.
    pub(crate) fn missing(&self) -> Option<&str> {
        let dark = |pool: &&PoolReport| pool.zone == Zone::Pool.to_string() && !pool.available;
        self.pools.iter().find(dark).map(|pool| &*pool.name)
    }
}

impl PoolReport {
    fn of(pool: &PoolStatus, now: Time) -> Self {
        let member = |member: &MemberStatus| MemberReport {
            name: member.uri.clone(),
            address: member.address.to_string(),
            state: member.state(now).to_owned(),
            calls: member.calls,
            discovered: false,
        };
        Self {
            name: pool.name.clone(),
            zone: pool.zone.to_string(),
            available: pool.available,
            members: pool.members.iter().map(member).collect(),
            discover: None,
        }
    }
}

impl Status {
    /// See [`Report::missing`].
    pub(crate) fn missing(&self) -> Option<&str> {
        self.core.missing()
    }
}

/// For people.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { node, version, uptime_seconds: up, workers, .. } = self;
        let ready = match self.missing() {
            None => "ready".to_owned(),
            Some(pool) => format!("not ready: no member of pool {pool} is up"),
        };
        writeln!(
            f,
            "{node}: {ready}; sbc {version}, {workers} workers, up {}h {:02}m {:02}s",
            up / 3600,
            up / 60 % 60,
            up % 60
        )?;
        let Report { registrations, calls, transactions, .. } = &self.core;
        writeln!(
            f,
            "{calls} calls, {registrations} registrations, {} connections, {transactions} transactions",
            self.connections
        )?;
        if let Some(shed) = self.core.load.shed() {
            let millis = self.core.load.delay_micros / 1000;
            writeln!(f, "overload: inputs wait {millis} ms; turned away: {shed}")?;
        }
        for ListenerReport { name, transport, zone, bind, advertise } in &self.listeners {
            writeln!(f, "listener {name}: {transport} {bind}, zone {zone}, {advertise} to peers")?;
        }
        for pool in &self.core.pools {
            writeln!(f, "pool {} (zone {})", pool.name, pool.zone)?;
            for MemberReport { name, address, state, calls, discovered } in &pool.members {
                let from = if *discovered { ", from DNS" } else { "" };
                writeln!(f, "  {state:<8} {name} at {address}, {calls} calls{from}")?;
            }
            if let Some(discover) = &pool.discover {
                writeln!(f, "  {discover}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_needs_every_pool_of_freeswitch_and_asks_nothing_of_carriers() {
        let pool = |zone: Zone, available| PoolReport {
            name: format!("of-{zone}"),
            zone: zone.to_string(),
            available,
            members: Vec::new(),
            discover: None,
        };
        let report = |pools: &[PoolReport]| Report { pools: pools.to_vec(), ..Report::default() };
        assert_eq!(report(&[pool(Zone::Pool, true), pool(Zone::Trunk, false)]).missing(), None);
        assert_eq!(report(&[pool(Zone::Trunk, true), pool(Zone::Pool, false)]).missing(), Some("of-pool"));
    }
}
