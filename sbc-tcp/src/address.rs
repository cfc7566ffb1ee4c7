//! Addresses of peers as they are compared: those of IPv4 peers on an IPv6 socket as IPv4.

use std::net::SocketAddr;

use ipnet::IpNet;

/// The address as IPv4 when it is an IPv4 address in IPv6 clothes, as sockets bound to `[::]` give them.
pub fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Whether an address is in one of the networks, such as those of the proxies that may name another address.
pub fn is_within(networks: &[IpNet], address: SocketAddr) -> bool {
    let ip = address.ip().to_canonical();
    networks.iter().any(|network| network.contains(&ip))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_ipv4_peer_is_within_as_ipv4() {
        let proxies = ["10.0.0.0/16".parse().unwrap()];
        assert!(is_within(&proxies, "[::ffff:10.0.3.4]:80".parse().unwrap()));
        assert!(!is_within(&proxies, "10.1.0.1:80".parse().unwrap()));
        assert!(!is_within(&[], "10.0.0.1:80".parse().unwrap()));
    }
}
