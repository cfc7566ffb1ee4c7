//! What rsip reads and we read is the same message: method or status, Call-ID, CSeq, and the tags.

use rsip::SipMessage;
use rsip::headers::ToTypedHeader;
use rsip::message::HeadersExt;
use rsip::prelude::UntypedHeader;
use sbc_core::wire::{CSeq, Framing, HeaderName, Index, Limits, Message, NameAddr, Uri};

/// The bytes as one message.
pub fn run(bytes: &[u8]) {
    let mut index = Index::new();
    if index.parse(bytes, Framing::Datagram, &Limits::default()).is_err() {
        return;
    }
    let ours = Message::new(bytes, &index);
    let Ok(theirs) = SipMessage::try_from(ours.bytes()) else { return };
    match &theirs {
        SipMessage::Request(request) => {
            assert_eq!(in_capitals(ours.method_text()), in_capitals(request.method.to_string().as_bytes()));
        }
        SipMessage::Response(response) => assert_eq!(ours.status(), response.status_code.code()),
    }
    same_headers(&ours, &theirs);
}

fn same_headers(ours: &Message<'_>, theirs: &SipMessage) {
    if let (Some(call_id), Ok(header)) = (only(ours, HeaderName::CallId), theirs.call_id_header()) {
        // rsip keeps the white space after it.
        assert_eq!(call_id, header.value().trim_end().as_bytes());
    }
    let cseq = only(ours, HeaderName::CSeq).and_then(|value| CSeq::parse(value).ok());
    if let (Some(cseq), Ok(Ok(typed))) = (cseq, theirs.cseq_header().map(ToTypedHeader::typed)) {
        assert_eq!(cseq.number, typed.seq);
        assert_eq!(in_capitals(cseq.method), in_capitals(typed.method.to_string().as_bytes()));
    }
    let from = theirs.from_header().ok().and_then(|header| header.typed().ok());
    let to = theirs.to_header().ok().and_then(|header| header.typed().ok());
    let from = from.map(|from| from.tag().map(|tag| tag.value().to_owned()));
    let to = to.map(|to| to.tag().map(|tag| tag.value().to_owned()));
    for (name, tag) in [(HeaderName::From, from), (HeaderName::To, to)] {
        let address = only(ours, name).and_then(name_addr);
        if let (Some(address), Some(tag)) = (address, tag) {
            assert_eq!(address.tag(), tag.as_deref().map(str::as_bytes));
        }
    }
}

/// The value of a header that stands once: of several, each side may take another.
fn only<'a>(message: &Message<'a>, name: HeaderName) -> Option<&'a [u8]> {
    (message.count(name) == 1).then(|| message.value(name))
}

/// A value that leaves no doubt: rsip takes the parameters of a bare URI for the URI's own, looks into quotes, and of two
/// tags takes the one with a value.
fn name_addr(value: &[u8]) -> Option<NameAddr<'_>> {
    let address = NameAddr::parse(value).ok()?;
    let tags = address.params.iter().filter(|param| param.name.eq_ignore_ascii_case(b"tag"));
    let is_clear = value.contains(&b'<') && !value.contains(&b'"') && Uri::parse(address.uri).is_ok();
    (is_clear && tags.count() < 2).then_some(address)
}

/// rsip takes `invite` for INVITE; methods are case-sensitive (RFC 3261 §7.1).
fn in_capitals(method: &[u8]) -> Vec<u8> {
    method.to_ascii_uppercase()
}
