//! The words that routes file and main configuration share: zones and balances.

use std::fmt;
use std::str::FromStr;

use crate::error::UnknownWord;
use crate::limits::{MAX_DOMAIN_BYTES, MAX_LABEL_CHARS};
use crate::load::{Loader, Node};

/// Whether the text is a `token` (RFC 3261 §25.1): the name of a header or a method.
pub(crate) fn is_token(text: &str) -> bool {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_fit)
}

/// Whether the text is a host name without the dot that may end it; `_` is not in the grammar but in the field.
pub(crate) fn is_host_name(name: &str) -> bool {
    let is_label = |label: &str| {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(is_letter)
    };
    name.len() <= MAX_DOMAIN_BYTES && name.split('.').all(is_label)
}

/// Reads a name that the operator chose: a tag, a region, a media profile.
pub(crate) fn read_label(node: &Node<'_>, loader: &mut Loader<'_>, what: &str) -> Option<Box<str>> {
    let expected = format!("{what}: 1 to {MAX_LABEL_CHARS} letters, digits, `-`, `_` or `.`");
    let text = node.text(loader, &expected)?;
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if text.is_empty() || text.len() > MAX_LABEL_CHARS || !text.bytes().all(is_fit) {
        return node.refuse(loader, expected);
    }
    Some(text.into())
}

/// Whom a listener or a pool faces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Zone {
    /// Untrusted and natted: browsers, phones, strangers.
    Public,
    /// Known carriers.
    Trunk,
    /// FreeSWITCH.
    Pool,
}

impl Zone {
    /// Every zone, in the order of [`Zone::NAMES`].
    pub const ALL: [Self; 3] = [Self::Public, Self::Trunk, Self::Pool];

    /// What zones are called in configuration files.
    pub const NAMES: [&'static str; 3] = ["public", "trunk", "pool"];

    /// The zone's name in configuration files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Trunk => "trunk",
            Self::Pool => "pool",
        }
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Zone {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        Self::ALL
            .into_iter()
            .find(|zone| zone.as_str() == word)
            .ok_or_else(|| UnknownWord::new(word, &Self::NAMES))
    }
}

/// How a pool chooses a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Balance {
    /// Rendezvous hash of the Call-ID.
    HashCallId,
    /// Rendezvous hash of the address of record.
    HashAor,
    /// One after the other.
    RoundRobin,
    /// One after the other, each as often as its weight says.
    Weighted,
    /// Of two chosen by chance the one with more room for calls.
    LeastCalls,
    /// The member of the lowest priority number that is up; of several a rendezvous hash of the Call-ID.
    Priority,
}

impl Balance {
    /// Every balance, in the order of [`Balance::NAMES`].
    pub const ALL: [Self; 6] =
        [Self::HashCallId, Self::HashAor, Self::RoundRobin, Self::Weighted, Self::LeastCalls, Self::Priority];

    /// What balances are called in configuration files.
    pub const NAMES: [&'static str; 6] =
        ["hash:call-id", "hash:aor", "round-robin", "weighted", "least-calls", "priority"];

    /// The balance's name in configuration files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HashCallId => "hash:call-id",
            Self::HashAor => "hash:aor",
            Self::RoundRobin => "round-robin",
            Self::Weighted => "weighted",
            Self::LeastCalls => "least-calls",
            Self::Priority => "priority",
        }
    }
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Balance {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        Self::ALL
            .into_iter()
            .find(|balance| balance.as_str() == word)
            .ok_or_else(|| UnknownWord::new(word, &Self::NAMES))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_agree() {
        assert_eq!(Zone::ALL.map(Zone::as_str), Zone::NAMES);
        assert_eq!(Balance::ALL.map(Balance::as_str), Balance::NAMES);
        for name in Zone::NAMES {
            assert_eq!(name.parse::<Zone>().map(Zone::as_str), Ok(name));
        }
        for name in Balance::NAMES {
            assert_eq!(name.parse::<Balance>().map(Balance::as_str), Ok(name));
        }
    }

    #[test]
    fn a_mistyped_balance_is_told_what_exists() {
        assert_eq!(
            "hash:callid".parse::<Balance>().unwrap_err().to_string(),
            "found \"hash:callid\", expected one of: hash:call-id, hash:aor, round-robin, weighted, least-calls, priority; did you mean \"hash:call-id\"?"
        );
    }
}
