//! What `/api/v1/status` says, and `sbc status` reads again.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The state of a member that takes calls.
pub(crate) const UP: &str = "up";

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
    /// Name, reason, count; an empty reason is none. Shown as metrics.
    #[serde(skip)]
    pub counters: Vec<(&'static str, &'static str, u64)>,
}

/// One pool.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PoolReport {
    pub name: String,
    /// `pool` or `trunk`.
    pub zone: Cow<'static, str>,
    pub members: Vec<MemberReport>,
}

/// One member of a pool.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct MemberReport {
    pub name: String,
    pub address: String,
    /// [`UP`], or why not.
    pub state: Cow<'static, str>,
}

impl Report {
    /// The first pool of zone pool without a member that is up.
    pub(crate) fn missing(&self) -> Option<&str> {
        let dark = |pool: &&PoolReport| {
            pool.zone == "pool" && pool.members.iter().all(|member| member.state != UP)
        };
        self.pools.iter().find(dark).map(|pool| &*pool.name)
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
        let Self {
            node,
            version,
            uptime_seconds: up,
            workers,
            ..
        } = self;
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
        let Report {
            registrations,
            calls,
            transactions,
            ..
        } = &self.core;
        writeln!(
            f,
            "{calls} calls, {registrations} registrations, {} connections, {transactions} transactions",
            self.connections
        )?;
        for ListenerReport {
            name,
            transport,
            zone,
            bind,
            advertise,
        } in &self.listeners
        {
            writeln!(
                f,
                "listener {name}: {transport} {bind}, zone {zone}, {advertise} to peers"
            )?;
        }
        for pool in &self.core.pools {
            writeln!(f, "pool {} (zone {})", pool.name, pool.zone)?;
            for MemberReport {
                name,
                address,
                state,
            } in &pool.members
            {
                writeln!(f, "  {state:<8} {name} at {address}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(zone: &'static str, states: &[&'static str]) -> PoolReport {
        let member = |state: &&'static str| MemberReport {
            name: "a".into(),
            address: "b".into(),
            state: (*state).into(),
        };
        PoolReport {
            name: format!("of-{zone}"),
            zone: zone.into(),
            members: states.iter().map(member).collect(),
        }
    }

    #[test]
    fn ready_needs_one_live_member_in_every_pool_of_freeswitch_and_asks_nothing_of_carriers() {
        let report = |pools: &[PoolReport]| Report {
            pools: pools.to_vec(),
            ..Report::default()
        };
        assert_eq!(
            report(&[pool("pool", &["down", UP]), pool("trunk", &["down"])]).missing(),
            None
        );
        assert_eq!(
            report(&[pool("trunk", &[UP]), pool("pool", &["down", "full"])]).missing(),
            Some("of-pool")
        );
    }
}
