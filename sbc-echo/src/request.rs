//! One request as the agent sees it, and the responses to it (RFC 3261 §8.2.6).

use std::hash::BuildHasher;
use std::net::SocketAddr;

use sbc_core::wire::{CSeq, Header, HeaderName, Message, NameAddr, Via, split};

/// A status code with its phrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Status(pub(crate) u16, pub(crate) &'static str);

pub(crate) const TRYING: Status = Status(100, "Trying");
pub(crate) const RINGING: Status = Status(180, "Ringing");
pub(crate) const OK: Status = Status(200, "OK");
pub(crate) const METHOD_NOT_ALLOWED: Status = Status(405, "Method Not Allowed");
pub(crate) const UNSUPPORTED_MEDIA_TYPE: Status = Status(415, "Unsupported Media Type");
pub(crate) const BAD_EXTENSION: Status = Status(420, "Bad Extension");
pub(crate) const INTERVAL_TOO_SMALL: Status = Status(422, "Session Interval Too Small");
pub(crate) const NO_DIALOG: Status = Status(481, "Call/Transaction Does Not Exist");
pub(crate) const BUSY: Status = Status(486, "Busy Here");
pub(crate) const TERMINATED: Status = Status(487, "Request Terminated");
pub(crate) const NOT_ACCEPTABLE: Status = Status(488, "Not Acceptable Here");
pub(crate) const BAD_EVENT: Status = Status(489, "Bad Event");
pub(crate) const PENDING: Status = Status(491, "Request Pending");
pub(crate) const SERVER_ERROR: Status = Status(500, "Server Internal Error");
pub(crate) const UNAVAILABLE: Status = Status(503, "Service Unavailable");

/// A request with everything that a response needs.
#[derive(Clone)]
pub(crate) struct Request<'a> {
    pub(crate) message: Message<'a>,
    pub(crate) source: SocketAddr,
    pub(crate) method: &'a [u8],
    pub(crate) from: NameAddr<'a>,
    pub(crate) to: NameAddr<'a>,
    pub(crate) call_id: &'a [u8],
    pub(crate) cseq: CSeq<'a>,
    via: Via<'a>,
    top_via: Header<'a>,
}

impl<'a> Request<'a> {
    /// `None` when a header that a response must repeat is missing or broken: nothing can be answered then.
    pub(crate) fn read(message: Message<'a>, source: SocketAddr) -> Option<Self> {
        let top_via = message.first(HeaderName::Via)?;
        let cseq = CSeq::parse(message.value(HeaderName::CSeq)).ok()?;
        let call_id = message.value(HeaderName::CallId);
        let is_whole = message.is_request() && cseq.method == message.method_text() && !call_id.is_empty();
        is_whole.then_some(())?;
        Some(Self {
            via: Via::parse(top_via.value).ok()?,
            from: NameAddr::parse(message.value(HeaderName::From)).ok()?,
            to: NameAddr::parse(message.value(HeaderName::To)).ok()?,
            method: message.method_text(),
            message,
            source,
            call_id,
            cseq,
            top_via,
        })
    }

    /// What an INVITE has in common with its CANCEL, its ACK after a refusal, and its retransmissions.
    pub(crate) fn transaction(&self, key: &impl BuildHasher) -> u64 {
        key.hash_one((self.via.sent_by_text(), self.via.branch(), self.call_id, self.cseq.number))
    }

    /// Where responses go: RFC 3261 §18.2.2 and RFC 3581 §4.
    pub(crate) fn reply_address(&self) -> SocketAddr {
        match self.via.rport() {
            Some(_) => self.source,
            None => SocketAddr::new(self.source.ip(), self.via.port.unwrap_or(5060)),
        }
    }

    /// True if one of the header's comma-separated values is `option`.
    pub(crate) fn lists(&self, name: HeaderName, option: &str) -> bool {
        self.options(name).any(|found| found.eq_ignore_ascii_case(option.as_bytes()))
    }

    /// The comma-separated values of all headers of this name.
    pub(crate) fn options(&self, name: HeaderName) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.message.all(name).flat_map(|header| split(header.value)).map(|item| item.text)
    }

    /// A response. `tag` completes a To without one; `headers` are whole lines; a `body` is SDP.
    pub(crate) fn reply(&self, status: Status, tag: &str, headers: &str, body: &str) -> Vec<u8> {
        let Status(code, phrase) = status;
        let mut out = format!("SIP/2.0 {code} {phrase}\r\n").into_bytes();
        self.push_vias(&mut out);
        if self.method == b"INVITE" && (101..300).contains(&code) {
            for header in self.message.all(HeaderName::RecordRoute) {
                push_header(&mut out, "Record-Route", header.value);
            }
        }
        push_header(&mut out, "From", self.message.value(HeaderName::From));
        push_header(&mut out, "To", &self.to_with_tag(if code == 100 { "" } else { tag }));
        push_header(&mut out, "Call-ID", self.call_id);
        push_header(&mut out, "CSeq", self.message.value(HeaderName::CSeq));
        out.extend_from_slice(headers.as_bytes());
        push_body(&mut out, body);
        out
    }

    /// The To value with `tag`, unless it has one or `tag` is empty.
    pub(crate) fn to_with_tag(&self, tag: &str) -> Vec<u8> {
        let mut value = self.message.value(HeaderName::To).to_vec();
        if self.to.tag().is_none() && !tag.is_empty() {
            value.extend_from_slice(b";tag=");
            value.extend_from_slice(tag.as_bytes());
        }
        value
    }

    /// All Via values; the top one tells its sender where it was seen.
    fn push_vias(&self, out: &mut Vec<u8>) {
        let value = self.top_via.value;
        let (start, end) = (self.via.params_start, self.via.len);
        out.extend_from_slice(b"Via: ");
        out.extend_from_slice(value.get(..start).unwrap_or(value));
        for param in self.via.params.iter() {
            let is_ours =
                [&b"rport"[..], b"received"].iter().any(|name| param.name.eq_ignore_ascii_case(name));
            if !is_ours {
                out.extend_from_slice(self.via.params.raw().get(param.range).unwrap_or_default());
            }
        }
        out.extend_from_slice(format!(";received={}", self.source.ip()).as_bytes());
        if self.via.rport().is_some() {
            out.extend_from_slice(format!(";rport={}", self.source.port()).as_bytes());
        }
        out.extend_from_slice(value.get(end..).unwrap_or_default());
        out.extend_from_slice(b"\r\n");
        for header in self.message.all(HeaderName::Via).skip(1) {
            push_header(out, "Via", header.value);
        }
    }
}

pub(crate) fn push_header(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// The end of the header section, and the SDP if there is any.
pub(crate) fn push_body(out: &mut Vec<u8>, body: &str) {
    if !body.is_empty() {
        push_header(out, "Content-Type", b"application/sdp");
    }
    out.extend_from_slice(format!("Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
}
