//! Whether a regex can match at all: one that cannot, such as `$1` for "a dollar and a one", is a mistake.

use regex_automata::dfa::{Automaton, dense};
use regex_automata::util::{primitives::StateID, start, syntax};
use regex_automata::{Anchored, nfa::thompson};

use crate::limits::MAX_PROOF_BYTES;

/// False only where no text at all matches. An expression whose automaton grows too large is taken for one that can.
pub(crate) fn can_match(pattern: &str) -> bool {
    let syntax = syntax::Config::new().unicode(false).utf8(false).dot_matches_new_line(true);
    let config = dense::Config::new()
        .minimize(false)
        .dfa_size_limit(Some(MAX_PROOF_BYTES))
        .determinize_size_limit(Some(MAX_PROOF_BYTES));
    let nfa = thompson::Config::new().nfa_size_limit(Some(MAX_PROOF_BYTES)).utf8(false);
    match dense::Builder::new().configure(config).syntax(syntax).thompson(nfa).build(pattern) {
        Ok(dfa) => reaches_a_match(&dfa),
        Err(_) => true,
    }
}

/// A walk over all states that the beginning of a text leads to.
fn reaches_a_match(dfa: &dense::DFA<Vec<u32>>) -> bool {
    let Ok(start) = dfa.start_state(&start::Config::new().anchored(Anchored::No)) else { return true };
    let mut seen = std::collections::HashSet::from([start]);
    let mut left: Vec<StateID> = vec![start];
    while let Some(state) = left.pop() {
        if dfa.is_match_state(state) {
            return true;
        }
        let by_byte = dfa.byte_classes().representatives(0..=255).filter_map(|unit| unit.as_u8());
        let next = by_byte.map(|byte| dfa.next_state(state, byte));
        for state in next.chain([dfa.next_eoi_state(state)]) {
            if seen.insert(state) {
                left.push(state);
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_text_matches_is_found_out() {
        for pattern in ["$1", "a^", "^a^b", "[a&&b]", r"\d\b\d", "(?:x$)y", "[^\\x00-\\xff]"] {
            assert!(!can_match(pattern), "{pattern}");
        }
    }

    #[test]
    fn what_some_text_matches_can_match() {
        for pattern in
            ["^$", "x*", "^00(\\d{6,15})$", "a|b^", r"\bfoo\b", "(?i)Scanner", "^", "[^a]", "(?m)a$\\nb"]
        {
            assert!(can_match(pattern), "{pattern}");
        }
    }
}
