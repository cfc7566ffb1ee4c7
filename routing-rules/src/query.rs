//! The question to the rules and their answer.

use std::net::IpAddr;

use crate::words::{Balance, Zone};

/// What the rules may look at: one request outside a dialog.
#[derive(Clone, Copy)]
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
    /// The address in From.
    pub from: Party<'a>,
    /// The address in To.
    pub to: Party<'a>,
    /// In which ten-thousandth of all calls this one is: 0 to 9999, the same for the same Call-ID on every node.
    pub share: u16,
    /// Unix time in seconds.
    pub time: i64,
    /// The region of this node; empty when it has none.
    pub region: &'a str,
    /// What is only looked up when a rule asks for it.
    pub lookup: &'a dyn Lookup,
}

/// An address in a header: the user part as received, and the host without port and brackets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Party<'a> {
    /// Empty when there is none.
    pub user: &'a str,
    /// Empty when the address is no SIP URI.
    pub domain: &'a str,
}

/// What a request's surroundings know.
pub trait Lookup {
    /// Whether this edge knows a binding for the address of record: a user part as a URI writes it, and a host.
    fn registered(&self, user: &str, domain: &str) -> bool;

    /// Shows each value of a header of the request, its name in any case.
    fn header(&self, name: &str, see: &mut dyn FnMut(&[u8]));
}

/// A [`Lookup`] that was written down before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Given<'a> {
    /// The answer for every address.
    pub registered: bool,
    /// Names and values.
    pub headers: &'a [(&'a str, &'a str)],
}

impl Lookup for Given<'_> {
    fn registered(&self, _: &str, _: &str) -> bool {
        self.registered
    }

    fn header(&self, name: &str, see: &mut dyn FnMut(&[u8])) {
        let same = self.headers.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
        same.for_each(|(_, value)| see(value.as_bytes()));
    }
}

/// What the rules answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision<'a> {
    /// The name of the rule that decided; `None` when no rule did.
    pub rule: Option<&'a str>,
    /// What to do.
    pub action: Action<'a>,
    /// The numbers of all rules that held, in their order: those with `next = true`, and the one that decided. Their
    /// limits and tags are [`crate::Rules::limit`] and [`crate::Rules::tags`].
    pub held: &'a [u32],
    /// How the message that leaves differs from the one that came.
    pub changes: &'a Changes,
    /// The name of a media profile, from the last rule that held and has one.
    pub media: Option<&'a str>,
}

/// What a rule says to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action<'a> {
    /// Send it to a member of a pool.
    Pool(ToPool<'a>),
    /// Send it to the flows that this edge knows for the address of record, those of a higher q first.
    Bindings {
        /// All of the same q at once, instead of one after the other.
        fork: bool,
    },
    /// Answer it with a final response.
    Reject {
        /// 300 to 699.
        status: u16,
        /// The reason phrase; has no control characters.
        reason: &'a str,
        /// The Retry-After header (RFC 3261 §20.33), in seconds.
        retry_after: Option<u32>,
    },
    /// Answer it with other addresses (RFC 3261 §8.3).
    Redirect {
        /// 300, 301, 302, 305 or 380.
        status: u16,
        /// URIs, the first one preferred; fit to stand in angle brackets.
        contacts: &'a [String],
    },
    /// No rule decided.
    NoMatch,
}

/// Where in the pools a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToPool<'a> {
    /// An index into [`crate::Names::pools`].
    pub pool: usize,
    /// How to choose the member, when the rule overrides the pool's own way.
    pub balance: Option<Balance>,
    /// Only members with this tag.
    pub tag: Option<&'a str>,
    /// Members of this region first.
    pub region: Option<&'a str>,
    /// Pools to go on with, in this order, when no member of the ones before takes the request.
    pub fallback: &'a [usize],
}

/// How a message that leaves differs from the one that came. Every text is safe where it goes: no capture can end a
/// line, a URI or a quoted string.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// The user part of the Request-URI, escaped for a URI; empty: none.
    pub user: Option<String>,
    /// The host of the Request-URI, IPv6 without brackets; it takes the place of host and port.
    pub host: Option<String>,
    /// Headers, in the order of the rules; of two changes of one header the last counts.
    pub headers: Vec<HeaderChange>,
    /// Who calls.
    pub identity: Option<Identity>,
}

impl Changes {
    /// Whether the message leaves as the edge itself would send it.
    pub fn is_empty(&self) -> bool {
        self.user.is_none() && self.host.is_none() && self.headers.is_empty() && self.identity.is_none()
    }

    pub(crate) fn clear(&mut self) {
        self.user = None;
        self.host = None;
        self.headers.clear();
        self.identity = None;
    }
}

/// All headers of one name give way to one, or to none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderChange {
    /// The name as the rule writes it.
    pub name: String,
    /// The value; `None` removes the header.
    pub value: Option<String>,
}

/// Who calls, as the operator asserts it (RFC 3325).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// The user part, escaped for a URI.
    pub user: String,
    /// The host; without it the served domain.
    pub host: Option<String>,
    /// The display name, fit to stand in quotes.
    pub name: Option<String>,
    /// Whether the caller wants to stay unknown (RFC 3323 `Privacy: id`).
    pub private: bool,
}

/// How much of a rule's traffic passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// Calls at one time.
    pub calls: Option<u32>,
    /// Requests in a time.
    pub rate: Option<Rate>,
    /// The status of what does not pass.
    pub status: u16,
    /// Its Retry-After header, in seconds.
    pub retry_after: Option<u32>,
}

/// So many in so long a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many, at least 1.
    pub count: u32,
    /// In so many seconds, at least 1.
    pub seconds: u32,
    /// How many at once after a rest, at least 1.
    pub burst: u32,
}
