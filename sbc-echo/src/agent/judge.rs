//! What a request must be like to be taken. Judges only: nothing is sent from here.

use sbc_core::wire::HeaderName;

use crate::call::{MIN_SESSION, TooShort, session_interval};
use crate::request::{self, Request, Status};
use crate::sdp::{Refusal, Remote};

/// Extensions that a Require header may name: we know them, or they concern only the registrar's answer.
const SUPPORTED: [&str; 3] = ["timer", "path", "outbound"];

/// The verdict, or a response with its header lines.
pub(super) type Judged<T> = Result<T, (Status, String)>;

/// The offer in a request, if it has a body.
pub(super) fn judge_offer<'a>(request: &Request<'a>) -> Judged<Option<Remote<'a>>> {
    let body = request.message.body();
    if body.is_empty() {
        return Ok(None);
    }
    let kind =
        request.message.value(HeaderName::ContentType).split(|byte| *byte == b';').next().unwrap_or_default();
    if !kind.trim_ascii().eq_ignore_ascii_case(b"application/sdp") {
        return Err((request::UNSUPPORTED_MEDIA_TYPE, "Accept: application/sdp\r\n".to_owned()));
    }
    let refused = |refusal: Refusal| format!("Warning: 399 sbc-echo \"{}\"\r\n", refusal.text());
    Remote::read(body).map(Some).map_err(|refusal| (request::NOT_ACCEPTABLE, refused(refusal)))
}

pub(super) fn judge_session(request: &Request<'_>) -> Judged<Option<u32>> {
    session_interval(request)
        .map_err(|TooShort| (request::INTERVAL_TOO_SMALL, format!("Min-SE: {MIN_SESSION}\r\n")))
}

/// An Unsupported header, if the request requires what we do not know.
pub(super) fn unsupported_extensions(request: &Request<'_>) -> Option<String> {
    if request.method == b"CANCEL" {
        return None;
    }
    let known = |option: &[u8]| SUPPORTED.iter().any(|known| option.eq_ignore_ascii_case(known.as_bytes()));
    let unknown: Vec<_> = request
        .options(HeaderName::Require)
        .filter(|option| !known(option))
        .map(String::from_utf8_lossy)
        .collect();
    (!unknown.is_empty()).then(|| format!("Unsupported: {}\r\n", unknown.join(", ")))
}
