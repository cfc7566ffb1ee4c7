//! From a request to the question that the rules are asked.

use std::net::IpAddr;

use crate::flow::{ListenerId, Transport, Zone};
use crate::hash::Digest;
use crate::proxy::core::Core;
use crate::proxy::identity::NewFrom;
use crate::proxy::settings::{Settings, strip_brackets};
use crate::time::Time;
use crate::wire::{HeaderName, Message, NameAddr, Uri};
use routing_rules::{Changes, Lookup, Party, Query};

/// Shares of calls are counted in so many parts.
const SHARES: Digest = 10_000;

/// What the rules look up while they think.
pub(crate) struct Surroundings<'a> {
    pub(crate) core: &'a Core,
    pub(crate) settings: &'a Settings,
    pub(crate) message: &'a Message<'a>,
    /// The Request-URI.
    pub(crate) uri: &'a Uri<'a>,
    pub(crate) now: Time,
}

impl Lookup for Surroundings<'_> {
    fn registered(&self, user: &str, domain: &str) -> bool {
        let user = (!user.is_empty()).then_some(user.as_bytes());
        let host = (text(strip_brackets(self.uri.host)) != domain).then_some(domain.as_bytes());
        self.core.directory.is_registered(self.settings.aor(&with(self.uri, user, host)), self.now)
    }

    fn header(&self, name: &str, see: &mut dyn FnMut(&[u8])) {
        self.message.named(name).for_each(|header| see(header.value));
    }
}

/// A request, and where it came from.
pub(crate) struct Asker<'a> {
    pub(crate) listener: ListenerId,
    /// The client's true address.
    pub(crate) source: IpAddr,
    pub(crate) message: &'a Message<'a>,
    pub(crate) call_id: &'a [u8],
    /// The caller's own name, where From gives another.
    pub(crate) new_from: &'a NewFrom,
    pub(crate) unix_time: i64,
}

/// The question about a request for `uri`.
pub(crate) fn ask<'a>(
    asker: &Asker<'a>,
    uri: &Uri<'a>,
    settings: &'a Settings,
    lookup: &'a dyn Lookup,
) -> Query<'a> {
    let listener = settings.listener(asker.listener);
    let share = settings.stable.of(&[b"share", asker.call_id]) % SHARES;
    Query {
        method: text(asker.message.method_text()),
        listener: usize::from(asker.listener.0),
        zone: listener.map_or(Zone::Public, |listener| listener.zone),
        transport: listener.map_or("udp", |listener| transport_name(listener.transport)),
        source: asker.source.to_canonical(),
        domain: text(strip_brackets(uri.host)),
        user: text(uri.user.unwrap_or(b"")),
        from: match asker.new_from {
            Some(uri) => party_of(uri),
            None => party(asker.message, HeaderName::From),
        },
        to: party(asker.message, HeaderName::To),
        share: u16::try_from(share).unwrap_or(0),
        time: asker.unix_time,
        region: &settings.config.region,
        lookup,
    }
}

/// The Request-URI as the rules have changed it.
pub(crate) fn changed<'a>(uri: &Uri<'a>, changes: Option<&'a Changes>) -> Uri<'a> {
    let user = changes.and_then(|changes| changes.user.as_deref()).map(str::as_bytes);
    let host = changes.and_then(|changes| changes.host.as_deref()).map(str::as_bytes);
    match user {
        Some(b"") => with(&Uri { user: None, ..uri.clone() }, None, host),
        user => with(uri, user.or(uri.user), host),
    }
}

/// The URI with another user, and where there is one with another host, which has no port.
fn with<'a>(uri: &Uri<'a>, user: Option<&'a [u8]>, host: Option<&'a [u8]>) -> Uri<'a> {
    match host {
        Some(host) => Uri { user, host, port: None, ..uri.clone() },
        None => Uri { user, ..uri.clone() },
    }
}

fn party<'a>(message: &Message<'a>, name: HeaderName) -> Party<'a> {
    NameAddr::parse(message.value(name)).map_or(Party::default(), |address| party_of(address.uri))
}

fn party_of(uri: &[u8]) -> Party<'_> {
    Uri::parse(uri).map_or(Party::default(), |uri| Party {
        user: text(uri.user.unwrap_or(b"")),
        domain: text(strip_brackets(uri.host)),
    })
}

/// Empty where it is no text: no rule is about that.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or("")
}

const fn transport_name(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
        Transport::Ws => "ws",
        Transport::Wss => "wss",
        _ => "tls",
    }
}
