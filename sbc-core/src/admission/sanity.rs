//! What every request owes before anybody acts on it (RFC 3261 §8.1.1 and §16.3).

use crate::count::Count;
use crate::sip::{Method, known_method};
use crate::wire::{CSeq, HeaderName, Message, NameAddr, Uri, Via};

/// A request that is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The answer it is owed; `None`: silence.
    pub status: Option<u16>,
    /// The reason phrase, where it says more than the status's own.
    pub reason: Option<&'static str>,
    /// What is counted.
    pub count: Count,
}

/// `Ok` lets the request pass this check.
pub type Verdict = Result<(), Refusal>;

const fn refuse(status: u16, reason: &'static str, count: Count) -> Refusal {
    Refusal { status: Some(status), reason: Some(reason), count }
}

type Check = fn(&Message<'_>) -> Verdict;

/// In this order; the first refusal stands.
const CHECKS: &[Check] =
    &[top_via, mandatory_headers, cseq_matches_method, from_and_to, request_uri, max_forwards, proxy_require];

/// Judge a request.
///
/// # Errors
/// The first check's refusal.
pub fn admit(request: &Message<'_>) -> Verdict {
    CHECKS.iter().try_for_each(|check| check(request))
}

/// §18.2.1: without a readable top Via there is nowhere to answer to.
fn top_via(request: &Message<'_>) -> Verdict {
    let silence = Refusal { status: None, reason: None, count: Count::BadVia };
    let first = request.first(HeaderName::Via).ok_or(silence)?;
    let value = crate::wire::split(first.value).next().ok_or(silence)?;
    Via::parse(value.text).map(drop).map_err(|_| silence)
}

/// §8.1.1, each exactly once (§7.3.1).
fn mandatory_headers(request: &Message<'_>) -> Verdict {
    const MANDATORY: [(HeaderName, &str, &str); 4] = [
        (HeaderName::From, "Missing From", "More Than One From"),
        (HeaderName::To, "Missing To", "More Than One To"),
        (HeaderName::CallId, "Missing Call-ID", "More Than One Call-ID"),
        (HeaderName::CSeq, "Missing CSeq", "More Than One CSeq"),
    ];
    for (name, missing, repeated) in MANDATORY {
        match request.count(name) {
            0 => return Err(refuse(400, missing, Count::BadHeader)),
            1 if request.value(name).is_empty() => return Err(refuse(400, missing, Count::BadHeader)),
            1 => {}
            _ => return Err(refuse(400, repeated, Count::BadHeader)),
        }
    }
    Ok(())
}

/// §8.1.1.5.
fn cseq_matches_method(request: &Message<'_>) -> Verdict {
    match CSeq::parse(request.value(HeaderName::CSeq)) {
        Err(_) => Err(refuse(400, "Bad CSeq", Count::BadCSeq)),
        Ok(cseq) if cseq.method != request.method_text() => {
            Err(refuse(400, "CSeq Method Differs", Count::BadCSeq))
        }
        Ok(_) => Ok(()),
    }
}

/// §20.20 and §20.39.
fn from_and_to(request: &Message<'_>) -> Verdict {
    for (name, reason) in [(HeaderName::From, "Bad From"), (HeaderName::To, "Bad To")] {
        let value = request.value(name);
        let readable = NameAddr::parse(value).is_ok_and(|address| Uri::parse(address.uri).is_ok());
        if !readable {
            return Err(refuse(400, reason, Count::BadHeader));
        }
    }
    Ok(())
}

/// §16.3 items 1 and 2, and §19.1.1: no header part in a Request-URI.
fn request_uri(request: &Message<'_>) -> Verdict {
    let text = request.request_uri();
    let scheme = text.split(|byte| *byte == b':').next().unwrap_or(b"");
    if !scheme.eq_ignore_ascii_case(b"sip") && !scheme.eq_ignore_ascii_case(b"sips") {
        let is_scheme = !scheme.is_empty() && scheme.len() < text.len();
        let named =
            is_scheme && scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
        return Err(if named {
            refuse(416, "Unsupported URI Scheme", Count::BadScheme)
        } else {
            refuse(400, "Bad Request-URI", Count::BadUri)
        });
    }
    match Uri::parse(text) {
        Ok(uri) if uri.headers.is_none() => Ok(()),
        _ => Err(refuse(400, "Bad Request-URI", Count::BadUri)),
    }
}

/// §16.3 item 3. OPTIONS with none left is for us, whoever it names (§11).
fn max_forwards(request: &Message<'_>) -> Verdict {
    let Some(header) = request.first(HeaderName::MaxForwards) else { return Ok(()) };
    let digits = header.value;
    let readable = !digits.is_empty() && digits.len() <= 3 && digits.iter().all(u8::is_ascii_digit);
    let hops = std::str::from_utf8(digits).ok().and_then(|text| text.parse::<u16>().ok());
    match hops {
        Some(0) if readable && known_method(request.method_text()) != Some(Method::Options) => {
            Err(refuse(483, "Too Many Hops", Count::TooManyHops))
        }
        Some(0..=255) if readable => Ok(()),
        _ => Err(refuse(400, "Bad Max-Forwards", Count::BadMaxForwards)),
    }
}

/// §16.3 item 5. FreeSWITCH ignores the header; we must not.
fn proxy_require(request: &Message<'_>) -> Verdict {
    let exempt = matches!(known_method(request.method_text()), Some(Method::Ack | Method::Cancel));
    if exempt || request.first(HeaderName::ProxyRequire).is_none() {
        return Ok(());
    }
    Err(refuse(420, "Bad Extension", Count::ProxyRequire))
}
