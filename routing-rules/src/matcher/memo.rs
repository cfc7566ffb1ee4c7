//! What has been found out about one query so far: which regexes of a subject match, which files have a prefix, what the
//! clocks of time zones say.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::Facts;
use crate::compile::{Pattern, Subject};
use crate::limits::REMEMBERED_ZONES;
use crate::prefix_file::PrefixFile;
use crate::regex_set::{Matches, RegexSet};

/// Memory for [`Memo`], kept from query to query.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    sets: Vec<Option<Matches>>,
    /// One bit for each file: whether it was asked, and what came of it. Only the user is compared with files.
    files_known: u64,
    files_hold: u64,
    /// By the number of the zone; not all of very many.
    clocks: Vec<(u32, Option<DateTime>)>,
}

/// The regexes of a rule set, and what they have said about this query.
pub(crate) struct Memo<'m> {
    regexes: &'m [Option<RegexSet>],
    remembered: &'m mut Remembered,
}

impl<'m> Memo<'m> {
    /// Nothing is known yet.
    pub(crate) fn new(regexes: &'m [Option<RegexSet>], remembered: &'m mut Remembered) -> Self {
        let fits = |(matches, set): (&Option<Matches>, &Option<RegexSet>)| match (matches, set) {
            (Some(matches), Some(set)) => matches.fits(set),
            (None, None) => true,
            _ => false,
        };
        let same = remembered.sets.len() == regexes.len();
        if !(same && remembered.sets.iter().zip(regexes).all(fits)) {
            remembered.sets = regexes.iter().map(|set| set.as_ref().map(RegexSet::matches)).collect();
        }
        remembered.clocks.clear();
        let mut memo = Self { regexes, remembered };
        memo.forget();
        memo
    }

    /// The query has changed, but for its time.
    pub(crate) fn forget(&mut self) {
        self.remembered.sets.iter_mut().flatten().for_each(Matches::forget);
        self.remembered.files_known = 0;
    }

    /// The numbers of the regexes of a subject that match one of its texts: of those that are asked of every text all, of
    /// the others some.
    pub(crate) fn matches(&mut self, subject: Subject, facts: &Facts) -> &[usize] {
        let Some((set, matches)) = self.set(subject) else { return &[] };
        set.ask_vague(facts.texts(subject), matches);
        matches.found()
    }

    /// Whether a regex matches a text of its subject.
    pub(crate) fn matches_one(&mut self, subject: Subject, pattern: &Pattern, facts: &Facts) -> bool {
        let begins = |text: &[u8]| pattern.form.starts.iter().any(|start| text.starts_with(start));
        if !pattern.form.starts.is_empty() && !facts.texts(subject).any(begins) {
            return false;
        }
        self.set(subject).is_some_and(|(set, matches)| set.ask_one(pattern.id, facts.texts(subject), matches))
    }

    fn set(&mut self, subject: Subject) -> Option<(&RegexSet, &mut Matches)> {
        let set = self.regexes.get(subject.0)?.as_ref()?;
        Some((set, self.remembered.sets.get_mut(subject.0)?.as_mut()?))
    }

    /// What the clock of a zone says at a Unix time, the time of the query. `None`: no calendar has that time.
    pub(crate) fn clock(&mut self, zone: &TimeZone, number: u32, time: i64) -> Option<DateTime> {
        let clocks = &mut self.remembered.clocks;
        if let Some((_, known)) = clocks.iter().find(|(own, _)| *own == number) {
            return *known;
        }
        let local = Timestamp::from_second(time).ok().map(|time| zone.to_datetime(time));
        if clocks.len() < REMEMBERED_ZONES {
            clocks.push((number, local));
        }
        local
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
