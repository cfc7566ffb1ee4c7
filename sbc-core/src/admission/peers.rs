//! Who may speak at a listener at all.

use std::net::IpAddr;

use crate::config::Listener;
use crate::flow::Zone;

/// Whether `source` may send to `listener`: anybody to a public one, a carrier's networks to a trunk one,
/// the members of the pools (and whoever `networks` adds) to a pool one. Whoever is taken for FreeSWITCH
/// is believed a lot: it must be one.
pub fn is_peer(listener: &Listener, source: IpAddr, members: &[IpAddr]) -> bool {
    match listener.zone {
        Zone::Public => true,
        Zone::Pool if members.contains(&source) => true,
        Zone::Pool | Zone::Trunk => listener.networks.iter().any(|network| network.contains(&source)),
    }
}
