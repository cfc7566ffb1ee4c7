//! REGISTER through us: which binding it is about, and what its answer may list.
//!
//! FreeSWITCH lists all bindings of the AoR in its 200 and drops `+sip.instance` and `reg-id`; a
//! registrant is told of its own Contact only, with the parameters it wrote.

use std::io::Write as _;

use crate::hash::Digest;
use crate::limits;
use crate::proxy::settings::Settings;
use crate::seal::{BindingId, Kind};
use crate::wire::{Edits, HeaderName, Message, NameAddr, Uri, eq_ignore_case, split};

/// The binding that the first Contact of a REGISTER is about: AoR with instance and reg-id (RFC 5626
/// §6), else AoR with the Contact URI. `None` for `*`, or without a Contact.
pub(crate) fn binding_of(request: &Message<'_>, aor: Digest, settings: &Settings) -> Option<BindingId> {
    let header = request.first(HeaderName::Contact)?;
    let item = split(header.value).next().filter(|item| item.text != b"*")?;
    let address = NameAddr::parse(item.text).ok()?;
    let aor = aor.to_be_bytes();
    let id = match address.params.value("+sip.instance") {
        Some(instance) => {
            let flow = address.params.value("reg-id").unwrap_or(b"");
            settings.stable.of(&[b"instance", &aor, instance, flow])
        }
        None => settings.stable.of(&[b"contact", &aor, address.uri]),
    };
    Some(BindingId(id))
}

/// The first Contact URI of a REGISTER.
pub(crate) fn contact_uri<'a>(request: &Message<'a>) -> Option<&'a [u8]> {
    let header = request.first(HeaderName::Contact)?;
    let item = split(header.value).next()?;
    NameAddr::parse(item.text).ok().map(|address| address.uri)
}

/// How much a REGISTER prefers its first Contact (RFC 3261 §20.10), in thousandths; all that says nothing readable is
/// wanted alike, and most.
pub(crate) fn preference(request: &Message<'_>) -> u16 {
    const MOST: u16 = 1000;
    let first = request.first(HeaderName::Contact).and_then(|header| split(header.value).next());
    let q = first.and_then(|item| NameAddr::parse(item.text).ok()?.params.value("q"));
    q.and_then(thousandths).map_or(MOST, |q| q.min(MOST))
}

/// `qvalue` of RFC 3261 §25.1: up to three digits after the point.
fn thousandths(text: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if part.len() > 3 || !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let whole: u16 = if whole.is_empty() && !part.is_empty() { 0 } else { whole.parse().ok()? };
    format!("{part:0<3}").parse::<u16>().ok()?.checked_add(whole.checked_mul(1000)?)
}

/// How long the registrar keeps `uri`, in seconds; `None`: it does not list it.
pub(crate) fn granted(response: &Message<'_>, uri: &[u8]) -> Option<u64> {
    let own = Address::of(uri);
    listed(response).filter(|(address, _)| address.is(&own)).map(|(_, seconds)| seconds).max()
}

/// What a registrar lists, each with its time in seconds.
fn listed<'a>(response: &Message<'a>) -> impl Iterator<Item = (Address<'a>, u64)> {
    let default = number(response.value(HeaderName::Expires)).unwrap_or(3600);
    let contacts = response.all(HeaderName::Contact).flat_map(|header| split(header.value));
    contacts.take(limits::CONTACTS).filter_map(|item| NameAddr::parse(item.text).ok()).map(move |address| {
        let seconds = address.params.value("expires").and_then(number).unwrap_or(default);
        (Address::of(address.uri), seconds)
    })
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

/// A Contact URI, read once however often it is compared: registrars may write it anew, and user, host and port are
/// all that decides.
struct Address<'a> {
    text: &'a [u8],
    uri: Option<Uri<'a>>,
}

impl<'a> Address<'a> {
    fn of(text: &'a [u8]) -> Self {
        Self { text, uri: Uri::parse(text).ok() }
    }

    fn is(&self, other: &Self) -> bool {
        self.text == other.text
            || self.uri.as_ref().zip(other.uri.as_ref()).is_some_and(|(one, other)| {
                one.user == other.user && one.port == other.port && eq_ignore_case(one.host, other.host)
            })
    }
}

/// In the 200 to REGISTER: the registrant's own Contacts as it wrote them, with the time granted.
pub(crate) fn own_contacts_only(request: &Message<'_>, response: &Message<'_>, edits: &mut Edits) {
    for header in response.all(HeaderName::Contact) {
        edits.delete(header.line());
    }
    let listed: Vec<_> = listed(response).collect();
    let own = request.all(HeaderName::Contact).flat_map(|header| split(header.value)).take(limits::CONTACTS);
    for item in own {
        let Ok(address) = NameAddr::parse(item.text) else { continue };
        let own = Address::of(address.uri);
        let granted = listed.iter().filter(|(address, _)| address.is(&own)).map(|(_, seconds)| seconds);
        let Some(seconds) = granted.max() else { continue };
        edits.insert_with(response.head_end(), |out| {
            out.extend_from_slice(b"Contact: ");
            write_without_expires(item.text, &address, out);
            // Writing to a Vec cannot fail.
            let _ = write!(out, ";expires={seconds}\r\n");
        });
    }
}

fn write_without_expires(text: &[u8], address: &NameAddr<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(text.get(..address.params_range.start).unwrap_or(text));
    for param in address.params.iter().filter(|param| !param.name.eq_ignore_ascii_case(b"expires")) {
        out.extend_from_slice(address.params.raw().get(param.range).unwrap_or(b""));
    }
}

/// In a carrier's 200 to a member's REGISTER: the member's own Contact back, nobody else's.
pub(crate) fn restore_registered(response: &Message<'_>, settings: &Settings, edits: &mut Edits) {
    for header in response.all(HeaderName::Contact) {
        edits.delete(header.line());
        edits.insert_with(header.line().start, |out| {
            for item in split(header.value).take(limits::CONTACTS) {
                write_opened(item.text, settings, out);
            }
        });
    }
}

/// The Contact line of a value that is a registered Contact of ours, opened.
fn write_opened(value: &[u8], settings: &Settings, out: &mut Vec<u8>) {
    let Ok(address) = NameAddr::parse(value) else { return };
    let Ok(uri) = Uri::parse(address.uri) else { return };
    let Ok(seal) = settings.tokens.open_contact(Kind::Registered, b"", &uri) else { return };
    out.extend_from_slice(b"Contact: <");
    seal.write_target(out);
    out.push(b'>');
    out.extend_from_slice(address.params.raw());
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preferences_are_read_in_thousandths() {
        let read = ["1", "1.0", "0.5", ".25", "0", "0.001", "1.000"].map(|text| thousandths(text.as_bytes()));
        assert_eq!(read, [1000, 1000, 500, 250, 0, 1, 1000].map(Some));
        for wrong in ["", ".", "x", "-1", "0.1234", "0.+1", "99999", "1,0"] {
            assert!(thousandths(wrong.as_bytes()).is_none_or(|q| q > 1000), "{wrong}");
        }
    }
}
