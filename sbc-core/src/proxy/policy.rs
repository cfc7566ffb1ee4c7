//! Which headers pass a boundary between zones, by parsed name: no spelling, folding or compact form
//! makes a difference.

use crate::flow::Zone;
use crate::proxy::settings::Settings;
use crate::wire::{Edits, Header, HeaderName, HeaderPattern, Message, eq_ignore_case};

/// One boundary: what comes from one zone and goes to another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Boundary<'a> {
    pub(crate) from: Zone,
    pub(crate) to: Zone,
    /// What the operator keeps inside.
    pub(crate) strip: &'a [HeaderPattern],
}

impl<'a> Boundary<'a> {
    pub(crate) fn new(from: Zone, to: Zone, settings: &'a Settings) -> Self {
        Self { from, to, strip: &settings.config.headers.strip }
    }

    /// Whether a header stops here.
    pub(crate) fn stops(&self, header: &Header<'_>) -> bool {
        match (self.from, self.to) {
            (Zone::Pool, Zone::Pool) => false,
            (Zone::Pool, Zone::Public) => leaves_the_pool(header) || self.is_stripped(header),
            // A carrier has no use for our X- headers; they hold what queues and screens are fed with.
            (Zone::Pool, Zone::Trunk) => {
                leaves_the_pool(header) || is_extension(header, b"x-") || self.is_stripped(header)
            }
            (Zone::Trunk, _) => claims_trust(header) || claims_beyond_a_trunk(header),
            (Zone::Public, _) => claims_trust(header) || claims_identity(header),
        }
    }

    fn is_stripped(&self, header: &Header<'_>) -> bool {
        self.strip.iter().any(|pattern| pattern.matches(header))
    }

    /// Take off every header that stops here.
    pub(crate) fn apply(&self, message: &Message<'_>, edits: &mut Edits) {
        for header in message.headers().filter(|header| self.stops(header)) {
            edits.delete(header.line());
        }
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

/// A carrier asserts (RFC 3325), it does not prefer; what it asserts stands in one header only. Privacy
/// stays: it says what may not be shown of what it asserts.
const fn claims_beyond_a_trunk(header: &Header<'_>) -> bool {
    matches!(header.name, HeaderName::PPreferredIdentity | HeaderName::RemotePartyId)
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
