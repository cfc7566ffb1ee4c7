//! The proxy in front of a carrier: stateless (RFC 3261 §16.11), stays in the path by Record-Route.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;

use sbc_core::wire::Via;

use crate::ua::Output;
use crate::ua::message::{Message, address_uri, uri_address};

/// A proxy between the network and one endpoint behind it.
#[derive(Debug)]
pub(super) struct Front {
    /// Its own address: all that the network sees.
    pub(super) address: SocketAddr,
    /// Where requests outside dialogs leave to.
    pub(super) edge: SocketAddr,
}

impl Front {
    /// A message from the network as the endpoint behind gets it.
    pub(super) fn inward(&self, from: SocketAddr, mut message: Message) -> Option<Message> {
        if message.is_request() {
            message.note_source(from);
            self.pass_request(&mut message);
        } else {
            self.pop_via(&mut message)?;
        }
        Some(message)
    }

    /// A message of the endpoint behind as the network gets it.
    pub(super) fn outward(&self, mut message: Message) -> Option<Output> {
        let to = if message.is_request() {
            self.pass_request(&mut message);
            let route = message.list("Route").first().and_then(|route| address_uri(route));
            let outside = message.tag("To").is_empty() && route.is_none();
            let next = route.or_else(|| Some(message.uri().to_owned())).and_then(|uri| uri_address(&uri));
            if outside { self.edge } else { next? }
        } else {
            self.pop_via(&mut message)?;
            response_address(message.list("Via").first()?)?
        };
        Some(Output { to, bytes: message.to_bytes() })
    }

    /// Take our Route off, put Record-Route and Via on.
    fn pass_request(&self, message: &mut Message) {
        self.pop_route(message);
        let branch = message.top_via().map(|(branch, _)| branch).unwrap_or_default();
        let mut hash = DefaultHasher::new();
        (&branch, self.address).hash(&mut hash);
        let creates = matches!(message.method(), "INVITE" | "SUBSCRIBE");
        if creates && message.tag("To").is_empty() {
            message.headers.insert(0, ("Record-Route".into(), format!("<sip:{};lr>", self.address)));
        }
        let via = format!("SIP/2.0/UDP {};branch=z9hG4bK{:016x}", self.address, hash.finish());
        message.headers.insert(0, ("Via".into(), via));
    }

    fn pop_route(&self, message: &mut Message) {
        let mut routes = message.list("Route");
        let first = routes.first().and_then(|route| address_uri(route)).and_then(|uri| uri_address(&uri));
        if first != Some(self.address) {
            return;
        }
        routes.remove(0);
        set_list(message, "Route", routes);
    }

    fn pop_via(&self, message: &mut Message) -> Option<()> {
        let mut vias = message.list("Via");
        let own =
            Via::parse(vias.first()?.as_bytes()).ok()?.sent_by_text() == self.address.to_string().as_bytes();
        if !own {
            return None;
        }
        vias.remove(0);
        set_list(message, "Via", vias);
        Some(())
    }
}

/// Write a header anew, one line for each value, where its first one stood.
fn set_list(message: &mut Message, name: &str, values: Vec<String>) {
    let at = message.headers.iter().position(|(own, _)| own == name).unwrap_or(0);
    message.headers.retain(|(own, _)| own != name);
    for value in values.into_iter().rev() {
        message.headers.insert(at, (name.to_owned(), value));
    }
}

/// Where a response goes by the Via that is on top now (§18.2.2, RFC 3581).
fn response_address(via: &str) -> Option<SocketAddr> {
    let via = Via::parse(via.as_bytes()).ok()?;
    let host = via.received().unwrap_or(via.host);
    let port = via.rport().flatten().or(via.port).unwrap_or(5060);
    let host = std::str::from_utf8(host).ok()?.trim_matches(['[', ']']);
    Some(SocketAddr::new(host.parse().ok()?, port))
}
