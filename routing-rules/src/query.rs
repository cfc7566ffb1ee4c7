//! The question to the rules and their answer.

use std::net::IpAddr;

use crate::words::{Balance, Zone};

/// What the rules may look at: one request outside a dialog.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// The method as received; methods are case-sensitive (RFC 3261 §7.1).
    pub method: &'a str,
    /// The listener that received it: an index into [`crate::Names::listeners`].
    pub listener: usize,
    /// The zone of that listener.
    pub zone: Zone,
    /// `udp`, `tcp`, `tls`, `ws` or `wss`.
    pub transport: &'a str,
    /// Where it came from, as far as that is believed; IPv4 in IPv6 counts as IPv4.
    pub source: IpAddr,
    /// The host of the Request-URI, without port, IPv6 without brackets.
    pub domain: &'a str,
    /// The user part of the Request-URI as received, without password; empty when there is none. Escapes are undone
    /// here (RFC 3261 §19.1.2), so that `%2B49` cannot pass a rule about `+49`.
    pub user: &'a str,
    /// Whether the Request-URI is an address of record with a binding known to this edge.
    pub registered: bool,
}

/// What the rules answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision<'a> {
    /// The name of the rule that decided; `None` when no rule matched.
    pub rule: Option<&'a str>,
    /// What to do.
    pub action: Action<'a>,
}

/// What a rule says to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action<'a> {
    /// Send it to a member of a pool.
    Pool {
        /// An index into [`crate::Names::pools`].
        pool: usize,
        /// How to choose the member, when the rule overrides the pool's own way.
        balance: Option<Balance>,
    },
    /// Send it to the flows that this edge knows for the address of record.
    Bindings,
    /// Answer it with a final response.
    Reject {
        /// 300 to 699.
        status: u16,
        /// The reason phrase; has no control characters.
        reason: &'a str,
        /// The Retry-After header (RFC 3261 §20.33), in seconds.
        retry_after: Option<u32>,
    },
    /// No rule matched.
    NoMatch,
}
