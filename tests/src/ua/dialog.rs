//! One dialog as one side sees it (RFC 3261 §12).

use std::net::SocketAddr;

use super::message::{Message, address_uri, uri_address};

/// What a side must know to send requests inside a dialog.
#[derive(Debug, Clone)]
pub(crate) struct Dialog {
    pub(crate) call_id: String,
    /// Our From or To value, with its tag.
    pub(crate) local: String,
    pub(crate) local_tag: String,
    /// The other side's value, with its tag once it is known.
    pub(crate) remote: String,
    pub(crate) remote_tag: String,
    pub(crate) local_seq: u32,
    pub(crate) remote_seq: u32,
    /// Route set.
    pub(crate) route: Vec<String>,
    /// Remote target.
    pub(crate) target: String,
    /// Our Contact value.
    pub(crate) contact: String,
    /// All requests go here, whatever the route set says: a WebSocket, or FreeSWITCH's Path address.
    pub(crate) fixed: Option<SocketAddr>,
    /// Where the first message came from: the last resort for a target without an address.
    pub(crate) source: SocketAddr,
}

impl Dialog {
    /// The dialog that answering `request` makes.
    pub(crate) fn of_request(
        request: &Message,
        source: SocketAddr,
        tag: String,
        contact: String,
        seq: u32,
    ) -> Self {
        Self {
            call_id: request.call_id().into(),
            local: tagged(request.get("To").unwrap_or(""), &tag),
            local_tag: tag,
            remote: request.get("From").unwrap_or("").into(),
            remote_tag: request.tag("From"),
            local_seq: seq,
            remote_seq: request.cseq(),
            route: request.list("Record-Route"),
            target: request.uri_of("Contact").unwrap_or_default(),
            contact,
            fixed: None,
            source,
        }
    }

    /// A 1xx or 2xx to the request that we made the dialog with.
    pub(crate) fn learn_response(&mut self, response: &Message) {
        let tag = response.tag("To");
        if tag.is_empty() {
            return;
        }
        self.remote_tag = tag;
        self.remote = response.get("To").unwrap_or("").into();
        self.route = response.list("Record-Route");
        self.route.reverse();
        self.learn_target(response);
    }

    /// Target refresh (§12.2).
    pub(crate) fn learn_target(&mut self, message: &Message) {
        if let Some(target) = message.uri_of("Contact") {
            self.target = target;
        }
    }

    /// Where the next request goes.
    pub(crate) fn next_hop(&self) -> SocketAddr {
        let first = self.route.first().and_then(|route| address_uri(route));
        self.fixed
            .or_else(|| uri_address(&first.unwrap_or_else(|| self.target.clone())))
            .unwrap_or(self.source)
    }

    /// A request inside the dialog, up to and with its CSeq; ACK keeps the number it is given.
    pub(crate) fn request(&mut self, method: &str, number: Option<u32>) -> Message {
        let number = number.unwrap_or_else(|| {
            self.local_seq += 1;
            self.local_seq
        });
        let mut message = Message::request(method, &self.target);
        for route in &self.route {
            message.push("Route", route.clone());
        }
        message.push("Max-Forwards", "70");
        message.push("From", self.local.clone());
        message.push("To", self.remote.clone());
        message.push("Call-ID", self.call_id.clone());
        message.push("CSeq", format!("{number} {method}"));
        message
    }
}

/// An address value with a tag.
pub(crate) fn tagged(value: &str, tag: &str) -> String {
    if tag.is_empty() || value.contains(";tag=") { value.to_owned() } else { format!("{value};tag={tag}") }
}
