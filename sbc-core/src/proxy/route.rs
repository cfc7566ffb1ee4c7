//! Route and Record-Route (RFC 3261 §16.4 and §16.6): ours are taken off, and choose; others are data.

use crate::config::Listener;
use crate::proxy::settings::Settings;
use crate::proxy::via::transport_param;
use crate::seal::{KeyRing, Kind, OpenError, Peer};
use crate::wire::{Edits, HeaderName, Message, NameAddr, Uri, split};

/// What the top of the route set said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Consumed {
    /// How many values on top were ours.
    pub(crate) values: usize,
    /// Whom the first token among them names.
    pub(crate) peer: Option<Result<Peer, OpenError>>,
    /// Whether values that are not ours follow.
    pub(crate) more: bool,
}

/// Read the top of the route set: values that name us, and the token they hold.
pub(crate) fn read_top(message: &Message<'_>, settings: &Settings) -> Consumed {
    let mut consumed = Consumed { values: 0, peer: None, more: false };
    for header in message.all(HeaderName::Route) {
        for item in split(header.value) {
            let Some(uri) = route_uri(item.text).filter(|uri| is_ours(uri, settings)) else {
                consumed.more = true;
                return consumed;
            };
            consumed.values += 1;
            if let (None, Some(user)) = (&consumed.peer, uri.user) {
                match settings.tokens.open_route(user) {
                    Err(OpenError::NotAToken) => {}
                    opened => consumed.peer = Some(opened),
                }
            }
        }
    }
    consumed
}

fn route_uri(value: &[u8]) -> Option<Uri<'_>> {
    Uri::parse(NameAddr::parse(value).ok()?.uri).ok()
}

/// A Route is ours by its token, or by naming an address of ours.
fn is_ours(uri: &Uri<'_>, settings: &Settings) -> bool {
    let token = uri.user.and_then(KeyRing::kind_of);
    matches!(token, Some(Kind::Path | Kind::RecordRoute)) || settings.is_ours(uri)
}

/// Take the first `count` Route values off.
pub(crate) fn take_off(message: &Message<'_>, mut count: usize, edits: &mut Edits) {
    for header in message.all(HeaderName::Route) {
        if count == 0 {
            return;
        }
        let mut rest = None;
        for item in split(header.value) {
            if count == 0 {
                rest = Some(item.range.start);
                break;
            }
            count -= 1;
        }
        let start = header.value_range().start;
        match rest {
            Some(rest) => edits.delete(start..start + rest),
            None => edits.delete(header.line()),
        }
    }
}

/// Take every line of one header off.
pub(crate) fn take_all_off(message: &Message<'_>, name: HeaderName, edits: &mut Edits) {
    for header in message.all(name) {
        edits.delete(header.line());
    }
}

/// Take our own Record-Route values off a response, wherever they stand.
pub(crate) fn take_own_records_off(message: &Message<'_>, settings: &Settings, edits: &mut Edits) {
    for header in message.all(HeaderName::RecordRoute) {
        let foreign = || {
            split(header.value)
                .filter(|item| !route_uri(item.text).is_some_and(|uri| is_ours(&uri, settings)))
        };
        let total = split(header.value).count();
        match foreign().count() {
            0 => edits.delete(header.line()),
            kept if kept == total => {}
            _ => edits.replace_with(header.value_range(), |out| {
                for (at, item) in foreign().enumerate() {
                    if at > 0 {
                        out.extend_from_slice(b", ");
                    }
                    out.extend_from_slice(item.text);
                }
            }),
        }
    }
}

/// Append `Name: <sip:TOKEN@pool address;transport=tcp;lr>`, the transport where it is not UDP: the token in
/// the user part, `;lr` last, an address and
/// no host name, because of how FreeSWITCH stores and resolves it.
pub(crate) fn write_own(
    name: &[u8],
    kind: Kind,
    peer: &Peer,
    settings: &Settings,
    pool_listener: &Listener,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": <sip:");
    settings.tokens.write_route(kind, peer, out);
    out.push(b'@');
    crate::seal::write_host(&pool_listener.advertise, out);
    out.extend_from_slice(transport_param(pool_listener.transport).as_bytes());
    out.extend_from_slice(b";lr>\r\n");
}
