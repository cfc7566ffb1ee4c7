//! From what DNS lists to members: only addresses that can be servers, in an order that does not change, as many as a
//! pool may have.

use std::net::{IpAddr, SocketAddr};

use sbc_core::config::{Member, Share};
use sbc_core::flow::Transport;
use sbc_core::limits;

use crate::config::Discovery;

/// Most members that one source may list; of more, those of the best priorities are taken.
pub(super) const MOST: usize = limits::MEMBERS_PER_POOL;
/// The largest weight of a member.
const HEAVIEST: u16 = 1000;

/// One address that DNS lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Listed {
    /// The lowest goes first (RFC 2782).
    pub priority: u16,
    /// Its part among those of its priority.
    pub weight: u16,
    pub address: SocketAddr,
}

/// The members that a source lists. `own` are addresses of this node.
pub(super) fn members(discovery: &Discovery, mut listed: Vec<Listed>, own: &[SocketAddr]) -> Vec<Member> {
    listed.retain(|one| is_server(one.address, discovery.ipv6) && !own.contains(&one.address));
    listed.sort_by_key(|one| (one.address, one.priority));
    listed.dedup_by_key(|one| one.address);
    listed.sort_by_key(|one| (one.priority, one.address));
    listed.truncate(MOST);
    let mut priorities: Vec<u16> = listed.iter().map(|one| one.priority).collect();
    priorities.dedup();
    let heaviest = listed.iter().map(|one| one.weight).max().unwrap_or(1);
    let member = |one: &Listed| Member {
        uri: uri(one.address, discovery.source.transport),
        address: one.address,
        listener: discovery.listener,
        share: Share {
            weight: weight(one.weight, heaviest),
            priority: tier(one.priority, &priorities),
            ..Share::default()
        },
    };
    listed.iter().map(member).collect()
}

/// Written as in the file, so that a member is the same whoever lists it.
fn uri(address: SocketAddr, transport: Transport) -> Box<str> {
    match transport {
        Transport::Tcp => format!("sip:{address};transport=tcp").into(),
        _ => format!("sip:{address}").into(),
    }
}

/// Whatever an operator lists is his decision, loopback and private addresses too; but it must be one address.
fn is_server(address: SocketAddr, ipv6: bool) -> bool {
    let is_one = match address.ip() {
        IpAddr::V4(ip) => !ip.is_unspecified() && !ip.is_multicast() && !ip.is_broadcast(),
        IpAddr::V6(ip) => !ip.is_unspecified() && !ip.is_multicast(),
    };
    is_one && address.port() != 0 && address.is_ipv6() == ipv6
}

/// RFC 2782: a weight of 0 gets very little, which is not nothing.
fn weight(weight: u16, heaviest: u16) -> u16 {
    let scaled = match heaviest > HEAVIEST {
        true => u32::from(weight) * u32::from(HEAVIEST) / u32::from(heaviest),
        false => u32::from(weight),
    };
    u16::try_from(scaled).unwrap_or(HEAVIEST).max(1)
}

/// The first priority is tier 0, and so on.
fn tier(priority: u16, priorities: &[u16]) -> u8 {
    let place = priorities.iter().position(|known| *known == priority).unwrap_or(0);
    u8::try_from(place).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use sbc_core::flow::ListenerId;

    use super::*;
    use crate::config::Source;

    fn discovery(transport: Transport) -> Discovery {
        let source = Source { text: "srv:x".into(), name: "x".into(), port: None, transport };
        Discovery { pool: "freeswitch".into(), source, listener: ListenerId(3), ipv6: false }
    }

    fn listed(priority: u16, weight: u16, address: &str) -> Listed {
        Listed { priority, weight, address: address.parse().expect("an address") }
    }

    fn shares(listed: Vec<Listed>) -> Vec<(String, u16, u8)> {
        let members = members(&discovery(Transport::Udp), listed, &[]);
        members.iter().map(|one| (one.uri.to_string(), one.share.weight, one.share.priority)).collect()
    }

    #[test]
    fn priorities_become_tiers_and_weights_stay_in_proportion() {
        let found = shares(vec![
            listed(20, 0, "10.0.2.12:5080"),
            listed(10, 60_000, "10.0.2.11:5080"),
            listed(10, 30_000, "10.0.2.10:5081"),
        ]);
        let expected = [("10.0.2.10:5081", 500, 0), ("10.0.2.11:5080", 1000, 0), ("10.0.2.12:5080", 1, 1)];
        assert_eq!(found, expected.map(|(at, weight, tier)| (format!("sip:{at}"), weight, tier)));
        assert_eq!(shares(vec![listed(5, 3, "10.0.2.10:5080")])[0].1, 3);
    }

    #[test]
    fn what_cannot_be_a_server_is_left_out_and_nobody_is_listed_twice() {
        let addresses = [
            "0.0.0.0:5080",
            "224.0.0.1:5080",
            "255.255.255.255:5080",
            "10.0.2.10:0",
            "[2001:db8::1]:5080",
            "10.0.1.5:5070",
            "127.0.0.9:5080",
            "127.0.0.9:5080",
        ];
        let all = addresses.iter().map(|address| listed(0, 1, address)).collect();
        let own = ["10.0.1.5:5070".parse().expect("an address")];
        let found = members(&discovery(Transport::Tcp), all, &own);
        let uris: Vec<_> = found.iter().map(|one| &*one.uri).collect();
        assert_eq!(uris, ["sip:127.0.0.9:5080;transport=tcp"]);
        assert_eq!(found[0].listener, ListenerId(3));
    }

    #[test]
    fn of_too_many_the_best_priorities_are_taken() {
        let one =
            |number: u16| listed(1000 - number, 1, &format!("10.0.{}.{}:5080", number / 250, number % 250));
        let found = members(&discovery(Transport::Udp), (1..=500).map(one).collect(), &[]);
        assert_eq!(found.len(), MOST);
        assert!(found.iter().all(|member| member.address.ip() > IpAddr::from([10, 0, 1, 0])));
    }
}
