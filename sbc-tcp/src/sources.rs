//! How many connections a listener holds, and how many of them each source does, over all workers.
//!
//! A source is an IPv4 address or an IPv6 /64: whoever has one address of a /64 has them all. A source without a
//! connection is not in the table, so that the table is never longer than the listener's `max_connections`.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;

/// A source as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SourceKey(u64);

impl SourceKey {
    /// That of an address.
    pub fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            // No /64 begins with 32 zero bits (RFC 4291 §2.4), so that the two kinds do not mix.
            IpAddr::V4(v4) => Self(u64::from(v4.to_bits())),
            IpAddr::V6(v6) => Self((v6.to_bits() >> 64) as u64),
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Sources(DashMap<SourceKey, usize>);

impl Sources {
    /// One more of `source`, unless it holds `limit` already. [`Sources::give_back`] is owed for each `true`.
    pub fn take(&self, source: SourceKey, limit: usize) -> bool {
        let mut held = self.0.entry(source).or_insert(0);
        let fits = *held < limit;
        *held += usize::from(fits);
        let unused = *held == 0;
        drop(held);
        if unused {
            self.forget(source);
        }
        fits
    }

    /// One less of `source`.
    pub fn give_back(&self, source: SourceKey) {
        if let Some(mut held) = self.0.get_mut(&source) {
            *held = held.saturating_sub(1);
        }
        self.forget(source);
    }

    fn forget(&self, source: SourceKey) {
        self.0.remove_if(&source, |_, held| *held == 0);
    }
}

/// All connections of one listener.
#[derive(Debug, Default)]
pub struct Places {
    held: AtomicUsize,
    sources: Sources,
}

impl Places {
    /// A place among `limit`, or none.
    pub fn take(self: &Arc<Self>, limit: usize) -> Option<Place> {
        let place = Place { places: Arc::clone(self), source: None };
        // The place is given back by its drop, also when it was one too many.
        (self.held.fetch_add(1, Ordering::Relaxed) < limit).then_some(place)
    }
}

/// One of a listener's connections, from accept to the end, and one of its source's.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    source: Option<SourceKey>,
}

impl Place {
    /// Counts the connection as one of `source`; false when that has `limit` others.
    pub fn count(&mut self, source: IpAddr, limit: usize) -> bool {
        let source = SourceKey::of(source);
        let counted = self.places.sources.take(source, limit);
        if counted && let Some(before) = self.source.replace(source) {
            self.places.sources.give_back(before);
        }
        counted
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.held.fetch_sub(1, Ordering::Relaxed);
        if let Some(source) = self.source {
            self.places.sources.give_back(source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_given_back_whatever_became_of_it() {
        let places = Arc::<Places>::default();
        let one: IpAddr = "192.0.2.1".parse().unwrap();
        let mut held = places.take(1).unwrap();
        assert!(places.take(1).is_none());
        assert!(held.count(one, 1));
        drop(held);
        assert!(places.take(1).unwrap().count(one, 1));
        assert!(places.sources.0.is_empty());
    }

    fn key(text: &str) -> SourceKey {
        SourceKey::of(text.parse().unwrap())
    }

    #[test]
    fn each_source_has_its_own_limit_and_gets_back_what_it_gave() {
        let sources = Sources::default();
        let (one, other) = (key("192.0.2.1"), key("192.0.2.2"));
        assert!(sources.take(one, 2) && sources.take(one, 2));
        assert!(!sources.take(one, 2));
        assert!(sources.take(other, 2));
        sources.give_back(one);
        assert!(sources.take(one, 2));
    }

    #[test]
    fn nobody_is_remembered_without_a_connection() {
        let sources = Sources::default();
        assert!(sources.take(key("192.0.2.1"), 1));
        sources.give_back(key("192.0.2.1"));
        assert!(!sources.take(key("192.0.2.2"), 0));
        assert!(sources.0.is_empty());
    }

    #[test]
    fn an_ipv6_network_is_one_source_and_an_ipv4_address_is_one_in_any_clothes() {
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:2"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_eq!(key("192.0.2.1"), key("::ffff:192.0.2.1"));
    }
}
