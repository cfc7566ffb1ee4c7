//! Credentials (RFC 3261 §22, RFC 7616 §3.4): whole, or of a scheme that is none of our business. Whether they are
//! good, the pool says.

use crate::admission::{Judged, Refusal, Verdict};
use crate::count::Count;
use crate::limits;
use crate::wire::{Digest, HeaderName};

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

/// All fields that a digest is computed from.
pub(super) fn credentials(judged: &Judged<'_>) -> Verdict {
    let mut headers = HEADERS.into_iter().flat_map(|name| judged.message.all(name));
    if headers.all(|header| is_whole(header.value)) {
        return Ok(());
    }
    Err(Refusal::answer(400, "Bad Credentials", Count::BadCredentials).weighing(2))
}

fn is_whole(value: &[u8]) -> bool {
    let Ok(digest) = Digest::parse(value) else { return false };
    let has = |name: &str| digest.get(name).is_some();
    let named = has("username") || has("username*");
    let protected = !has("qop") || (has("nc") && has("cnonce"));
    !digest.is_digest() || (named && protected && ["realm", "nonce", "uri", "response"].into_iter().all(has))
}
