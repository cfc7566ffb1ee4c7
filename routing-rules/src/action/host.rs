//! The host that a rule writes, in a Request-URI or an identity: a name or an address, whatever captures make of it.

use std::net::IpAddr;

use super::template::{Place, Template};
use crate::load::{Loader, Node};
use crate::matcher::{Facts, Matcher};
use crate::words::is_host_name;

/// A host as it is written in the rule.
#[derive(Debug)]
pub(super) struct Host(Template);

/// What captures made of a host is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadHost;

impl Host {
    pub(super) fn read(node: &Node<'_>, matcher: Option<&Matcher>, loader: &mut Loader<'_>) -> Option<Self> {
        let template = Template::read(node, Place::Host, matcher, loader)?;
        match template.fixed() {
            Some(host) if !is_host(host) => {
                node.refuse(loader, "a host name or an address, without port and brackets")
            }
            _ => Some(Self(template)),
        }
    }

    pub(super) fn write(&self, matcher: &Matcher, facts: &Facts) -> Result<String, BadHost> {
        let host = self.0.write(Place::Host, matcher, facts);
        if is_host(&host) { Ok(host) } else { Err(BadHost) }
    }
}

fn is_host(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok() || is_host_name(host)
}
