//! Rules that can never match, because an earlier one takes everything they would.

use crate::error::quote;
use crate::load::Loader;
use crate::parse::Placed;

/// Reports each rule that one earlier rule covers.
///
/// A rule that only several earlier rules together cover is not found.
pub(crate) fn report(rules: &[Placed], loader: &mut Loader<'_>) {
    for (index, later) in rules.iter().enumerate() {
        let mut earlier = rules.iter().take(index);
        if let Some(first) = earlier.find(|earlier| earlier.rule.matcher.covers(&later.rule.matcher)) {
            let (name, line) = (quote(&first.rule.name), loader.line(first.at));
            let found = format!("a rule that can never match: {name} on line {line} takes all that it would");
            loader.enter_rule(Some(&later.rule.name));
            loader.report(later.at, "match", found, "it above that rule, or a narrower match there");
        }
    }
}
