//! Access lists: who is never limited, and who is never heard.

use std::net::IpAddr;

use ipnet::IpNet;

/// What the lists say about an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Never limited, never banned.
    Allowed,
    /// Never heard.
    Denied,
    /// Neither.
    Unlisted,
}

/// Both lists, ready to be asked.
#[derive(Debug, Clone, Default)]
pub(super) struct Access {
    allow: Networks,
    deny: Networks,
}

impl Access {
    /// From the lists of the configuration.
    pub(super) fn new(allow: &[IpNet], deny: &[IpNet]) -> Self {
        Self { allow: Networks::new(allow), deny: Networks::new(deny) }
    }

    /// `allow` goes before `deny`: an operator who names both means the exception.
    pub(super) fn of(&self, source: IpAddr) -> Standing {
        if self.allow.has(source) {
            Standing::Allowed
        } else if self.deny.has(source) {
            Standing::Denied
        } else {
            Standing::Unlisted
        }
    }
}

/// Ranges of addresses that do not overlap, in order: one binary search finds an address in a list of any length.
#[derive(Debug, Clone, Default)]
struct Networks {
    v4: Vec<(u128, u128)>,
    v6: Vec<(u128, u128)>,
}

impl Networks {
    fn new(networks: &[IpNet]) -> Self {
        let (v4, v6) = networks.iter().partition(|network| network.addr().is_ipv4());
        Self { v4: merged(v4), v6: merged(v6) }
    }

    fn has(&self, source: IpAddr) -> bool {
        let (ranges, address) = match source.to_canonical() {
            IpAddr::V4(ip) => (&self.v4, u128::from(ip.to_bits())),
            IpAddr::V6(ip) => (&self.v6, ip.to_bits()),
        };
        let after = ranges.partition_point(|(first, _)| *first <= address);
        after.checked_sub(1).and_then(|at| ranges.get(at)).is_some_and(|(_, last)| address <= *last)
    }
}

fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(ip.to_bits()),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

fn merged(networks: Vec<&IpNet>) -> Vec<(u128, u128)> {
    let mut ranges: Vec<_> =
        networks.into_iter().map(|network| (bits(network.network()), bits(network.broadcast()))).collect();
    ranges.sort_unstable();
    // Networks nest or are apart: a later one either lies in the range before it or begins behind it.
    ranges.dedup_by(|next, before| next.0 <= before.1);
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(allow: &[&str], deny: &[&str]) -> Access {
        let read = |list: &[&str]| list.iter().map(|one| one.parse().unwrap()).collect::<Vec<IpNet>>();
        Access::new(&read(allow), &read(deny))
    }

    #[test]
    fn networks_hold_their_addresses_and_no_others() {
        let access =
            access(&["192.0.2.0/25", "192.0.2.5/32", "2001:db8::/32"], &["192.0.2.0/24", "0.0.0.0/8"]);
        let of = |ip: &str| access.of(ip.parse().unwrap());
        for ip in ["192.0.2.0", "192.0.2.5", "192.0.2.127", "2001:db8:ffff::1", "::ffff:192.0.2.9"] {
            assert_eq!(of(ip), Standing::Allowed, "{ip}");
        }
        for ip in ["192.0.2.128", "192.0.2.255", "0.255.255.255"] {
            assert_eq!(of(ip), Standing::Denied, "{ip}");
        }
        for ip in ["192.0.3.0", "191.255.255.255", "1.0.0.0", "2001:db9::", "::1"] {
            assert_eq!(of(ip), Standing::Unlisted, "{ip}");
        }
    }

    #[test]
    fn empty_lists_say_nothing() {
        assert_eq!(access(&[], &[]).of("192.0.2.1".parse().unwrap()), Standing::Unlisted);
    }
}
