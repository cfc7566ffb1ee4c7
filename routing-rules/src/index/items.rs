//! What rules can be filed under.

use ipnet::IpNet;

use crate::compile::{Pattern, Plain, Subject};
use crate::matcher::Condition;
use crate::regex_set::RegexSet;

/// One thing that a rule can be filed under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Item<'m> {
    Name(&'m [u8]),
    Ending(&'m [u8]),
    Network(IpNet),
    Whole(Subject, &'m [u8]),
    Prefix(Subject, &'m [u8]),
    /// How the texts of a regex begin.
    Beginning(Subject, &'m [u8]),
    Pattern(Subject, usize),
}

impl Item<'_> {
    /// Of items that are equally rare, the one that says more is better.
    pub(super) const fn vagueness(&self) -> usize {
        match self {
            Self::Whole(..) => 0,
            Self::Name(_) | Self::Prefix(..) | Self::Beginning(..) => 1,
            Self::Network(_) | Self::Ending(_) => 2,
            Self::Pattern(..) => 3,
        }
    }

    /// Whether the condition holds wherever the rule is found under this item.
    pub(super) const fn is_proof(&self) -> bool {
        !matches!(self, Self::Beginning(..))
    }
}

/// The items of a condition; none where a rule cannot be filed under it.
pub(super) fn items<'m>(condition: &'m Condition, regexes: &[Option<RegexSet>]) -> Vec<Item<'m>> {
    match condition {
        Condition::Domain(domains) => {
            let names = domains.names.iter().map(Item::Name);
            names.chain(domains.endings.iter().map(Item::Ending)).collect()
        }
        Condition::Source(networks) => networks.iter().copied().map(Item::Network).collect(),
        Condition::Text(subject, texts) if texts.files.is_empty() => {
            let whole = texts.whole.iter().map(|text| Item::Whole(*subject, text));
            let prefixes = texts.prefixes.iter().map(|text| Item::Prefix(*subject, text));
            let patterns = texts.regexes.iter().flat_map(|pattern| of_pattern(*subject, pattern, regexes));
            whole.chain(prefixes).chain(patterns).collect()
        }
        _ => Vec::new(),
    }
}

/// A regex that is asked of every text anyway leads to its rules itself.
fn of_pattern<'m>(subject: Subject, pattern: &'m Pattern, regexes: &[Option<RegexSet>]) -> Vec<Item<'m>> {
    let set = regexes.get(subject.0).and_then(Option::as_ref);
    match &pattern.form.plain {
        Some(Plain::Whole(text)) => vec![Item::Whole(subject, text)],
        Some(Plain::Prefix(text)) => vec![Item::Prefix(subject, text)],
        None if set.is_none_or(|set| set.is_vague(pattern.id)) => vec![Item::Pattern(subject, pattern.id)],
        None => pattern.form.starts.iter().map(|start| Item::Beginning(subject, start)).collect(),
    }
}
