//! Responses (RFC 3261 §8.1.3.3, §16.7, §18.1.2). What passing one needs, it has to have; the rest is its client's
//! business, who may know better.

use crate::admission::{Judged, Refusal, Verdict};
use crate::count::Count;
use crate::wire::{CSeq, HeaderName};

const NEEDED: [HeaderName; 4] = [HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::CSeq];

/// The operator's `max_message`.
pub(super) fn response_size(judged: &Judged<'_>) -> Verdict {
    if judged.message.bytes().len() > judged.admission.max_message {
        return Err(Refusal::silence(Count::TooLarge));
    }
    Ok(())
}

/// The headers that passing it needs, each once: a second one would be read by somebody else.
pub(super) fn needed_headers(judged: &Judged<'_>) -> Verdict {
    if NEEDED.iter().all(|name| judged.message.count(*name) == 1) {
        return Ok(());
    }
    Err(Refusal::silence(Count::BadResponse))
}

/// A number below 2^31 and a method: the method says which transaction is answered (§17.1.3).
pub(super) fn response_cseq(judged: &Judged<'_>) -> Verdict {
    match CSeq::parse(judged.message.value(HeaderName::CSeq)) {
        Ok(_) => Ok(()),
        Err(_) => Err(Refusal::silence(Count::BadResponse)),
    }
}

/// §21.4: some failures say nothing without a header of theirs. Counted only: the client may still make sense of it.
pub(super) fn explained(judged: &Judged<'_>) -> Verdict {
    let header = match judged.message.status() {
        401 => HeaderName::WwwAuthenticate,
        405 => HeaderName::Allow,
        407 => HeaderName::ProxyAuthenticate,
        420 => HeaderName::Unsupported,
        422 => HeaderName::MinSe,
        423 => HeaderName::MinExpires,
        _ => return Ok(()),
    };
    match judged.message.first(header) {
        Some(_) => Ok(()),
        None => Err(Refusal::silence(Count::Unexplained)),
    }
}
