//! `identity`: who calls, as this edge asserts it to whom it trusts (RFC 3325). From stays what the caller wrote.

use super::set::{BadHost, is_host};
use super::template::{Place, Template};
use crate::load::{Keys, Loader, Node};
use crate::matcher::{Facts, Matcher};
use crate::query::Identity;

const KEYS: Keys<'_> = Keys { known: &["user", "host", "name", "private"] };
const USER: &str = "the caller's user part or number";

/// Who calls.
#[derive(Debug)]
pub(super) struct Caller {
    user: Template,
    host: Option<Template>,
    name: Option<Template>,
    private: bool,
}

pub(super) fn read(node: &Node<'_>, matcher: Option<&Matcher>, loader: &mut Loader<'_>) -> Option<Caller> {
    let table = node.table(loader, &KEYS)?;
    let user = match table.get("user") {
        Some(user) => Template::read(&user, Place::Uri, matcher, loader),
        None if table.has_foreign_keys => None,
        None => table.refuse_missing(loader, "user", USER),
    };
    let mut text = |key: &str, place: Place| match table.get(key) {
        Some(node) => Template::read(&node, place, matcher, loader).map(|template| Some((node, template))),
        None => Some(None),
    };
    let host = text("host", Place::Host);
    let name = text("name", Place::Header);
    let private = table.get("private").map_or(Some(false), |node| node.boolean(loader));
    if let Some(Some((node, template))) = &host
        && template.fixed().is_some_and(|host| !is_host(host))
    {
        return node.refuse(loader, "a host name or an address, without port and brackets");
    }
    if let Some(Some((node, template))) = &name
        && template.fixed().is_some_and(|name| name.contains(['"', '\\', '<', '>']))
    {
        return node.refuse(loader, "a name without quotes, backslashes and angle brackets");
    }
    let without_node = |one: Option<(Node<'_>, Template)>| one.map(|(_, template)| template);
    Some(Caller { user: user?, host: without_node(host?), name: without_node(name?), private: private? })
}

impl Caller {
    pub(super) fn write(&self, matcher: &Matcher, facts: &Facts) -> Result<Identity, BadHost> {
        let host = self.host.as_ref().map(|host| host.write(Place::Host, matcher, facts));
        if host.as_deref().is_some_and(|host| !is_host(host)) {
            return Err(BadHost);
        }
        let name = self.name.as_ref().map(|name| name.write(Place::Header, matcher, facts));
        Ok(Identity {
            user: self.user.write(Place::Uri, matcher, facts),
            host,
            // The operator's own words are checked; those around captures may still hold a quote.
            name: name.map(|name| name.replace(['"', '\\'], "")),
            private: self.private,
        })
    }
}
