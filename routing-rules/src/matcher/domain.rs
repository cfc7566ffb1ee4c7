//! `match.domain`: the host of the Request-URI. Names compare without case (RFC 3261 §19.1.4), addresses by value.

use std::net::IpAddr;

use super::facts::write_domain;
use super::sorted::{Prefixes, Whole};
use super::{Condition, Facts};
use crate::load::{Loader, Node};
use crate::words::is_host_name;

const EXPECTED: &str = "a domain such as example.com, *.example.com or 192.0.2.1";

/// Domains of which any may be the one.
#[derive(Debug)]
pub(crate) struct Domains {
    /// In lower case; addresses in their usual form.
    pub(crate) names: Whole,
    /// What follows the `*`, dot included, in lower case and back to front: so the end of a name is its prefix.
    pub(crate) endings: Prefixes,
}

/// One item of the key.
enum Item {
    Name(Box<[u8]>),
    Ending(Box<[u8]>),
}

pub(super) fn read(node: &Node<'_>, loader: &mut Loader<'_>) -> Option<Condition> {
    let (mut names, mut endings) = (Vec::new(), Vec::new());
    for item in node.each(loader, read_item)? {
        match item {
            Item::Name(name) => names.push(name),
            Item::Ending(ending) => endings.push(ending),
        }
    }
    Some(Condition::Domain(Domains { names: Whole::new(names), endings: Prefixes::new(endings) }))
}

fn read_item(node: &Node<'_>, loader: &mut Loader<'_>) -> Option<Item> {
    let text = node.text(loader, EXPECTED)?;
    let mut lower = String::new();
    if text.parse::<IpAddr>().is_ok() {
        write_domain(text, &mut lower);
        return Some(Item::Name(lower.into_bytes().into()));
    }
    lower.extend(text.chars().map(|c| c.to_ascii_lowercase()));
    match lower.strip_prefix('*') {
        Some(ending) if ending.strip_prefix('.').is_some_and(is_host_name) => {
            Some(Item::Ending(ending.bytes().rev().collect()))
        }
        None if is_host_name(&lower) => Some(Item::Name(lower.into_bytes().into())),
        _ => node.refuse(loader, expected_instead_of(text)),
    }
}

/// What was most likely meant.
fn expected_instead_of(text: &str) -> String {
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match inner.filter(|inner| inner.parse::<IpAddr>().is_ok()) {
        Some(address) => format!("the address without brackets: {address}"),
        None => EXPECTED.to_owned(),
    }
}

impl Domains {
    pub(super) fn contains(&self, facts: &Facts) -> bool {
        self.names.contains(facts.domain.as_bytes()) || self.has_ending_of(&facts.reversed)
    }

    /// `*` stands for at least one letter, so the domain's first letter is not compared.
    fn has_ending_of(&self, reversed: &[u8]) -> bool {
        reversed.split_last().is_some_and(|(_, most)| self.endings.has_prefix_of(most))
    }

    pub(super) fn covers(&self, other: &Self) -> bool {
        let reversed = |name: &[u8]| name.iter().rev().copied().collect::<Vec<u8>>();
        other.names.iter().all(|name| self.names.contains(name) || self.has_ending_of(&reversed(name)))
            // Any domain under one of their endings is longer than it.
            && other.endings.iter().all(|ending| self.endings.has_prefix_of(ending))
    }
}
