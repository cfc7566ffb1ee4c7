//! Headers that one method cannot do without (RFC 6665, RFC 3903, RFC 3515, RFC 3262).

use crate::admission::{Judged, Refusal, Verdict};
use crate::count::Count;
use crate::sip::{Method, known_method};
use crate::wire::{HeaderName, split, trim};

/// RFC 6665 §8.2.1, RFC 3903 §6: subscribed to what?
pub(super) fn event(judged: &Judged<'_>) -> Verdict {
    let needed =
        matches!(known_method(judged.method()), Some(Method::Subscribe | Method::Notify | Method::Publish));
    if needed && judged.message.value(HeaderName::Event).is_empty() {
        return Err(Refusal::answer(489, "Bad Event", Count::MissingEvent));
    }
    Ok(())
}

/// RFC 3515 §2.4.1: exactly one.
pub(super) fn refer_to(judged: &Judged<'_>) -> Verdict {
    if known_method(judged.method()) != Some(Method::Refer) {
        return Ok(());
    }
    let mut targets = judged.message.all(HeaderName::ReferTo).flat_map(|header| split(header.value));
    if targets.next().is_some() && targets.next().is_none() {
        return Ok(());
    }
    Err(Refusal::answer(400, "REFER Has One Refer-To", Count::BadReferTo).weighing(1))
}

/// RFC 3262 §7.2: `response-num CSeq-num Method`.
pub(super) fn rack(judged: &Judged<'_>) -> Verdict {
    if known_method(judged.method()) != Some(Method::PRack) {
        return Ok(());
    }
    let value = trim(judged.message.value(HeaderName::RAck));
    let mut words = value.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
    let mut number = || {
        let text = words.next().and_then(|word| std::str::from_utf8(word).ok());
        text.is_some_and(|text| text.parse::<u32>().is_ok())
    };
    if number() && number() && words.next().is_some() && words.next().is_none() {
        return Ok(());
    }
    Err(Refusal::answer(400, "Bad RAck", Count::BadRAck).weighing(1))
}
