//! Answers of our own, written from the request they answer (RFC 3261 §8.2.6).

use std::io::Write as _;

use crate::hash::KeyedHash;
use crate::proxy::via::write_stamped_vias;
use crate::sip::reason_of;
use crate::wire::{HeaderName, Message, write_u64};

/// An answer to write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reply<'a> {
    pub(crate) status: u16,
    /// Instead of the status's own phrase.
    pub(crate) reason: Option<&'a str>,
    /// Whole header lines.
    pub(crate) extra: &'a str,
}

impl Reply<'_> {
    pub(crate) const fn status(status: u16) -> Self {
        Self { status, reason: None, extra: "" }
    }
}

/// Append the answer. The To tag is a hash of the request, so that a repeated request gets the same one
/// and nothing needs to be remembered.
pub(crate) fn write_reply(
    request: &Message<'_>,
    source: std::net::SocketAddr,
    reply: &Reply<'_>,
    hash: &KeyedHash,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(b"SIP/2.0 ");
    write_u64(out, u64::from(reply.status));
    out.push(b' ');
    out.extend_from_slice(reply.reason.unwrap_or_else(|| reason_of(reply.status)).as_bytes());
    out.extend_from_slice(b"\r\n");
    write_stamped_vias(request, source, out);
    write_line(b"From", request.value(HeaderName::From), out);
    out.extend_from_slice(b"To: ");
    let to = request.value(HeaderName::To);
    out.extend_from_slice(to);
    let has_tag = super::incoming::tag_of(request, HeaderName::To).is_some();
    if reply.status > 100 && !has_tag {
        let parts = [
            request.value(HeaderName::CallId),
            request.value(HeaderName::From),
            request.value(HeaderName::Via),
        ];
        // Writing to a Vec cannot fail.
        let _ = write!(out, ";tag={:016x}", hash.of(&parts) as u64);
    }
    out.extend_from_slice(b"\r\n");
    write_line(b"Call-ID", request.value(HeaderName::CallId), out);
    write_line(b"CSeq", request.value(HeaderName::CSeq), out);
    out.extend_from_slice(reply.extra.as_bytes());
    out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
}

/// Append one header line.
pub(crate) fn write_line(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}
