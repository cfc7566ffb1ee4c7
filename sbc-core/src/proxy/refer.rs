//! Refer-To (RFC 3515) with Replaces (RFC 3891): sealed addresses inside addresses.

use std::net::SocketAddr;

use crate::config::Listener;
use crate::proxy::contact::{Sealing, absolute, outside_uri, replace_uri};
use crate::proxy::core::Core;
use crate::proxy::incoming::dialog_key;
use crate::proxy::settings::Settings;
use crate::seal::{Kind, OpenError};
use crate::wire::{Edits, HeaderName, Item, Message, NameAddr, Uri};

/// Longest Call-ID read from an escaped Replaces, in bytes.
const REPLACED_CALL_ID_MAX: usize = 512;

impl Core {
    /// The pool member that has the dialog which a Refer-To wants replaced, as far as its record knows.
    pub(crate) fn holder_of_replaced(&self, message: &Message<'_>) -> Option<SocketAddr> {
        let address = NameAddr::parse(message.first(HeaderName::ReferTo)?.value).ok()?;
        let replaces = replaces_of(&Uri::parse(address.uri).ok()?)?;
        let call_id = call_id_of(&replaces)?;
        // Which of its tags is that of the party outside depends on who called.
        let params = replaces.split(|byte| *byte == b';').skip(1);
        let mut tags = params.filter_map(|param| {
            let (name, tag) = param.split_at(memchr::memchr(b'=', param)?);
            name.trim_ascii()
                .to_ascii_lowercase()
                .ends_with(b"-tag")
                .then(|| tag.get(1..).unwrap_or_default())
        });
        let (one, other) = (tags.next()?, tags.next()?);
        let member = |outside, inside| self.dialogs.member(dialog_key(&self.hash, call_id, outside, inside));
        member(one, other).or_else(|| member(other, one))
    }
}

/// Towards the pool: our token opens, and the member's own address takes its place. An address of
/// record whose Replaces names a dialog `elsewhere` is asked there: no member could find it by name.
///
/// # Errors
/// A token that does not open leads nowhere.
pub(crate) fn open_refer_to(
    message: &Message<'_>,
    elsewhere: Option<SocketAddr>,
    settings: &Settings,
    edits: &mut Edits,
) -> Result<(), OpenError> {
    let Some(header) = message.first(HeaderName::ReferTo) else { return Ok(()) };
    let Ok(address) = NameAddr::parse(header.value) else { return Ok(()) };
    let Ok(uri) = Uri::parse(address.uri) else { return Ok(()) };
    let own = message.value(HeaderName::CallId);
    let replaced = replaced_call_id(&uri);
    let call_id = replaced.as_deref().unwrap_or(own);
    match settings.tokens.open_contact(Kind::Contact, call_id, &uri) {
        Ok(seal) => {
            let mut text = Vec::new();
            seal.write_target(&mut text);
            write_headers(&uri, &mut text);
            let whole = Item { text: header.value, range: 0..header.value.len() };
            replace_uri(&header, &whole, &address, &text, edits);
            Ok(())
        }
        Err(OpenError::NotAToken) => {
            if let Some(member) = elsewhere {
                let start = absolute(&header, 0, &address.uri_range).start;
                let host = start + uri.host_range.start..start + uri.host_range.end;
                edits.replace(host, member.to_string().as_bytes());
            }
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Towards the outside: a pool address with Replaces becomes a token bound to the replaced Call-ID, so
/// that the INVITE it provokes finds that very member; without Replaces it becomes the served domain.
pub(crate) fn seal_refer_to(
    message: &Message<'_>,
    settings: &Settings,
    listener: &Listener,
    edits: &mut Edits,
) {
    let Some(header) = message.first(HeaderName::ReferTo) else { return };
    let Ok(address) = NameAddr::parse(header.value) else { return };
    let Ok(uri) = Uri::parse(address.uri) else { return };
    let Some(ip) = uri.ip().filter(|ip| settings.hidden.has(*ip, uri.port)) else { return };
    let mut text = Vec::new();
    let sealed = replaced_call_id(&uri).is_some_and(|call_id| {
        let member = SocketAddr::new(ip, uri.port.unwrap_or(5060));
        let target = address.uri.get(..address.uri.len() - header_length(&uri)).unwrap_or(address.uri);
        write_replacing(settings, listener, &call_id, member, target, &mut text)
    });
    if !sealed {
        text = outside_uri(&uri, settings, listener);
    }
    write_headers(&uri, &mut text);
    edits.replace(absolute(&header, 0, &address.uri_range), &text);
}

fn write_replacing(
    settings: &Settings,
    listener: &Listener,
    call_id: &[u8],
    member: SocketAddr,
    target: &[u8],
    out: &mut Vec<u8>,
) -> bool {
    let Some(peer) = settings.pool_peer(member) else { return false };
    Sealing { settings, kind: Kind::Contact, call_id, peer, listener, secure: false }.write(target, out)
}

fn header_length(uri: &Uri<'_>) -> usize {
    uri.headers.map_or(0, |headers| headers.len() + 1)
}

fn write_headers(uri: &Uri<'_>, out: &mut Vec<u8>) {
    if let Some(headers) = uri.headers {
        out.push(b'?');
        out.extend_from_slice(headers);
    }
}

/// The Call-ID in the `Replaces` of a URI's header part.
fn replaced_call_id(uri: &Uri<'_>) -> Option<Vec<u8>> {
    call_id_of(&replaces_of(uri)?).map(<[u8]>::to_vec)
}

fn call_id_of(replaces: &[u8]) -> Option<&[u8]> {
    let call_id = replaces.split(|byte| *byte == b';').next()?;
    (!call_id.is_empty() && call_id.len() <= REPLACED_CALL_ID_MAX).then_some(call_id)
}

/// The `Replaces` of a URI's header part, unescaped.
fn replaces_of(uri: &Uri<'_>) -> Option<Vec<u8>> {
    let headers = uri.headers?;
    let value = headers.split(|byte| *byte == b'&').find_map(|field| {
        let (name, value) = field.split_at_checked(b"replaces=".len())?;
        name.eq_ignore_ascii_case(b"replaces=").then_some(value)
    })?;
    Some(unescape(value))
}

fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, tail)) = rest.split_first() {
        let escaped = (*byte == b'%').then(|| tail.get(..2)).flatten();
        let value = escaped.and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        match value {
            Some(value) => {
                out.push(value);
                rest = tail.get(2..).unwrap_or(b"");
            }
            None => {
                out.push(*byte);
                rest = tail;
            }
        }
    }
    out
}

/// The Call-ID that an INVITE's Replaces header names.
pub(crate) fn replaced_by<'a>(message: &Message<'a>) -> Option<&'a [u8]> {
    let value = message.first(HeaderName::Replaces)?.value;
    value.split(|byte| *byte == b';').next().map(crate::wire::trim).filter(|call_id| !call_id.is_empty())
}
