//! The checks in their order. One small function each, by theme; the first refusal stands.
//!
//! Some faults an honest but careless peer may make, and the message can be handled all the same: a listener with
//! `checks = "tolerant"` counts those and lets them pass. Others do no harm to anybody and are only counted. The rest
//! is refused to everybody.

mod addresses;
mod body;
mod contact;
mod credentials;
mod cseq;
mod event;
mod headers;
mod identity;
mod injection;
mod proxying;
mod register;
mod request_uri;
mod response;
mod size;

mod via;

use super::{Judged, Refusal, Verdict};
use crate::count::Count;

/// One check.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// Its name: of the function, and in logs and explanations.
    pub name: &'static str,
    /// Its row in the list of sanity checks, `SANITY.md`.
    pub row: u8,
    /// Who may fail it.
    pub leniency: Leniency,
    /// What it may be counted as.
    pub counts: &'static [Count],
    /// The check itself.
    pub judge: fn(&Judged<'_>) -> Verdict,
}

/// Who may fail a check: the fault is counted, and the message passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leniency {
    /// Nobody.
    Never,
    /// Peers of a tolerant listener.
    Tolerant,
    /// Everybody.
    Always,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing wrong.
    Passed,
    /// Something is wrong, is counted, and passes here.
    Tolerated(Refusal),
    /// The message goes no further.
    Refused(Refusal),
}

type Judge = fn(&Judged<'_>) -> Verdict;

const fn never(row: u8, name: &'static str, counts: &'static [Count], judge: Judge) -> Check {
    Check { name, row, leniency: Leniency::Never, counts, judge }
}

const fn tolerant(row: u8, name: &'static str, counts: &'static [Count], judge: Judge) -> Check {
    Check { name, row, leniency: Leniency::Tolerant, counts, judge }
}

const fn always(row: u8, name: &'static str, counts: &'static [Count], judge: Judge) -> Check {
    Check { name, row, leniency: Leniency::Always, counts, judge }
}

/// What every request has to pass. The top Via is first: without it there is nowhere to answer to. Bounds come before
/// whatever looks at each of many things.
pub const CHECKS: &[Check] = &[
    never(9, "top_via", &[Count::BadVia], via::top_via),
    never(9, "via_params", &[Count::ViaParams], via::via_params),
    never(3, "message_size", &[Count::TooLarge], size::message_size),
    never(4, "head_size", &[Count::HeadTooLarge], size::head_size),
    never(4, "parameters", &[Count::TooManyParameters], size::parameters),
    never(
        16,
        "mandatory_headers",
        &[Count::MissingHeader, Count::RepeatedHeader],
        headers::mandatory_headers,
    ),
    never(17, "single_headers", &[Count::RepeatedHeader], headers::single_headers),
    never(11, "branch_length", &[Count::BranchTooLong], via::branch_length),
    tolerant(11, "branch", &[Count::BadBranch], via::branch),
    always(11, "branch_cookie", &[Count::BadBranch], via::branch_cookie),
    tolerant(10, "via_websocket", &[Count::ViaTransport], via::via_websocket),
    always(10, "via_transport", &[Count::ViaTransport], via::via_transport),
    never(19, "cseq", &[Count::BadCSeq], cseq::cseq),
    never(19, "cseq_method", &[Count::CSeqMethod], cseq::cseq_method),
    never(20, "call_id", &[Count::CallIdTooLong, Count::BadCallId], identity::call_id),
    tolerant(20, "call_id_grammar", &[Count::BadCallId], identity::call_id_grammar),
    never(25, "from_and_to", &[Count::BadAddress], identity::from_and_to),
    never(18, "one_tag", &[Count::RepeatedTag, Count::TagTooLong], identity::one_tag),
    tolerant(18, "from_tag", &[Count::MissingFromTag], identity::from_tag),
    never(22, "scheme", &[Count::BadScheme], request_uri::scheme),
    never(23, "request_uri", &[Count::BadUri], request_uri::request_uri),
    tolerant(23, "uri_method", &[Count::UriMethod], request_uri::uri_method),
    tolerant(24, "uri_nul", &[Count::UriNul], request_uri::uri_nul),
    tolerant(24, "uri_host", &[Count::UriHost], request_uri::uri_host),
    never(14, "max_forwards", &[Count::TooManyHops, Count::BadMaxForwards], proxying::max_forwards),
    never(15, "max_breadth", &[Count::BadMaxBreadth], proxying::max_breadth),
    never(34, "proxy_require", &[Count::ProxyRequire], proxying::proxy_require),
    never(32, "contact_count", &[Count::TooManyContacts], contact::contact_count),
    never(29, "contact_star", &[Count::ContactStar], contact::contact_star),
    tolerant(25, "addresses", &[Count::BadAddress], addresses::addresses),
    tolerant(39, "loose_route", &[Count::StrictRoute], addresses::loose_route),
    tolerant(30, "one_contact", &[Count::MissingContact, Count::ManyContacts], contact::one_contact),
    tolerant(31, "expires", &[Count::BadExpires], headers::expires),
    tolerant(31, "contact_expires", &[Count::BadExpires], contact::contact_expires),
    tolerant(28, "register_uri", &[Count::RegisterUri], register::register_uri),
    tolerant(28, "register_to", &[Count::RegisterTo], register::register_to),
    tolerant(28, "register_domain", &[Count::RegisterDomain], register::register_domain),
    tolerant(48, "event", &[Count::MissingEvent], event::event),
    never(48, "refer_to", &[Count::BadReferTo], event::refer_to),
    never(48, "rack", &[Count::BadRAck], event::rack),
    never(36, "credentials_size", &[Count::CredentialsTooLarge], credentials::credentials_size),
    always(36, "credentials_grammar", &[Count::BadCredentials], credentials::credentials_grammar),
    tolerant(36, "credentials", &[Count::BadCredentials], credentials::credentials),
    tolerant(26, "injection", &[Count::Injection], injection::injection),
    tolerant(44, "content_type", &[Count::MissingContentType], body::content_type),
    never(44, "multipart", &[Count::TooManyParts], body::multipart),
    never(45, "description_size", &[Count::SdpTooLarge], body::description_size),
    always(45, "session_description", &[Count::BadSdp], body::session_description),
];

/// What every response has to pass. None of them is ever answered.
pub const RESPONSE_CHECKS: &[Check] = &[
    never(9, "top_via", &[Count::BadVia], via::top_via),
    never(9, "via_params", &[Count::ViaParams], via::via_params),
    never(3, "response_size", &[Count::TooLarge], response::response_size),
    never(50, "needed_headers", &[Count::BadResponse], response::needed_headers),
    never(50, "response_cseq", &[Count::BadResponse], response::response_cseq),
    always(50, "explained", &[Count::Unexplained], response::explained),
];

/// Judge a message by each check in turn, up to the first refusal.
pub fn examine<'j>(
    checks: &'static [Check],
    judged: &'j Judged<'j>,
) -> impl Iterator<Item = (&'static Check, Outcome)> + 'j {
    let mut refused = false;
    checks.iter().map_while(move |check| {
        if refused {
            return None;
        }
        let outcome = outcome_of(check, judged);
        refused = matches!(outcome, Outcome::Refused(_));
        Some((check, outcome))
    })
}

fn outcome_of(check: &Check, judged: &Judged<'_>) -> Outcome {
    let passes = match check.leniency {
        Leniency::Never => false,
        Leniency::Tolerant => judged.is_tolerant(),
        Leniency::Always => true,
    };
    match (check.judge)(judged) {
        Ok(()) => Outcome::Passed,
        Err(fault) if passes => Outcome::Tolerated(fault),
        Err(refusal) => Outcome::Refused(refusal),
    }
}

/// Judge a request. `tolerated` is told what is wrong and passes all the same.
///
/// # Errors
/// The first check's refusal.
pub fn admit(judged: &Judged<'_>, tolerated: impl FnMut(&Refusal)) -> Verdict {
    run(CHECKS, judged, tolerated)
}

/// The same for a response.
///
/// # Errors
/// The first check's refusal.
pub fn admit_response(judged: &Judged<'_>, tolerated: impl FnMut(&Refusal)) -> Verdict {
    run(RESPONSE_CHECKS, judged, tolerated)
}

fn run(checks: &'static [Check], judged: &Judged<'_>, mut tolerated: impl FnMut(&Refusal)) -> Verdict {
    for check in checks {
        match outcome_of(check, judged) {
            Outcome::Passed => {}
            Outcome::Tolerated(refusal) => tolerated(&refusal),
            Outcome::Refused(refusal) => return Err(refusal),
        }
    }
    Ok(())
}
