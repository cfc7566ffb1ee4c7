//! Addresses beside From and To (RFC 3261 §20, RFC 3325, RFC 3327, RFC 3515), and routes (§16.12).

use crate::admission::{Judged, Refusal, Verdict};
use crate::count::Count;
use crate::wire::{Header, HeaderName, NameAddr, Uri, eq_ignore_case, split};

/// Each value is an address that can be read. `Contact: *` is looked at elsewhere.
pub(super) fn addresses(judged: &Judged<'_>) -> Verdict {
    const ADDRESSES: [(HeaderName, &str); 7] = [
        (HeaderName::Contact, "Bad Contact"),
        (HeaderName::Route, "Bad Route"),
        (HeaderName::RecordRoute, "Bad Record-Route"),
        (HeaderName::Path, "Bad Path"),
        (HeaderName::ReferTo, "Bad Refer-To"),
        (HeaderName::ReferredBy, "Bad Referred-By"),
        (HeaderName::PAssertedIdentity, "Bad P-Asserted-Identity"),
    ];
    for (name, reason) in ADDRESSES {
        if !judged.message.all(name).all(|header| is_readable(&header)) {
            return Err(Refusal::answer(400, reason, Count::BadAddress).weighing(1));
        }
    }
    Ok(())
}

fn is_readable(header: &Header<'_>) -> bool {
    let is_star = header.name == HeaderName::Contact && header.value == b"*";
    is_star
        || (has_no_empty_value(header.value) && split(header.value).all(|item| uri_of(item.text).is_some()))
}

/// A comma with nothing before or after it.
fn has_no_empty_value(value: &[u8]) -> bool {
    let mut end = 0;
    for item in split(value) {
        let between = value.get(end..item.range.start).unwrap_or_default();
        if between.iter().filter(|byte| **byte == b',').count() > usize::from(end > 0) {
            return false;
        }
        end = item.range.end;
    }
    !value.get(end..).unwrap_or_default().contains(&b',')
}

fn uri_of(value: &[u8]) -> Option<Uri<'_>> {
    Uri::parse(NameAddr::parse(value).ok()?.uri).ok()
}

/// §16.12: nobody is a strict router (RFC 2543) any more. A route to us is consumed whatever it looks like; outside of a
/// dialog the relay guard looks at routes (`proxy/hop.rs`).
pub(super) fn loose_route(judged: &Judged<'_>) -> Verdict {
    let to = NameAddr::parse(judged.message.value(HeaderName::To)).ok();
    if to.and_then(|to| to.tag()).is_none() {
        return Ok(());
    }
    let own = judged.listener.advertise.host.as_bytes();
    let is_strict = |value: &[u8]| {
        uri_of(value).is_some_and(|uri| !uri.params.has("lr") && !eq_ignore_case(uri.domain(), own))
    };
    let mut routes = judged.message.all(HeaderName::Route).flat_map(|header| split(header.value));
    if routes.any(|item| is_strict(item.text)) {
        return Err(Refusal::answer(400, "Route Without lr", Count::StrictRoute));
    }
    Ok(())
}
