//! Which rules are worth trying: each rule is filed under its rarest key, so that a request meets only those that might
//! hold, however many there are.
//!
//! A rule is filed under the items of one condition: names and endings of domains, networks, and for each subject whole
//! texts, prefixes and regexes; a regex that tells how its texts begin counts as a prefix. Rules with none of these are
//! tried for every request.

mod candidates;
mod filed;
mod items;
mod keyed;
mod nested;
mod networks;
mod quick;

use std::collections::HashMap;

use ipnet::IpNet;

use crate::compile::Subject;
use crate::matcher::{Asked, Condition, Facts, Matcher, Memo};
use crate::regex_set::RegexSet;
pub(crate) use candidates::Candidates;
use filed::{Filed, Lists};
use items::{Item, items};
use keyed::Keyed;
use nested::Nested;
use networks::ByNetwork;
use quick::Quick;

/// Numbers of rules, ascending, by what they are filed under.
#[derive(Debug, Default)]
pub(crate) struct Index {
    lists: Lists,
    names: Keyed,
    endings: Nested,
    networks: ByNetwork,
    texts: Vec<OfSubject>,
    rest: Vec<u32>,
    /// Of each rule.
    quick: Vec<Quick>,
}

#[derive(Debug, Default)]
struct OfSubject {
    whole: Keyed,
    prefixes: Nested,
    /// By the number of the regex.
    patterns: Vec<Option<Filed>>,
}

impl Index {
    /// Files all rules.
    pub(crate) fn new<'m>(
        matchers: impl Iterator<Item = &'m Matcher> + Clone,
        regexes: &[Option<RegexSet>],
    ) -> Self {
        let items = |condition: &'m Condition| items(condition, regexes);
        let mut counts: HashMap<Item<'m>, usize> = HashMap::new();
        for item in matchers.clone().flat_map(Matcher::conditions).flat_map(&items) {
            *counts.entry(item).or_default() += 1;
        }
        let rarity = |(_, items): &(usize, Vec<Item<'m>>)| {
            let of = |item: &Item<'m>| counts.get(item).copied().unwrap_or(0) * 4 + item.vagueness();
            items.iter().map(of).max()
        };
        let mut index = Self::default();
        let mut filed: HashMap<Item<'m>, Vec<u32>> = HashMap::new();
        for (id, matcher) in (0..).zip(matchers) {
            let choices = matcher.conditions().iter().map(&items).enumerate();
            let chosen = choices.filter(|(_, items)| !items.is_empty()).min_by_key(rarity);
            let proof = chosen.as_ref().filter(|(_, items)| items.iter().all(|item| item.is_proof()));
            index.quick.push(Quick::new(matcher, proof.map(|(number, _)| *number)));
            match chosen {
                Some((_, items)) => {
                    items.into_iter().for_each(|item| filed.entry(item).or_default().push(id))
                }
                None => index.rest.push(id),
            }
        }
        filed.into_iter().for_each(|(item, ids)| index.file(item, &ids));
        index.endings.build();
        index.texts.iter_mut().for_each(|texts| texts.prefixes.build());
        index
    }

    fn file(&mut self, item: Item<'_>, ids: &[u32]) {
        let filed = self.lists.file(ids);
        match item {
            Item::Name(name) => self.names.insert(name, filed),
            Item::Ending(ending) => self.endings.insert(ending, filed),
            Item::Network(network) => self.networks.insert(network, filed),
            Item::Whole(subject, text) => self.of_subject(subject).whole.insert(text, filed),
            Item::Prefix(subject, text) | Item::Beginning(subject, text) => {
                self.of_subject(subject).prefixes.insert(text, filed);
            }
            Item::Pattern(subject, id) => {
                let patterns = &mut self.of_subject(subject).patterns;
                patterns.resize(patterns.len().max(id + 1), None);
                patterns[id] = Some(filed);
            }
        }
    }

    fn of_subject(&mut self, subject: Subject) -> &mut OfSubject {
        let wanted = self.texts.len().max(subject.0 + 1);
        self.texts.resize_with(wanted, OfSubject::default);
        &mut self.texts[subject.0]
    }

    /// The rules from number `from` on that may hold, in their order; all that do are among them.
    pub(crate) fn candidates(&self, facts: &Facts, memo: &mut Memo<'_>, from: u32) -> Candidates<'_> {
        let mut found = Candidates::new(from, self.quick.len());
        found.add(&self.rest);
        found.add(self.names.get(facts.domain.as_bytes(), &self.lists));
        // `*` stands for at least one letter.
        if let Some((_, most)) = facts.reversed.split_last() {
            self.endings.each(most, &self.lists, |ids| found.add(ids));
        }
        self.networks.each(IpNet::from(facts.source), &self.lists, |ids| found.add(ids));
        for (number, texts) in self.texts.iter().enumerate() {
            for text in facts.texts(Subject(number)) {
                found.add(texts.whole.get(text, &self.lists));
                texts.prefixes.each(text, &self.lists, |ids| found.add(ids));
            }
            if texts.patterns.is_empty() {
                continue;
            }
            for id in memo.matches(Subject(number), facts) {
                found.add(texts.pattern(*id, &self.lists));
            }
        }
        found
    }

    /// Whether a rule holds. `found`: it is one that its key led to.
    pub(crate) fn holds(
        &self,
        id: u32,
        matcher: &Matcher,
        asked: &Asked,
        found: bool,
        facts: &Facts,
        memo: &mut Memo<'_>,
    ) -> bool {
        let Some(quick) = self.quick.get(id as usize).filter(|quick| quick.holds(asked)) else {
            return false;
        };
        if !found {
            return matcher.holds(facts, memo);
        }
        !quick.has_more() || quick.left(matcher.conditions()).all(|condition| condition.holds(facts, memo))
    }

    /// The rules that may cover `matcher`: they hold wherever it does, so also for any one of its items.
    pub(crate) fn may_cover(
        &self,
        matcher: &Matcher,
        regexes: &[Option<RegexSet>],
        see: &mut impl FnMut(&[u32]),
    ) {
        see(&self.rest);
        for condition in matcher.conditions() {
            // Files come first in no list: what else there is, is asked for.
            let Some(item) = items(condition, regexes).into_iter().next() else { continue };
            match item {
                Item::Name(name) => {
                    see(self.names.get(name, &self.lists));
                    let reversed: Vec<u8> = name.iter().rev().copied().collect();
                    let most = reversed.split_last().map_or(&[][..], |(_, most)| most);
                    self.endings.each(most, &self.lists, &mut *see);
                }
                Item::Ending(ending) => self.endings.each(ending, &self.lists, &mut *see),
                Item::Network(network) => self.networks.each(network, &self.lists, &mut *see),
                Item::Whole(subject, text) => {
                    self.may_cover_text(subject, text, see);
                    self.may_match(subject, text, regexes, see);
                }
                Item::Prefix(subject, text) | Item::Beginning(subject, text) => {
                    self.may_cover_text(subject, text, see);
                }
                Item::Pattern(subject, id) => {
                    see(self.texts.get(subject.0).map_or(&[], |texts| texts.pattern(id, &self.lists)));
                }
            }
        }
    }

    fn may_cover_text(&self, subject: Subject, text: &[u8], see: &mut impl FnMut(&[u32])) {
        let Some(texts) = self.texts.get(subject.0) else { return };
        see(texts.whole.get(text, &self.lists));
        texts.prefixes.each(text, &self.lists, see);
    }

    fn may_match(
        &self,
        subject: Subject,
        text: &[u8],
        regexes: &[Option<RegexSet>],
        see: &mut impl FnMut(&[u32]),
    ) {
        let regexes = regexes.get(subject.0).and_then(Option::as_ref);
        let texts = self.texts.get(subject.0).filter(|texts| !texts.patterns.is_empty());
        let Some((texts, regexes)) = texts.zip(regexes) else { return };
        let mut matches = regexes.matches();
        regexes.ask_vague([text].into_iter(), &mut matches);
        matches.found().iter().for_each(|id| see(texts.pattern(*id, &self.lists)));
    }
}

impl OfSubject {
    /// The rules of a regex.
    fn pattern<'i>(&'i self, id: usize, lists: &'i Lists) -> &'i [u32] {
        self.patterns.get(id).and_then(Option::as_ref).map_or(&[], |filed| lists.get(filed))
    }
}
