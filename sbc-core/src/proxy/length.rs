//! Content-Length: a stream demands it (RFC 3261 §18.3), WebSockets and datagrams let it be absent.

use crate::config::Listener;
use crate::flow::is_stream;
use crate::wire::{Edits, HeaderName, Message, write_u64};

/// Write the length of the body, all edits counted, where the next hop needs it and nobody has.
pub(crate) fn state(message: &Message<'_>, listener: &Listener, edits: &mut Edits) {
    if !is_stream(listener.transport) || message.first(HeaderName::ContentLength).is_some() {
        return;
    }
    let body = message.body().len();
    let begins = message.bytes().len() - body;
    let length = body.saturating_add_signed(edits.growth_from(begins));
    edits.insert_with(message.head_end(), |out| {
        out.extend_from_slice(b"Content-Length: ");
        write_u64(out, length as u64);
        out.extend_from_slice(b"\r\n");
    });
}
