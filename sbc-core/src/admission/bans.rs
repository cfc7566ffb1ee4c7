//! Sources that are not heard for a time, with the reason and the end of it.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use dashmap::DashMap;
use ipnet::{IpNet, Ipv6Net};

use crate::count::Count;
use crate::limits;
use crate::time::Time;

/// A source that is not heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ban {
    /// An IPv4 address, or the /64 of an IPv6 one: its owner has all of it.
    pub network: IpNet,
    /// The evidence that was one too many.
    pub reason: Count,
    /// When it began.
    pub since: Time,
    /// When it ends.
    pub until: Time,
}

/// All bans.
#[derive(Default)]
pub struct Bans {
    bans: DashMap<IpNet, Ban>,
    /// Looked at first: most of the time there are none.
    count: AtomicUsize,
    /// When those over were last forgotten, in microseconds: looking at all of them is for once a second.
    forgotten: AtomicU64,
}

/// Who is meant by an address: an IPv4 address itself, of IPv6 the /64.
pub fn network_of(source: IpAddr) -> IpNet {
    match source.to_canonical() {
        IpAddr::V4(ip) => IpNet::from(IpAddr::V4(ip)),
        IpAddr::V6(ip) => {
            let prefix = Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX));
            Ipv6Net::new(prefix, 64).map_or_else(|_| IpNet::from(IpAddr::V6(ip)), IpNet::V6)
        }
    }
}

impl Bans {
    /// Whether a source is banned; its ban is forgotten once it is over.
    pub fn has(&self, source: IpAddr, now: Time) -> bool {
        if self.count.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let network = network_of(source);
        let Some(until) = self.bans.get(&network).map(|ban| ban.until) else { return false };
        if until > now {
            return true;
        }
        self.remove_if(&network, |ban| ban.until <= now);
        false
    }

    /// Ban a source. False where there are too many bans already.
    pub fn add(&self, ban: Ban) -> bool {
        if self.count.load(Ordering::Relaxed) >= limits::BANS {
            self.forget(ban.since);
        }
        if self.count.load(Ordering::Relaxed) >= limits::BANS {
            return false;
        }
        if self.bans.insert(ban.network, ban).is_none() {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
        true
    }

    /// End the ban that an address is under. False where there is none.
    pub fn lift(&self, source: IpAddr) -> bool {
        self.remove_if(&network_of(source), |_| true)
    }

    fn remove_if(&self, network: &IpNet, over: impl FnOnce(&Ban) -> bool) -> bool {
        let removed = self.bans.remove_if(network, |_, ban| over(ban)).is_some();
        self.count.fetch_sub(usize::from(removed), Ordering::Relaxed);
        removed
    }

    /// Forget all that are over.
    fn forget(&self, now: Time) {
        let last = self.forgotten.load(Ordering::Relaxed);
        let due = last == 0 || now.since(Time::from_micros(last)) >= limits::FORGET_BANS_EVERY;
        let mine = self.forgotten.compare_exchange(
            last,
            now.as_micros().max(1),
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
        if !due || mine.is_err() {
            return;
        }
        let over: Vec<IpNet> =
            self.bans.iter().filter(|ban| ban.until <= now).map(|ban| ban.network).collect();
        for network in over {
            self.remove_if(&network, |ban| ban.until <= now);
        }
    }

    /// Those in force, the longest ones first.
    pub fn list(&self, now: Time) -> Vec<Ban> {
        let mut bans: Vec<Ban> = self.bans.iter().map(|ban| *ban).filter(|ban| ban.until > now).collect();
        bans.sort_by_key(|ban| (std::cmp::Reverse(ban.until), ban.network));
        bans
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ban(source: &str, until: u64) -> Ban {
        let network = network_of(source.parse().unwrap());
        Ban { network, reason: Count::Scanner, since: Time::ZERO, until: Time::from_millis(until) }
    }

    fn has(bans: &Bans, source: &str, millis: u64) -> bool {
        bans.has(source.parse().unwrap(), Time::from_millis(millis))
    }

    #[test]
    fn a_ban_ends_by_itself_or_by_hand() {
        let bans = Bans::default();
        assert!(!has(&bans, "192.0.2.1", 0));
        assert!(bans.add(ban("192.0.2.1", 100)) && bans.add(ban("192.0.2.2", 200)));
        assert!(has(&bans, "192.0.2.1", 99) && has(&bans, "::ffff:192.0.2.1", 99));
        assert!(!has(&bans, "192.0.2.1", 100) && !has(&bans, "192.0.2.3", 0));
        assert_eq!(bans.list(Time::from_millis(100)).len(), 1);
        assert!(bans.lift("192.0.2.2".parse().unwrap()) && !bans.lift("192.0.2.2".parse().unwrap()));
        assert!(!has(&bans, "192.0.2.2", 0));
        assert_eq!(bans.count.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn of_ipv6_the_whole_network_is_meant() {
        let bans = Bans::default();
        bans.add(ban("2001:db8:1:2:3::1", 100));
        assert!(has(&bans, "2001:db8:1:2::ffff", 0) && !has(&bans, "2001:db8:1:3::1", 0));
    }

    #[test]
    fn there_is_an_end_to_bans() {
        let bans = Bans::default();
        for number in 0..limits::BANS as u32 {
            assert!(bans.add(ban(&std::net::Ipv4Addr::from_bits(number).to_string(), 100)));
        }
        assert!(!bans.add(ban("192.0.2.1", 100)));
        let later = Time::from_millis(5_000);
        assert!(bans.add(Ban { since: later, ..ban("192.0.2.1", 9_000) }), "those over make room");
    }
}
