//! All regexes over one subject, in groups that are asked together.
//!
//! Those of which a beginning is known are asked only where a text begins so; neighbours in the order of beginnings are
//! one group. The others are asked of every text. A group has few enough regexes for all states of its machine to be
//! worked out beforehand, as long as they are simple.

use regex_automata::PatternSet;

use crate::automaton::Automaton;
use crate::compile::Pattern;
use crate::limits::{MAX_AUTOMATON_FAILURES, REGEXES_OF_AUTOMATON};

/// Regexes over one subject. Each has the number of its place.
#[derive(Debug)]
pub(crate) struct RegexSet {
    groups: Vec<Group>,
    /// The group of each regex.
    group_of: Vec<usize>,
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
        let kind =
            |id: &usize| patterns.get(*id).map(|pattern| (pattern.is_held, &pattern.starts, pattern.id));
        order.sort_by_key(kind);
        let mut set = Self { groups: Vec::new(), group_of: vec![0; patterns.len()] };
        let mut failures = 0;
        let is_alike = |a: &usize, b: &usize| {
            let of =
                |id: &usize| patterns.get(*id).map(|pattern| (pattern.is_held, pattern.starts.is_empty()));
            of(a) == of(b)
        };
        for alike in order.chunk_by(is_alike) {
            for ids in alike.chunks(REGEXES_OF_AUTOMATON) {
                set.add(patterns, ids, &mut failures)?;
            }
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
        let is_vague = of_group().any(|pattern| pattern.starts.is_empty());
        self.groups.push(Group { automaton, ids: ids.to_vec(), is_vague });
        Ok(())
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

    /// Asks all regexes of which no beginning is known. The numbers of those that match one of the texts are among
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
            let vague: Vec<&Pattern> = patterns.iter().filter(|pattern| pattern.starts.is_empty()).collect();
            assert!(vague.iter().filter(|one| expected(one)).all(|one| matches.found().contains(&one.id)));
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
