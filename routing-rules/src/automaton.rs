//! A few regexes over one text as one machine.

use regex_automata::dfa::{Automaton as _, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::{primitives::StateID, start, syntax};
use regex_automata::{Anchored, Input, MatchKind, PatternSet, meta};

use crate::limits::{MAX_AUTOMATON_BYTES, MAX_REGEX_SET_BYTES, REGEX_CACHE_BYTES};

/// Regexes that are asked together.
#[derive(Debug)]
pub(crate) enum Automaton {
    /// All states worked out beforehand: a step is one look into a table.
    Whole(Box<dense::DFA<Vec<u32>>>),
    /// Where those would be too many: states are worked out as texts need them.
    Lazy(Box<meta::Regex>),
}

impl Automaton {
    /// The first kind; `None` where it would grow too large.
    pub(crate) fn whole(patterns: &[&str]) -> Option<Self> {
        let config = dense::Config::new()
            .match_kind(MatchKind::All)
            .start_kind(regex_automata::dfa::StartKind::Unanchored)
            .minimize(false)
            .dfa_size_limit(Some(MAX_AUTOMATON_BYTES))
            .determinize_size_limit(Some(MAX_AUTOMATON_BYTES));
        let nfa = thompson::Config::new().utf8(false).nfa_size_limit(Some(MAX_REGEX_SET_BYTES));
        let mut builder = dense::Builder::new();
        let built = builder.configure(config).syntax(syntax()).thompson(nfa).build_many(patterns);
        built.ok().map(|dfa| Self::Whole(Box::new(dfa)))
    }

    /// The second kind.
    ///
    /// # Errors
    /// Why the regexes are too large together.
    pub(crate) fn lazy(patterns: &[&str]) -> Result<Self, String> {
        let config = meta::Config::new()
            .match_kind(MatchKind::All)
            .utf8_empty(false)
            .nfa_size_limit(Some(MAX_REGEX_SET_BYTES))
            .hybrid_cache_capacity(REGEX_CACHE_BYTES);
        let built = meta::Builder::new().configure(config).syntax(syntax()).build_many(patterns);
        built.map(|regex| Self::Lazy(Box::new(regex))).map_err(|error| error.to_string())
    }

    /// Shows the number of each regex that matches the text, some of them again and again. `spare` has room for all.
    pub(crate) fn each(&self, text: &[u8], spare: &mut PatternSet, mut see: impl FnMut(usize)) {
        match self {
            Self::Whole(dfa) => run(dfa, text, see),
            Self::Lazy(regex) => {
                spare.clear();
                regex.which_overlapping_matches(&Input::new(text), spare);
                spare.iter().for_each(|id| see(id.as_usize()));
            }
        }
    }
}

/// Through the text, byte by byte. What matches is known one step later.
fn run(dfa: &dense::DFA<Vec<u32>>, text: &[u8], mut see: impl FnMut(usize)) {
    // It begins anywhere, as it was built to.
    let begin = start::Config::new().anchored(Anchored::No);
    let Ok(mut state) = dfa.start_state(&begin) else { return };
    let mut look = |state: StateID| {
        if dfa.is_match_state(state) {
            (0..dfa.match_len(state)).for_each(|at| see(dfa.match_pattern(state, at).as_usize()));
        }
    };
    for byte in text {
        state = dfa.next_state(state, *byte);
        if dfa.is_special_state(state) {
            if dfa.is_dead_state(state) {
                return;
            }
            look(state);
        }
    }
    look(dfa.next_eoi_state(state));
}

fn syntax() -> syntax::Config {
    syntax::Config::new().unicode(false).utf8(false).dot_matches_new_line(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(automaton: &Automaton, text: &str) -> Vec<usize> {
        let mut found = std::collections::BTreeSet::new();
        automaton.each(text.as_bytes(), &mut PatternSet::new(16), |id| {
            found.insert(id);
        });
        found.into_iter().collect()
    }

    #[test]
    fn both_kinds_find_what_each_regex_finds() {
        let patterns = ["^00", "^00[1-9]+$", "9$", "a*", "^$", r"\bx\b", "(?i)ALICE", "^[^a]", ".\n."];
        let whole = Automaton::whole(&patterns).expect("small regexes");
        let lazy = Automaton::lazy(&patterns).expect("small regexes");
        for text in
            ["", "00", "0012", "001a", "0019", "9", "x", "a x b", "axb", "alice", "aLiCe9", "é", "a\nb"]
        {
            let alone = |pattern: &&str| {
                crate::compile::build_regex(pattern).expect("a regex").is_match(text.as_bytes())
            };
            let expected: Vec<usize> =
                (0..patterns.len()).filter(|number| alone(&patterns[*number])).collect();
            assert_eq!(found(&whole, text), expected, "{text:?}");
            assert_eq!(found(&lazy, text), expected, "{text:?}");
        }
    }
}
