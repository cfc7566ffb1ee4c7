//! The Request-URI (RFC 3261 §16.3 items 1 and 2, §19.1.1 table 1).

use crate::admission::{Judged, Refusal, Verdict};
use crate::count::Count;
use crate::wire::{Uri, eq_ignore_case};

/// Schemes that lead somewhere from here: the rules know what to do with a number (RFC 3966).
const SCHEMES: [&[u8]; 3] = [b"sip", b"sips", b"tel"];
/// RFC 1035 §2.3.4.
const NAME_BYTES: usize = 253;
/// RFC 1035 §2.3.4.
const LABEL_BYTES: usize = 63;

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

/// The grammar; no header part, which would be somebody else's message inside ours (§19.1.1); and no bytes that are no
/// text: rules are about texts, and would not see what a dial plan behind us does.
pub(super) fn request_uri(judged: &Judged<'_>) -> Verdict {
    let text = judged.message.request_uri();
    match Uri::parse(text) {
        Ok(uri) if uri.headers.is_none() && std::str::from_utf8(text).is_ok() => Ok(()),
        _ => Err(Refusal::answer(400, "Bad Request-URI", Count::BadUri).weighing(1)),
    }
}

/// §19.1.1 table 1: `method` has no place in a Request-URI.
pub(super) fn uri_method(judged: &Judged<'_>) -> Verdict {
    match Uri::parse(judged.message.request_uri()) {
        Ok(uri) if uri.params.has("method") => {
            Err(Refusal::answer(400, "Method In Request-URI", Count::UriMethod))
        }
        _ => Ok(()),
    }
}

/// An escaped NUL is lawful, and cuts the user short wherever somebody decodes it: dial plans do.
pub(super) fn uri_nul(judged: &Judged<'_>) -> Verdict {
    let user = Uri::parse(judged.message.request_uri()).ok().and_then(|uri| uri.user).unwrap_or(b"");
    if memchr::memmem::find(user, b"%00").is_some() {
        return Err(Refusal::answer(400, "NUL In Request-URI", Count::UriNul).weighing(2));
    }
    Ok(())
}

/// §25.1: labels with something in them, and a last one that is not all digits unless the whole is an address:
/// `127.1` and `0177.0.0.1` are no hosts.
pub(super) fn uri_host(judged: &Judged<'_>) -> Verdict {
    let Ok(uri) = Uri::parse(judged.message.request_uri()) else { return Ok(()) };
    if !uri.is_sip() || uri.ip().is_some() || is_name(uri.domain()) {
        return Ok(());
    }
    Err(Refusal::answer(400, "Bad Host In Request-URI", Count::UriHost).weighing(1))
}

fn is_name(name: &[u8]) -> bool {
    let mut labels = name.split(|byte| *byte == b'.');
    let top = name.rsplit(|byte| *byte == b'.').next().unwrap_or(b"");
    name.len() <= NAME_BYTES
        && labels.all(|label| (1..=LABEL_BYTES).contains(&label.len()))
        && !top.iter().all(u8::is_ascii_digit)
}
