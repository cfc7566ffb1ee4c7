//! The rule language of sbc: parse, check, explain, evaluate. Pure; knows nothing of sockets or pools' health.
#![forbid(unsafe_code)]

/// Whom a listener or a pool faces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Zone {
    /// Untrusted and natted: browsers, phones, strangers.
    Public,
    /// Known carriers.
    Trunk,
    /// FreeSWITCH.
    Pool,
}

/// How a pool chooses a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Balance {
    /// Rendezvous hash of the Call-ID.
    HashCallId,
    /// Rendezvous hash of the address of record.
    HashAor,
    /// One after the other.
    RoundRobin,
}

/// Compiled rules.
#[derive(Debug, Default)]
pub struct Rules;
