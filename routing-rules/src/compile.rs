//! What rules share once they are compiled: regexes in sets, files of prefixes, names of headers, tags.
//!
//! Whatever a rule compares a regex with is a *subject*: the user, From, To, or one header. All regexes over one
//! subject are one set, so that a request passes over its text a few times, however many rules there are.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::hir::literal::Extractor;
use regex_syntax::hir::{Hir, HirKind, Look};

use crate::limits::{MAX_REGEX_BYTES, MAX_REGEX_STARTS};
use crate::prefix_file::PrefixFile;
use crate::regex_set::RegexSet;

/// The number of a text that rules compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Subject(pub(crate) usize);

impl Subject {
    /// The user part of the Request-URI.
    pub(crate) const USER: Self = Self(0);
    /// The address in From.
    pub(crate) const FROM: Self = Self(1);
    /// The address in To.
    pub(crate) const TO: Self = Self(2);

    /// The header with this number.
    pub(crate) const fn header(number: usize) -> Self {
        Self(3 + number)
    }
}

/// One regex of a set.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    /// Its number in the set of its subject.
    pub(crate) id: usize,
    /// For its captures.
    pub(crate) regex: Regex,
    /// What is known of the texts that it matches.
    pub(crate) form: Form,
}

/// What rules share.
#[derive(Debug, Default)]
pub(crate) struct Compiled {
    /// By subject.
    patterns: Vec<Vec<Pattern>>,
    numbers: HashMap<(Subject, String), usize>,
    pub(crate) files: HashMap<String, Option<Arc<PrefixFile>>>,
    /// The names of the headers that are compared, in lower case.
    pub(crate) headers: Vec<String>,
    pub(crate) tags: Vec<String>,
    /// Time zones by name.
    pub(crate) zones: HashMap<String, (u32, TimeZone)>,
    /// Whether a rule asks for them at all.
    pub(crate) asks: Asks,
}

/// What rules ask for, so that nothing else needs to be found out.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Asks {
    pub(crate) registered: bool,
    pub(crate) from: bool,
    pub(crate) to: bool,
}

/// Numbers are ASCII: without Unicode `\d` means just that, and the machine stays small. `.` is any byte: nobody gets
/// past a rule by an escaped line end.
pub(crate) fn build_regex(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).unicode(false).dot_matches_new_line(true).size_limit(MAX_REGEX_BYTES).build()
}

/// What a regex tells of the texts that it matches.
#[derive(Debug, Clone, Default)]
pub(crate) struct Form {
    /// Whether `^` holds it to the beginning of a text.
    pub(crate) is_held: bool,
    /// Whatever it matches begins with one of these; empty: nobody knows.
    pub(crate) starts: Arc<[Box<[u8]>]>,
    /// It matches what one other key would, and nothing else.
    pub(crate) plain: Option<Plain>,
}

/// What a regex without any freedom matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Plain {
    /// One text: `^text$`.
    Whole(Box<[u8]>),
    /// All texts that begin so: `^text`.
    Prefix(Box<[u8]>),
}

impl Form {
    fn of(pattern: &str) -> Self {
        let mut parser = regex_syntax::ParserBuilder::new();
        let parsed = parser.unicode(false).utf8(false).dot_matches_new_line(true).build().parse(pattern);
        let Some(hir) = parsed.ok().filter(|hir| hir.properties().look_set_prefix().contains(Look::Start))
        else {
            return Self::default();
        };
        // Classes are not written out: of `^00[1-9]` it is the `00`.
        let found = Extractor::new().limit_class(1).limit_total(MAX_REGEX_STARTS).extract(&hir);
        let starts = found.literals().unwrap_or_default();
        let texts: Vec<Box<[u8]>> = starts.iter().map(|start| start.as_bytes().into()).collect();
        let is_vague = texts.iter().any(|text| text.is_empty());
        let starts = if is_vague { Arc::default() } else { texts.into() };
        Self { is_held: true, starts, plain: plain(&hir) }
    }
}

fn plain(hir: &Hir) -> Option<Plain> {
    let HirKind::Concat(parts) = hir.kind() else { return None };
    match &parts.iter().map(Hir::kind).collect::<Vec<_>>()[..] {
        [HirKind::Look(Look::Start), HirKind::Literal(text), HirKind::Look(Look::End)] => {
            Some(Plain::Whole(text.0.clone()))
        }
        [HirKind::Look(Look::Start), HirKind::Literal(text)] => Some(Plain::Prefix(text.0.clone())),
        _ => None,
    }
}

impl Compiled {
    /// The regex with this text over this subject, compiled once.
    pub(crate) fn pattern(&mut self, subject: Subject, text: &str) -> Result<Pattern, regex::Error> {
        if self.patterns.len() <= subject.0 {
            self.patterns.resize_with(subject.0 + 1, Vec::new);
        }
        let list = &mut self.patterns[subject.0];
        if let Some(known) =
            self.numbers.get(&(subject, text.to_owned())).and_then(|number| list.get(*number))
        {
            return Ok(known.clone());
        }
        let pattern = Pattern { id: list.len(), regex: build_regex(text)?, form: Form::of(text) };
        self.numbers.insert((subject, text.to_owned()), pattern.id);
        list.push(pattern.clone());
        Ok(pattern)
    }

    /// How many different regexes there are.
    pub(crate) fn regexes(&self) -> usize {
        self.numbers.len()
    }

    /// The number of a header that is compared, or `None` when there are `most` others.
    pub(crate) fn header(&mut self, name: &str, most: usize) -> Option<usize> {
        let name = name.to_ascii_lowercase();
        number_of(&mut self.headers, name, most)
    }

    /// The number of a tag, or `None` when there are `most` others.
    pub(crate) fn tag(&mut self, name: &str, most: usize) -> Option<u32> {
        number_of(&mut self.tags, name.to_owned(), most).and_then(|number| u32::try_from(number).ok())
    }

    /// The regexes of each subject as one set.
    pub(crate) fn sets(&self) -> Result<Vec<Option<RegexSet>>, String> {
        let set = |patterns: &Vec<Pattern>| {
            if patterns.is_empty() { Ok(None) } else { RegexSet::new(patterns).map(Some) }
        };
        self.patterns.iter().map(set).collect()
    }
}

fn number_of(list: &mut Vec<String>, name: String, most: usize) -> Option<usize> {
    if let Some(known) = list.iter().position(|other| *other == name) {
        return Some(known);
    }
    (list.len() < most).then(|| {
        list.push(name);
        list.len() - 1
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_regex_that_is_held_says_how_its_texts_begin() {
        let starts = |pattern: &str| -> Vec<String> {
            Form::of(pattern).starts.iter().map(|start| String::from_utf8_lossy(start).into_owned()).collect()
        };
        assert_eq!(starts("^00123$"), ["00123"]);
        assert_eq!(starts(r"^00([1-9]\d{5,14})$"), ["00"]);
        assert_eq!(starts("^(?:ab|cd+)x"), ["abx", "cd"]);
        assert_eq!(starts(r"^\+49"), ["+49"]);
        assert_eq!(starts("^a?b"), ["ab", "b"]);
        for vague in ["00123", "^", "^.*x", "^[0-9]+$", "x|^y", "(?i)^abc", "(?m)^abc", "a^b"] {
            assert_eq!(starts(vague), [""; 0], "{vague}");
        }
    }

    #[test]
    fn a_regex_without_freedom_is_a_text_or_a_prefix() {
        let whole = |text: &str| Some(Plain::Whole(text.as_bytes().into()));
        let prefix = |text: &str| Some(Plain::Prefix(text.as_bytes().into()));
        for (pattern, expected) in [
            ("^112$", whole("112")),
            (r"^\+49$", whole("+49")),
            ("^0049", prefix("0049")),
            ("^1(?:1)2$", whole("112")),
            ("112$", None),
            ("^(112)$", None),
            ("^(?i)a$", None),
            ("(?m)^112$", None),
            ("^11?$", None),
            ("^", None),
            ("^$", None),
        ] {
            assert_eq!(Form::of(pattern).plain, expected, "{pattern}");
        }
    }
}
