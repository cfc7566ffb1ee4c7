//! A query in the form that conditions compare: what can be worked out once is worked out before the first rule.

use std::net::IpAddr;

use super::word_set::WordSet;
use super::{method, transport, zone};
use crate::limits::MAX_USER_BYTES;
use crate::query::Query;

/// One query, prepared.
pub(crate) struct Facts<'a> {
    pub(super) method: WordSet,
    pub(super) listener: usize,
    pub(super) zone: WordSet,
    pub(super) transport: WordSet,
    pub(super) source: IpAddr,
    /// Without the dot that may end a host name (RFC 3261 §25.1).
    pub(super) domain: &'a str,
    pub(super) user: &'a [u8],
    pub(super) registered: bool,
}

impl<'a> Facts<'a> {
    /// `None` when the user part is longer than `unescaped`.
    pub(crate) fn of(query: &Query<'a>, unescaped: &'a mut [u8; MAX_USER_BYTES]) -> Option<Self> {
        Some(Self {
            method: WordSet::of(query.method, &method::NAMES),
            listener: query.listener,
            zone: zone::set_of(query.zone),
            transport: WordSet::of(query.transport, &transport::NAMES),
            source: query.source.to_canonical(),
            domain: query.domain.strip_suffix('.').unwrap_or(query.domain),
            user: unescape(query.user.as_bytes(), unescaped)?,
            registered: query.registered,
        })
    }
}

/// Undoes `%XX` (RFC 3261 §19.1.2). A `%` that opens no escape stays what it is.
fn unescape<'a>(user: &'a [u8], buffer: &'a mut [u8; MAX_USER_BYTES]) -> Option<&'a [u8]> {
    if !user.contains(&b'%') {
        return (user.len() <= MAX_USER_BYTES).then_some(user);
    }
    let mut rest = user;
    let mut length = 0;
    while let Some((&first, after)) = rest.split_first() {
        let (byte, left) = match (first, after) {
            (b'%', &[high, low, ref left @ ..]) => match (hex(high), hex(low)) {
                (Some(high), Some(low)) => (high << 4 | low, left),
                _ => (first, after),
            },
            _ => (first, after),
        };
        *buffer.get_mut(length)? = byte;
        length += 1;
        rest = left;
    }
    buffer.get(..length)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unescaped(user: &str) -> Option<Vec<u8>> {
        unescape(user.as_bytes(), &mut [0; MAX_USER_BYTES]).map(<[u8]>::to_vec)
    }

    #[test]
    fn escapes_are_undone() {
        assert_eq!(unescaped("%2B49%33"), Some(b"+493".to_vec()));
        assert_eq!(unescaped("%2b49"), Some(b"+49".to_vec()));
        assert_eq!(unescaped("plain"), Some(b"plain".to_vec()));
        assert_eq!(unescaped("%252B"), Some(b"%2B".to_vec()), "once only");
    }

    #[test]
    fn a_percent_sign_that_opens_no_escape_stays() {
        assert_eq!(unescaped("100%"), Some(b"100%".to_vec()));
        assert_eq!(unescaped("%4"), Some(b"%4".to_vec()));
        assert_eq!(unescaped("%zz%+1"), Some(b"%zz%+1".to_vec()));
    }

    #[test]
    fn length_is_counted_without_escapes() {
        assert_eq!(unescaped(&"%31".repeat(MAX_USER_BYTES)), Some(vec![b'1'; MAX_USER_BYTES]));
        assert_eq!(unescaped(&"%31".repeat(MAX_USER_BYTES + 1)), None);
        assert_eq!(unescaped(&"1".repeat(MAX_USER_BYTES + 1)), None);
    }
}
