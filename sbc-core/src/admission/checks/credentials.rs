//! Credentials (RFC 3261 §22, RFC 7616 §3.4): whole, or of a scheme that is none of our business. Whether they are
//! good, the pool says.

use crate::admission::{Judged, Refusal, Verdict};
use crate::count::Count;
use crate::limits;
use crate::wire::{Digest, HeaderName, ReadError};

const HEADERS: [HeaderName; 2] = [HeaderName::Authorization, HeaderName::ProxyAuthorization];

/// Each header of credentials, and how many there may be: one for every realm on the way.
pub(super) fn credentials_size(judged: &Judged<'_>) -> Verdict {
    let headers = HEADERS.into_iter().flat_map(|name| judged.message.all(name));
    let (count, longest) =
        headers.fold((0, 0), |(count, longest), header| (count + 1, header.value.len().max(longest)));
    if count > limits::CREDENTIALS || longest > limits::CREDENTIALS_BYTES {
        return Err(Refusal::answer(400, "Credentials Too Large", Count::CredentialsTooLarge).weighing(1));
    }
    Ok(())
}

fn all<'a>(judged: &Judged<'a>) -> impl Iterator<Item = Result<Digest<'a>, ReadError>> + use<'a> {
    let message = judged.message;
    let headers = HEADERS.into_iter().flat_map(move |name| message.all(name));
    headers.map(|header| Digest::parse(header.value))
}

/// RFC 7616 §3.4: with `qop` come `nc` and `cnonce`. Counted only, as what cannot be read at all: the pool asks again,
/// and RFC 3665 §2.2 itself shows credentials without them.
pub(super) fn credentials_grammar(judged: &Judged<'_>) -> Verdict {
    if all(judged).all(|digest| digest.is_ok_and(|digest| is_counted(&digest))) {
        return Ok(());
    }
    Err(Refusal::answer(400, "Bad Credentials", Count::BadCredentials))
}

/// All fields that a digest is computed from.
pub(super) fn credentials(judged: &Judged<'_>) -> Verdict {
    if all(judged).flatten().all(|digest| is_whole(&digest)) {
        return Ok(());
    }
    Err(Refusal::answer(400, "Bad Credentials", Count::BadCredentials).weighing(2))
}

fn is_counted(digest: &Digest<'_>) -> bool {
    let has = |name: &str| digest.get(name).is_some();
    !digest.is_digest() || !has("qop") || (has("nc") && has("cnonce"))
}

fn is_whole(digest: &Digest<'_>) -> bool {
    let has = |name: &str| digest.get(name).is_some();
    let named = has("username") || has("username*");
    !digest.is_digest() || (named && ["realm", "nonce", "uri", "response"].into_iter().all(has))
}
