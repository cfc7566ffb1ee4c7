//! Contact: sealed towards the outside, left alone towards the pool.

use std::borrow::Cow;
use std::ops::Range;

use crate::config::Listener;
use crate::flow::Transport;
use crate::proxy::settings::Settings;
use crate::proxy::via::transport_param;
use crate::seal::{ContactUri, Kind, Peer};
use crate::wire::{Edits, Header, HeaderName, Item, Message, NameAddr, Uri, split, write_unfolded};

/// What takes the place of a Contact URI.
pub(crate) struct Sealing<'a> {
    pub(crate) settings: &'a Settings,
    /// [`Kind::Contact`], or [`Kind::Registered`] for a member that registers at a carrier.
    pub(crate) kind: Kind,
    /// Empty for registered Contacts: they are called under Call-IDs to come.
    pub(crate) call_id: &'a [u8],
    /// Who is behind it.
    pub(crate) peer: Peer,
    /// The listener of those who will read it.
    pub(crate) listener: &'a Listener,
    /// Whether they are asked for a `sips:` address, and so have to be told one.
    pub(crate) secure: bool,
}

impl Sealing<'_> {
    /// Append the URI; false where it cannot be sealed.
    pub(crate) fn write(&self, target: &[u8], out: &mut Vec<u8>) -> bool {
        // It comes back as a Request-URI, where no line may be folded.
        let target = unfolded(target);
        let contact = ContactUri {
            kind: self.kind,
            call_id: self.call_id,
            peer: self.peer,
            target: &target,
            secure: self.secure,
            advertise: &self.listener.advertise,
            // `sips:` says TLS already (RFC 3261 §26.2.2).
            parameters: match (self.secure, self.listener.transport) {
                (true, Transport::Tls) => "",
                (_, transport) => transport_param(transport),
            },
        };
        self.settings.tokens.write_contact(&contact, out)
    }

    /// Replace the URI of every Contact. One that cannot be read is taken out: it might tell.
    pub(crate) fn apply(&self, message: &Message<'_>, edits: &mut Edits) {
        for header in message.all(HeaderName::Contact) {
            if header.value == b"*" {
                continue;
            }
            let mut written = true;
            for item in split(header.value) {
                written &= NameAddr::parse(item.text).is_ok_and(|address| {
                    let mut sealed = false;
                    replace_uri_with(&header, &item, &address, edits, |out| {
                        sealed = self.write(address.uri, out);
                    });
                    sealed
                });
            }
            if !written {
                edits.delete(header.line());
            }
        }
    }
}

/// Put another URI in a name-addr, in brackets, whether or not it had them.
pub(crate) fn replace_uri(
    header: &Header<'_>,
    item: &Item<'_>,
    address: &NameAddr<'_>,
    uri: &[u8],
    edits: &mut Edits,
) {
    replace_uri_with(header, item, address, edits, |out| out.extend_from_slice(uri));
}

/// The same with the URI that `write` appends.
fn replace_uri_with(
    header: &Header<'_>,
    item: &Item<'_>,
    address: &NameAddr<'_>,
    edits: &mut Edits,
    write: impl FnOnce(&mut Vec<u8>),
) {
    let range = absolute(header, item.range.start, &address.uri_range);
    edits.replace_with(range, |out| {
        if !address.bracketed {
            out.push(b'<');
        }
        write(out);
        if !address.bracketed {
            out.push(b'>');
        }
    });
}

/// A URI without folding; nearly none has any.
fn unfolded(uri: &[u8]) -> Cow<'_, [u8]> {
    if !uri.iter().any(u8::is_ascii_whitespace) {
        return Cow::Borrowed(uri);
    }
    let mut text = Vec::new();
    write_unfolded(&mut text, uri);
    Cow::Owned(text)
}

/// A range inside an item of a header's value, in the message.
pub(crate) fn absolute(header: &Header<'_>, item_start: usize, range: &Range<usize>) -> Range<usize> {
    let start = header.value_range().start + item_start;
    start + range.start..start + range.end
}

/// The same user at the served domain: what an address of the inside becomes.
pub(crate) fn outside_uri(uri: &Uri<'_>, settings: &Settings, listener: &Listener) -> Vec<u8> {
    let mut text = b"sip:".to_vec();
    if let Some(user) = uri.user {
        text.extend_from_slice(user);
        text.push(b'@');
    }
    text.extend_from_slice(settings.outside_authority(listener).as_bytes());
    text
}

/// 3xx from the pool (RFC 3261 §8.1.3.4): an address of the inside becomes the served domain, so that
/// the caller comes back to us.
pub(crate) fn redirect_outside(
    message: &Message<'_>,
    settings: &Settings,
    listener: &Listener,
    edits: &mut Edits,
) {
    for header in message.all(HeaderName::Contact) {
        for item in split(header.value) {
            let Ok(address) = NameAddr::parse(item.text) else { continue };
            let Ok(uri) = Uri::parse(address.uri) else { continue };
            let inside =
                uri.ip().is_some_and(|ip| settings.hidden.has(ip, uri.port)) || settings.is_ours(&uri);
            if inside {
                replace_uri(&header, &item, &address, &outside_uri(&uri, settings, listener), edits);
            }
        }
    }
}
