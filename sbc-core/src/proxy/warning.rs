//! Warning towards the outside (RFC 3261 §20.43): the warn-agent names the server that found fault, and
//! that is one of the inside.

use crate::wire::{Edits, HeaderName, Message, split};

/// Put `name` in the place of every warn-agent. A value that cannot be read is taken off: it might tell.
pub(crate) fn hide_agents(message: &Message<'_>, name: &str, edits: &mut Edits) {
    for header in message.all(HeaderName::Warning) {
        if !split(header.value).all(|item| agent(item.text).is_some()) {
            edits.delete(header.line());
            continue;
        }
        let start = header.value_range().start;
        for item in split(header.value) {
            let Some(agent) = agent(item.text) else { continue };
            let at = start + item.range.start;
            edits.replace(at + agent.start..at + agent.end, name.as_bytes());
        }
    }
}

/// Where the agent stands in `code SP agent SP "text"`.
fn agent(value: &[u8]) -> Option<std::ops::Range<usize>> {
    let code = memchr::memchr(b' ', value)?;
    let is_code = code == 3 && value.get(..code)?.iter().all(u8::is_ascii_digit);
    let rest = value.get(code + 1..)?;
    let length = memchr::memchr(b' ', rest)?;
    let quoted = rest.get(length + 1..)?;
    let whole = length > 0 && quoted.len() >= 2 && quoted.starts_with(b"\"") && quoted.ends_with(b"\"");
    (is_code && whole).then_some(code + 1..code + 1 + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_stands_between_code_and_text() {
        let value = br#"399 fs-a.internal:5080 "No codec, sorry""#;
        assert_eq!(&value[agent(value).unwrap()], b"fs-a.internal:5080");
        for bad in [&b""[..], b"399", b"399 host", b"39 host \"x\"", b"399  \"x\"", b"399 host x"] {
            assert_eq!(agent(bad), None, "{bad:?}");
        }
    }
}
