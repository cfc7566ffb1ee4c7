//! Any text as each kind of header value: ranges lie in the text, and what was read is read again the same.

use sbc_core::wire::{
    CSeq, Digest, NameAddr, Uri, Via, eq_ignore_case, split, trim, write_u64, write_unfolded,
};

/// All readers on the same text.
pub fn run(text: &[u8]) {
    uri(text);
    name_addr(text);
    via(text);
    digest(text);
    cseq(text);
    list(text);
    let trimmed = trim(text);
    assert_eq!(trim(trimmed), trimmed);
    assert!(eq_ignore_case(text, &text.to_ascii_uppercase()));
}

fn uri(text: &[u8]) {
    let Ok(uri) = Uri::parse(text) else { return };
    assert!(text.get(uri.host_range.clone()).is_some_and(|host| host.starts_with(uri.host)));
    assert_eq!(uri.user_range.clone().and_then(|range| text.get(range)), uri.user);
    let _ = (uri.is_sip(), uri.domain());
    if let Some(address) = uri.socket_address() {
        assert_eq!(uri.ip(), Some(address.ip()));
    }
    for param in uri.params.iter() {
        let value = uri.params.get(&String::from_utf8_lossy(param.name));
        assert!(value.is_some() || !param.name.is_ascii());
    }
    let mut unfolded = Vec::new();
    write_unfolded(&mut unfolded, text);
    let again = Uri::parse(&unfolded).expect("unfolding harms no URI");
    assert_eq!((again.user, again.host, again.port), (uri.user, uri.host, uri.port));
}

fn name_addr(text: &[u8]) {
    let Ok(value) = NameAddr::parse(text) else { return };
    assert_eq!(text.get(value.uri_range.clone()), Some(value.uri));
    assert_eq!(text.get(value.params_range.clone()), Some(value.params.raw()));
    let _ = value.tag();
    uri(value.uri);
}

fn via(text: &[u8]) {
    let Ok(via) = Via::parse(text) else { return };
    assert_eq!(text.get(via.params_start..via.len), Some(via.params.raw()));
    assert!(via.sent_by_text().starts_with(via.host));
    let _ = (via.branch(), via.received(), via.rport());
    for param in via.params.iter() {
        assert!(via.params.raw().get(param.range).is_some_and(|written| written.starts_with(b";")));
    }
    assert_eq!(Via::parse(text.get(..via.len).expect("inside")), Ok(via));
}

fn digest(text: &[u8]) {
    let Ok(digest) = Digest::parse(text) else { return };
    let _ = digest.is_digest();
    for field in digest.iter() {
        let written = text.get(field.range).expect("inside");
        assert!(written.starts_with(field.name));
    }
    let _ = (digest.get("nonce"), digest.get("opaque"), digest.get("username"));
}

fn cseq(text: &[u8]) {
    let Ok(cseq) = CSeq::parse(text) else { return };
    let mut written = Vec::new();
    write_u64(&mut written, cseq.number.into());
    written.push(b' ');
    written.extend_from_slice(cseq.method);
    assert_eq!(
        CSeq::parse(&written).map(|again| (again.number, again.method)),
        Ok((cseq.number, cseq.method))
    );
}

fn list(text: &[u8]) {
    let mut end = 0;
    for item in split(text) {
        assert!(item.range.start >= end, "items overlap");
        end = item.range.end;
        assert_eq!(text.get(item.range), Some(item.text));
    }
}
