//! Contact (RFC 3261 §8.1.1.8, §10.2, §12.2.1): where a party, or a user, is to be found.

use super::headers::is_seconds;
use crate::admission::{Judged, Refusal, Verdict};
use crate::count::Count;
use crate::limits;
use crate::sip::{Method, known_method};
use crate::wire::{HeaderName, Item, NameAddr, split};

fn contacts<'a>(judged: &Judged<'a>) -> impl Iterator<Item = Item<'a>> + use<'a> {
    judged.message.all(HeaderName::Contact).flat_map(|header| split(header.value))
}

/// §10.2.2: `*` stands alone, in a REGISTER that removes everything.
pub(super) fn contact_star(judged: &Judged<'_>) -> Verdict {
    if !contacts(judged).any(|item| item.text == b"*") {
        return Ok(());
    }
    let removes_all = known_method(judged.method()) == Some(Method::Register)
        && contacts(judged).nth(1).is_none()
        && is_zero(judged.message.value(HeaderName::Expires));
    if removes_all {
        Ok(())
    } else {
        Err(Refusal::answer(400, "Bad Contact", Count::ContactStar).weighing(1))
    }
}

fn is_zero(digits: &[u8]) -> bool {
    !digits.is_empty() && digits.iter().all(|digit| *digit == b'0')
}

/// §12.1 and §12.2.1: exactly one in what begins a dialog or renews its target. ACK, BYE, CANCEL, PRACK and INFO need
/// none.
pub(super) fn one_contact(judged: &Judged<'_>) -> Verdict {
    let method = known_method(judged.method());
    let needed = matches!(method, Some(Method::Invite | Method::Subscribe | Method::Refer | Method::Update));
    let mut contacts = contacts(judged);
    match (contacts.next().is_some(), contacts.next().is_some()) {
        (false, _) if needed => Err(Refusal::answer(400, "Missing Contact", Count::MissingContact)),
        (_, true) if needed => Err(Refusal::answer(400, "More Than One Contact", Count::ManyContacts)),
        _ => Ok(()),
    }
}

/// A REGISTER binds so many at most: its answer lists them all, and each is looked at.
pub(super) fn contact_count(judged: &Judged<'_>) -> Verdict {
    if contacts(judged).nth(limits::CONTACTS).is_some() {
        return Err(Refusal::answer(403, "Too Many Contacts", Count::TooManyContacts).weighing(1));
    }
    Ok(())
}

/// §10.2.1.1: seconds, as in Expires.
pub(super) fn contact_expires(judged: &Judged<'_>) -> Verdict {
    if known_method(judged.method()) != Some(Method::Register) {
        return Ok(());
    }
    let is_bad = |item: Item<'_>| {
        let contact = NameAddr::parse(item.text).ok();
        contact.and_then(|contact| contact.params.value("expires")).is_some_and(|value| !is_seconds(value))
    };
    if contacts(judged).any(is_bad) {
        return Err(Refusal::answer(400, "Bad Contact Expires", Count::BadExpires));
    }
    Ok(())
}
