//! The checks in their order. One small function each, by theme; the first refusal stands.
//!
//! A check is *tolerable* when an honest but careless peer might fail it and the message can still be handled: a
//! listener with `checks = "tolerant"` counts it and lets the message pass. What is not tolerable is refused to
//! everybody.

mod cseq;
mod identity;
mod proxying;
mod request_uri;
mod response;
mod via;

use super::{Judged, Refusal, Verdict};

/// One check.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// Its name: of the function, and in logs and explanations.
    pub name: &'static str,
    /// Its row in the list of sanity checks.
    pub row: u8,
    /// Whether a tolerant listener lets pass what fails it.
    pub tolerable: bool,
    /// The check itself.
    pub judge: fn(&Judged<'_>) -> Verdict,
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

const fn check(row: u8, name: &'static str, judge: fn(&Judged<'_>) -> Verdict) -> Check {
    Check { name, row, tolerable: false, judge }
}

const fn tolerable(row: u8, name: &'static str, judge: fn(&Judged<'_>) -> Verdict) -> Check {
    Check { name, row, tolerable: true, judge }
}

/// What every request has to pass. The top Via is first: without it there is nowhere to answer to.
pub const CHECKS: &[Check] = &[
    check(9, "top_via", via::top_via),
    tolerable(11, "branch", via::branch),
    check(11, "branch_length", via::branch_length),
    check(16, "mandatory_headers", identity::mandatory_headers),
    check(19, "cseq", cseq::cseq),
    check(19, "cseq_method", cseq::cseq_method),
    check(25, "from_and_to", identity::from_and_to),
    check(22, "scheme", request_uri::scheme),
    check(23, "request_uri", request_uri::request_uri),
    check(14, "max_forwards", proxying::max_forwards),
    check(34, "proxy_require", proxying::proxy_require),
];

/// What every response has to pass. None of them is ever answered.
pub const RESPONSE_CHECKS: &[Check] = &[
    check(9, "top_via", via::top_via),
    check(50, "needed_headers", response::needed_headers),
    check(50, "cseq", response::cseq),
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
    match (check.judge)(judged) {
        Ok(()) => Outcome::Passed,
        Err(refusal) if check.tolerable && judged.is_tolerant() => Outcome::Tolerated(refusal),
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
