//! What the admin listener shows.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::count::Count;
use crate::flow::Zone;
use crate::pool::{Health, MemberState, Order};
use crate::proxy::core::Core;
use crate::proxy::shedding::Load;
use crate::time::Time;

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
    /// Dialogs that have a record.
    pub dialogs: usize,
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
    /// How far the workers are behind.
    pub load: Load,
    /// Everything counted.
    pub counters: Vec<(Count, u64)>,
    /// Faults of messages that were let pass, those that occurred.
    pub tolerated: Vec<(Count, u64)>,
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
    /// Whether it is there.
    pub health: Health,
    /// What the operator wants of it.
    pub order: Order,
    /// When it has room again, as it said itself; in the past where it has.
    pub full_until: Time,
    /// Its probes say that it takes nothing.
    pub is_busy: bool,
    /// Calls that it has, as far as this process knows.
    pub calls: u32,
}

impl MemberStatus {
    /// Its state in one word: up, full, draining, down, disabled, or unknown before it was asked.
    pub fn state(&self, now: Time) -> &'static str {
        match (self.order, self.health) {
            (Order::Disabled, _) => "disabled",
            (Order::Draining, _) => "draining",
            (Order::Enabled, Health::Up) if self.is_busy || self.full_until > now => "full",
            (Order::Enabled, health) => health.as_str(),
        }
    }
}

/// Why an order was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSuchMember;

impl Core {
    /// The operator wants something else of a member: by its URI as written, or its address. In every pool
    /// that has it; a reload keeps it, a restart does not.
    ///
    /// # Errors
    /// When no pool has it.
    pub fn set_order(&self, member: &str, order: Order) -> Result<(), NoSuchMember> {
        let settings = self.settings.load();
        let members = settings.pools.iter().flat_map(|pool| pool.members.iter());
        let is_meant = |one: &&Arc<MemberState>| {
            *one.uri == *member || member.parse().is_ok_and(|address: SocketAddr| one.address == address)
        };
        let mut found = Err(NoSuchMember);
        for one in members.filter(is_meant) {
            one.set_order(order);
            tracing::info!(member = &*one.uri, order = ?order, calls = one.calls(), "the operator decided");
            found = Ok(());
        }
        found
    }

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
                    order: member.order(),
                    full_until: member.full_until(),
                    is_busy: member.is_busy(),
                    calls: member.calls(),
                })
                .collect(),
        });
        Status {
            pools: pools.collect(),
            connections: self.directory.connections(),
            registrations: self.directory.bindings(),
            calls: self.dialogs.calls(),
            dialogs: self.dialogs.known(),
            transactions: self.entries.len(),
            tags: self.tags.all(),
            sources: self.gate.sources().known(),
            branches: self.branches.len(),
            waiting: self.directory.waiting(),
            merges: self.merges.len(),
            load: self.loads.worst(),
            counters: Count::ALL.iter().map(|count| (*count, self.counters.get(*count))).collect(),
            tolerated: Count::ALL
                .iter()
                .map(|count| (*count, self.counters.tolerated(*count)))
                .filter(|(_, times)| *times > 0)
                .collect(),
        }
    }
}
