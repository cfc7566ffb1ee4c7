//! `identity`: who calls, as this edge asserts it to whom it trusts (RFC 3325). From stays what the caller wrote.

use super::host::{BadHost, Host};
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
    host: Option<Host>,
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
    let host = table.get("host").map_or(Some(None), |node| Host::read(&node, matcher, loader).map(Some));
    let name = table.get("name").map_or(Some(None), |node| read_name(&node, matcher, loader).map(Some));
    let private = table.get("private").map_or(Some(false), |node| node.boolean(loader));
    Some(Caller { user: user?, host: host?, name: name?, private: private? })
}

fn read_name(node: &Node<'_>, matcher: Option<&Matcher>, loader: &mut Loader<'_>) -> Option<Template> {
    let template = Template::read(node, Place::Header, matcher, loader)?;
    match template.fixed() {
        Some(name) if name.contains(['"', '\\', '<', '>']) => {
            node.refuse(loader, "a name without quotes, backslashes and angle brackets")
        }
        _ => Some(template),
    }
}

impl Caller {
    pub(super) fn write(&self, matcher: &Matcher, facts: &Facts) -> Result<Identity, BadHost> {
        let host = self.host.as_ref().map(|host| host.write(matcher, facts)).transpose()?;
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
