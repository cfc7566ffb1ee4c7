//! Rules that can never match, because an earlier one takes everything they would.

use crate::action::Outcome;
use crate::compile::Subject;
use crate::error::quote;
use crate::index::Index;
use crate::load::Loader;
use crate::matcher::{Condition, Matcher};
use crate::parse::Placed;
use crate::regex_set::RegexSet;

/// How many rules above have changed what later rules look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Changed {
    user: u32,
    host: u32,
    headers: u32,
}

/// Reports each rule that one earlier rule covers.
///
/// A rule that only several earlier rules together cover is not found.
pub(crate) fn report(rules: &[Placed], index: &Index, regexes: &[Option<RegexSet>], loader: &mut Loader<'_>) {
    let changed = changes_above(rules);
    for (id, later) in rules.iter().enumerate() {
        let mut first: Option<usize> = None;
        index.may_cover(&later.rule.matcher, regexes, &mut |ids| {
            let earlier = ids.iter().map(|id| *id as usize).take_while(|other| *other < first.unwrap_or(id));
            for other in earlier {
                let (Some(earlier), Some(then), Some(now)) =
                    (rules.get(other), changed.get(other), changed.get(id))
                else {
                    continue;
                };
                if takes_all(earlier, &later.rule.matcher, then, now) {
                    first = Some(other);
                    return;
                }
            }
        });
        let Some(first) = first.and_then(|first| rules.get(first)) else { continue };
        let (name, line) = (quote(&first.rule.name), loader.line(first.at));
        let found = format!("a rule that can never match: {name} on line {line} takes all that it would");
        loader.enter_rule(Some(&later.rule.name));
        loader.report(later.at, "match", found, "it above that rule, or a narrower match there");
    }
}

fn changes_above(rules: &[Placed]) -> Vec<Changed> {
    let mut so_far = Changed::default();
    let above = |placed: &Placed| {
        let before = so_far;
        if let (Outcome::Next, Some(set)) = (&placed.rule.deeds.outcome, &placed.rule.deeds.set) {
            so_far.user += u32::from(set.changes_user());
            so_far.host += u32::from(set.changes_host());
            so_far.headers += u32::from(set.headers().next().is_some());
        }
        before
    };
    rules.iter().map(above).collect()
}

/// Whether nothing is left for `later`. What a rule between the two changes, the earlier one must not have asked for.
fn takes_all(earlier: &Placed, later: &Matcher, then: &Changed, now: &Changed) -> bool {
    let decides = !matches!(earlier.rule.deeds.outcome, Outcome::Next);
    let asks_what_changed = |condition: &Condition| match condition {
        Condition::Text(Subject::USER, _) => then.user != now.user,
        Condition::Text(Subject::FROM | Subject::TO, _) => false,
        Condition::Text(..) => then.headers != now.headers,
        Condition::Domain(_) => then.host != now.host,
        Condition::Registered(_) => (then.user, then.host) != (now.user, now.host),
        _ => false,
    };
    decides && earlier.rule.matcher.covers(later) && !earlier.rule.matcher.any(&asks_what_changed)
}
