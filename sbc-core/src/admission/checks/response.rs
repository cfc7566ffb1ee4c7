//! Responses (RFC 3261 §8.1.3.3, §16.7, §18.1.2). What passing one needs, it has to have; the rest is its client's
//! business, who may know better.

use crate::admission::{Judged, Refusal, Verdict};
use crate::count::Count;
use crate::wire::{CSeq, HeaderName};

const BROKEN: Refusal = Refusal::silence(Count::BadResponse);

/// The headers that passing it needs.
pub(super) fn needed_headers(judged: &Judged<'_>) -> Verdict {
    const NEEDED: [HeaderName; 4] = [HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::CSeq];
    let complete = NEEDED.iter().all(|name| judged.message.first(*name).is_some());
    if complete { Ok(()) } else { Err(BROKEN) }
}

/// A number below 2^31 and a method: the method says which transaction is answered (§17.1.3).
pub(super) fn cseq(judged: &Judged<'_>) -> Verdict {
    CSeq::parse(judged.message.value(HeaderName::CSeq)).map(drop).map_err(|_| BROKEN)
}
