//! What rules look at: one file for each key of `match`.
//!
//! A condition is checked and compiled once, holds or does not hold without allocating, and can tell whether it covers
//! another: whether it holds wherever the other does.

mod domain;
mod facts;
mod header;
mod listener;
mod memo;
mod method;
mod party;
mod percentage;
mod region;
mod registered;
mod sorted;
mod source;
mod texts;
mod time;
mod transport;
mod user;
mod word_set;
mod zone;

pub(crate) use domain::Domains;
pub(crate) use facts::{Asked, Facts, TooLong};
pub(crate) use memo::{Memo, Remembered};
pub(crate) use source::Networks;
pub(crate) use texts::Texts;

use crate::compile::{Compiled, Subject};
use crate::load::{Keys, Loader, Node};
use listener::Listeners;
use region::Regions;
use time::Window;
use word_set::WordSet;

type Read = fn(&Node<'_>, &mut Loader<'_>, &mut Vec<Condition>) -> Option<()>;

/// The keys of `match`, in the order in which conditions are tried: cheapest first.
const KEYS: [(&str, Read); 15] = [
    ("registered", |node, loader, out| add(registered::read(node, loader), out)),
    ("zone", |node, loader, out| add(zone::read(node, loader), out)),
    ("listener", |node, loader, out| add(listener::read(node, loader), out)),
    ("method", |node, loader, out| add(method::read(node, loader), out)),
    ("transport", |node, loader, out| add(transport::read(node, loader), out)),
    ("region", |node, loader, out| add(region::read(node, loader), out)),
    ("percentage", |node, loader, out| add(percentage::read(node, loader), out)),
    ("source", |node, loader, out| add(source::read(node, loader), out)),
    ("domain", |node, loader, out| add(domain::read(node, loader), out)),
    ("user", |node, loader, out| add(user::read(node, loader), out)),
    ("from", |node, loader, out| add(party::read_from(node, loader), out)),
    ("to", |node, loader, out| add(party::read_to(node, loader), out)),
    ("header", header::read),
    ("time", |node, loader, out| add(time::read(node, loader), out)),
    ("not", |node, loader, out| add(read_not(node, loader), out)),
];

fn add(condition: Option<Condition>, out: &mut Vec<Condition>) -> Option<()> {
    condition.map(|condition| out.push(condition))
}

/// One compiled key of a `match`.
#[derive(Debug)]
pub(crate) enum Condition {
    Registered(bool),
    Zone(WordSet),
    Listener(Listeners),
    Method(WordSet),
    Transport(WordSet),
    Region(Regions),
    /// The calls whose ten-thousandth is below this.
    Percentage(u16),
    Source(Networks),
    Domain(Domains),
    Text(Subject, Texts),
    Time(Box<Window>),
    Not(Matcher),
}

impl Condition {
    pub(crate) fn holds(&self, facts: &Facts, memo: &mut Memo<'_>) -> bool {
        match self {
            Self::Registered(registered) => *registered == facts.registered,
            Self::Zone(zones) => zones.overlaps(facts.zone),
            Self::Listener(listeners) => listeners.contains(facts.listener),
            Self::Method(methods) => methods.overlaps(facts.method),
            Self::Transport(transports) => transports.overlaps(facts.transport),
            Self::Region(regions) => regions.contains(&facts.region),
            Self::Percentage(share) => facts.share < *share,
            Self::Source(networks) => networks.contains(facts.source),
            Self::Domain(domains) => domains.contains(facts),
            Self::Text(subject, texts) => texts.holds(*subject, facts, memo),
            Self::Time(window) => window.holds(facts.time, memo),
            Self::Not(matcher) => !matcher.holds(facts, memo),
        }
    }

    /// Whether this condition is of the same key as `other` and holds wherever that one does.
    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Registered(a), Self::Registered(b)) => a == b,
            (Self::Zone(a), Self::Zone(b))
            | (Self::Method(a), Self::Method(b))
            | (Self::Transport(a), Self::Transport(b)) => a.covers(*b),
            (Self::Listener(a), Self::Listener(b)) => a.covers(b),
            (Self::Region(a), Self::Region(b)) => a.covers(b),
            (Self::Percentage(a), Self::Percentage(b)) => a >= b,
            (Self::Source(a), Self::Source(b)) => a.covers(b),
            (Self::Domain(a), Self::Domain(b)) => a.covers(b),
            (Self::Text(a, ours), Self::Text(b, theirs)) => a == b && ours.covers(theirs),
            (Self::Time(a), Self::Time(b)) => a == b,
            // What they except, we must not except more of.
            (Self::Not(a), Self::Not(b)) => b.covers(a),
            _ => false,
        }
    }

    /// The key as a routes file has it.
    fn key(&self, shared: &Compiled) -> String {
        let key = match self {
            Self::Registered(_) => "registered",
            Self::Zone(_) => "zone",
            Self::Listener(_) => "listener",
            Self::Method(_) => "method",
            Self::Transport(_) => "transport",
            Self::Region(_) => "region",
            Self::Percentage(_) => "percentage",
            Self::Source(_) => "source",
            Self::Domain(_) => "domain",
            Self::Text(Subject::USER, _) => "user",
            Self::Text(Subject::FROM, _) => "from",
            Self::Text(Subject::TO, _) => "to",
            Self::Text(Subject(number), _) => {
                let header = number.checked_sub(Subject::header(0).0).and_then(|at| shared.headers.get(at));
                return format!("header.{}", header.map_or("", |name| name));
            }
            Self::Time(_) => "time",
            Self::Not(_) => "not",
        };
        key.to_owned()
    }
}

/// A compiled `match`: all conditions hold together. The default has none, and always holds.
#[derive(Debug, Default)]
pub(crate) struct Matcher {
    conditions: Vec<Condition>,
}

impl Matcher {
    pub(crate) fn read(node: &Node<'_>, loader: &mut Loader<'_>) -> Option<Self> {
        let known = KEYS.map(|(key, _)| key);
        let table = node.table(loader, &Keys { known: &known })?;
        if table.is_empty() {
            // Most likely its last key was taken out, which would turn the rule into one for everything.
            return node.refuse_as(
                loader,
                "an empty table",
                "at least one key, or no match at all for every request",
            );
        }
        let mut complete = !table.has_foreign_keys;
        let mut conditions = Vec::new();
        for (key, read) in KEYS {
            let Some(node) = table.get(key) else { continue };
            complete &= read(&node, loader, &mut conditions).is_some();
        }
        complete.then_some(Self { conditions })
    }

    pub(crate) fn holds(&self, facts: &Facts, memo: &mut Memo<'_>) -> bool {
        self.first_failure(facts, memo).is_none()
    }

    /// The first condition that does not hold.
    fn first_failure(&self, facts: &Facts, memo: &mut Memo<'_>) -> Option<&Condition> {
        self.conditions.iter().find(|condition| !condition.holds(facts, memo))
    }

    /// The key of the first condition that does not hold.
    pub(crate) fn failed_key(&self, facts: &Facts, memo: &mut Memo<'_>, shared: &Compiled) -> Option<String> {
        self.first_failure(facts, memo).map(|condition| condition.key(shared))
    }

    /// Whether this `match` surely holds wherever `other` does.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.conditions.iter().all(|a| other.conditions.iter().any(|b| a.covers(b)))
    }

    pub(crate) fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    /// What the `match` says about a subject, if anything.
    pub(crate) fn texts(&self, subject: Subject) -> Option<&Texts> {
        self.conditions.iter().find_map(|condition| match condition {
            Condition::Text(own, texts) if *own == subject => Some(texts),
            _ => None,
        })
    }

    /// Whether a condition, also one inside a `not`, satisfies `test`.
    pub(crate) fn any(&self, test: &impl Fn(&Condition) -> bool) -> bool {
        self.conditions.iter().any(|condition| match condition {
            Condition::Not(inner) => inner.any(test),
            condition => test(condition),
        })
    }
}

/// `match.not`: what must not hold together.
fn read_not(node: &Node<'_>, loader: &mut Loader<'_>) -> Option<Condition> {
    if node.child("not").is_some() {
        return node.refuse_as(loader, "a not inside a not", "the keys of the inner one beside this one");
    }
    Matcher::read(node, loader).map(Condition::Not)
}
