//! What a request asks of the proxies on its way (RFC 3261 §16.3, RFC 5393).

use crate::admission::{Judged, Refusal, Verdict};
use crate::count::Count;
use crate::sip::{Method, known_method};
use crate::wire::HeaderName;

/// §16.3 item 3. OPTIONS with no hop left is for us, whoever it names (§11).
pub(super) fn max_forwards(judged: &Judged<'_>) -> Verdict {
    let Some(header) = judged.message.first(HeaderName::MaxForwards) else { return Ok(()) };
    match read_hops(header.value) {
        Some(0) if known_method(judged.method()) != Some(Method::Options) => {
            Err(Refusal::answer(483, "Too Many Hops", Count::TooManyHops))
        }
        Some(_) => Ok(()),
        None => Err(Refusal::answer(400, "Bad Max-Forwards", Count::BadMaxForwards).weighing(1)),
    }
}

/// 0 to 255; leading zeros mean nothing (RFC 4475 §3.1.1.1).
fn read_hops(digits: &[u8]) -> Option<u8> {
    digits.iter().all(u8::is_ascii_digit).then(|| std::str::from_utf8(digits).ok()?.parse().ok()).flatten()
}

/// §16.3 item 5: we know no extension that a proxy must. FreeSWITCH ignores the header; we must not.
pub(super) fn proxy_require(judged: &Judged<'_>) -> Verdict {
    let exempt = matches!(known_method(judged.method()), Some(Method::Ack | Method::Cancel));
    if exempt || judged.message.first(HeaderName::ProxyRequire).is_none() {
        return Ok(());
    }
    Err(Refusal::answer(420, "Bad Extension", Count::ProxyRequire))
}
