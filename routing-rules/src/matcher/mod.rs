//! What rules look at: one file for each key of `match`.
//!
//! A condition is checked and compiled once, holds or does not hold without allocating, and can tell whether it covers
//! another: whether it holds wherever the other does.

mod domain;
mod facts;
mod listener;
mod method;
mod registered;
mod sorted;
mod source;
mod transport;
mod user;
mod word_set;
mod zone;

pub(crate) use facts::Facts;

use crate::load::{Keys, Loader, Node};
use domain::Domains;
use listener::Listeners;
use source::Networks;
use user::Users;
use word_set::WordSet;

type Read = fn(&Node<'_>, &mut Loader<'_>) -> Option<Condition>;

/// The keys of `match`, in the order in which conditions are tried: cheapest first.
const KEYS: [(&str, Read); 8] = [
    ("registered", registered::read),
    ("zone", zone::read),
    ("listener", listener::read),
    ("method", method::read),
    ("transport", transport::read),
    ("source", source::read),
    ("domain", domain::read),
    ("user", user::read),
];

/// Keys of `match` that the language has but this version has not.
const LATER: &[&str] = &["time", "from", "to", "header", "percentage", "not", "tag", "identity"];

/// One compiled key of a `match`.
#[derive(Debug)]
enum Condition {
    Registered(bool),
    Zone(WordSet),
    Listener(Listeners),
    Method(WordSet),
    Transport(WordSet),
    Source(Networks),
    Domain(Domains),
    User(Users),
}

impl Condition {
    fn holds(&self, facts: &Facts<'_>) -> bool {
        match self {
            Self::Registered(registered) => *registered == facts.registered,
            Self::Zone(zones) => zones.overlaps(facts.zone),
            Self::Listener(listeners) => listeners.contains(facts.listener),
            Self::Method(methods) => methods.overlaps(facts.method),
            Self::Transport(transports) => transports.overlaps(facts.transport),
            Self::Source(networks) => networks.contains(facts.source),
            Self::Domain(domains) => domains.contains(facts.domain),
            Self::User(users) => users.contains(facts.user),
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
            (Self::Source(a), Self::Source(b)) => a.covers(b),
            (Self::Domain(a), Self::Domain(b)) => a.covers(b),
            (Self::User(a), Self::User(b)) => a.covers(b),
            _ => false,
        }
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
        let table = node.table(loader, &Keys { known: &known, later: LATER })?;
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
            match read(&node, loader) {
                Some(condition) => conditions.push(condition),
                None => complete = false,
            }
        }
        complete.then_some(Self { conditions })
    }

    pub(crate) fn holds(&self, facts: &Facts<'_>) -> bool {
        self.conditions.iter().all(|condition| condition.holds(facts))
    }

    /// Whether this `match` surely holds wherever `other` does.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.conditions.iter().all(|a| other.conditions.iter().any(|b| a.covers(b)))
    }
}
