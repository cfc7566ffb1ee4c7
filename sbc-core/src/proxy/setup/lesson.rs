//! What the pool's answer says about a caller of the public zone: accepted, challenged, or refused.
//!
//! A first challenge is nothing against anybody, and neither is one that only says the nonce was old.

use crate::admission::Source;
use crate::count::Count;
use crate::flow::Zone;
use crate::proxy::gate::Evidence;
use crate::proxy::setup::{Setup, Step, with_message};
use crate::sip::Method;
use crate::wire::{Digest, HeaderName, Message, NameAddr, Uri};

/// One refused attempt.
const FAILED: u8 = 1;
/// One user that does not exist.
const UNKNOWN: u8 = 1;

/// What the request brought along.
struct Caller {
    /// The address of record it names itself by.
    user: crate::hash::Digest,
    credentials: Credentials,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Credentials {
    None,
    /// Made with a nonce that was sent to this very address, or not.
    Given {
        received_here: bool,
    },
}

impl Setup {
    /// A final answer of the pool to a request that begins something.
    pub(super) fn learn(&mut self, at: usize, response: &Message<'_>, step: &mut Step<'_>) {
        let from_pool = self.branches.get(at).is_some_and(|branch| branch.zone == Zone::Pool);
        if self.upstream.zone != Zone::Public || !from_pool || self.in_dialog {
            return;
        }
        match response.status() {
            200..300 if matches!(self.method, Some(Method::Register | Method::Invite)) => {
                if let Some(caller) = self.caller(step) {
                    step.core.gate.accepted(self.source_ip(), caller.user, step.now);
                }
            }
            401 | 407 => self.learn_from_challenge(response, step),
            403 => self.learn_from_refusal(step),
            404 => {
                let proven = self.upstream.flow.connection.is_some();
                if proven && !step.core.gate.is_good(self.source_ip(), step.now) {
                    self.hold_against(UNKNOWN, Count::UnknownUser, step);
                }
            }
            _ => {}
        }
    }

    fn source_ip(&self) -> std::net::IpAddr {
        self.upstream.source.ip()
    }

    fn learn_from_challenge(&mut self, response: &Message<'_>, step: &mut Step<'_>) {
        let challenges = [HeaderName::WwwAuthenticate, HeaderName::ProxyAuthenticate];
        let challenges = || challenges.into_iter().flat_map(|name| response.all(name));
        let read = || challenges().filter_map(|header| Digest::parse(header.value).ok());
        if !read().any(|digest| digest.get("stale").is_some_and(|stale| stale.eq_ignore_ascii_case(b"true")))
        {
            self.learn_from_refusal(step);
        }
        // A connection proves by itself that its peer receives.
        if self.upstream.flow.connection.is_none() {
            for nonce in read().filter_map(|digest| digest.get("nonce")).take(Source::NONCES) {
                step.core.gate.challenged(self.source_ip(), nonce, step.now);
            }
        }
    }

    fn learn_from_refusal(&mut self, step: &mut Step<'_>) {
        let Some(caller) = self.caller(step) else { return };
        if let Credentials::Given { received_here } = caller.credentials
            && (received_here || self.upstream.flow.connection.is_some())
        {
            self.hold_against(FAILED, Count::AuthenticationFailed, step);
        }
    }

    fn hold_against(&self, weight: u8, reason: Count, step: &mut Step<'_>) {
        step.core.counters.add(reason);
        let evidence = Evidence { source: self.source_ip(), weight, reason };
        step.core.hold_against(step.settings, &evidence, step.now);
    }

    fn caller(&mut self, step: &mut Step<'_>) -> Option<Caller> {
        let (settings, core, source) = (step.settings, step.core, self.source_ip());
        let registers = self.method == Some(Method::Register);
        with_message(&self.request, &mut step.worker.inner_index, |request| {
            let name = if registers { HeaderName::To } else { HeaderName::From };
            let uri = Uri::parse(NameAddr::parse(request.value(name)).ok()?.uri).ok()?;
            let given = [HeaderName::Authorization, HeaderName::ProxyAuthorization];
            let mut given = given.into_iter().flat_map(|name| request.all(name)).peekable();
            let credentials = match given.peek() {
                None => Credentials::None,
                Some(_) => {
                    let nonces = given.filter_map(|header| Digest::parse(header.value).ok()?.get("nonce"));
                    let received_here =
                        nonces.take(Source::NONCES).any(|nonce| core.gate.was_challenged(source, nonce));
                    Credentials::Given { received_here }
                }
            };
            Some(Caller { user: settings.aor(&uri), credentials })
        })
        .flatten()
    }
}
