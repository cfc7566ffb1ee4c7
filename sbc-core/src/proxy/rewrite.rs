//! What rules change in a request that leaves: its Request-URI, its headers, who calls.

use routing_rules::{Changes, Identity};

use crate::config::Listener;
use crate::flow::Zone;
use crate::proxy::settings::Settings;
use crate::wire::{Edits, HeaderName, Message, Uri};

/// A boundary that changes pass.
#[derive(Clone, Copy)]
pub(crate) struct Passage<'a> {
    pub(crate) from: Zone,
    pub(crate) to: Zone,
    /// The listener that the message leaves by.
    pub(crate) listener: &'a Listener,
    pub(crate) settings: &'a Settings,
}

/// Write another user, another host or both into the Request-URI. `own` is where a number
/// (RFC 3966), which has no domain, is one of, as a URI writes it.
pub(crate) fn request_uri(
    message: &Message<'_>,
    uri: &Uri<'_>,
    changes: &Changes,
    own: &dyn Fn() -> String,
    edits: &mut Edits,
) {
    let (new_user, new_host) = (changes.user.as_deref(), changes.host.as_deref());
    if uri.is_sip() {
        new_user.into_iter().for_each(|text| user(message, uri, text, edits));
        new_host.into_iter().for_each(|text| host(message, uri, text, edits));
    } else if new_user.is_some() || new_host.is_some() {
        // Its parameters are part of the user (RFC 3261 §19.1.6); a part for headers is refused before.
        let number = message.request_uri().get(uri.host_range.start..).unwrap_or_default();
        let user = new_user.map_or(number, str::as_bytes);
        edits.replace_with(message.request_uri_range(), |out| {
            out.extend_from_slice(b"sip:");
            out.extend_from_slice(user);
            out.extend_from_slice(if user.is_empty() { b"" } else { b"@" });
            match new_host {
                Some(host) => write_host(host, out),
                None => out.extend_from_slice(own().as_bytes()),
            }
            out.extend_from_slice(if is_number(user) { b";user=phone" } else { b"" });
        });
    }
}

fn is_number(user: &[u8]) -> bool {
    user.strip_prefix(b"+").unwrap_or(user).first().is_some_and(u8::is_ascii_digit)
}

/// Write another user into the Request-URI, and drop the password of the old one.
fn user(message: &Message<'_>, uri: &Uri<'_>, user: &str, edits: &mut Edits) {
    let base = message.request_uri_range().start;
    let host = base + uri.host_range.start;
    let start = uri.user_range.as_ref().map_or(host, |range| base + range.start);
    edits.replace_with(start..host, |out| {
        if !user.is_empty() {
            out.extend_from_slice(user.as_bytes());
            out.push(b'@');
        }
    });
}

/// Write another host over host and port of the Request-URI.
fn host(message: &Message<'_>, uri: &Uri<'_>, host: &str, edits: &mut Edits) {
    let base = message.request_uri_range().start;
    edits.replace_with(base + uri.host_range.start..base + uri.host_range.end, |out| write_host(host, out));
}

/// Set and remove headers, and say who calls.
pub(crate) fn headers(message: &Message<'_>, changes: &Changes, passage: &Passage<'_>, edits: &mut Edits) {
    for change in &changes.headers {
        take_off(message, &change.name, edits);
        if let Some(value) = &change.value {
            edits.insert_with(message.head_end(), |out| {
                out.extend_from_slice(change.name.as_bytes());
                out.extend_from_slice(b": ");
                passage.write_hidden(value, out);
                out.extend_from_slice(b"\r\n");
            });
        }
    }
    if let Some(identity) = &changes.identity {
        assert_identity(message, identity, passage, edits);
    }
}

/// RFC 3325 §9.1: one assertion, ours, whatever others have said. Who wants to stay unknown is not named to
/// strangers (§9.3).
fn assert_identity(message: &Message<'_>, identity: &Identity, passage: &Passage<'_>, edits: &mut Edits) {
    let claims = [HeaderName::PAssertedIdentity, HeaderName::PPreferredIdentity, HeaderName::RemotePartyId];
    for header in claims.into_iter().flat_map(|name| message.all(name)) {
        edits.delete(header.line());
    }
    if identity.private {
        message.all(HeaderName::Privacy).for_each(|header| edits.delete(header.line()));
        edits.insert(message.head_end(), b"Privacy: id\r\n");
        if passage.to == Zone::Public {
            return;
        }
    }
    let host = identity.host.as_deref().unwrap_or(passage.settings.outside_name(passage.listener));
    edits.insert_with(message.head_end(), |out| {
        out.extend_from_slice(b"P-Asserted-Identity: ");
        if let Some(name) = &identity.name {
            out.push(b'"');
            passage.write_hidden(name, out);
            out.extend_from_slice(b"\" ");
        }
        out.extend_from_slice(b"<sip:");
        out.extend_from_slice(identity.user.as_bytes());
        out.push(b'@');
        let mut text = Vec::new();
        write_host(host, &mut text);
        passage.write_hidden(&String::from_utf8_lossy(&text), out);
        out.extend_from_slice(b">\r\n");
    });
}

fn take_off(message: &Message<'_>, name: &str, edits: &mut Edits) {
    message.named(name).for_each(|header| edits.delete(header.line()));
}

fn write_host(host: &str, out: &mut Vec<u8>) {
    if host.contains(':') {
        out.push(b'[');
        out.extend_from_slice(host.as_bytes());
        out.push(b']');
    } else {
        out.extend_from_slice(host.as_bytes());
    }
}

impl Passage<'_> {
    /// Append a text in which, on its way out of the pool, no address of the pool is left.
    fn write_hidden(&self, text: &str, out: &mut Vec<u8>) {
        let bytes = text.as_bytes();
        if self.from != Zone::Pool || self.to == Zone::Pool {
            out.extend_from_slice(bytes);
            return;
        }
        let name = self.settings.outside_name(self.listener);
        let mut at = 0;
        while let Some(found) = self.settings.hidden.next(bytes, at) {
            out.extend_from_slice(bytes.get(at..found.range.start).unwrap_or_default());
            out.extend_from_slice(found.word.unwrap_or(name).as_bytes());
            at = found.range.end;
        }
        out.extend_from_slice(bytes.get(at..).unwrap_or_default());
    }
}
