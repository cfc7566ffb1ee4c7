//! What a ticket shown at the upgrade lets its connection ask for: as whom it speaks, and whom it calls.
//!
//! The front end has verified the ticket; here its names are kept beside the connection and compared. A connection
//! without a ticket is not bounded. A name that cannot be read allows nothing.

use std::sync::Arc;

use crate::flow::{ConnectionId, Flow};
use crate::hash::Digest;
use crate::table::DigestMap;

/// The bounds of one connection.
#[derive(Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Its addresses of record, hashed.
    users: Box<[Digest]>,
    /// `None`: anybody.
    destinations: Option<Box<[Destination]>>,
}

/// `USER` or `USER@DOMAIN`; a `*` at the end of USER stands for any rest.
#[derive(Debug, PartialEq, Eq)]
struct Destination {
    user: Box<[u8]>,
    any_rest: bool,
    domain: Option<Box<[u8]>>,
}

impl Destination {
    fn read(text: &str) -> Option<Self> {
        let text = text.strip_prefix("sip:").unwrap_or(text);
        let (user, domain) = match text.split_once('@') {
            Some((user, domain)) => (user, Some(domain)),
            None => (text, None),
        };
        let (user, any_rest) = user.strip_suffix('*').map_or((user, false), |user| (user, true));
        if (user.is_empty() && !any_rest) || domain.is_some_and(str::is_empty) {
            return None;
        }
        let domain = domain.map(|domain| domain.as_bytes().into());
        Some(Self { user: user.as_bytes().into(), any_rest, domain })
    }

    /// Users are compared as they are written: one in escapes is another.
    fn is(&self, user: &[u8], domain: &[u8]) -> bool {
        let same_user = if self.any_rest { user.starts_with(&self.user) } else { user == &*self.user };
        same_user && self.domain.as_ref().is_none_or(|own| own.eq_ignore_ascii_case(domain))
    }
}

impl Bounds {
    /// From the names of a ticket; `users` are hashed as everywhere.
    pub fn new(users: Vec<Digest>, destinations: Option<&[Box<str>]>) -> Self {
        let read = |all: &[Box<str>]| all.iter().filter_map(|text| Destination::read(text)).collect();
        Self { users: users.into(), destinations: destinations.map(read) }
    }

    /// Whether the connection may speak for this address of record.
    pub fn may_speak_for(&self, aor: Digest) -> bool {
        self.users.contains(&aor)
    }

    /// Whether the connection may ask for a user of a domain, whose address of record is `aor`; for its own always,
    /// as for its voice mail.
    pub fn may_ask_for(&self, user: &[u8], domain: &[u8], aor: Digest) -> bool {
        let named = |all: &[Destination]| all.iter().any(|destination| destination.is(user, domain));
        self.may_speak_for(aor) || self.destinations.as_deref().is_none_or(named)
    }
}

/// The bounds of all connections that have some. An entry lives as long as its connection.
#[derive(Default)]
pub struct Tickets(DigestMap<Arc<Bounds>>);

impl Tickets {
    /// A connection was opened on a ticket.
    pub fn opened(&self, connection: ConnectionId, bounds: Bounds) {
        self.0.insert(Digest::from(connection.0.get()), Arc::new(bounds));
    }

    /// A connection is gone.
    pub fn closed(&self, connection: ConnectionId) {
        self.0.remove(&Digest::from(connection.0.get()));
    }

    /// The bounds of whoever sends over this flow.
    pub fn of(&self, flow: &Flow) -> Option<Arc<Bounds>> {
        let connection = flow.connection?;
        self.0.get(&Digest::from(connection.0.get())).map(|bounds| Arc::clone(&bounds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(destinations: &[&str]) -> Bounds {
        let destinations: Vec<Box<str>> = destinations.iter().map(|&text| text.into()).collect();
        Bounds::new(vec![1], Some(&destinations))
    }

    fn may_ask(destination: &str, user: &str, domain: &str) -> bool {
        bounds(&[destination]).may_ask_for(user.as_bytes(), domain.as_bytes(), 2)
    }

    #[test]
    fn a_destination_is_a_user_perhaps_with_a_domain_perhaps_the_beginning_of_one() {
        assert!(may_ask("sales", "sales", "example.com"));
        assert!(may_ask("sip:sales@example.com", "sales", "Example.COM"));
        assert!(may_ask("+49*", "+4930123", "example.com"));
        assert!(may_ask("*@example.com", "anybody", "example.com"));
        for (destination, user, domain) in [
            ("sales", "Sales", "example.com"),
            ("sales", "sales2", "example.com"),
            ("sales@example.com", "sales", "example.org"),
            ("+49*", "0049", "example.com"),
            ("*@example.com", "anybody", "example.org"),
            ("", "", "example.com"),
            ("@example.com", "", "example.com"),
            ("sales@", "sales", ""),
        ] {
            assert!(!may_ask(destination, user, domain), "{destination} lets {user}@{domain} pass");
        }
    }

    #[test]
    fn nobody_named_means_nobody_and_no_list_means_anybody() {
        assert!(!bounds(&[]).may_ask_for(b"sales", b"example.com", 2));
        assert!(bounds(&[]).may_ask_for(b"alice", b"example.com", 1), "itself");
        assert!(Bounds::new(vec![1], None).may_ask_for(b"sales", b"example.com", 2));
        assert!(!Bounds::new(vec![], None).may_speak_for(1));
    }
}
