//! Headers that must be there, and headers that may be there once (RFC 3261 §8.1.1, §7.3.1).

use crate::admission::{Judged, Refusal, Verdict};
use crate::count::Count;
use crate::wire::{Header, HeaderName};

/// §8.1.1: without these nobody can tell what a request belongs to. Each once.
pub(super) fn mandatory_headers(judged: &Judged<'_>) -> Verdict {
    const MANDATORY: [(HeaderName, &str, &str); 4] = [
        (HeaderName::From, "Missing From", "More Than One From"),
        (HeaderName::To, "Missing To", "More Than One To"),
        (HeaderName::CallId, "Missing Call-ID", "More Than One Call-ID"),
        (HeaderName::CSeq, "Missing CSeq", "More Than One CSeq"),
    ];
    for (name, missing, repeated) in MANDATORY {
        match judged.message.count(name) {
            1 if !judged.message.value(name).is_empty() => {}
            0 | 1 => return Err(Refusal::answer(400, missing, Count::MissingHeader).weighing(1)),
            _ => return Err(Refusal::answer(400, repeated, Count::RepeatedHeader).weighing(2)),
        }
    }
    Ok(())
}

/// §7.3.1: of two, one hop would use the first and another the last. Content-Length is the index's.
pub(super) fn single_headers(judged: &Judged<'_>) -> Verdict {
    const SINGLE: [HeaderName; 10] = [
        HeaderName::MaxForwards,
        HeaderName::ContentType,
        HeaderName::ContentDisposition,
        HeaderName::Expires,
        HeaderName::Event,
        HeaderName::RAck,
        HeaderName::Replaces,
        HeaderName::ReferredBy,
        HeaderName::SessionExpires,
        HeaderName::MinSe,
    ];
    if SINGLE.iter().any(|name| judged.message.count(*name) > 1) {
        return Err(Refusal::answer(400, "Header More Than Once", Count::RepeatedHeader).weighing(2));
    }
    Ok(())
}

/// §20.19: seconds, below 2^32. §10.3 item 7 lets a registrar read one hour out of anything else.
pub(super) fn expires(judged: &Judged<'_>) -> Verdict {
    let good = |header: Header<'_>| is_seconds(header.value);
    if judged.message.first(HeaderName::Expires).is_none_or(good) {
        return Ok(());
    }
    Err(Refusal::answer(400, "Bad Expires", Count::BadExpires))
}

/// A number of seconds below 2^32.
pub(super) fn is_seconds(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_digit)
        && std::str::from_utf8(text).is_ok_and(|text| text.parse::<u32>().is_ok())
}
