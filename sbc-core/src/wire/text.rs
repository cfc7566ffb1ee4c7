//! Bytes as RFC 3261 §25 sees them: character classes, linear white space, numbers.
//!
//! Nothing here allocates, decodes or assumes UTF-8.

use super::ReadError;

/// Character classes of RFC 3261 §25.1, one bit each.
const TOKEN: u8 = 1;
const LWS: u8 = 2;
const HOST: u8 = 4;
const NOT_IN_URI: u8 = 8;

static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let c = byte as u8;
        if c.is_ascii_alphanumeric() {
            table[byte] = TOKEN | HOST;
        }
        if c <= b' ' || matches!(c, b'<' | b'>' | b'"' | b'\\' | 0x7f) {
            table[byte] |= NOT_IN_URI;
        }
        byte += 1;
    }
    let mut at = 0;
    let marks = b"-.!%*_+`'~";
    while at < marks.len() {
        table[marks[at] as usize] |= TOKEN;
        at += 1;
    }
    // The underscore is no letter of a host name, yet private DNS zones use it daily.
    table[b'-' as usize] |= HOST;
    table[b'.' as usize] |= HOST;
    table[b'_' as usize] |= HOST;
    table[b' ' as usize] |= LWS;
    table[b'\t' as usize] |= LWS;
    table[b'\r' as usize] |= LWS;
    table[b'\n' as usize] |= LWS;
    table
}

/// True for a character of a `token` (methods, header names, parameter names).
pub(super) fn is_token_char(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & TOKEN != 0
}

/// True for linear white space. CR and LF count, because the index lets them into a value only as folding.
pub(super) fn is_lws(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & LWS != 0
}

/// True for SP and HT: white space within one line.
pub(super) fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// True for a character of a host name or of an IPv4 address.
pub(super) fn is_host_char(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & HOST != 0
}

/// True for what may stand in no URI: white space, control characters, quotes, angle brackets, backslash.
pub(super) fn is_forbidden_in_uri(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & NOT_IN_URI != 0
}

/// True for one or more token characters and nothing else.
pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&byte| is_token_char(byte))
}

/// How many bytes at the front of `text` satisfy `test`.
pub(super) fn span(text: &[u8], test: impl Fn(u8) -> bool) -> usize {
    text.iter().position(|&byte| !test(byte)).unwrap_or(text.len())
}

/// `text` from `at`; empty beyond the end.
pub(super) fn from(text: &[u8], at: usize) -> &[u8] {
    text.get(at..).unwrap_or_default()
}

/// `text` up to `at`; all of it when it is shorter.
pub(super) fn up_to(text: &[u8], at: usize) -> &[u8] {
    text.get(..at).unwrap_or(text)
}

/// `text` between two offsets; empty when they do not lie inside it.
pub(super) fn between(text: &[u8], start: usize, end: usize) -> &[u8] {
    text.get(start..end).unwrap_or_default()
}

/// The first offset at or after `at` that is no linear white space.
pub(super) fn skip_lws(text: &[u8], at: usize) -> usize {
    at + span(from(text, at), is_lws)
}

/// `text` without linear white space (SP, HT and folding) at both ends.
pub fn trim(text: &[u8]) -> &[u8] {
    let text = from(text, span(text, is_lws));
    trim_end(text)
}

/// `text` without linear white space at its end.
pub(super) fn trim_end(text: &[u8]) -> &[u8] {
    let len = text.iter().rposition(|&byte| !is_lws(byte)).map_or(0, |last| last + 1);
    up_to(text, len)
}

/// Equal but for the case of ASCII letters.
pub fn eq_ignore_case(a: &[u8], b: &[u8]) -> bool {
    a.eq_ignore_ascii_case(b)
}

/// Whether digits say 0; leading zeros mean nothing.
pub fn is_zero(digits: &[u8]) -> bool {
    !digits.is_empty() && digits.iter().all(|digit| *digit == b'0')
}

/// Append `n` in decimal, without allocating for it.
pub fn write_u64(out: &mut Vec<u8>, mut n: u64) {
    /// The digits of `u64::MAX`.
    const DIGITS: usize = 20;
    let mut digits = [b'0'; DIGITS];
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (n % 10) as u8;
        n /= 10;
        used += 1;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(from(&digits, DIGITS - used));
}

/// One or more digits as a number; `None` for anything else and above `u64::MAX`. Leading zeros are fine.
pub(super) fn read_u64(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

/// A port: digits, 1 to 65535.
pub(super) fn read_port(text: &[u8]) -> Result<u16, ReadError> {
    read_u64(text)
        .and_then(|port| u16::try_from(port).ok())
        .filter(|&port| port != 0)
        .ok_or(ReadError { what: "a port is a number from 1 to 65535" })
}

/// Where the quoted string that opens at `text[at]` ends: the offset after its closing quote.
pub(super) fn quoted_end(text: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', from(text, at))?;
        match text.get(at)? {
            b'"' => return Some(at + 1),
            _ => at += 2,
        }
    }
}

/// The inside of a quoted string, escapes left as they are; other text unchanged.
pub(super) fn unquote(text: &[u8]) -> &[u8] {
    match text {
        [b'"', inside @ .., b'"'] => inside,
        _ => text,
    }
}

/// Where `part`, a slice of `whole`, begins in it. Zero for a slice of something else.
pub(super) fn offset_in(whole: &[u8], part: &[u8]) -> usize {
    let offset = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
    if offset <= whole.len() { offset } else { 0 }
}
