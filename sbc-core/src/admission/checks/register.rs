//! REGISTER (RFC 3261 §10.2): which registrar, and whom it is about.

use crate::admission::{Judged, Refusal, Verdict};
use crate::count::Count;
use crate::sip::{Method, known_method};
use crate::wire::{HeaderName, NameAddr, Uri, eq_ignore_case};

fn is_register(judged: &Judged<'_>) -> bool {
    known_method(judged.method()) == Some(Method::Register)
}

fn registrar<'a>(judged: &Judged<'a>) -> Option<Uri<'a>> {
    Uri::parse(judged.message.request_uri()).ok().filter(|_| is_register(judged))
}

fn registered<'a>(judged: &Judged<'a>) -> Option<Uri<'a>> {
    let to = NameAddr::parse(judged.message.value(HeaderName::To)).ok()?;
    Uri::parse(to.uri).ok().filter(|_| is_register(judged))
}

/// A domain is asked, not a user.
pub(super) fn register_uri(judged: &Judged<'_>) -> Verdict {
    if registrar(judged).is_some_and(|uri| uri.user.is_some()) {
        return Err(Refusal::answer(400, "User In Request-URI Of REGISTER", Count::RegisterUri));
    }
    Ok(())
}

/// To is the address of record: a SIP URI with a user.
pub(super) fn register_to(judged: &Judged<'_>) -> Verdict {
    if registered(judged).is_some_and(|to| !to.is_sip() || to.user.is_none()) {
        return Err(Refusal::answer(400, "To Of REGISTER Is No User", Count::RegisterTo));
    }
    Ok(())
}

/// The user belongs to the domain that is asked: the same, or one inside the other (`registrar.example.com` knows the
/// users of `example.com`). An address, or our own name, stands for whatever domain we serve.
pub(super) fn register_domain(judged: &Judged<'_>) -> Verdict {
    let (Some(asked), Some(to)) = (registrar(judged), registered(judged).filter(Uri::is_sip)) else {
        return Ok(());
    };
    let own = judged.listener.advertise.host.as_bytes();
    let is_anyones = |uri: &Uri<'_>| uri.ip().is_some() || eq_ignore_case(uri.domain(), own);
    let (one, other) = (asked.domain(), to.domain());
    if is_anyones(&asked) || is_anyones(&to) || is_inside(one, other) || is_inside(other, one) {
        return Ok(());
    }
    Err(Refusal::answer(403, "To Is Of Another Domain", Count::RegisterDomain).weighing(1))
}

/// Whether `name` is `domain` or below it.
fn is_inside(name: &[u8], domain: &[u8]) -> bool {
    let Some(lead) = name.len().checked_sub(domain.len()) else { return false };
    let (before, end) = name.split_at(lead);
    eq_ignore_case(end, domain) && (before.is_empty() || before.ends_with(b"."))
}
