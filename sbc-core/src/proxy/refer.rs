//! Refer-To (RFC 3515) with Replaces (RFC 3891): sealed addresses inside addresses.
//!
//! Whoever is referred writes the header part of the URI into its INVITE (RFC 3261 §19.1.5). So of what comes from outside
//! only `Replaces`, and that it is required, reaches a member: it would say the rest with the pool's authority.

use std::net::SocketAddr;
use std::ops::Range;

use crate::config::Listener;
use crate::proxy::contact::{Sealing, absolute, outside_uri};
use crate::proxy::core::Core;
use crate::proxy::incoming::dialog_key;
use crate::proxy::settings::Settings;
use crate::seal::{Kind, OpenError};
use crate::wire::{Edits, Header, HeaderName, Message, NameAddr, Uri, eq_ignore_case};

/// Longest Call-ID read from an escaped Replaces, in bytes.
const REPLACED_CALL_ID_MAX: usize = 512;

impl Core {
    /// The pool member that has the dialog which a Refer-To wants replaced, as far as its record knows.
    pub(crate) fn holder_of_replaced(&self, message: &Message<'_>) -> Option<SocketAddr> {
        let replaces = replaces_of(&Target::read(&message.first(HeaderName::ReferTo)?)?.uri)?;
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

/// The URI of a Refer-To.
struct Target<'a> {
    text: &'a [u8],
    uri: Uri<'a>,
    /// Where it stands in the header's value.
    range: Range<usize>,
    bracketed: bool,
}

impl<'a> Target<'a> {
    /// Without brackets a `?` is against RFC 3261 §20, and FreeSWITCH understands it: all of it is one URI then.
    fn read(header: &Header<'a>) -> Option<Self> {
        let value = header.value;
        let (text, range, bracketed) = match NameAddr::parse(value) {
            Ok(address) => (address.uri, address.uri_range, address.bracketed),
            Err(_) if !value.contains(&b'<') => (value, 0..value.len(), false),
            Err(_) => return None,
        };
        Some(Self { text, uri: Uri::parse(text).ok()?, range, bracketed })
    }

    /// The URI without its header part.
    fn address(&self) -> &'a [u8] {
        let headers = self.uri.headers.map_or(0, |headers| headers.len() + 1);
        self.text.get(..self.text.len() - headers).unwrap_or(self.text)
    }

    /// Put another URI in its place, in brackets.
    fn replace(&self, header: &Header<'_>, uri: &[u8], edits: &mut Edits) {
        edits.replace_with(absolute(header, 0, &self.range), |out| {
            let (open, close): (&[u8], &[u8]) = if self.bracketed { (b"", b"") } else { (b"<", b">") };
            for part in [open, uri, close] {
                out.extend_from_slice(part);
            }
        });
    }
}

/// Towards the pool: our token opens, and the member's own address takes its place. An address of
/// record whose Replaces names a dialog `elsewhere` is asked there: no member could find it by name.
/// `from_outside`, nothing but Replaces goes with it; a URI with more that cannot be read goes away.
///
/// # Errors
/// A token that does not open leads nowhere.
pub(crate) fn open_refer_to(
    message: &Message<'_>,
    from_outside: bool,
    elsewhere: Option<SocketAddr>,
    settings: &Settings,
    edits: &mut Edits,
) -> Result<(), OpenError> {
    let Some(header) = message.first(HeaderName::ReferTo) else { return Ok(()) };
    let Some(target) = Target::read(&header) else {
        if from_outside && header.value.contains(&b'?') {
            edits.delete(header.line());
        }
        return Ok(());
    };
    let uri = &target.uri;
    let own = message.value(HeaderName::CallId);
    let replaced = replaced_call_id(uri);
    let call_id = replaced.as_deref().unwrap_or(own);
    let mut text = Vec::new();
    match settings.tokens.open_contact(Kind::Contact, call_id, uri) {
        Ok(seal) => seal.write_target(&mut text),
        Err(OpenError::NotAToken) => match elsewhere {
            Some(member) => {
                text.extend_from_slice(target.address());
                text.splice(uri.host_range.clone(), member.to_string().into_bytes());
            }
            None if from_outside && uri.headers.is_some() => text.extend_from_slice(target.address()),
            None => return Ok(()),
        },
        Err(error) => return Err(error),
    }
    if from_outside {
        write_replaces(uri, &mut text);
    } else {
        write_headers(uri, &mut text);
    }
    target.replace(&header, &text, edits);
    Ok(())
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
    let Some(target) = Target::read(&header) else { return };
    let uri = &target.uri;
    let Some(ip) = uri.ip().filter(|ip| settings.hidden.has(*ip, uri.port)) else { return };
    let mut text = Vec::new();
    let sealed = replaced_call_id(uri).is_some_and(|call_id| {
        let member = SocketAddr::new(ip, uri.port.unwrap_or(5060));
        write_replacing(settings, listener, &call_id, member, target.address(), &mut text)
    });
    if !sealed {
        text = outside_uri(uri, settings, listener);
    }
    write_headers(uri, &mut text);
    target.replace(&header, &text, edits);
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

fn write_headers(uri: &Uri<'_>, out: &mut Vec<u8>) {
    if let Some(headers) = uri.headers {
        out.push(b'?');
        out.extend_from_slice(headers);
    }
}

/// Of a URI's header part what asks for the end of another call (RFC 3891 §3), once, under the names that it has there.
fn write_replaces(uri: &Uri<'_>, out: &mut Vec<u8>) {
    let mut wanted: [(&[u8], bool); 2] = [(b"Replaces", true), (b"Require", true)];
    let mut mark = b'?';
    for (name, value) in fields(uri) {
        let Some((known, first)) = wanted.iter_mut().find(|(known, _)| eq_ignore_case(&name, known)) else {
            continue;
        };
        let plain = unescape(value);
        let is_kept = match *known {
            b"Require" => plain.trim_ascii().eq_ignore_ascii_case(b"replaces"),
            // It becomes one header of the INVITE.
            _ => !plain.iter().any(u8::is_ascii_control),
        };
        if std::mem::take(first) && is_kept {
            out.push(mark);
            out.extend_from_slice(known);
            out.push(b'=');
            out.extend_from_slice(value);
            mark = b'&';
        }
    }
}

/// The fields of a URI's header part: each name unescaped, each value as written.
fn fields<'a>(uri: &Uri<'a>) -> impl Iterator<Item = (Vec<u8>, &'a [u8])> {
    let fields = uri.headers.unwrap_or_default().split(|byte| *byte == b'&');
    fields.filter_map(|field| {
        let (name, value) = field.split_at_checked(memchr::memchr(b'=', field)?)?;
        Some((unescape(name), value.get(1..)?))
    })
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
    let (_, value) = fields(uri).find(|(name, _)| eq_ignore_case(name, b"Replaces"))?;
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
