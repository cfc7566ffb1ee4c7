//! Whom a request names: From, To, Call-ID (RFC 3261 §8.1.1).

use crate::admission::{Judged, Refusal, Verdict};
use crate::count::Count;
use crate::wire::{HeaderName, NameAddr, Uri};

/// §8.1.1, each exactly once (§7.3.1).
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

/// §20.20 and §20.39.
pub(super) fn from_and_to(judged: &Judged<'_>) -> Verdict {
    for (name, reason) in [(HeaderName::From, "Bad From"), (HeaderName::To, "Bad To")] {
        let address = NameAddr::parse(judged.message.value(name));
        if !address.is_ok_and(|address| Uri::parse(address.uri).is_ok()) {
            return Err(Refusal::answer(400, reason, Count::BadAddress).weighing(1));
        }
    }
    Ok(())
}
