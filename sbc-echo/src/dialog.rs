//! One dialog as its callee sees it (RFC 3261 §12): who, by which route, with which numbers.

use std::net::SocketAddr;

use sbc_core::wire::{HeaderName, Message, NameAddr, Uri, split};

use crate::request::{Request, push_body, push_header};

/// Most Record-Route entries that are kept as the route set.
const MAX_ROUTES: usize = 32;

#[derive(Debug)]
pub(crate) struct Dialog {
    tag: String,
    call_id: Vec<u8>,
    local_party: Vec<u8>,
    remote_party: Vec<u8>,
    remote_tag: Vec<u8>,
    target: Vec<u8>,
    /// In the order that our requests carry them. Loose routes only: the first is where a request goes.
    routes: Vec<Vec<u8>>,
    /// Where the INVITE came from, for routes and targets that are names.
    source: SocketAddr,
    our_cseq: u32,
    their_cseq: u32,
}

impl Dialog {
    /// The dialog that `invite` sets up, with our `tag`.
    pub(crate) fn new(invite: &Request<'_>, tag: &str) -> Self {
        let mut dialog = Self {
            tag: tag.to_owned(),
            call_id: invite.call_id.to_vec(),
            local_party: invite.to_with_tag(tag),
            remote_party: invite.message.value(HeaderName::From).to_vec(),
            remote_tag: invite.from.tag().unwrap_or_default().to_vec(),
            target: invite.from.uri.to_vec(),
            routes: invite.options(HeaderName::RecordRoute).take(MAX_ROUTES).map(<[u8]>::to_vec).collect(),
            source: invite.source,
            our_cseq: 0,
            their_cseq: invite.cseq.number,
        };
        dialog.refresh_target(invite);
        dialog
    }

    /// The To tag of our responses.
    pub(crate) fn tag(&self) -> &str {
        &self.tag
    }

    /// True if the request belongs to this dialog.
    pub(crate) fn owns(&self, request: &Request<'_>) -> bool {
        request.call_id == self.call_id && request.from.tag().unwrap_or_default() == self.remote_tag
    }

    /// True if the message, a response, has this dialog's Call-ID.
    pub(crate) fn has_call_id_of(&self, response: &Message<'_>) -> bool {
        response.value(HeaderName::CallId) == self.call_id
    }

    /// True, and noted, if the request is newer than all before it (§12.2.2).
    pub(crate) fn advances(&mut self, request: &Request<'_>) -> bool {
        let advances = request.cseq.number > self.their_cseq;
        self.their_cseq = self.their_cseq.max(request.cseq.number);
        advances
    }

    /// Take over the Contact of a target refresh request: INVITE or UPDATE.
    pub(crate) fn refresh_target(&mut self, request: &Request<'_>) {
        let contact = request.options(HeaderName::Contact).next();
        if let Some(contact) = contact.and_then(|contact| NameAddr::parse(contact).ok()) {
            self.target = contact.uri.to_vec();
        }
    }

    /// A new request inside this dialog, and where it goes.
    pub(crate) fn request(
        &mut self,
        method: &str,
        local: SocketAddr,
        headers: &str,
    ) -> (SocketAddr, Vec<u8>) {
        self.our_cseq = self.our_cseq.wrapping_add(1);
        let mut out = method.as_bytes().to_vec();
        out.push(b' ');
        out.extend_from_slice(&self.target);
        out.extend_from_slice(b" SIP/2.0\r\n");
        let via = format!("SIP/2.0/UDP {local};branch=z9hG4bK{};rport", self.tag);
        push_header(&mut out, "Via", via.as_bytes());
        push_header(&mut out, "Max-Forwards", b"70");
        for route in &self.routes {
            push_header(&mut out, "Route", route);
        }
        push_header(&mut out, "From", &self.local_party);
        push_header(&mut out, "To", &self.remote_party);
        push_header(&mut out, "Call-ID", &self.call_id);
        push_header(&mut out, "CSeq", format!("{} {method}", self.our_cseq).as_bytes());
        out.extend_from_slice(headers.as_bytes());
        push_body(&mut out, "");
        (self.next_hop(), out)
    }

    /// The first route, else the target; a name that would need DNS means back to where the call came from.
    fn next_hop(&self) -> SocketAddr {
        let uri = match self.routes.first() {
            Some(route) => NameAddr::parse(route).map(|route| route.uri).unwrap_or_default(),
            None => &self.target,
        };
        Uri::parse(uri).ok().and_then(|uri| uri.socket_address()).unwrap_or(self.source)
    }
}

/// The tag that a Via branch of ours carries.
pub(crate) fn tag_of_branch<'a>(response: &Message<'a>) -> Option<&'a [u8]> {
    let via = split(response.value(HeaderName::Via)).next()?;
    sbc_core::wire::Via::parse(via.text).ok()?.branch()?.strip_prefix(b"z9hG4bK")
}
