//! No bytes make a reader panic, and without edits a message leaves as it came.

use proptest::prelude::*;

use crate::wire::*;

/// Pieces that steer random messages into the corners of the grammar.
const PIECES: &[&str] = &[
    "INVITE sip:a@b SIP/2.0\r\n",
    "SIP/2.0 200 OK\r\n",
    "\r\n",
    "\r",
    "\n",
    " ",
    "\t",
    "Via",
    "v",
    ":",
    ": ",
    ";",
    ",",
    "\"",
    "\\",
    "<",
    ">",
    "[",
    "]",
    "[::1]",
    "@",
    "%",
    "%00",
    "?",
    "=",
    "/",
    "SIP/2.0/UDP ",
    "192.0.2.1",
    "branch=z9hG4bK1",
    "rport",
    "Content-Length: 3\r\n",
    "l: 99\r\n",
    "To: \"x\" <sip:a@b>;tag=1\r\n",
    "CSeq: 1 INVITE\r\n",
    "Digest realm=\"x\"",
    "\0",
    "sip:",
    "tel:",
    "ü",
    "5060",
];

fn text() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => prop::sample::select(PIECES).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..8),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// Everything that a reader gives for `text`; its ranges must lie in it.
fn read_as_everything(text: &[u8]) {
    if let Ok(uri) = Uri::parse(text) {
        assert_eq!(text.get(uri.host_range.clone()).map(|host| host.starts_with(uri.host)), Some(true));
        assert_eq!(uri.user_range.clone().and_then(|range| text.get(range)), uri.user);
        let _ = (uri.ip(), uri.socket_address(), uri.domain(), uri.params.value("x"));
    }
    if let Ok(value) = NameAddr::parse(text) {
        assert_eq!(text.get(value.uri_range.clone()), Some(value.uri));
        assert_eq!(text.get(value.params_range.clone()), Some(value.params.raw()));
        let _ = value.tag();
    }
    if let Ok(via) = Via::parse(text) {
        assert_eq!(text.get(via.params_start..via.len), Some(via.params.raw()));
        assert!(via.sent_by_text().starts_with(via.host));
        let _ = (via.branch(), via.received(), via.rport());
        for param in via.params.iter() {
            assert!(via.params.raw().get(param.range).is_some_and(|written| written.starts_with(b";")));
        }
    }
    if let Ok(digest) = Digest::parse(text) {
        assert!(
            digest.iter().all(|field| {
                text.get(field.range).is_some_and(|written| written.starts_with(field.name))
            })
        );
    }
    let _ = CSeq::parse(text);
    assert!(split(text).all(|item| text.get(item.range) == Some(item.text)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_message_leaves_as_it_came(bytes in text()) {
        let mut index = Index::new();
        let verdict = index.parse(&bytes, Framing::Datagram, &Limits::default());
        let message = Message::new(&bytes, &index);
        let mut out = Vec::new();
        Edits::new().apply(message.bytes(), &mut out);
        prop_assert_eq!(&out, message.bytes());
        if verdict.is_ok() {
            let head = message.headers().map(|header| header.line().len()).sum::<usize>() + message.start_line_range().len();
            prop_assert_eq!(head, message.head_end());
            prop_assert_eq!(head + 2 + message.body().len(), message.bytes().len());
        }
        for header in message.headers() {
            prop_assert_eq!(message.bytes().get(header.value_range()), Some(header.value));
            read_as_everything(header.value);
        }
        let _ = (message.method_text(), message.request_uri(), message.reason_phrase());
    }

    #[test]
    fn any_text_is_read_or_refused(bytes in text()) {
        read_as_everything(&bytes);
    }

    #[test]
    fn index_of_other_bytes_does_no_harm(bytes in text(), others in text()) {
        let mut index = Index::new();
        let _ = index.parse(&bytes, Framing::Datagram, &Limits::default());
        let message = Message::new(&others, &index);
        let _ = (message.body(), message.method_text(), message.request_uri(), message.headers().count());
        prop_assert!(message.headers().all(|header| header.value.len() <= others.len()));
    }

    #[test]
    fn edits_in_any_order_give_the_same_message(
        text in prop::collection::vec(any::<u8>(), 0..64),
        cuts in prop::collection::btree_set(0_usize..64, 0..8),
        turn in any::<bool>(),
    ) {
        let cuts: Vec<usize> = cuts.into_iter().collect();
        let mut ranges: Vec<_> = cuts.chunks_exact(2).map(|pair| pair[0]..pair[1]).collect();
        let mut expected = text.clone();
        for range in ranges.iter().rev().filter(|range| range.start <= text.len()) {
            expected.splice(range.start..range.end.min(text.len()), *b"new");
        }
        if turn {
            ranges.reverse();
        }
        let mut edits = Edits::new();
        ranges.into_iter().for_each(|range| edits.replace(range, b"new"));
        let mut out = Vec::new();
        edits.apply(&text, &mut out);
        prop_assert_eq!(out, expected);
    }
}
