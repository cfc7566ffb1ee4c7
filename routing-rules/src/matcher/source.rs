//! `match.source`: the address that the request came from.

use std::net::IpAddr;

use ipnet::IpNet;

use super::Condition;
use crate::error::quote;
use crate::load::{Loader, Node};

const EXPECTED: &str = "an IP address or a network such as 192.0.2.0/24";

/// Networks that do not overlap, in ascending order.
#[derive(Debug)]
pub(crate) struct Networks(Vec<IpNet>);

pub(super) fn read(node: &Node<'_>, loader: &mut Loader<'_>) -> Option<Condition> {
    let networks = node.each(loader, read_network)?;
    let mut networks = IpNet::aggregate(&networks);
    networks.sort_unstable_by_key(IpNet::network);
    Some(Condition::Source(Networks(networks)))
}

fn read_network(node: &Node<'_>, loader: &mut Loader<'_>) -> Option<IpNet> {
    let text = node.text(loader, EXPECTED)?;
    let network = match (text.parse::<IpAddr>(), text.parse::<IpNet>()) {
        (Ok(address), _) => IpNet::from(address),
        (_, Ok(network)) => network,
        _ => return node.refuse(loader, EXPECTED),
    };
    if network.network() != network.addr() {
        // A slip in either half of it would change who is meant, so neither half is believed.
        let (whole, one) = (network.trunc(), network.addr());
        return node.refuse(loader, format!("the network {whole} or the address {one}"));
    }
    if let IpAddr::V6(address) = network.addr()
        && let Some(v4) = address.to_ipv4_mapped()
    {
        // Sources are compared as IPv4 whenever they are.
        return node.refuse_as(
            loader,
            format!("{}, IPv4 in IPv6", quote(text)),
            format!("its IPv4 form, such as {v4}"),
        );
    }
    Some(network)
}

impl Networks {
    /// The networks, without overlaps.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &IpNet> {
        self.0.iter()
    }

    pub(super) fn contains(&self, address: IpAddr) -> bool {
        self.last_up_to(address).is_some_and(|network| network.contains(&address))
    }

    pub(super) fn covers(&self, other: &Self) -> bool {
        // Aggregated networks have no two neighbours that make one larger network, so one of ours must hold all of it.
        other.0.iter().all(|net| self.last_up_to(net.network()).is_some_and(|ours| ours.contains(net)))
    }

    /// The only network that can hold the address.
    fn last_up_to(&self, address: IpAddr) -> Option<&IpNet> {
        let after = self.0.partition_point(|network| network.network() <= address);
        self.0.get(after.checked_sub(1)?)
    }
}
