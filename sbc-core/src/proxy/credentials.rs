//! Digest passes through us (RFC 3261 §22.3), with one addition: since each FreeSWITCH only knows the
//! nonces it made, a challenge leaves with an `opaque` that says which member made it. Clients send it
//! back unread (RFC 7616 §3.3), and it is no part of the digest.

use std::net::SocketAddr;

use crate::proxy::contact::absolute;
use crate::proxy::settings::Settings;
use crate::seal::OpenError;
use crate::wire::{Digest, Edits, HeaderName, Message};

const CREDENTIALS: [HeaderName; 2] = [HeaderName::Authorization, HeaderName::ProxyAuthorization];
const CHALLENGES: [HeaderName; 2] = [HeaderName::WwwAuthenticate, HeaderName::ProxyAuthenticate];

/// Whether a request carries credentials at all.
pub(crate) fn present(message: &Message<'_>) -> bool {
    CREDENTIALS.iter().any(|name| message.first(*name).is_some())
}

/// The member whose challenge a request answers; an error where its token was sealed elsewhere or altered.
pub(crate) fn challenger(
    message: &Message<'_>,
    settings: &Settings,
) -> Option<Result<SocketAddr, OpenError>> {
    CREDENTIALS.iter().flat_map(|name| message.all(*name)).find_map(|header| {
        let digest = Digest::parse(header.value).ok()?;
        match settings.tokens.open_challenge(digest.get("opaque")?, |member, _| member) {
            Err(OpenError::NotAToken) => None,
            opened => Some(opened),
        }
    })
}

/// Give credentials back the `opaque` that the member itself had sent, or none.
pub(crate) fn restore_opaque(message: &Message<'_>, settings: &Settings, edits: &mut Edits) {
    for header in CREDENTIALS.iter().flat_map(|name| message.all(*name)) {
        let Ok(digest) = Digest::parse(header.value) else { continue };
        let Some(field) = digest.iter().find(|field| field.name.eq_ignore_ascii_case(b"opaque")) else {
            continue;
        };
        let Some(text) = digest.get("opaque") else { continue };
        let own = settings.tokens.open_challenge(text, |_, own| own.map(<[u8]>::to_vec));
        let range = absolute(&header, 0, &field.range);
        match own {
            Ok(Some(own)) => edits.replace_with(range, |out| {
                out.extend_from_slice(b"opaque=\"");
                out.extend_from_slice(&own);
                out.push(b'"');
            }),
            Ok(None) => edits.delete(with_separator(message.bytes(), header.value_range(), range)),
            Err(_) => {}
        }
    }
}

/// A field with the comma before it, or the one after it where it is the first.
fn with_separator(
    bytes: &[u8],
    value: std::ops::Range<usize>,
    field: std::ops::Range<usize>,
) -> std::ops::Range<usize> {
    let is_space = |byte: &u8| byte.is_ascii_whitespace();
    let before = bytes.get(value.start..field.start).unwrap_or(b"");
    let trimmed = before.len() - before.iter().rev().take_while(|byte| is_space(byte)).count();
    if trimmed > 0 && before.get(trimmed - 1) == Some(&b',') {
        return value.start + trimmed - 1..field.end;
    }
    let after = bytes.get(field.end..value.end).unwrap_or(b"");
    let spaces = after.iter().take_while(|byte| is_space(byte)).count();
    if after.get(spaces) == Some(&b',') {
        let blank = after.iter().skip(spaces + 1).take_while(|byte| is_space(byte)).count();
        return field.start..field.end + spaces + 1 + blank;
    }
    field
}

/// Mark the challenges of a response with the member that made them.
pub(crate) fn mark_challenges(
    message: &Message<'_>,
    settings: &Settings,
    member: SocketAddr,
    edits: &mut Edits,
) {
    for header in CHALLENGES.iter().flat_map(|name| message.all(*name)) {
        let Ok(digest) = Digest::parse(header.value) else { continue };
        if !digest.is_digest() {
            continue;
        }
        let field = digest.iter().find(|field| field.name.eq_ignore_ascii_case(b"opaque"));
        let mut text = b"opaque=\"".to_vec();
        if !settings.tokens.write_challenge(member, digest.get("opaque"), &mut text) {
            continue;
        }
        text.push(b'"');
        match field {
            Some(field) => edits.replace(absolute(&header, 0, &field.range), &text),
            None => {
                text.splice(0..0, *b", ");
                edits.insert(header.value_range().end, &text);
            }
        }
    }
}
