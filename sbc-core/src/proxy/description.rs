//! Session descriptions (RFC 8866): who made one is not told outside.
//!
//! Media passes by, so every address stays as it is; only the names of software in the origin and in
//! the session name are taken out.

use crate::proxy::hiding::Hidden;
use crate::wire::{Edits, HeaderName, Message, eq_ignore_case, write_u64};

/// Write `-` over software's names in `o=` and `s=`, and let Content-Length follow.
pub(crate) fn hide_maker(message: &Message<'_>, hidden: &Hidden, edits: &mut Edits) {
    if !holds_description(message.value(HeaderName::ContentType)) {
        return;
    }
    let body = message.body();
    let mut at = message.bytes().len() - body.len();
    let mut shorter = 0;
    // Neither line stands in a media section.
    let session = body.split_inclusive(|byte| *byte == b'\n').take_while(|line| !line.starts_with(b"m="));
    for line in session {
        if line.starts_with(b"o=") || line.starts_with(b"s=") {
            shorter += hide_names(line, at, hidden, edits);
        }
        at += line.len();
    }
    if shorter == 0 {
        return;
    }
    for header in message.all(HeaderName::ContentLength) {
        edits.replace_with(header.value_range(), |out| write_u64(out, (body.len() - shorter) as u64));
    }
}

/// By how many bytes the line, which begins at `start` of the message, gets shorter.
fn hide_names(line: &[u8], start: usize, hidden: &Hidden, edits: &mut Edits) -> usize {
    let (mut at, mut shorter) = (0, 0);
    while let Some(found) = hidden.next(line, at) {
        at = found.range.end;
        if found.word.is_some() {
            edits.replace(start + found.range.start..start + found.range.end, b"-");
            shorter += found.range.len() - 1;
        }
    }
    shorter
}

/// A description, or parts of which one may be.
fn holds_description(content_type: &[u8]) -> bool {
    let begins =
        |with: &[u8]| content_type.get(..with.len()).is_some_and(|start| eq_ignore_case(start, with));
    begins(b"application/sdp") || begins(b"multipart/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Framing, Index, Limits};

    /// What leaves of a message with this head and body.
    fn told(content_type: &str, body: &str) -> String {
        let length = body.len();
        let text = format!(
            "SIP/2.0 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\nX: 1\r\n\r\n{body}"
        );
        let mut index = Index::new();
        index.parse(text.as_bytes(), Framing::Datagram, &Limits::default()).expect("a message");
        let mut edits = Edits::new();
        hide_maker(&Message::new(text.as_bytes(), &index), &Hidden::of_software(), &mut edits);
        let mut out = Vec::new();
        edits.apply(text.as_bytes(), &mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn origin_and_session_name_lose_the_software() {
        let body = "v=0\r\no=FreeSWITCH 1 2 IN IP4 10.0.0.1\r\ns=FreeSWITCH\r\nc=IN IP4 10.0.0.1\r\nm=audio 4 RTP/AVP 0\r\n";
        let left = "v=0\r\no=- 1 2 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nm=audio 4 RTP/AVP 0\r\n";
        let told = told("application/SDP ;x=y", body);
        assert!(told.ends_with(&format!("Content-Length: {}\r\nX: 1\r\n\r\n{left}", left.len())), "{told}");
    }

    #[test]
    fn what_says_nothing_stays_as_it_is() {
        let browser = "v=0\r\no=- 1 2 IN IP4 10.0.0.1\r\ns=-\r\nm=audio 4 RTP/AVP 0\r\na=x:freeswitch\r\n";
        assert!(told("application/sdp", browser).ends_with(browser));
        let text = "o=FreeSWITCH\r\n";
        assert!(told("text/plain", text).ends_with(text));
        assert!(told("application/sdp", "").ends_with("Content-Length: 0\r\nX: 1\r\n\r\n"));
    }
}
