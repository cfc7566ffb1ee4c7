//! What rules do: one file for each key.

mod host;
mod identity;
mod limit;
mod reason;
mod redirect;
mod reject;
mod route;
mod set;
mod tag;
mod template;

pub(crate) use redirect::write_contacts;
pub(crate) use set::Set;
pub(crate) use template::Template;

use crate::load::{Loader, Table};
use crate::matcher::Matcher;
use crate::query::Limit;
use crate::words::{Balance, read_label};

const ROUTE: &str = "route";
const REJECT: &str = "reject";
const REDIRECT: &str = "redirect";
const NEXT: &str = "next";
const ONE_ACTION: &str = "exactly one of: route, reject, redirect, next";

/// What becomes of a request that a rule holds for.
#[derive(Debug)]
pub(crate) enum Outcome {
    Pool {
        pool: usize,
        balance: Option<Balance>,
        tag: Option<Box<str>>,
        region: Option<Box<str>>,
        fallback: Box<[usize]>,
    },
    Bindings {
        fork: bool,
    },
    Reject {
        status: u16,
        reason: Box<str>,
        retry_after: Option<u32>,
    },
    Redirect {
        status: u16,
        contacts: Vec<Template>,
    },
    /// The rules below decide.
    Next,
}

impl Outcome {
    /// Whether a message leaves, so that changes of it have an effect.
    const fn sends(&self) -> bool {
        matches!(self, Self::Pool { .. } | Self::Bindings { .. } | Self::Next)
    }
}

/// All that a rule does.
#[derive(Debug)]
pub(crate) struct Deeds {
    pub(crate) outcome: Outcome,
    pub(crate) set: Option<Box<Set>>,
    pub(crate) limit: Option<Box<Limit>>,
    pub(crate) tags: Vec<u32>,
    pub(crate) media: Option<Box<str>>,
}

/// Reads everything that a rule does. `matcher` is what its captures come from; `None` when that is wrong itself.
pub(crate) fn read(rule: &Table<'_>, matcher: Option<&Matcher>, loader: &mut Loader<'_>) -> Option<Deeds> {
    let outcome = read_outcome(rule, matcher, loader);
    let set = set::read(rule, matcher, loader);
    let limit = rule.get("limit").map_or(Some(None), |node| limit::read(&node, loader).map(Some));
    let tags = rule.get("tag").map_or(Some(Vec::new()), |node| tag::read(&node, loader));
    let media = rule
        .get("media")
        .map_or(Some(None), |node| read_label(&node, loader, "the name of a media profile").map(Some));
    let deeds = Deeds {
        outcome: outcome?,
        set: set?.map(Box::new),
        limit: limit?.map(Box::new),
        tags: tags?,
        media: media?,
    };
    without_effect(rule, &deeds, loader)?;
    Some(deeds)
}

/// What has no effect is most likely a mistake.
fn without_effect(rule: &Table<'_>, deeds: &Deeds, loader: &mut Loader<'_>) -> Option<()> {
    if !deeds.outcome.sends() {
        let useless = ["set", "remove", "identity", "limit", "media"];
        if let Some(node) = useless.into_iter().find_map(|key| rule.get(key)) {
            let found = format!("{} beside an answer of our own", node.path);
            return node.refuse_as(loader, found, "it only beside route or next = true");
        }
    }
    let is_idle =
        deeds.set.is_none() && deeds.limit.is_none() && deeds.tags.is_empty() && deeds.media.is_none();
    if matches!(deeds.outcome, Outcome::Next) && is_idle {
        return rule.refuse_missing(
            loader,
            NEXT,
            "something to do before going on: set, remove, limit, tag, …",
        );
    }
    Some(())
}

fn read_outcome(rule: &Table<'_>, matcher: Option<&Matcher>, loader: &mut Loader<'_>) -> Option<Outcome> {
    let mut found = Vec::new();
    for key in [ROUTE, REJECT, REDIRECT, NEXT] {
        let Some(node) = rule.get(key) else { continue };
        // All are read for the errors inside them.
        let outcome = match key {
            ROUTE => route::read(&node, loader),
            REJECT => reject::read(&node, loader),
            REDIRECT => redirect::read(&node, matcher, loader),
            _ => match node.boolean(loader) {
                Some(true) => Some(Outcome::Next),
                Some(false) => node.refuse(loader, "true, or no such key"),
                None => None,
            },
        };
        found.push((key, node, outcome));
    }
    match &found[..] {
        [] if rule.has_foreign_keys => None,
        [] => rule.refuse_missing(loader, ROUTE, ONE_ACTION),
        [_] => found.pop().and_then(|(_, _, outcome)| outcome),
        [(first, ..), (_, second, _), ..] => {
            second.refuse_as(loader, format!("a second action beside {first}"), ONE_ACTION)
        }
    }
}
