//! Rules by networks: a table for each length of prefix that rules name, most often a few.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;
use rustc_hash::FxBuildHasher;

use super::filed::{Filed, Lists};

/// Rules by networks.
#[derive(Debug, Default)]
pub(super) struct ByNetwork(Vec<OfLength>);

/// Rules by networks of one length.
#[derive(Debug)]
struct OfLength {
    is_v4: bool,
    length: u8,
    networks: HashMap<u128, Filed, FxBuildHasher>,
}

impl ByNetwork {
    /// Files rules under a network that has none yet.
    pub(super) fn insert(&mut self, network: IpNet, filed: Filed) {
        let (is_v4, length) = (network.addr().is_ipv4(), network.prefix_len());
        let same = |group: &OfLength| group.is_v4 == is_v4 && group.length == length;
        let place = self.0.iter().position(same).unwrap_or_else(|| {
            self.0.push(OfLength { is_v4, length, networks: HashMap::default() });
            self.0.len() - 1
        });
        self.0[place].networks.insert(beginning(network.addr(), length), filed);
    }

    /// Shows the rules of each network that holds this one.
    pub(super) fn each<'i>(&'i self, network: IpNet, lists: &'i Lists, mut see: impl FnMut(&'i [u32])) {
        let (is_v4, length) = (network.addr().is_ipv4(), network.prefix_len());
        for group in self.0.iter().filter(|group| group.is_v4 == is_v4 && group.length <= length) {
            if let Some(filed) = group.networks.get(&beginning(network.addr(), group.length)) {
                see(lists.get(filed));
            }
        }
    }
}

/// The first bits of an address as a number.
fn beginning(address: IpAddr, bits: u8) -> u128 {
    let (number, width) = match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()), 32_u32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    };
    number.checked_shr(width.saturating_sub(bits.into())).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_network_around_an_address_is_found() {
        let texts =
            ["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32", "::/0", "2001:db8::/32", "::1/128"];
        let (mut networks, mut lists) = (ByNetwork::default(), Lists::default());
        for (id, text) in (0..).zip(texts) {
            networks.insert(text.parse().expect("a network"), lists.file(&[id]));
        }
        for (text, expected) in [
            ("10.1.2.3/32", &[0, 1, 2, 3][..]),
            ("10.1.2.4/32", &[0, 1, 2]),
            ("10.2.0.0/15", &[0, 1]),
            ("11.0.0.1/32", &[0]),
            ("::1/128", &[4, 6]),
            ("2001:db8::/33", &[4, 5]),
            ("2001:db8::/31", &[4]),
        ] {
            let mut found = Vec::new();
            networks.each(text.parse().expect("a network"), &lists, |ids| found.extend_from_slice(ids));
            found.sort_unstable();
            assert_eq!(found, expected, "{text}");
        }
    }
}
