//! What a world of chaos is built of, beside its weather: how members and carriers are reached, whether the edge rings
//! all flows of a user, what a member takes, and what the operator does meanwhile.

use std::net::SocketAddr;

use sbc_core::config::Share;
use sbc_core::flow::Transport;

use super::Weather;
use crate::sim::{Chance, EdgeSettings, INSIDE_TCP, MEMBERS, RESERVE};

/// Calls that the first member takes at once, at least, where it is limited; with a reserve the other one, too.
const LEAST_TAKEN: u64 = 3;
/// And so many more at most.
const MORE_TAKEN: u64 = 6;

/// Rules before the usual ones where the edge forks.
const FORK: &str = r#"
[[rule]]
name = "all flows of a user ring"
match = { zone = "pool", method = "INVITE", registered = true }
route = { bindings = true, fork = true }
"#;

/// Rules before the usual ones where there is a reserve.
const OVERFLOW: &str = r#"
[[rule]]
name = "calls go to the reserve where the others are full"
match = { zone = ["public", "trunk"], method = "INVITE" }
route = { pool = "freeswitch", fallback = ["reserve"] }
"#;

/// The ground of one world.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ground {
    /// How members are reached.
    pub(super) transport: Transport,
    /// How carriers are reached.
    trunk: Transport,
    /// The edge rings all flows of a user, and two of them have two phones.
    pub(super) forks: bool,
    /// A second pool takes what the first cannot.
    pub(super) reserve: bool,
    /// Calls that a member takes at once.
    limit: Option<u32>,
    /// The configuration is read again in mid call, without one of the members; and again, with it.
    pub(super) reloads: bool,
    /// A member takes no new calls for a while.
    pub(super) drains: bool,
}

impl Ground {
    /// The ground of a world, as chance has it.
    pub(super) fn of(weather: Weather, chance: &mut Chance) -> Self {
        // Nodes that share an address for datagrams have none for streams.
        let is_single = weather != Weather::NodeKilled;
        let mut by = |streams: [Transport; 2]| match chance.below(10) {
            0 | 1 if is_single => streams[0],
            2 if is_single => streams[1],
            _ => Transport::Udp,
        };
        let transport = by([Transport::Tcp, Transport::Tls]);
        let trunk = by([Transport::Tcp, Transport::Tls]);
        let forks = chance.percent(35);
        // Members share their registrations, and with them the way to sbc: all by datagrams, or none.
        let reserve = chance.percent(35) && transport == Transport::Udp;
        let limit = chance.percent(35).then(|| LEAST_TAKEN + chance.below(MORE_TAKEN));
        // A node that comes back knows no calls of members and no orders: it would choose among them anew.
        let remembers = !matches!(weather, Weather::Killed | Weather::NodeKilled);
        // And where a member dies, the other one must take everything.
        let limit = limit.filter(|_| remembers && (weather != Weather::DeadMember || reserve));
        Self {
            transport,
            trunk,
            forks,
            reserve,
            limit: limit.and_then(|calls| u32::try_from(calls).ok()),
            reloads: chance.percent(35) && remembers,
            drains: chance.percent(35) && remembers,
        }
    }

    /// How sbc is configured on it.
    pub(super) fn settings(self, usual: EdgeSettings) -> EdgeSettings {
        let mut rules = usual.rules.clone();
        if self.reserve {
            rules = format!("{OVERFLOW}{rules}");
        }
        if self.forks {
            rules = format!("{FORK}{rules}");
        }
        let share = Share { max_calls: self.limit, ..Share::default() };
        // Without a reserve there is a member that takes everything.
        let limited = if self.reserve { 2 } else { 1 };
        EdgeSettings {
            rules,
            reserve: if self.reserve { vec![address(RESERVE)] } else { Vec::new() },
            transport: self.transport,
            trunk: self.trunk,
            shares: if self.limit.is_some() { vec![share; limited] } else { Vec::new() },
            ..usual
        }
    }

    /// Which member is chosen depends on what a node has seen, and not on the request alone.
    pub(super) const fn has_memory(self) -> bool {
        self.limit.is_some() || self.drains || self.reloads
    }

    /// All members, those of the reserve included.
    pub(super) fn members(self) -> impl Iterator<Item = &'static str> {
        MEMBERS.into_iter().chain(self.reserve.then_some(RESERVE))
    }

    /// How a member is reached, and reaches sbc: the reserve by UDP.
    pub(super) fn transport_of(self, member: &str) -> Transport {
        if member == RESERVE { Transport::Udp } else { self.transport }
    }

    /// Where a member reaches sbc that is not called by UDP.
    pub(super) fn pool_side(self, member: &str) -> Option<SocketAddr> {
        (self.transport_of(member) != Transport::Udp).then(|| address(INSIDE_TCP))
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}
