//! A request that was let in, with the parts that every step asks for read once.

use std::net::SocketAddr;

use crate::config::Listener;
use crate::dialog::DialogKey;
use crate::flow::{Flow, Transport, Zone, is_stream};
use crate::hash::{Digest, KeyedHash};
use crate::proxy::settings::Settings;
use crate::sip::{Method, known_method};
use crate::wire::{HeaderName, Message, NameAddr, Uri, Via, split};

/// An admitted request and where it came from.
pub(crate) struct Incoming<'a> {
    pub(crate) message: Message<'a>,
    pub(crate) method: Option<Method>,
    pub(crate) via: Via<'a>,
    pub(crate) call_id: &'a [u8],
    pub(crate) from_tag: &'a [u8],
    /// Set inside a dialog.
    pub(crate) to_tag: Option<&'a [u8]>,
    pub(crate) upstream: Upstream,
}

/// Whoever sent a request, and where the answer goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Upstream {
    pub(crate) zone: Zone,
    /// Where it came in.
    pub(crate) flow: Flow,
    /// Where responses go: the flow, or an asymmetric carrier's sent-by.
    pub(crate) reply: Flow,
    /// The client's true address.
    pub(crate) source: SocketAddr,
    /// A server that came over a connection: where a new one can be opened to it.
    pub(crate) home: Option<SocketAddr>,
    /// We ask in its place, for it is dead: no answer goes to it.
    pub(crate) is_own: bool,
}

impl Upstream {
    /// The address it serves at.
    pub(crate) fn address(&self) -> SocketAddr {
        self.home.unwrap_or(self.flow.remote)
    }
}

impl<'a> Incoming<'a> {
    /// `None` only for a request that admission would have refused.
    pub(crate) fn read(
        message: Message<'a>,
        listener: &Listener,
        flow: Flow,
        source: SocketAddr,
    ) -> Option<Self> {
        let via = top_via(&message)?;
        let reply = reply_flow(listener, flow, &via);
        let home = home(listener, flow, &via);
        Some(Self {
            method: known_method(message.method_text()),
            via,
            call_id: message.value(HeaderName::CallId),
            from_tag: tag_of(&message, HeaderName::From).unwrap_or(b""),
            to_tag: tag_of(&message, HeaderName::To),
            upstream: Upstream { zone: listener.zone, flow, reply, source, home, is_own: false },
            message,
        })
    }

    /// True for requests that end up in a dialog, or try to.
    pub(crate) fn is_in_dialog(&self) -> bool {
        self.to_tag.is_some()
    }

    /// The dialog (RFC 3261 §12), with both its tags: who has one of them wrong ends no call of its own with it.
    pub(crate) fn dialog(&self, hash: &KeyedHash) -> DialogKey {
        let (own, other) = (self.from_tag, self.to_tag.unwrap_or(b""));
        match self.upstream.zone {
            Zone::Pool => dialog_key(hash, self.call_id, other, own),
            Zone::Public | Zone::Trunk => dialog_key(hash, self.call_id, own, other),
        }
    }

    /// The address of record in To: whom a REGISTER is about.
    pub(crate) fn registered_aor(&self, settings: &Settings) -> Option<Digest> {
        let to = NameAddr::parse(self.message.value(HeaderName::To)).ok()?;
        let uri = Uri::parse(to.uri).ok()?;
        Some(settings.aor(&uri))
    }

    /// The address of record in From: who asks.
    pub(crate) fn caller_aor(&self, settings: &Settings) -> Digest {
        let from = NameAddr::parse(self.message.value(HeaderName::From)).ok();
        let uri = from.and_then(|from| Uri::parse(from.uri).ok());
        uri.map_or(0, |uri| settings.aor(&uri))
    }
}

/// The key of the dialog record: the tag of the party outside, then the one of the pool's side.
pub(crate) fn dialog_key(hash: &KeyedHash, call_id: &[u8], outside: &[u8], inside: &[u8]) -> DialogKey {
    DialogKey(hash.of(&[b"dialog", call_id, outside, inside]))
}

/// The top Via, if it can be read.
pub(crate) fn top_via<'a>(message: &Message<'a>) -> Option<Via<'a>> {
    let first = message.first(HeaderName::Via)?;
    Via::parse(split(first.value).next()?.text).ok()
}

/// The tag of From or To.
pub(crate) fn tag_of<'a>(message: &Message<'a>, name: HeaderName) -> Option<&'a [u8]> {
    NameAddr::parse(message.value(name)).ok()?.tag().filter(|tag| !tag.is_empty())
}

/// A server connects from any port; it serves at its Via's sent-by (RFC 3261 §18.2.2). Only the port is
/// believed: the address is the one it has.
fn home(listener: &Listener, flow: Flow, via: &Via<'_>) -> Option<SocketAddr> {
    if listener.zone == Zone::Public || !is_stream(listener.transport) {
        return None;
    }
    let default_port = if listener.transport == Transport::Tls { 5061 } else { 5060 };
    Some(SocketAddr::new(flow.remote.ip(), via.port.unwrap_or(default_port)))
}

/// Answers follow the flow, whether or not `rport` asked for it (RFC 3581); an asymmetric carrier's go
/// to its Via's sent-by (RFC 3261 §18.2.2), as long as that is inside its networks.
fn reply_flow(listener: &Listener, flow: Flow, via: &Via<'_>) -> Flow {
    if listener.symmetric || flow.connection.is_some() || via.rport().is_some() {
        return flow;
    }
    let host = std::str::from_utf8(crate::proxy::settings::strip_brackets(via.host)).ok();
    let named = host.and_then(|host| host.parse().ok());
    let named = named.filter(|ip| listener.networks.iter().any(|network| network.contains(ip)));
    Flow { remote: SocketAddr::new(named.unwrap_or(flow.remote.ip()), via.port.unwrap_or(5060)), ..flow }
}
