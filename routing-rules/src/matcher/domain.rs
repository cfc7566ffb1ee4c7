//! `match.domain`: the host of the Request-URI. Names compare without case (RFC 3261 §19.1.4), addresses by value.

use std::cmp::Ordering;
use std::net::IpAddr;

use super::Condition;
use super::sorted::{Prefixes, Whole};
use crate::limits::MAX_DOMAIN_BYTES;
use crate::load::{Loader, Node};

const EXPECTED: &str = "a domain such as example.com, *.example.com or 192.0.2.1";

/// Domains of which any may be the one.
#[derive(Debug)]
pub(super) struct Domains {
    /// In lower case.
    names: Whole,
    /// What follows the `*`, dot included, in lower case and back to front: so the end of a name is its prefix.
    endings: Prefixes,
    addresses: Vec<IpAddr>,
}

/// One item of the key.
enum Item {
    Name(Box<[u8]>),
    Ending(Box<[u8]>),
    Address(IpAddr),
}

pub(super) fn read(node: &Node<'_>, loader: &mut Loader<'_>) -> Option<Condition> {
    let (mut names, mut endings, mut addresses) = (Vec::new(), Vec::new(), Vec::new());
    for item in node.each(loader, read_item)? {
        match item {
            Item::Name(name) => names.push(name),
            Item::Ending(ending) => endings.push(ending),
            Item::Address(address) => addresses.push(address),
        }
    }
    let (names, endings) = (Whole::new(names), Prefixes::new(endings));
    Some(Condition::Domain(Domains { names, endings, addresses }))
}

fn read_item(node: &Node<'_>, loader: &mut Loader<'_>) -> Option<Item> {
    let text = node.text(loader, EXPECTED)?;
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(Item::Address(address));
    }
    let lower = text.to_ascii_lowercase();
    match lower.strip_prefix('*') {
        Some(ending) if ending.strip_prefix('.').is_some_and(is_name) => {
            Some(Item::Ending(ending.bytes().rev().collect()))
        }
        None if is_name(&lower) => Some(Item::Name(lower.into_bytes().into())),
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

/// A host name without the dot that may end it; `_` is not in the grammar but in the field.
fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(is_letter)
    };
    name.len() <= MAX_DOMAIN_BYTES && name.split('.').all(is_label)
}

impl Domains {
    pub(super) fn contains(&self, domain: &str) -> bool {
        if domain.len() > MAX_DOMAIN_BYTES {
            return false;
        }
        self.has_name(domain.as_bytes())
            || self.has_ending_of(lower(domain.as_bytes()).rev())
            || (!self.addresses.is_empty()
                && domain.parse::<IpAddr>().is_ok_and(|address| self.addresses.contains(&address)))
    }

    fn has_name(&self, domain: &[u8]) -> bool {
        self.names.contains_by(|name| name.iter().copied().cmp(lower(domain)))
    }

    /// `backwards` is the domain in lower case and back to front.
    fn has_ending_of(&self, backwards: impl Iterator<Item = u8> + Clone) -> bool {
        let order = |ending: &[u8]| -> Ordering { ending.iter().copied().cmp(backwards.clone()) };
        self.endings.candidate_by(order).is_some_and(|ending| {
            let mut domain = backwards.clone();
            // `*` stands for at least one letter.
            ending.iter().all(|byte| domain.next() == Some(*byte)) && domain.next().is_some()
        })
    }

    pub(super) fn covers(&self, other: &Self) -> bool {
        // A name under one of their endings, however it begins, stands for the ending.
        let under = |ending: &[u8]| {
            self.has_ending_of(ending.iter().copied().chain([b'x']).collect::<Vec<_>>().into_iter())
        };
        other.names.iter().all(|name| self.has_name(name) || self.has_ending_of(lower(name).rev()))
            && other.endings.iter().all(under)
            && other.addresses.iter().all(|address| self.addresses.contains(address))
    }
}

fn lower(domain: &[u8]) -> impl DoubleEndedIterator<Item = u8> + Clone {
    domain.iter().map(u8::to_ascii_lowercase)
}
