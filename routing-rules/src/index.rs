//! Which rules are worth trying: each rule is filed under its rarest key, so that a request meets only those that might
//! hold, however many there are.
//!
//! A rule is filed under the items of one condition: names and endings of domains, networks, and for each subject whole
//! texts, prefixes and regexes; a regex that tells how its texts begin counts as a prefix. Rules with none of these are tried for every request.

mod keyed;
mod nested;

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;
use regex_automata::{Input, PatternSet, meta};

use crate::compile::Subject;
use crate::matcher::{Condition, Facts, Matcher, Memo};
use keyed::Keyed;
use nested::Nested;

/// More lists than this are not merged; all rules are tried then. A request gets there only by rules whose prefixes or
/// networks lie inside each other that deeply.
const MAX_LISTS: usize = 64;

/// Numbers of rules, ascending, by what they are filed under.
#[derive(Debug, Default)]
pub(crate) struct Index {
    names: Keyed,
    endings: Nested,
    networks: Vec<OfLength>,
    texts: Vec<OfSubject>,
    rest: Vec<u32>,
    rules: u32,
}

#[derive(Debug, Default)]
struct OfSubject {
    whole: Keyed,
    prefixes: Nested,
    /// By the number of the regex.
    patterns: Vec<Vec<u32>>,
}

/// Rules by networks of one length.
#[derive(Debug)]
struct OfLength {
    is_v4: bool,
    length: u8,
    networks: Keyed,
}

/// One thing that a rule can be filed under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Item<'m> {
    Name(&'m [u8]),
    Ending(&'m [u8]),
    Network(IpNet),
    Whole(Subject, &'m [u8]),
    Prefix(Subject, &'m [u8]),
    Pattern(Subject, usize),
}

impl Item<'_> {
    /// Of items that are equally rare, the one that says more is better.
    const fn vagueness(&self) -> usize {
        match self {
            Self::Whole(..) => 0,
            Self::Name(_) | Self::Prefix(..) => 1,
            Self::Network(_) | Self::Ending(_) => 2,
            Self::Pattern(..) => 3,
        }
    }
}

/// The items of a condition; none where a rule cannot be filed under it.
fn items(condition: &Condition) -> Vec<Item<'_>> {
    match condition {
        Condition::Domain(domains) => {
            let names = domains.names.iter().map(Item::Name);
            names.chain(domains.endings.iter().map(Item::Ending)).collect()
        }
        Condition::Source(networks) => networks.iter().copied().map(Item::Network).collect(),
        Condition::Text(subject, texts) if texts.files.is_empty() => {
            let whole = texts.whole.iter().map(|text| Item::Whole(*subject, text));
            let prefixes = texts.prefixes.iter().map(|text| Item::Prefix(*subject, text));
            let patterns = texts.regexes.iter().flat_map(|pattern| {
                let starts = pattern.starts.iter().map(|start| Item::Prefix(*subject, start));
                let vague = pattern.starts.is_empty().then_some(Item::Pattern(*subject, pattern.id));
                starts.chain(vague)
            });
            whole.chain(prefixes).chain(patterns).collect()
        }
        _ => Vec::new(),
    }
}

impl Index {
    /// Files all rules.
    pub(crate) fn new<'m>(matchers: impl Iterator<Item = &'m Matcher> + Clone) -> Self {
        let mut counts: HashMap<Item<'m>, usize> = HashMap::new();
        for item in matchers.clone().flat_map(Matcher::conditions).flat_map(items) {
            *counts.entry(item).or_default() += 1;
        }
        let mut filed: HashMap<Item<'m>, Vec<u32>> = HashMap::new();
        let (mut rest, mut rules) = (Vec::new(), 0);
        for matcher in matchers {
            let id = rules;
            rules += 1;
            let rarity = |items: &Vec<Item<'m>>| {
                let of = |item: &Item<'m>| counts.get(item).copied().unwrap_or(0) * 4 + item.vagueness();
                items.iter().map(of).max()
            };
            let choices = matcher.conditions().iter().map(items).filter(|items| !items.is_empty());
            match choices.min_by_key(rarity) {
                Some(items) => items.into_iter().for_each(|item| filed.entry(item).or_default().push(id)),
                None => rest.push(id),
            }
        }
        Self::from_filed(filed, rest, rules)
    }

    fn from_filed(filed: HashMap<Item<'_>, Vec<u32>>, rest: Vec<u32>, rules: u32) -> Self {
        let mut index = Self { rest, rules, ..Self::default() };
        for (item, ids) in filed {
            match item {
                Item::Name(name) => index.names.insert(name, &ids),
                Item::Ending(ending) => index.endings.insert(ending, ids),
                Item::Network(network) => index.file_network(network, &ids),
                Item::Whole(subject, text) => index.of_subject(subject).whole.insert(text, &ids),
                Item::Prefix(subject, text) => index.of_subject(subject).prefixes.insert(text, ids),
                Item::Pattern(subject, id) => {
                    let patterns = &mut index.of_subject(subject).patterns;
                    patterns.resize_with(patterns.len().max(id + 1), Vec::new);
                    patterns[id] = ids;
                }
            }
        }
        index.names.build();
        index.endings.build();
        index.networks.iter_mut().for_each(|group| group.networks.build());
        for texts in &mut index.texts {
            texts.whole.build();
            texts.prefixes.build();
        }
        index
    }

    fn of_subject(&mut self, subject: Subject) -> &mut OfSubject {
        let wanted = self.texts.len().max(subject.0 + 1);
        self.texts.resize_with(wanted, OfSubject::default);
        &mut self.texts[subject.0]
    }

    fn file_network(&mut self, network: IpNet, ids: &[u32]) {
        let (is_v4, length) = (network.network().is_ipv4(), network.prefix_len());
        let same = |group: &OfLength| group.is_v4 == is_v4 && group.length == length;
        let place = self.networks.iter().position(same).unwrap_or_else(|| {
            self.networks.push(OfLength { is_v4, length, networks: Keyed::default() });
            self.networks.len() - 1
        });
        let group = &mut self.networks[place];
        with_octets(network.network(), |octets| group.networks.insert(octets, ids));
    }

    /// The rules from number `from` on that may hold, in their order; all that do are among them.
    pub(crate) fn candidates(
        &self,
        facts: &Facts,
        source: IpAddr,
        memo: &mut Memo<'_>,
        from: u32,
    ) -> Candidates<'_> {
        let mut found = Candidates::new(from, self.rules);
        found.add(&self.rest);
        found.add(self.names.get(facts.domain.as_bytes()));
        // `*` stands for at least one letter.
        if let Some((_, most)) = facts.reversed.split_last() {
            self.endings.each(most, |ids| found.add(ids));
        }
        self.networks.iter().for_each(|group| found.add(group.get(source)));
        for (number, texts) in self.texts.iter().enumerate() {
            for text in facts.texts(Subject(number)) {
                found.add(texts.whole.get(text));
                texts.prefixes.each(text, |ids| found.add(ids));
            }
            if texts.patterns.is_empty() {
                continue;
            }
            let matches = memo.matches(Subject(number), facts);
            for id in matches.into_iter().flat_map(PatternSet::iter) {
                found.add(texts.patterns.get(id.as_usize()).map_or(&[], Vec::as_slice));
            }
        }
        found
    }

    /// The rules that may cover `matcher`: they hold wherever it does, so also for any one of its items.
    pub(crate) fn may_cover(
        &self,
        matcher: &Matcher,
        regexes: &[Option<meta::Regex>],
        see: &mut impl FnMut(&[u32]),
    ) {
        see(&self.rest);
        for condition in matcher.conditions() {
            // Files come first in no list: what else there is, is asked for.
            let Some(item) = items(condition).into_iter().next() else { continue };
            match item {
                Item::Name(name) => {
                    see(self.names.get(name));
                    let reversed: Vec<u8> = name.iter().rev().copied().collect();
                    self.endings.each(reversed.split_last().map_or(&[], |(_, most)| most), &mut *see);
                }
                Item::Ending(ending) => self.endings.each(ending, &mut *see),
                Item::Network(network) => {
                    let wider = self.networks.iter().filter(|group| group.length <= network.prefix_len());
                    wider.for_each(|group| see(group.get(network.network())));
                }
                Item::Whole(subject, text) => {
                    self.may_cover_text(subject, text, see);
                    self.may_match(subject, text, regexes, see);
                }
                Item::Prefix(subject, text) => self.may_cover_text(subject, text, see),
                Item::Pattern(subject, id) => {
                    let patterns = self.texts.get(subject.0).map_or(&[][..], |texts| &texts.patterns);
                    see(patterns.get(id).map_or(&[], Vec::as_slice));
                }
            }
        }
    }

    fn may_cover_text(&self, subject: Subject, text: &[u8], see: &mut impl FnMut(&[u32])) {
        let Some(texts) = self.texts.get(subject.0) else { return };
        see(texts.whole.get(text));
        texts.prefixes.each(text, see);
    }

    fn may_match(
        &self,
        subject: Subject,
        text: &[u8],
        regexes: &[Option<meta::Regex>],
        see: &mut impl FnMut(&[u32]),
    ) {
        let patterns = self.texts.get(subject.0).map_or(&[][..], |texts| &texts.patterns);
        let Some(regex) = regexes.get(subject.0).and_then(Option::as_ref).filter(|_| !patterns.is_empty())
        else {
            return;
        };
        let mut matches = PatternSet::new(regex.pattern_len());
        regex.which_overlapping_matches(&Input::new(text), &mut matches);
        for id in matches.iter() {
            see(patterns.get(id.as_usize()).map_or(&[], Vec::as_slice));
        }
    }
}

impl OfLength {
    fn get(&self, address: IpAddr) -> &[u32] {
        let network = IpNet::new(address, self.length).ok().filter(|_| address.is_ipv4() == self.is_v4);
        network
            .map_or(&[], |network| with_octets(network.trunc().network(), |octets| self.networks.get(octets)))
    }
}

fn with_octets<R>(address: IpAddr, see: impl FnOnce(&[u8]) -> R) -> R {
    match address {
        IpAddr::V4(v4) => see(&v4.octets()),
        IpAddr::V6(v6) => see(&v6.octets()),
    }
}

/// Numbers of rules, ascending, each once: several lists merged as they are asked for.
pub(crate) struct Candidates<'i> {
    lists: [&'i [u32]; MAX_LISTS],
    len: usize,
    next: u32,
    /// There are too many lists: all rules are candidates.
    all: bool,
    rules: u32,
}

impl<'i> Candidates<'i> {
    fn new(from: u32, rules: u32) -> Self {
        Self { lists: [&[]; MAX_LISTS], len: 0, next: from, all: false, rules }
    }

    /// All rules from a number on.
    pub(crate) fn all(from: u32, rules: usize) -> Self {
        Self { all: true, ..Self::new(from, u32::try_from(rules).unwrap_or(u32::MAX)) }
    }

    fn add(&mut self, list: &'i [u32]) {
        // Only the first look begins before all lists do.
        let list = if self.next == 0 {
            list
        } else {
            list.get(list.partition_point(|id| *id < self.next)..).unwrap_or_default()
        };
        if list.is_empty() {
            return;
        }
        match self.lists.get_mut(self.len) {
            Some(place) => {
                *place = list;
                self.len += 1;
            }
            None => self.all = true,
        }
    }
}

impl Iterator for Candidates<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        if self.all {
            let next = self.next;
            self.next += 1;
            return (next < self.rules).then_some(next);
        }
        let lists = self.lists.get_mut(..self.len).unwrap_or_default();
        let least = lists.iter().filter_map(|list| list.first().copied()).min()?;
        for list in lists {
            if let Some((first, rest)) = list.split_first()
                && *first == least
            {
                *list = rest;
            }
        }
        Some(least)
    }
}
