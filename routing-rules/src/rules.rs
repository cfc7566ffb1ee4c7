//! Compiled rules, and how they answer.

use crate::action::{Deeds, Outcome, write_contacts};
use crate::compile::Compiled;
use crate::explain::Tried;
use crate::index::{Candidates, Index};
use crate::matcher::{Facts, Matcher, Memo, Remembered};
use crate::query::{Action, Changes, Decision, Limit, Query, ToPool};
use crate::regex_set::RegexSet;
use crate::{Files, Names, NoFiles, RuleError, parse};

/// Rules, checked and compiled. The default has none, so nothing matches.
#[derive(Debug, Default)]
pub struct Rules {
    rules: Vec<Rule>,
    shared: Compiled,
    regexes: Vec<Option<RegexSet>>,
    index: Index,
}

/// One rule.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) name: Box<str>,
    /// Where it begins in its file, counted from 1.
    pub(crate) line: usize,
    pub(crate) matcher: Matcher,
    pub(crate) deeds: Deeds,
}

/// Memory that evaluation uses again and again: one for each thread.
#[derive(Debug, Default)]
pub struct Scratch {
    facts: Facts,
    remembered: Remembered,
    held: Vec<u32>,
    changes: Changes,
    contacts: Vec<String>,
}

/// How a walk through the rules ended.
enum End {
    /// At this rule.
    Decided(u32),
    /// At this rule, whose captures made a host that is none.
    BadHost(u32),
    /// Nowhere.
    NoRule,
}

impl Rules {
    /// Reads the text of a routes file that names no other files. `file` is how errors call it.
    ///
    /// # Errors
    /// Everything that is wrong with the text, in its order, at most 100 entries and a count of the rest. If the text
    /// is not TOML, only that is reported.
    pub fn parse(text: &str, file: &str, names: &Names<'_>) -> Result<Self, Vec<RuleError>> {
        Self::load(text, file, names, &NoFiles)
    }

    /// Reads the text of a routes file, and through `files` the files that it names.
    ///
    /// # Errors
    /// As [`Rules::parse`], with what is wrong in the files it names.
    pub fn load(
        text: &str,
        file: &str,
        names: &Names<'_>,
        files: &dyn Files,
    ) -> Result<Self, Vec<RuleError>> {
        parse::rules(text, file, names, files)
    }

    /// One rule, named "default", that sends everything to one pool: for a configuration without a routes file.
    pub fn single_pool(pool: usize) -> Self {
        let outcome =
            Outcome::Pool { pool, balance: None, tag: None, region: None, fallback: Box::default() };
        let deeds = Deeds { outcome, set: None, limit: None, tags: Vec::new(), media: None };
        let rule = Rule { name: "default".into(), line: 1, matcher: Matcher::default(), deeds };
        let index = Index::new([&rule.matcher].into_iter(), &[]);
        Self { rules: vec![rule], index, ..Self::default() }
    }

    pub(crate) fn new(
        rules: Vec<Rule>,
        shared: Compiled,
        regexes: Vec<Option<RegexSet>>,
        index: Index,
    ) -> Self {
        Self { rules, shared, regexes, index }
    }

    /// The first rule that holds decides, after all with `next = true` above it have had their say. Does not allocate,
    /// but for what such rules write, and for the working memory that a thread's first regex makes.
    ///
    /// A user part longer than [`crate::MAX_USER_BYTES`], or a compared header longer than
    /// [`crate::MAX_HEADER_BYTES`], matches nothing, not even a rule without conditions.
    pub fn evaluate<'s>(&'s self, query: &Query<'_>, scratch: &'s mut Scratch) -> Decision<'s> {
        let end = self.walk(query, scratch, None);
        self.decision(&end, scratch)
    }

    /// The same answer, with every rule that was tried for it.
    pub(crate) fn evaluate_watched<'s>(
        &'s self,
        query: &Query<'_>,
        scratch: &'s mut Scratch,
        tried: &mut Vec<Tried<'s>>,
    ) -> Decision<'s> {
        let end = self.walk(query, scratch, Some(tried));
        self.decision(&end, scratch)
    }

    /// Through the rules, until one decides. Who watches sees all of them tried.
    fn walk<'s>(
        &'s self,
        query: &Query<'_>,
        scratch: &mut Scratch,
        mut watcher: Option<&mut Vec<Tried<'s>>>,
    ) -> End {
        scratch.held.clear();
        scratch.contacts.clear();
        scratch.changes.clear();
        if scratch.facts.read(query, self.shared.asks, &self.shared.headers).is_err() {
            return End::NoRule;
        }
        let mut memo = Memo::new(&self.regexes, &mut scratch.remembered);
        let mut from = 0;
        'look: loop {
            let candidates = match watcher {
                Some(_) => Candidates::all(from, self.rules.len()),
                None => self.index.candidates(&scratch.facts, &mut memo, from),
            };
            let asked = scratch.facts.asked();
            let found = candidates.found();
            for id in candidates {
                let Some(rule) = self.rules.get(id as usize) else { continue };
                let failed = match &mut watcher {
                    Some(tried) => {
                        let failed = rule.matcher.failed_key(&scratch.facts, &mut memo, &self.shared);
                        let holds = failed.is_none();
                        tried.push(Tried { rule: &rule.name, line: rule.line, failed });
                        !holds
                    }
                    None => !self.index.holds(id, &rule.matcher, &asked, found, &scratch.facts, &mut memo),
                };
                if failed {
                    continue;
                }
                scratch.held.push(id);
                let facts = &mut scratch.facts;
                if let Some(set) = &rule.deeds.set
                    && set.apply(&rule.matcher, facts, &mut scratch.changes).is_err()
                {
                    return End::BadHost(id);
                }
                match &rule.deeds.outcome {
                    Outcome::Next => {}
                    Outcome::Redirect { contacts, .. } => {
                        write_contacts(contacts, &rule.matcher, facts, &mut scratch.contacts);
                        return End::Decided(id);
                    }
                    _ => return End::Decided(id),
                }
                if rule.deeds.set.is_some() {
                    if self.take_over(query, rule, facts, &scratch.changes).is_err() {
                        return End::NoRule;
                    }
                    // What follows is asked about the request as it is now.
                    memo.forget();
                    from = id + 1;
                    continue 'look;
                }
            }
            return End::NoRule;
        }
    }

    /// Lets the rules below see what a rule has changed.
    fn take_over(
        &self,
        query: &Query<'_>,
        rule: &Rule,
        facts: &mut Facts,
        changes: &Changes,
    ) -> Result<(), crate::matcher::TooLong> {
        let Some(set) = &rule.deeds.set else { return Ok(()) };
        if set.changes_user() {
            facts.set_user(changes.user.as_deref().unwrap_or_default().as_bytes())?;
        }
        if set.changes_host() {
            facts.set_domain(changes.host.as_deref().unwrap_or_default());
        }
        if self.shared.asks.registered && (set.changes_user() || set.changes_host()) {
            let user = changes.user.as_deref().unwrap_or(query.user);
            let domain = changes.host.as_deref().unwrap_or(query.domain);
            facts.set_registered(query.lookup.registered(user, domain));
        }
        for name in set.headers() {
            let same = |own: &String| own.eq_ignore_ascii_case(name);
            let Some(number) = self.shared.headers.iter().position(same) else { continue };
            let change = changes.headers.iter().find(|change| change.name.eq_ignore_ascii_case(name));
            facts.set_header(number, change.and_then(|change| change.value.as_deref()));
        }
        Ok(())
    }

    fn decision<'s>(&'s self, end: &End, scratch: &'s Scratch) -> Decision<'s> {
        let rule = |id: &u32| self.rules.get(*id as usize);
        let (decider, action) = match end {
            End::NoRule => (None, Action::NoMatch),
            End::Decided(id) => (rule(id), rule(id).map_or(Action::NoMatch, |rule| action_of(rule, scratch))),
            End::BadHost(id) => {
                (rule(id), Action::Reject { status: 400, reason: "Bad Request", retry_after: None })
            }
        };
        let media = scratch.held.iter().rev().filter_map(rule).find_map(|rule| rule.deeds.media.as_deref());
        Decision {
            rule: decider.map(|rule| &*rule.name),
            action,
            held: &scratch.held,
            changes: &scratch.changes,
            media,
        }
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The names of the rules, in their order: a rule's number is its place.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| &*rule.name)
    }

    /// The name of the rule with this number.
    pub fn name(&self, rule: u32) -> Option<&str> {
        self.rules.get(rule as usize).map(|rule| &*rule.name)
    }

    /// What the rule with this number lets through.
    pub fn limit(&self, rule: u32) -> Option<&Limit> {
        self.rules.get(rule as usize)?.deeds.limit.as_deref()
    }

    /// The tags of the rule with this number.
    pub fn tags(&self, rule: u32) -> impl Iterator<Item = &str> {
        let tags = self.rules.get(rule as usize).map_or(&[][..], |rule| &rule.deeds.tags);
        tags.iter().filter_map(|tag| self.shared.tags.get(*tag as usize)).map(String::as_str)
    }

    /// All tags that rules give.
    pub fn tag_names(&self) -> impl Iterator<Item = &str> {
        self.shared.tags.iter().map(String::as_str)
    }
}

fn action_of<'s>(rule: &'s Rule, scratch: &'s Scratch) -> Action<'s> {
    match &rule.deeds.outcome {
        Outcome::Pool { pool, balance, tag, region, fallback } => Action::Pool(ToPool {
            pool: *pool,
            balance: *balance,
            tag: tag.as_deref(),
            region: region.as_deref(),
            fallback,
        }),
        Outcome::Bindings { fork } => Action::Bindings { fork: *fork },
        Outcome::Reject { status, reason, retry_after } => {
            Action::Reject { status: *status, reason, retry_after: *retry_after }
        }
        Outcome::Redirect { status, .. } => Action::Redirect { status: *status, contacts: &scratch.contacts },
        Outcome::Next => Action::NoMatch,
    }
}
