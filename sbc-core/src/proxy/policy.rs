//! Which headers pass a boundary between zones, by parsed name: no spelling, folding or compact form
//! makes a difference.

use crate::flow::Zone;
use crate::wire::{Header, HeaderName, eq_ignore_case};

/// Whether a header stops here.
pub(crate) fn stops(header: &Header<'_>, from: Zone, to: Zone) -> bool {
    match (from, to) {
        (Zone::Pool, Zone::Pool) => false,
        (Zone::Pool, Zone::Public) => leaves_the_pool(header),
        // A carrier has no use for our X- headers; they hold what queues and screens are fed with.
        (Zone::Pool, Zone::Trunk) => leaves_the_pool(header) || is_extension(header, b"x-"),
        (Zone::Trunk, _) => claims_trust(header),
        (Zone::Public, _) => claims_trust(header) || claims_identity(header),
    }
}

/// Software, versions and what FreeSWITCH says to its like.
fn leaves_the_pool(header: &Header<'_>) -> bool {
    match header.name {
        HeaderName::UserAgent
        | HeaderName::Server
        | HeaderName::RemotePartyId
        | HeaderName::ServiceRoute
        | HeaderName::Path => true,
        HeaderName::Other => is_extension(header, b"x-fs-") || is_extension(header, b"x-auth-"),
        _ => false,
    }
}

/// FreeSWITCH believes these from whoever is in its lists, and we are: only ours may arrive.
fn claims_trust(header: &Header<'_>) -> bool {
    match header.name {
        HeaderName::Path => true,
        HeaderName::Other => is_extension(header, b"x-auth-") || is_extension(header, b"x-fs-"),
        _ => false,
    }
}

/// RFC 3325 §5 and its kin: a stranger says nothing about who somebody is.
fn claims_identity(header: &Header<'_>) -> bool {
    matches!(
        header.name,
        HeaderName::PAssertedIdentity
            | HeaderName::PPreferredIdentity
            | HeaderName::RemotePartyId
            | HeaderName::Privacy
            | HeaderName::HistoryInfo
            | HeaderName::Diversion
            | HeaderName::Identity
    )
}

fn is_extension(header: &Header<'_>, prefix: &[u8]) -> bool {
    header.name == HeaderName::Other
        && header.raw_name.get(..prefix.len()).is_some_and(|start| eq_ignore_case(start, prefix))
}
