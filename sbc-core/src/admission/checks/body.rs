//! The body (RFC 3261 §20.15, RFC 2046, RFC 8866): what can be said of it without knowing what it is for. Addresses in
//! it are never judged: private and `.local` candidates are what browsers send.

use crate::admission::{Judged, Refusal, Verdict};
use crate::count::Count;
use crate::limits;
use crate::wire::{HeaderName, eq_ignore_case, trim};

/// The media type without its parameters; `None` without a body.
fn media_type<'a>(judged: &Judged<'a>) -> Option<&'a [u8]> {
    let value = judged.message.value(HeaderName::ContentType);
    let value = value.split(|byte| *byte == b';').next().unwrap_or(b"");
    (!judged.message.body().is_empty()).then(|| trim(value))
}

fn starts_with(text: &[u8], start: &[u8]) -> bool {
    text.get(..start.len()).is_some_and(|text| eq_ignore_case(text, start))
}

/// §20.15: a body has a type.
pub(super) fn content_type(judged: &Judged<'_>) -> Verdict {
    if media_type(judged).is_some_and(<[u8]>::is_empty) {
        return Err(Refusal::answer(400, "Missing Content-Type", Count::MissingContentType));
    }
    Ok(())
}

/// Parts of parts of parts: each begins with a delimiter line (RFC 2046 §5.1.1), so their number bounds both how many
/// there are and how deep they lie.
pub(super) fn multipart(judged: &Judged<'_>) -> Verdict {
    if !media_type(judged).is_some_and(|kind| starts_with(kind, b"multipart/")) {
        return Ok(());
    }
    let delimiters = memchr::memmem::find_iter(judged.message.body(), b"\n--").count();
    if delimiters > limits::MULTIPART_DELIMITERS {
        return Err(Refusal::answer(400, "Too Many Body Parts", Count::TooManyParts).weighing(1));
    }
    Ok(())
}

fn description<'a>(judged: &Judged<'a>) -> Option<&'a [u8]> {
    media_type(judged).filter(|kind| eq_ignore_case(kind, b"application/sdp")).map(|_| judged.message.body())
}

/// More lines or media than any offer has.
pub(super) fn description_size(judged: &Judged<'_>) -> Verdict {
    let Some(body) = description(judged) else { return Ok(()) };
    let lines = memchr::memchr_iter(b'\n', body).count();
    let media = memchr::memmem::find_iter(body, b"\nm=").count();
    if lines > limits::SDP_LINES || media > limits::SDP_MEDIA {
        return Err(Refusal::answer(400, "Session Description Too Large", Count::SdpTooLarge).weighing(1));
    }
    Ok(())
}

/// RFC 8866 §5: `v=0` first, `o=`, `s=` and `t=` somewhere, and every line a letter, `=` and something. Counted only: RFC
/// 3665 itself shows a description that is not so, and whoever it is for may read it.
pub(super) fn session_description(judged: &Judged<'_>) -> Verdict {
    let Some(body) = description(judged) else { return Ok(()) };
    let mut lines = body.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let mut seen = [false; 3];
    let mut sound = lines.next() == Some(b"v=0");
    for line in lines.filter(|line| !line.is_empty()) {
        sound &= matches!(line, [b'a'..=b'z', b'=', ..]);
        for (seen, letter) in seen.iter_mut().zip(*b"ost") {
            *seen |= line.first() == Some(&letter);
        }
    }
    if sound && seen == [true; 3] {
        return Ok(());
    }
    Err(Refusal::answer(400, "Bad Session Description", Count::BadSdp))
}
