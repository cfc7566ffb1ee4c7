//! The Request-URI (RFC 3261 §16.3 items 1 and 2, §19.1.1 table 1).

use crate::admission::{Judged, Refusal, Verdict};
use crate::count::Count;
use crate::wire::{Uri, eq_ignore_case};

/// Schemes that lead somewhere from here.
const SCHEMES: [&[u8]; 2] = [b"sip", b"sips"];

/// §16.3 item 2.
pub(super) fn scheme(judged: &Judged<'_>) -> Verdict {
    let text = judged.message.request_uri();
    let scheme = text.split(|byte| *byte == b':').next().unwrap_or(b"");
    let is_named = !scheme.is_empty()
        && scheme.len() < text.len()
        && scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
    if is_named && !SCHEMES.iter().any(|known| eq_ignore_case(known, scheme)) {
        return Err(Refusal::answer(416, "Unsupported URI Scheme", Count::BadScheme));
    }
    Ok(())
}

/// The grammar; and no header part, which would be somebody else's message inside ours (§19.1.1).
pub(super) fn request_uri(judged: &Judged<'_>) -> Verdict {
    match Uri::parse(judged.message.request_uri()) {
        Ok(uri) if uri.headers.is_none() => Ok(()),
        _ => Err(Refusal::answer(400, "Bad Request-URI", Count::BadUri).weighing(1)),
    }
}
