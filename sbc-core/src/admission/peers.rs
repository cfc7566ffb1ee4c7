//! Who may speak at a listener at all.

use std::net::IpAddr;

use crate::config::Listener;
use crate::flow::Zone;

/// Whether `source` may send to `listener`: anybody to a public one, a carrier's networks to a trunk
/// one. At a pool listener everybody who can reach it: it is bound inside.
pub fn is_peer(listener: &Listener, source: IpAddr) -> bool {
    match listener.zone {
        Zone::Public | Zone::Pool => true,
        Zone::Trunk => listener.networks.iter().any(|network| network.contains(&source)),
    }
}
