//! Compiled rules, and how they answer.

use crate::action::Outcome;
use crate::limits::MAX_USER_BYTES;
use crate::matcher::{Facts, Matcher};
use crate::query::{Action, Decision, Query};
use crate::{Names, RuleError, parse};

/// Rules, checked and compiled. The default has none, so nothing matches.
#[derive(Debug, Default)]
pub struct Rules {
    rules: Vec<Rule>,
}

/// One rule.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) name: Box<str>,
    pub(crate) matcher: Matcher,
    pub(crate) outcome: Outcome,
}

impl Rules {
    /// Reads the text of a routes file. `file` is how errors call it.
    ///
    /// # Errors
    /// Everything that is wrong with the text, in its order, at most 100 entries and a count of the rest. If the text
    /// is not TOML, only that is reported.
    pub fn parse(text: &str, file: &str, names: &Names<'_>) -> Result<Self, Vec<RuleError>> {
        parse::rules(text, file, names).map(|rules| Self { rules })
    }

    /// One rule, named "default", that sends everything to one pool: for a configuration without a routes file.
    pub fn single_pool(pool: usize) -> Self {
        let outcome = Outcome::Pool { pool, balance: None };
        Self { rules: vec![Rule { name: "default".into(), matcher: Matcher::default(), outcome }] }
    }

    /// The first rule that matches decides. Looks at each rule at most once, and does not allocate; only a regex makes
    /// its working memory when a thread first uses it.
    ///
    /// A user part longer than [`MAX_USER_BYTES`] matches nothing, not even a rule without conditions.
    pub fn evaluate(&self, query: &Query<'_>) -> Decision<'_> {
        let mut unescaped = [0; MAX_USER_BYTES];
        Facts::of(query, &mut unescaped)
            .and_then(|facts| self.rules.iter().find(|rule| rule.matcher.holds(&facts)))
            .map_or(Decision { rule: None, action: Action::NoMatch }, |rule| Decision {
                rule: Some(&rule.name),
                action: rule.outcome.action(),
            })
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The names of the rules, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| &*rule.name)
    }
}
