//! A query in the form that conditions compare: what can be worked out once is worked out before the first rule, and
//! again when a rule that goes on has changed it.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use super::word_set::WordSet;
use super::{listener, method, transport, zone};
use crate::compile::{Asks, Subject};
use crate::limits::{MAX_DOMAIN_BYTES, MAX_HEADER_BYTES, MAX_USER_BYTES};
use crate::query::{Party, Query};

/// One query, prepared. Its memory is used again for the next one.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(super) method: WordSet,
    pub(super) listener: usize,
    pub(super) zone: WordSet,
    pub(super) transport: WordSet,
    pub(crate) source: IpAddr,
    pub(super) registered: bool,
    pub(super) share: u16,
    pub(super) time: i64,
    pub(super) region: String,
    /// In lower case, without the dot that may end it (RFC 3261 §25.1); an address in its usual form.
    pub(crate) domain: String,
    /// The same back to front, so that the end of a name is its prefix.
    pub(crate) reversed: Vec<u8>,
    /// By subject.
    values: Vec<Values>,
}

/// What a query says in a few bits, of each word one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    /// None where it is beyond the 64 first.
    pub(crate) listener: u64,
    pub(crate) method: u16,
    pub(crate) zone: u16,
    pub(crate) transport: u16,
    /// The ten-thousandth.
    pub(crate) share: u16,
    /// The lower bit: not registered; the higher one: registered.
    pub(crate) registered: u8,
}

/// The values of one subject: one after the other, and where each ends.
#[derive(Debug, Default)]
struct Values {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Default for Facts {
    fn default() -> Self {
        Self {
            method: WordSet::NONE,
            listener: 0,
            zone: WordSet::NONE,
            transport: WordSet::NONE,
            source: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            registered: false,
            share: 0,
            time: 0,
            region: String::new(),
            domain: String::new(),
            reversed: Vec::new(),
            values: Vec::new(),
        }
    }
}

/// A text that is compared is longer than any rule may ask about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong;

impl Facts {
    /// Takes over a query. `headers` are the names of those that rules compare.
    pub(crate) fn read(&mut self, query: &Query<'_>, asks: Asks, headers: &[String]) -> Result<(), TooLong> {
        self.method = WordSet::of(query.method, &method::NAMES);
        self.listener = query.listener;
        self.zone = zone::set_of(query.zone);
        self.transport = WordSet::of(query.transport, &transport::NAMES);
        self.source = query.source.to_canonical();
        self.share = query.share;
        self.time = query.time;
        self.region.clear();
        self.region.push_str(query.region);
        self.values.iter_mut().for_each(Values::clear);
        self.values.resize_with(Subject::header(headers.len()).0, Values::default);
        self.set_user(query.user.as_bytes())?;
        self.set_domain(query.domain);
        if asks.from {
            self.set_party(Subject::FROM, query.from)?;
        }
        if asks.to {
            self.set_party(Subject::TO, query.to)?;
        }
        for (number, name) in headers.iter().enumerate() {
            let Some(values) = self.values.get_mut(Subject::header(number).0) else { continue };
            query.lookup.header(name, &mut |value| values.push(value));
            if values.bytes.len() > MAX_HEADER_BYTES {
                return Err(TooLong);
            }
        }
        self.registered = asks.registered && query.lookup.registered(query.user, query.domain);
        Ok(())
    }

    /// What can be said in bits.
    pub(crate) fn asked(&self) -> Asked {
        Asked {
            listener: listener::bit_of(self.listener),
            method: self.method.bits(),
            zone: self.zone.bits(),
            transport: self.transport.bits(),
            share: self.share,
            registered: 1 << u8::from(self.registered),
        }
    }

    /// The user part, its escapes still in it.
    pub(crate) fn set_user(&mut self, escaped: &[u8]) -> Result<(), TooLong> {
        let Some(values) = self.values.get_mut(Subject::USER.0) else { return Ok(()) };
        values.clear();
        unescape(escaped, &mut values.bytes);
        values.end();
        if values.bytes.len() > MAX_USER_BYTES { Err(TooLong) } else { Ok(()) }
    }

    /// The host of the Request-URI. One that is longer than any name is none.
    pub(crate) fn set_domain(&mut self, domain: &str) {
        self.domain.clear();
        write_domain(domain, &mut self.domain);
        self.reversed.clear();
        self.reversed.extend(self.domain.bytes().rev());
    }

    /// Whether the changed address of record has a binding.
    pub(crate) fn set_registered(&mut self, registered: bool) {
        self.registered = registered;
    }

    /// The value of a header, as a rule has set it; `None`: it has taken it out.
    pub(crate) fn set_header(&mut self, number: usize, value: Option<&str>) {
        let Some(values) = self.values.get_mut(Subject::header(number).0) else { return };
        values.clear();
        if let Some(value) = value {
            values.push(value.as_bytes());
        }
    }

    fn set_party(&mut self, subject: Subject, party: Party<'_>) -> Result<(), TooLong> {
        let Some(values) = self.values.get_mut(subject.0) else { return Ok(()) };
        unescape(party.user.as_bytes(), &mut values.bytes);
        if values.bytes.len() > MAX_USER_BYTES {
            return Err(TooLong);
        }
        if !values.bytes.is_empty() {
            values.bytes.push(b'@');
        }
        let domain = party.domain.strip_suffix('.').unwrap_or(party.domain);
        let domain = domain.as_bytes().get(..MAX_DOMAIN_BYTES).unwrap_or(domain.as_bytes());
        let start = values.bytes.len();
        values.bytes.extend_from_slice(domain);
        values.bytes.get_mut(start..).unwrap_or_default().make_ascii_lowercase();
        values.end();
        Ok(())
    }

    /// The texts of a subject: exactly one, or for a header as many as there are values.
    pub(crate) fn texts(&self, subject: Subject) -> impl Iterator<Item = &[u8]> + Clone {
        let values = self.values.get(subject.0);
        let bytes = values.map_or(&[][..], |values| &values.bytes);
        let mut start = 0;
        values.map_or(&[][..], |values| &values.ends).iter().map(move |end| {
            let text = bytes.get(start..*end).unwrap_or_default();
            start = *end;
            text
        })
    }

    /// The user part, escapes undone.
    pub(crate) fn user(&self) -> &[u8] {
        self.texts(Subject::USER).next().unwrap_or_default()
    }
}

impl Values {
    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    fn push(&mut self, value: &[u8]) {
        // What is over the limit is never compared: it only has to be over it.
        let rest = (MAX_HEADER_BYTES + 1).saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(value.get(..rest).unwrap_or(value));
        self.end();
    }

    fn end(&mut self) {
        self.ends.push(self.bytes.len());
    }
}

/// Appends a host as rules compare it: names in lower case without the root's dot, addresses in their usual form.
pub(super) fn write_domain(domain: &str, out: &mut String) {
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    if domain.len() > MAX_DOMAIN_BYTES {
        return;
    }
    let may_be_address = domain.as_bytes().first().is_some_and(u8::is_ascii_digit) || domain.contains(':');
    match may_be_address.then(|| domain.parse::<IpAddr>()) {
        // Writing to a String cannot fail.
        Some(Ok(address)) => drop(write!(out, "{}", address.to_canonical())),
        _ => {
            let start = out.len();
            out.push_str(domain);
            out.get_mut(start..).unwrap_or_default().make_ascii_lowercase();
        }
    }
}

/// Undoes `%XX` (RFC 3261 §19.1.2), once. A `%` that opens no escape stays what it is. Stops where the text is too long.
fn unescape(user: &[u8], out: &mut Vec<u8>) {
    if !user.contains(&b'%') {
        let room = (MAX_USER_BYTES + 1).saturating_sub(out.len());
        out.extend_from_slice(user.get(..room).unwrap_or(user));
        return;
    }
    let mut rest = user;
    while let Some((&first, after)) = rest.split_first() {
        let (byte, left) = match (first, after) {
            (b'%', &[high, low, ref left @ ..]) => match (hex(high), hex(low)) {
                (Some(high), Some(low)) => (high << 4 | low, left),
                _ => (first, after),
            },
            _ => (first, after),
        };
        out.push(byte);
        if out.len() > MAX_USER_BYTES {
            return;
        }
        rest = left;
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unescaped(user: &str) -> Vec<u8> {
        let mut out = Vec::new();
        unescape(user.as_bytes(), &mut out);
        out
    }

    fn domain(domain: &str) -> String {
        let mut out = String::new();
        write_domain(domain, &mut out);
        out
    }

    #[test]
    fn escapes_are_undone() {
        assert_eq!(unescaped("%2B49%33"), b"+493");
        assert_eq!(unescaped("%2b49"), b"+49");
        assert_eq!(unescaped("plain"), b"plain");
        assert_eq!(unescaped("%252B"), b"%2B", "once only");
    }

    #[test]
    fn a_percent_sign_that_opens_no_escape_stays() {
        assert_eq!(unescaped("100%"), b"100%");
        assert_eq!(unescaped("%4"), b"%4");
        assert_eq!(unescaped("%zz%+1"), b"%zz%+1");
    }

    #[test]
    fn length_is_counted_without_escapes() {
        assert_eq!(unescaped(&"%31".repeat(MAX_USER_BYTES)), vec![b'1'; MAX_USER_BYTES]);
        assert_eq!(unescaped(&"%31".repeat(MAX_USER_BYTES + 9)).len(), MAX_USER_BYTES + 1);
    }

    #[test]
    fn domains_have_one_form() {
        assert_eq!(domain("Example.COM."), "example.com");
        assert_eq!(domain("2001:DB8:0::1"), "2001:db8::1");
        assert_eq!(domain("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(domain(&"a".repeat(300)), "");
        assert_eq!(domain("192.0.2.1.example"), "192.0.2.1.example");
    }
}
