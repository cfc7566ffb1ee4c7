//! From a request to the question that the rules are asked.

use crate::flow::Transport;
use crate::hash::Digest;
use crate::proxy::core::Core;
use crate::proxy::identity::NewFrom;
use crate::proxy::incoming::Incoming;
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

/// The question about a request that came in at `uri`.
pub(crate) fn ask<'a>(
    incoming: &'a Incoming<'_>,
    new_from: &'a NewFrom,
    around: &'a Surroundings<'a>,
) -> Query<'a> {
    let Surroundings { core, settings, uri, now, .. } = around;
    let listener = incoming.upstream.flow.listener;
    let transport = settings.listener(listener).map_or("udp", |listener| transport_name(listener.transport));
    let share = settings.stable.of(&[b"share", incoming.call_id]) % SHARES;
    Query {
        method: text(incoming.message.method_text()),
        listener: usize::from(listener.0),
        zone: incoming.upstream.zone,
        transport,
        source: incoming.upstream.source.ip().to_canonical(),
        domain: text(strip_brackets(uri.host)),
        user: text(uri.user.unwrap_or(b"")),
        from: match new_from {
            Some(uri) => party_of(uri),
            None => party(&incoming.message, HeaderName::From),
        },
        to: party(&incoming.message, HeaderName::To),
        share: u16::try_from(share).unwrap_or(0),
        time: core.unix_time(*now),
        region: &settings.config.region,
        lookup: around,
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
