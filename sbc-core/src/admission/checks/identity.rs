//! Whom a request names, and its dialog: From, To, Call-ID (RFC 3261 §8.1.1).

use crate::admission::{Judged, Refusal, Verdict};
use crate::count::Count;
use crate::limits;
use crate::wire::{HeaderName, NameAddr, Param, Uri, eq_ignore_case};

const BOTH: [HeaderName; 2] = [HeaderName::From, HeaderName::To];

/// §20.20 and §20.39. A URI that is no text is none that rules could be about.
pub(super) fn from_and_to(judged: &Judged<'_>) -> Verdict {
    for (name, reason) in [(HeaderName::From, "Bad From"), (HeaderName::To, "Bad To")] {
        let address = NameAddr::parse(judged.message.value(name));
        let is_uri = |text| Uri::parse(text).is_ok() && std::str::from_utf8(text).is_ok();
        if !address.is_ok_and(|address| is_uri(address.uri)) {
            return Err(Refusal::answer(400, reason, Count::BadAddress).weighing(1));
        }
    }
    Ok(())
}

/// §19.3: a dialog has one tag a side. With two, one reader takes the first and another the last.
pub(super) fn one_tag(judged: &Judged<'_>) -> Verdict {
    for name in BOTH {
        let Ok(address) = NameAddr::parse(judged.message.value(name)) else { continue };
        let mut tags = address.params.iter().filter(is_tag);
        let first = tags.next().and_then(|tag| tag.value);
        if tags.next().is_some() {
            return Err(Refusal::answer(400, "More Than One Tag", Count::RepeatedTag).weighing(2));
        }
        if first.is_some_and(|tag| tag.len() > limits::TAG_BYTES) {
            return Err(Refusal::answer(400, "Tag Too Long", Count::TagTooLong).weighing(1));
        }
    }
    Ok(())
}

/// §8.1.1.3. Clients of RFC 2543 have none.
pub(super) fn from_tag(judged: &Judged<'_>) -> Verdict {
    let from = NameAddr::parse(judged.message.value(HeaderName::From)).ok();
    if from.and_then(|from| from.tag()).is_some_and(|tag| !tag.is_empty()) {
        return Ok(());
    }
    Err(Refusal::answer(400, "Missing From Tag", Count::MissingFromTag))
}

fn is_tag(param: &Param<'_>) -> bool {
    eq_ignore_case(param.name, b"tag")
}

/// §8.1.1.4: it is kept, hashed and compared byte by byte, so it has an end and no white space.
pub(super) fn call_id(judged: &Judged<'_>) -> Verdict {
    let call_id = judged.message.value(HeaderName::CallId);
    if call_id.len() > limits::CALL_ID_BYTES {
        return Err(Refusal::answer(400, "Call-ID Too Long", Count::CallIdTooLong).weighing(1));
    }
    if call_id.iter().any(u8::is_ascii_whitespace) {
        return Err(Refusal::answer(400, "Bad Call-ID", Count::BadCallId).weighing(1));
    }
    Ok(())
}

/// §25.1: `word [ "@" word ]`. Some clients write the `=` of base64, or more than one `@`.
pub(super) fn call_id_grammar(judged: &Judged<'_>) -> Verdict {
    let call_id = judged.message.value(HeaderName::CallId);
    let mut words = call_id.splitn(2, |byte| *byte == b'@');
    if words.all(|word| !word.is_empty() && word.iter().all(|byte| is_word(*byte))) {
        return Ok(());
    }
    Err(Refusal::answer(400, "Bad Call-ID", Count::BadCallId))
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~()<>:\\\"/[]?{}".contains(&byte)
}
