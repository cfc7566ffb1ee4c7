//! One look at a SIP message for its Call-ID, without parsing the rest.

use std::hash::BuildHasher;

use memchr::memchr;

/// How far the header is searched for. Call-ID stands in the first kilobyte of what real stacks send.
const MAX_SEARCH_BYTES: usize = 4096;

/// Hash the Call-ID (or `i`, RFC 3261 §7.3.3) of a message. `None` when the first 4 KiB of the header section
/// have none, or an empty one.
pub fn call_id_hash(datagram: &[u8], key: &impl BuildHasher) -> Option<u64> {
    call_id(datagram).map(|id| key.hash_one(id))
}

fn call_id(datagram: &[u8]) -> Option<&[u8]> {
    let searched = datagram.get(..MAX_SEARCH_BYTES).unwrap_or(datagram);
    // Line ends before the start line do not count (§7.5).
    let mut rest = searched.trim_ascii_start();
    next_line(&mut rest)?;
    loop {
        let line = next_line(&mut rest)?;
        if line.trim_ascii().is_empty() {
            return None;
        }
        let Some(value) = value_of_call_id(line) else {
            continue;
        };
        let value = value.trim_ascii();
        if !value.is_empty() {
            return Some(value);
        }
        // The value may be folded into the next line (§7.3.1).
        let folded = next_line(&mut rest)?;
        let is_folded = folded.first().is_some_and(|byte| matches!(byte, b' ' | b'\t'));
        return Some(folded.trim_ascii()).filter(|value| is_folded && !value.is_empty());
    }
}

/// Cut one line off the front of `rest`; `None` when no whole line is left.
fn next_line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (line, after) = rest.split_at_checked(memchr(b'\n', rest)? + 1)?;
    *rest = after;
    Some(line)
}

fn value_of_call_id(line: &[u8]) -> Option<&[u8]> {
    // Cheap way out for most headers, before the colon is searched.
    if !matches!(line.first(), Some(b'c' | b'C' | b'i' | b'I')) {
        return None;
    }
    let (name, value) = line.split_at_checked(memchr(b':', line)?)?;
    let name = name.trim_ascii_end();
    let is_call_id = name.eq_ignore_ascii_case(b"call-id") || name.eq_ignore_ascii_case(b"i");
    is_call_id.then(|| value.get(1..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::call_id;

    #[test]
    fn long_and_compact_names_in_any_case_are_found() {
        for header in ["Call-ID: a@b", "call-id:a@b", "CALL-ID \t:  a@b \t", "i: a@b", "I:a@b"] {
            let message =
                format!("INVITE sip:x SIP/2.0\r\nCSeq: 1 INVITE\r\nContact: <sip:y>\r\n{header}\r\n\r\n");
            assert_eq!(call_id(message.as_bytes()), Some(&b"a@b"[..]), "{header}");
        }
    }

    #[test]
    fn a_folded_value_and_leading_line_ends_are_read() {
        assert_eq!(call_id(b"\r\n\r\nBYE sip:x SIP/2.0\r\nCall-ID:\r\n a@b\r\n\r\n"), Some(&b"a@b"[..]));
        assert_eq!(call_id(b"BYE sip:x SIP/2.0\nCall-ID: a@b\n\n"), Some(&b"a@b"[..]));
    }

    #[test]
    fn the_body_the_start_line_and_longer_names_are_not_searched() {
        for message in [
            "i: a SIP/2.0\r\nTo: x\r\n\r\n",
            "BYE sip:x SIP/2.0\r\nTo: x\r\n\r\ni: a\r\n",
            "BYE sip:x SIP/2.0\r\nIn-Reply-To: a\r\nCall-Info: b\r\n\r\n",
            "BYE sip:x SIP/2.0\r\nCall-ID:\r\nTo: x\r\n\r\n",
            "BYE sip:x SIP/2.0\r\nCall-ID: cut",
            "",
        ] {
            assert_eq!(call_id(message.as_bytes()), None, "{message}");
        }
    }

    #[test]
    fn the_search_ends_after_four_kibibytes() {
        let message = format!("BYE sip:x SIP/2.0\r\nX: {}\r\ni: a\r\n\r\n", "x".repeat(4096));
        assert_eq!(call_id(message.as_bytes()), None);
    }
}
