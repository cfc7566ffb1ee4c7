//! All regexes over one subject, in groups that are asked together.
//!
//! Those of which a beginning is known that few others have are asked only where a text begins so; neighbours in the order
//! of beginnings are one group. The others are asked of every text. A group has few enough regexes for all states of its
//! automaton to be worked out beforehand, as long as they are simple.

use std::collections::HashMap;

use regex_automata::PatternSet;

use crate::automaton::Automaton;
use crate::compile::Pattern;
use crate::limits::{MAX_AUTOMATON_FAILURES, MAX_SHARED_START, REGEXES_OF_AUTOMATON};

/// Regexes over one subject. Each has the number of its place.
#[derive(Debug)]
pub(crate) struct RegexSet {
    groups: Vec<Group>,
    /// The group of each regex.
    group_of: Vec<usize>,
    /// Of each regex, whether it is asked of every text.
    vague: Vec<bool>,
}

#[derive(Debug)]
struct Group {
    automaton: Automaton,
    /// The numbers of its regexes.
    ids: Vec<usize>,
    /// Whether it is asked of every text.
    is_vague: bool,
}

/// What the regexes of one set have said about one request. Its memory is used again for the next one.
#[derive(Debug)]
pub(crate) struct Matches {
    /// By group.
    asked: Vec<bool>,
    /// By regex.
    holds: Vec<bool>,
    found: Vec<usize>,
    spare: PatternSet,
}

impl RegexSet {
    /// Compiles regexes that are each known to be right.
    ///
    /// # Errors
    /// Why they are too large together.
    pub(crate) fn new(patterns: &[Pattern]) -> Result<Self, String> {
        let mut order: Vec<usize> = (0..patterns.len()).collect();
        let vague = vague(patterns);
        let kind = |id: &usize| {
            let is_held = patterns.get(*id).is_some_and(|pattern| pattern.form.is_held);
            (is_held, vague.get(*id).is_none_or(|vague| *vague))
        };
        order.sort_by_key(|id| (kind(id), patterns.get(*id).map(|pattern| (&pattern.form.starts, *id))));
        let groups =
            order.chunk_by(|a, b| kind(a) == kind(b)).flat_map(|ids| ids.chunks(REGEXES_OF_AUTOMATON));
        let groups: Vec<&[usize]> = groups.collect();
        let mut set = Self { groups: Vec::new(), group_of: vec![0; patterns.len()], vague };
        let mut failures = 0;
        for ids in groups {
            set.add(patterns, ids, &mut failures)?;
        }
        Ok(set)
    }

    /// Adds regexes as one group, or where that grows too large, as two.
    fn add(&mut self, patterns: &[Pattern], ids: &[usize], failures: &mut usize) -> Result<(), String> {
        let of_group = || ids.iter().filter_map(|id| patterns.get(*id));
        let texts: Vec<&str> = of_group().map(|pattern| pattern.regex.as_str()).collect();
        let whole = if *failures < MAX_AUTOMATON_FAILURES { Automaton::whole(&texts) } else { None };
        *failures += usize::from(whole.is_none());
        let automaton = match whole {
            Some(whole) => whole,
            None if ids.len() > 1 && *failures < MAX_AUTOMATON_FAILURES => {
                let (some, others) = ids.split_at(ids.len() / 2);
                self.add(patterns, some, failures)?;
                return self.add(patterns, others, failures);
            }
            None => Automaton::lazy(&texts)?,
        };
        for id in ids {
            if let Some(group) = self.group_of.get_mut(*id) {
                *group = self.groups.len();
            }
        }
        let is_vague = ids.iter().any(|id| self.is_vague(*id));
        self.groups.push(Group { automaton, ids: ids.to_vec(), is_vague });
        Ok(())
    }

    /// Whether a regex is asked of every text.
    pub(crate) fn is_vague(&self, id: usize) -> bool {
        self.vague.get(id).is_none_or(|vague| *vague)
    }

    /// Memory for what they say.
    pub(crate) fn matches(&self) -> Matches {
        Matches {
            asked: vec![false; self.groups.len()],
            holds: vec![false; self.group_of.len()],
            found: Vec::with_capacity(self.group_of.len()),
            spare: PatternSet::new(self.groups.iter().map(|group| group.ids.len()).max().unwrap_or(0)),
        }
    }

    /// Asks all regexes that are asked of every text. The numbers of those that match one of the texts are among
    /// [`Matches::found`].
    pub(crate) fn ask_vague<'t>(&self, texts: impl Iterator<Item = &'t [u8]> + Clone, matches: &mut Matches) {
        let groups = self.groups.iter().enumerate().filter(|(_, group)| group.is_vague);
        groups.for_each(|(number, _)| self.ask(number, texts.clone(), matches));
    }

    /// Whether a regex matches one of the texts; its whole group is asked at once.
    pub(crate) fn ask_one<'t>(
        &self,
        id: usize,
        texts: impl Iterator<Item = &'t [u8]>,
        matches: &mut Matches,
    ) -> bool {
        if let Some(group) = self.group_of.get(id) {
            self.ask(*group, texts, matches);
        }
        matches.holds.get(id).is_some_and(|holds| *holds)
    }

    fn ask<'t>(&self, number: usize, texts: impl Iterator<Item = &'t [u8]>, matches: &mut Matches) {
        let Matches { asked, holds, found, spare } = matches;
        let (Some(group), Some(asked)) = (self.groups.get(number), asked.get_mut(number)) else { return };
        if std::mem::replace(asked, true) {
            return;
        }
        for text in texts {
            group.automaton.each(text, spare, |place| {
                let Some(id) = group.ids.get(place) else { return };
                let Some(known) = holds.get_mut(*id) else { return };
                if !std::mem::replace(known, true) {
                    found.push(*id);
                }
            });
        }
    }
}

/// Which regexes are asked of every text: no beginning of theirs is known, or many others have the same, so that it would
/// lead to too many rules.
fn vague(patterns: &[Pattern]) -> Vec<bool> {
    let mut shared: HashMap<&[u8], usize> = HashMap::new();
    for start in patterns.iter().flat_map(|pattern| pattern.form.starts.iter()) {
        *shared.entry(start).or_default() += 1;
    }
    let is_shared = |start: &[u8]| shared.get(start).is_some_and(|count| *count > MAX_SHARED_START);
    let forms = patterns.iter().map(|pattern| &pattern.form);
    forms.map(|form| form.starts.is_empty() || form.starts.iter().any(|start| is_shared(start))).collect()
}

impl Matches {
    /// Whether this is memory for such a set.
    pub(crate) fn fits(&self, set: &RegexSet) -> bool {
        let widest = set.groups.iter().map(|group| group.ids.len()).max().unwrap_or(0);
        self.asked.len() == set.groups.len()
            && self.holds.len() == set.group_of.len()
            && self.spare.capacity() == widest
    }

    /// The request is another one now.
    pub(crate) fn forget(&mut self) {
        self.asked.fill(false);
        for id in self.found.drain(..) {
            if let Some(holds) = self.holds.get_mut(id) {
                *holds = false;
            }
        }
    }

    /// The numbers of regexes that were found to match, each once.
    pub(crate) fn found(&self) -> &[usize] {
        &self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::{Compiled, Subject};

    fn patterns(texts: &[String]) -> Vec<Pattern> {
        let mut compiled = Compiled::default();
        texts.iter().map(|text| compiled.pattern(Subject::USER, text).expect("a regex")).collect()
    }

    fn agrees(texts: &[String], asked: &[&str]) -> RegexSet {
        let patterns = patterns(texts);
        let set = RegexSet::new(&patterns).expect("a set");
        let mut matches = set.matches();
        for text in asked {
            matches.forget();
            let expected = |pattern: &&Pattern| pattern.regex.is_match(text.as_bytes());
            set.ask_vague([text.as_bytes()].into_iter(), &mut matches);
            let mut vague = patterns.iter().filter(|pattern| set.is_vague(pattern.id)).filter(expected);
            assert!(vague.all(|one| matches.found().contains(&one.id)));
            for pattern in &patterns {
                let holds = set.ask_one(pattern.id, [text.as_bytes()].into_iter(), &mut matches);
                assert_eq!(holds, expected(&pattern), "{} {text}", pattern.regex.as_str());
            }
            assert_eq!(matches.found().len(), patterns.iter().filter(expected).count());
        }
        set
    }

    #[test]
    fn groups_answer_as_each_regex_does() {
        let mut texts: Vec<String> = (0..200).map(|number| format!("^(?:00|\\+){number}\\d+$")).collect();
        texts.extend((0..100).flat_map(|number| [format!("-{number}$"), format!("^0*{number}[1-9]")]));
        let set = agrees(&texts, &["0012", "+199123", "a-7", "00071", "", "-", "+"]);
        assert!(set.groups.len() > 3);
    }

    #[test]
    fn what_grows_too_large_answers_all_the_same() {
        let texts: Vec<String> = (0..40).map(|number| format!("[ab].{{10,13}}{number}")).collect();
        let set = agrees(&texts, &["a012345678917", "b01234567890123412", "b", "xxaxxxxxxxxxxxx39"]);
        let is_lazy = |group: &Group| matches!(group.automaton, Automaton::Lazy(_));
        assert!(set.groups.iter().any(is_lazy));
    }
}
