//! What the admin listener shows.

use std::net::SocketAddr;

use crate::count::Count;
use crate::flow::Zone;
use crate::pool::Health;
use crate::proxy::core::Core;

/// A look at the whole.
#[derive(Debug, Clone)]
pub struct Status {
    /// In the order of the configuration.
    pub pools: Vec<PoolStatus>,
    /// Open connections.
    pub connections: usize,
    /// Known bindings.
    pub registrations: usize,
    /// Calls that are up, as far as this process knows.
    pub calls: usize,
    /// Server transactions in progress.
    pub transactions: usize,
    /// How often rules gave each tag, by name.
    pub tags: Vec<(String, u64)>,
    /// Sources, users and listeners that the gate knows apart.
    pub sources: usize,
    /// Via branches that lead to one of them.
    pub branches: usize,
    /// Requests that wait for a flow to come back.
    pub waiting: usize,
    /// INVITEs in progress that would be known if they came again by another way.
    pub merges: usize,
    /// Everything counted.
    pub counters: Vec<(Count, u64)>,
}

impl Status {
    /// Whether every request is over and forgotten. 64 times T1 after the last message it must be so.
    pub fn is_at_rest(&self) -> bool {
        [self.transactions, self.branches, self.waiting, self.merges].iter().all(|table| *table == 0)
    }
}

/// One pool.
#[derive(Debug, Clone)]
pub struct PoolStatus {
    /// As configured.
    pub name: String,
    /// Whom it faces.
    pub zone: Zone,
    /// Whether any member can be expected to answer.
    pub available: bool,
    /// In the order of the configuration.
    pub members: Vec<MemberStatus>,
}

/// One member.
#[derive(Debug, Clone)]
pub struct MemberStatus {
    /// As written.
    pub uri: String,
    /// Where messages for it go.
    pub address: SocketAddr,
    /// What is known of it.
    pub health: Health,
}

impl Core {
    /// Look at everything.
    pub fn status(&self) -> Status {
        let settings = self.settings.load();
        let pools = settings.pools.iter().map(|state| PoolStatus {
            name: state.config.name.to_string(),
            zone: state.config.zone,
            available: state.is_available(),
            members: state
                .members
                .iter()
                .map(|member| MemberStatus {
                    uri: member.uri.to_string(),
                    address: member.address,
                    health: member.health(),
                })
                .collect(),
        });
        Status {
            pools: pools.collect(),
            connections: self.directory.connections(),
            registrations: self.directory.bindings(),
            calls: self.dialogs.calls(),
            transactions: self.entries.len(),
            tags: self.tags.all(),
            sources: self.gate.sources().len(),
            branches: self.branches.len(),
            waiting: self.directory.waiting(),
            merges: self.merges.len(),
            counters: Count::ALL.iter().map(|count| (*count, self.counters.get(*count))).collect(),
        }
    }
}
