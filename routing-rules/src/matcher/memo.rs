//! What has been found out about one query so far: which regexes of a subject match, which files have a prefix.

use std::sync::Arc;

use regex_automata::{Input, PatternID, PatternSet, meta};

use super::Facts;
use crate::compile::{Pattern, Subject};
use crate::prefix_file::PrefixFile;

/// Memory for [`Memo`], kept from query to query.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    sets: Vec<Set>,
    /// One bit for each file: whether it was asked, and what came of it. Only the user is compared with files.
    files_known: u64,
    files_hold: u64,
}

#[derive(Debug)]
struct Set {
    known: bool,
    matches: PatternSet,
}

/// The regexes of a rule set, and what they have said about this query.
pub(crate) struct Memo<'m> {
    regexes: &'m [Option<meta::Regex>],
    remembered: &'m mut Remembered,
}

impl<'m> Memo<'m> {
    /// Nothing is known yet.
    pub(crate) fn new(regexes: &'m [Option<meta::Regex>], remembered: &'m mut Remembered) -> Self {
        remembered.files_known = 0;
        let fits = |(set, regex): (&Set, &Option<meta::Regex>)| {
            set.matches.capacity() == regex.as_ref().map_or(0, meta::Regex::pattern_len)
        };
        let same = remembered.sets.len() == regexes.len();
        if !(same && remembered.sets.iter().zip(regexes).all(fits)) {
            let patterns = |regex: &Option<meta::Regex>| regex.as_ref().map_or(0, meta::Regex::pattern_len);
            let set = |regex| Set { known: false, matches: PatternSet::new(patterns(regex)) };
            remembered.sets = regexes.iter().map(set).collect();
        }
        let mut memo = Self { regexes, remembered };
        memo.forget();
        memo
    }

    /// The query has changed.
    pub(crate) fn forget(&mut self) {
        self.remembered.sets.iter_mut().for_each(|set| set.known = false);
        self.remembered.files_known = 0;
    }

    /// The regexes of a subject that match one of its texts.
    pub(crate) fn matches(&mut self, subject: Subject, facts: &Facts) -> Option<&PatternSet> {
        let regex = self.regexes.get(subject.0)?.as_ref()?;
        let set = self.remembered.sets.get_mut(subject.0)?;
        if !set.known {
            set.known = true;
            set.matches.clear();
            for text in facts.texts(subject) {
                regex.which_overlapping_matches(&Input::new(text), &mut set.matches);
            }
        }
        Some(&set.matches)
    }

    /// Whether a regex matches a text of its subject. All regexes of a subject are asked in one pass, as soon as a text
    /// begins as one of them wants it.
    pub(crate) fn matches_one(&mut self, subject: Subject, pattern: &Pattern, facts: &Facts) -> bool {
        let begins = |text: &[u8]| pattern.starts.iter().any(|start| text.starts_with(start));
        if !pattern.starts.is_empty() && !facts.texts(subject).any(begins) {
            return false;
        }
        let id = PatternID::new(pattern.id);
        self.matches(subject, facts).zip(id.ok()).is_some_and(|(set, id)| set.contains(id))
    }

    /// Whether a file has a prefix of the user.
    pub(crate) fn file_holds(&mut self, file: &Arc<PrefixFile>, facts: &Facts) -> bool {
        let bit = 1_u64.checked_shl(file.id).unwrap_or(0);
        if self.remembered.files_known & bit == 0 {
            self.remembered.files_known |= bit;
            self.remembered.files_hold &= !bit;
            if file.has_prefix_of(facts.user()) {
                self.remembered.files_hold |= bit;
            }
        }
        self.remembered.files_hold & bit != 0
    }
}
