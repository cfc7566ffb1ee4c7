//! What a message owes that could not be read: the first half of the sanity checks, found by the index.

use crate::admission::Refusal;
use crate::count::Count;
use crate::wire::ParseError;

/// What the sender of unreadable bytes is owed.
pub const fn syntax(error: ParseError) -> Refusal {
    let count = count_of(error);
    match error.status() {
        Some(status) => Refusal { status: Some(status), reason: None, count, evidence: evidence_of(error) },
        None => Refusal::silence(count).weighing(evidence_of(error)),
    }
}

const fn count_of(error: ParseError) -> Count {
    match error {
        ParseError::NotSip => Count::NotSip,
        ParseError::StartLine => Count::BadStartLine,
        ParseError::Version => Count::BadVersion,
        ParseError::MethodTooLong => Count::MethodTooLong,
        ParseError::UriTooLong => Count::UriTooLong,
        ParseError::HeaderTooLong => Count::HeaderTooLong,
        ParseError::TooManyHeaders => Count::TooManyHeaders,
        ParseError::TooManyVias => Count::TooManyVias,
        ParseError::HeaderName | ParseError::NoColon => Count::BadHeaderName,
        ParseError::BareControl => Count::BareControl,
        ParseError::ContentLength => Count::BadContentLength,
        ParseError::NoLength => Count::NoContentLength,
        ParseError::TooLarge => Count::TooLarge,
        ParseError::BodyShort => Count::BodyShort,
        ParseError::NoEnd => Count::NoEnd,
    }
}

/// A cut message or a new version of SIP is nobody's crime; bytes that no SIP stack writes are.
const fn evidence_of(error: ParseError) -> u8 {
    match error {
        ParseError::Version
        | ParseError::NoLength
        | ParseError::TooLarge
        | ParseError::BodyShort
        | ParseError::NoEnd => 0,
        ParseError::StartLine
        | ParseError::MethodTooLong
        | ParseError::UriTooLong
        | ParseError::HeaderTooLong
        | ParseError::TooManyHeaders
        | ParseError::TooManyVias
        | ParseError::HeaderName
        | ParseError::NoColon => 1,
        ParseError::BareControl | ParseError::ContentLength => 2,
        ParseError::NotSip => 3,
    }
}
