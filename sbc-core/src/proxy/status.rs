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
    /// Via branches that lead to one of them.
    pub branches: usize,
    /// Everything counted.
    pub counters: Vec<(Count, u64)>,
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
            branches: self.branches.len(),
            counters: Count::ALL.iter().map(|count| (*count, self.counters.get(*count))).collect(),
        }
    }
}
