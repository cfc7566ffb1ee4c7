//! What a `[[listener]]` says about connections of every kind: TLS, who stands between, how many of one source.

use std::ops::RangeInclusive;
use std::path::Path;

use ipnet::IpNet;
use sbc_core::flow::{Transport, is_stream};
use sbc_ws::ClientAddress;

use super::document::Section;
use super::listener::networks;
use super::tls::{self, Tls};

const CONNECTIONS_PER_SOURCE: RangeInclusive<u32> = 1..=1_000_000;

/// What WebSocket, TCP and TLS have in common.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    /// `wss` and `tls`; else plain.
    pub tls: Option<Tls>,
    /// Where the client's own address is found.
    pub client_address: ClientAddress,
    /// Who may name another address than its own.
    pub trusted_proxies: Vec<IpNet>,
    /// Most connections of one address, or of one IPv6 /64; `None`: nothing is said.
    pub per_source: Option<usize>,
}

/// Reads the keys; those of a listener without connections are left for its own complaint.
pub(super) fn read(
    section: &Section<'_, '_>,
    transport: Option<Transport>,
    directory: &Path,
) -> Option<Connection> {
    let tls = tls::read(section, directory);
    let per_source = section.maybe("connections_per_source", |value| value.integer(CONNECTIONS_PER_SOURCE));
    let (client_address, trusted_proxies) = proxies(section, transport)?;
    let per_source = per_source?.map(|most| usize::try_from(most.value).unwrap_or(usize::MAX));
    let tls = tls?;
    let has_tls = matches!(transport, Some(Transport::Wss | Transport::Tls));
    Some(Connection { tls: has_tls.then_some(tls), client_address, trusted_proxies, per_source })
}

/// Who stands between us and the clients, and how it names them.
fn proxies(section: &Section<'_, '_>, transport: Option<Transport>) -> Option<(ClientAddress, Vec<IpNet>)> {
    let mut words = vec![
        ("socket", ClientAddress::Socket),
        ("x-forwarded-for", ClientAddress::XForwardedFor),
        ("proxy-v2", ClientAddress::ProxyV2),
    ];
    // Without WebSocket there is no HTTP whose header could name anybody.
    words.retain(|(_, word)| *word != ClientAddress::XForwardedFor || !transport.is_some_and(is_stream));
    let address = section.or("client_address", ClientAddress::Socket, |value| value.word(&words, &[]));
    let proxies = section.maybe("trusted_proxies", networks);
    let word = |address| words.iter().find(|(_, known)| *known == address).map_or("", |(word, _)| *word);
    match (address?, proxies?) {
        (ClientAddress::Socket, None) => Some((ClientAddress::Socket, Vec::new())),
        (ClientAddress::Socket, Some(proxies)) => {
            let others: Vec<_> = words.iter().skip(1).map(|(word, _)| format!("{word:?}")).collect();
            let expected =
                format!("client_address = {} beside it, or no trusted_proxies", others.join(" or "));
            section.document().report(proxies.place, "proxies that nobody asks", expected);
            None
        }
        (address, None) => {
            let expected = format!("the networks of the proxies whose {} is believed", word(address));
            section.document().report(section.place("trusted_proxies"), "nothing", expected);
            None
        }
        (address, Some(proxies)) => Some((address, proxies.value)),
    }
}
