//! Headers as an operator names them.

use super::{Header, HeaderName};

/// Headers by name: one, or all that begin alike (`X-Internal-*`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderPattern {
    /// The long form, where the name has a compact one.
    start: Box<str>,
    open: bool,
}

impl HeaderPattern {
    /// Read `Name` or `Begin*`; compact forms mean the long ones. `None`: no header could be called so (RFC 3261
    /// §25.1).
    pub fn parse(text: &str) -> Option<Self> {
        let (start, open) = text.strip_suffix('*').map_or((text, false), |start| (start, true));
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-.!%_+`'~".contains(&byte);
        if start.is_empty() || !start.bytes().all(is_token) {
            return None;
        }
        let known = if open { HeaderName::Other } else { HeaderName::of(start.as_bytes()) };
        let start = if known == HeaderName::Other { start } else { known.canonical() };
        Some(Self { start: start.into(), open })
    }

    /// Whether it covers a header that routing, dialogs, bodies or digests need: without it there is no SIP.
    pub fn is_needed(&self) -> bool {
        NEEDED.iter().any(|name| self.covers(name.canonical().as_bytes()))
    }

    /// Whether a header is meant.
    pub fn matches(&self, header: &Header<'_>) -> bool {
        match header.name {
            HeaderName::Other => self.covers(header.raw_name),
            known => self.covers(known.canonical().as_bytes()),
        }
    }

    fn covers(&self, name: &[u8]) -> bool {
        let start = self.start.as_bytes();
        let begins = name.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start));
        begins && (self.open || name.len() == start.len())
    }
}

/// Headers that no pattern may cover.
const NEEDED: [HeaderName; 20] = [
    HeaderName::Via,
    HeaderName::From,
    HeaderName::To,
    HeaderName::CallId,
    HeaderName::CSeq,
    HeaderName::Contact,
    HeaderName::MaxForwards,
    HeaderName::Route,
    HeaderName::RecordRoute,
    HeaderName::ContentLength,
    HeaderName::ContentType,
    HeaderName::Authorization,
    HeaderName::ProxyAuthorization,
    HeaderName::WwwAuthenticate,
    HeaderName::ProxyAuthenticate,
    HeaderName::Require,
    HeaderName::RSeq,
    HeaderName::RAck,
    HeaderName::Event,
    HeaderName::SubscriptionState,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Framing, Index, Limits, Message};

    fn matched(pattern: &str, line: &str) -> bool {
        let pattern = HeaderPattern::parse(pattern).expect("a pattern");
        let text = format!("OPTIONS sip:a SIP/2.0\r\n{line}\r\n\r\n");
        let mut index = Index::default();
        index.parse(text.as_bytes(), Framing::Datagram, &Limits::default()).expect("a message");
        let message = Message::new(text.as_bytes(), &index);
        message.headers().any(|header| pattern.matches(&header))
    }

    #[test]
    fn no_spelling_makes_a_difference() {
        for line in ["Subject: x", "s: x", "SUBJECT : x", "subject:\r\n x"] {
            assert!(matched("Subject", line) && matched("s", line) && matched("subj*", line), "{line}");
        }
        assert!(matched("X-Queue-*", "x-queue-name: 5") && !matched("X-Queue-*", "X-Que: 5"));
        assert!(!matched("X-Queue", "X-Queue-Name: 5"));
    }

    #[test]
    fn what_sip_needs_is_known() {
        for text in ["Via", "v", "C*", "call-id", "Record-*", "Require", "Content-*"] {
            assert!(HeaderPattern::parse(text).is_some_and(|pattern| pattern.is_needed()), "{text}");
        }
        assert!(["X Y", "*", "", "a:"].iter().all(|text| HeaderPattern::parse(text).is_none()));
    }
}
