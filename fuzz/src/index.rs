//! Any bytes as one message: what is found lies inside them, and an index does no harm on other bytes.

use sbc_core::wire::{Edits, Framing, Index, Limits, Message};

/// The first byte says where other bytes begin, which the same index is then asked about.
pub fn run(bytes: &[u8]) {
    let Some((&cut, bytes)) = bytes.split_first() else { return };
    let mut index = Index::new();
    for framing in [Framing::Datagram, Framing::WebSocket, Framing::Stream] {
        let verdict = index.parse(bytes, framing, &Limits::default());
        let message = Message::new(bytes, &index);
        everything_lies_inside(&message);
        if verdict.is_ok() {
            nothing_is_left_over(&message);
        }
        let mut out = Vec::new();
        Edits::new().apply(message.bytes(), &mut out);
        assert_eq!(out, message.bytes());
    }
    everything_lies_inside(&Message::new(bytes.get(usize::from(cut)..).unwrap_or(b""), &index));
}

fn everything_lies_inside(message: &Message<'_>) {
    let _ = (message.method_text(), message.request_uri(), message.reason_phrase(), message.body());
    let _ = (message.status(), message.is_request(), message.request_uri_range());
    for header in message.headers() {
        assert_eq!(message.bytes().get(header.value_range()).unwrap_or(b""), header.value);
        let first = message.first(header.name).expect("a header that was listed");
        assert!(first.line().start <= header.line().start);
    }
}

/// Start line, headers, an empty line and the body are the whole message.
fn nothing_is_left_over(message: &Message<'_>) {
    let headers: usize = message.headers().map(|header| header.line().len()).sum();
    let head = message.start_line_range().len() + headers;
    assert_eq!(head, message.head_end());
    assert_eq!(head + b"\r\n".len() + message.body().len(), message.bytes().len());
}
