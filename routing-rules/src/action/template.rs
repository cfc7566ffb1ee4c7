//! Texts with captures: `$1` and `${name}` from `match.user`, `${from.1}` and `${to.1}` from those keys, `${user}` and
//! `${domain}` from the Request-URI as it is by then, `$$` for a dollar.
//!
//! What a capture holds was written by a stranger. It is escaped for the place where it goes, so it can end neither the
//! line, nor the URI, nor the quotes around it.

use crate::compile::{Pattern, Subject};
use crate::error::quote;
use crate::limits::MAX_WRITTEN_BYTES;
use crate::load::{Loader, Node};
use crate::matcher::{Facts, Matcher};

/// A text with places for captures.
#[derive(Debug)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Text(Box<str>),
    User,
    Domain,
    Group(Subject, Group),
}

#[derive(Debug)]
enum Group {
    Number(usize),
    Name(Box<str>),
}

/// What a captured text must not break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// A URI: all but `unreserved` (RFC 3261 §25.1) and `+` is escaped.
    Uri,
    /// A header: control characters, quotes, angle brackets, backslashes, commas and what is no ASCII are escaped.
    Header,
    /// A host, which is judged as a whole afterwards.
    Host,
}

impl Place {
    const fn passes(self, byte: u8) -> bool {
        match self {
            Self::Uri => {
                byte.is_ascii_alphanumeric()
                    || matches!(byte, b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')' | b'+')
            }
            Self::Header => {
                (byte == b' ' || byte.is_ascii_graphic())
                    && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b',')
            }
            Self::Host => byte.is_ascii_graphic(),
        }
    }

    /// What the operator wrote may be anything that belongs there.
    fn allows(self, c: char) -> bool {
        match self {
            Self::Uri => c.is_ascii_graphic() && !matches!(c, '<' | '>' | '"' | '\\'),
            Self::Header => !c.is_control(),
            Self::Host => c.is_ascii_graphic(),
        }
    }

    const fn expected(self) -> &'static str {
        match self {
            Self::Uri => "a text without blanks, quotes and angle brackets",
            Self::Header => "a text without control characters",
            Self::Host => "a host name or an address",
        }
    }
}

impl Template {
    /// Reads a text. `matcher` is what its captures come from; `None`: they cannot be checked.
    pub(crate) fn read(
        node: &Node<'_>,
        place: Place,
        matcher: Option<&Matcher>,
        loader: &mut Loader<'_>,
    ) -> Option<Self> {
        let text = node.text(loader, place.expected())?;
        if text.is_empty() || text.len() > MAX_WRITTEN_BYTES || !text.chars().all(|c| place.allows(c)) {
            return node.refuse(loader, format!("{}, 1 to {MAX_WRITTEN_BYTES} bytes", place.expected()));
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            push_text(&mut parts, before);
            rest = match after.strip_prefix('$') {
                Some(after) => {
                    push_text(&mut parts, "$");
                    after
                }
                None => {
                    let (name, after) = split_name(after);
                    parts.push(read_part(name, node, matcher, loader)?);
                    after
                }
            };
        }
        push_text(&mut parts, rest);
        Some(Self { parts })
    }

    /// Whether it is always the same, and what.
    pub(crate) fn fixed(&self) -> Option<&str> {
        match &self.parts[..] {
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The operator's own words at its beginning.
    pub(crate) fn beginning(&self) -> &str {
        match self.parts.first() {
            Some(Part::Text(text)) => text,
            _ => "",
        }
    }

    /// The text, for a request that the rule holds for.
    pub(crate) fn write(&self, place: Place, matcher: &Matcher, facts: &Facts) -> String {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::User => write_escaped(facts.user(), place, &mut out),
                Part::Domain => write_escaped(facts.domain.as_bytes(), place, &mut out),
                Part::Group(subject, group) => {
                    let found = matcher.texts(*subject).and_then(|texts| texts.matching(*subject, facts));
                    let captures = found.and_then(|(regex, text)| regex.captures(text));
                    let captured = captures.as_ref().and_then(|captures| match group {
                        Group::Number(number) => captures.get(*number),
                        Group::Name(name) => captures.name(name),
                    });
                    write_escaped(captured.map_or(&[][..], |found| found.as_bytes()), place, &mut out);
                }
            }
        }
        out
    }
}

fn push_text(parts: &mut Vec<Part>, text: &str) {
    match parts.last_mut() {
        _ if text.is_empty() => {}
        Some(Part::Text(before)) => *before = format!("{before}{text}").into(),
        _ => parts.push(Part::Text(text.into())),
    }
}

/// `1`, `12`, `name` or `{…}`, and what follows.
fn split_name(text: &str) -> (&str, &str) {
    if let Some((name, after)) = text.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
        return (name, after);
    }
    let is_digit = text.starts_with(|c: char| c.is_ascii_digit());
    let belongs = |c: char| if is_digit { c.is_ascii_digit() } else { c.is_ascii_alphanumeric() || c == '_' };
    text.split_at(text.find(|c: char| !belongs(c)).unwrap_or(text.len()))
}

fn read_part(
    name: &str,
    node: &Node<'_>,
    matcher: Option<&Matcher>,
    loader: &mut Loader<'_>,
) -> Option<Part> {
    let (subject, key, group) = match name.split_once('.') {
        None if name == "user" => return Some(Part::User),
        None if name == "domain" => return Some(Part::Domain),
        None => (Subject::USER, "user", name),
        Some(("from", group)) => (Subject::FROM, "from", group),
        Some(("to", group)) => (Subject::TO, "to", group),
        Some(_) => (Subject::USER, "user", ""),
    };
    let shown = quote(&format!("${{{name}}}"));
    if group.is_empty() {
        let expected = "a capture such as $1, ${name} or ${from.1}, or ${user} or ${domain}; $$ for a dollar";
        return node.refuse_as(loader, shown, expected);
    }
    let read = match group.parse::<usize>() {
        Ok(number) => Group::Number(number),
        Err(_) => Group::Name(group.into()),
    };
    let Some(matcher) = matcher else { return Some(Part::Group(subject, read)) };
    let texts = matcher.texts(subject);
    let Some(patterns) = texts.and_then(|texts| texts.only_regexes()) else {
        let found = format!("{shown}, but match.{key} does not always match by a regex");
        return node.refuse_as(
            loader,
            found,
            format!("match.{key} to be regexes only, each with this capture"),
        );
    };
    match patterns.iter().find(|pattern| !has_group(pattern, &read)) {
        None => Some(Part::Group(subject, read)),
        Some(pattern) => {
            let regex = quote(pattern.regex.as_str());
            let found = format!("{shown}, a capture that {regex} does not have");
            node.refuse_as(loader, found, captures_of(pattern))
        }
    }
}

fn has_group(pattern: &Pattern, group: &Group) -> bool {
    match group {
        Group::Number(number) => *number < pattern.regex.captures_len(),
        Group::Name(name) => pattern.regex.capture_names().flatten().any(|own| own == &**name),
    }
}

fn captures_of(pattern: &Pattern) -> String {
    match pattern.regex.captures_len() {
        0 | 1 => "a group in round brackets in the regex; it has none".to_owned(),
        2 => "$1, its only one".to_owned(),
        groups => format!("$1 to ${}", groups - 1),
    }
}

/// Appends what a stranger wrote, and stops where it gets too long.
pub(super) fn write_escaped(text: &[u8], place: Place, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().map_or('0', char::from);
    for &byte in text {
        if out.len() + 3 > MAX_WRITTEN_BYTES {
            return;
        }
        if place.passes(byte) {
            out.push(char::from(byte));
        } else {
            out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}
