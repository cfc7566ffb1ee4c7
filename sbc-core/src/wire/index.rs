//! One pass over a message that notes where each header stands.

use super::limits::Limits;
use super::list::split;
use super::start_line::{self, StartLine};
use super::text::{between, from, is_blank, is_lws, is_token, read_u64, span, trim_end, up_to};
use super::{HeaderName, ParseError};

/// Where a message's end comes from (RFC 3261 §18.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// One datagram: Content-Length may be absent, a shorter one cuts the tail, a longer one is an error.
    Datagram,
    /// One WebSocket message (RFC 7118 §4.1): the same rules.
    WebSocket,
    /// One message of a byte stream: Content-Length is what it was cut out by. A longer one says that the message
    /// was too large to be taken as a whole.
    Stream,
}

/// More headers than this are never indexed, whatever the limits say: positions are 16 bits wide.
const HEADERS_AT_MOST: usize = u16::MAX as usize - 1;
/// Bytes beyond these are never looked at: offsets are 32 bits wide. Front ends take far less.
const BYTES_AT_MOST: usize = u32::MAX as usize;

/// Where one header stands, relative to the message's first byte.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) name: HeaderName,
    pub(super) start: u32,
    pub(super) name_end: u32,
    pub(super) value_start: u32,
    pub(super) value_end: u32,
    pub(super) end: u32,
}

/// No header of this name.
const ABSENT: u16 = u16::MAX;

/// Where everything stands in one message. Reusable: the next message is read into the same memory.
#[derive(Debug)]
pub struct Index {
    /// Line ends before the message, which RFC 3261 §7.5 ignores; all other offsets count from after them.
    pub(super) skipped: usize,
    pub(super) start_line: StartLine,
    pub(super) start_line_end: usize,
    pub(super) entries: Vec<Entry>,
    /// Position in `entries` of the first header of each name.
    pub(super) first: [u16; HeaderName::COUNT],
    pub(super) head_end: usize,
    pub(super) body_start: usize,
    pub(super) end: usize,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            skipped: 0,
            start_line: StartLine::default(),
            start_line_end: 0,
            entries: Vec::new(),
            first: [ABSENT; HeaderName::COUNT],
            head_end: 0,
            body_start: 0,
            end: 0,
        }
    }
}

/// Keeps the first error and lets reading go on.
#[derive(Default)]
struct FirstFault(Option<ParseError>);

impl FirstFault {
    fn note(&mut self, error: ParseError) {
        self.0.get_or_insert(error);
    }
}

impl Index {
    /// An index of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Index one message: start line, headers, where the body lies. Folded headers (RFC 3261 §7.3.1) keep their
    /// folding; line ends before the start line are skipped (§7.5).
    ///
    /// # Errors
    /// The first thing that is wrong. The index then still holds every header that could be found, so that a
    /// response can be built from it; after [`ParseError::NotSip`] it holds nothing.
    pub fn parse(&mut self, bytes: &[u8], framing: Framing, limits: &Limits) -> Result<(), ParseError> {
        self.clear();
        self.skipped = leading_line_ends(bytes);
        let text = up_to(from(bytes, self.skipped), BYTES_AT_MOST);
        let first_line_end = memchr::memchr(b'\n', text).ok_or(ParseError::NotSip)?;
        let line = up_to(text, first_line_end);
        let (start_line, verdict) = start_line::read(line.strip_suffix(b"\r").unwrap_or(line), limits);
        let mut fault = FirstFault(verdict.err());
        if fault.0 == Some(ParseError::NotSip) {
            return Err(ParseError::NotSip);
        }
        self.start_line = start_line;
        self.start_line_end = first_line_end + 1;
        let line_ends = usize::from(line.ends_with(b"\r")) + self.read_headers(text, limits, &mut fault);
        let head = up_to(text, self.body_start);
        if count_controls(head) != line_ends * 2 && self.has_bare_control(head) {
            fault.note(ParseError::BareControl);
        }
        self.check_vias(text, limits, &mut fault);
        self.find_body(text, framing, &mut fault);
        fault.0.map_or(Ok(()), Err)
    }

    fn clear(&mut self) {
        self.start_line = StartLine::default();
        self.start_line_end = 0;
        self.entries.clear();
        self.first = [ABSENT; HeaderName::COUNT];
        self.head_end = 0;
        self.body_start = 0;
        self.end = 0;
    }

    /// Index all headers up to the empty line. Returns how many lines ended with CRLF, the empty line among them.
    fn read_headers(&mut self, text: &[u8], limits: &Limits, fault: &mut FirstFault) -> usize {
        let mut start = self.start_line_end;
        let mut line_ends = 0;
        loop {
            let rest = from(text, start);
            if let Some(empty) = empty_line_len(rest) {
                self.head_end = start;
                self.body_start = start + empty;
                return line_ends + usize::from(rest.starts_with(b"\r"));
            }
            let Some((len, header_line_ends)) = header_len(rest) else {
                fault.note(ParseError::NoEnd);
                self.head_end = start;
                self.body_start = start;
                return line_ends;
            };
            line_ends += header_line_ends;
            self.read_header(up_to(rest, len), start, limits, fault);
            start += len;
        }
    }

    /// Index one header, `line` with its line end, which begins at `start`.
    fn read_header(&mut self, line: &[u8], start: usize, limits: &Limits, fault: &mut FirstFault) {
        if line.len() > limits.header_line {
            fault.note(ParseError::HeaderTooLong);
        }
        if self.entries.len() >= limits.headers.min(HEADERS_AT_MOST) {
            return fault.note(ParseError::TooManyHeaders);
        }
        let Some(colon) = memchr::memchr(b':', line) else {
            return fault.note(ParseError::NoColon);
        };
        let written = up_to(line, colon);
        let name_len = colon - written.iter().rev().take_while(|&&byte| is_blank(byte)).count();
        let name = HeaderName::of(up_to(line, name_len));
        // A known name is a token, so only others need the look at every byte.
        if name == HeaderName::Other && !is_token(up_to(line, name_len)) {
            return fault.note(ParseError::HeaderName);
        }
        let value_end = trim_end(line).len();
        let value_start = (colon + 1 + span(from(line, colon + 1), is_lws)).min(value_end.max(colon + 1));
        let at = |offset: usize| (start + offset) as u32;
        if let Some(first) = self.first.get_mut(name as usize).filter(|first| **first == ABSENT) {
            *first = self.entries.len() as u16;
        }
        self.entries.push(Entry {
            name,
            start: at(0),
            name_end: at(name_len),
            value_start: at(value_start),
            value_end: at(value_end.max(value_start)),
            end: at(line.len()),
        });
    }

    /// The exact search, for the few messages that hold more control characters than their line ends: escaped ones
    /// in quoted strings are lawful (RFC 4475 §3.1.1.2).
    fn has_bare_control(&self, head: &[u8]) -> bool {
        let mut rest = from(head, self.start_line_end);
        let mut found = has_bare_control(up_to(head, self.start_line_end));
        while !found && !rest.is_empty() {
            let len = header_len(rest).map_or(rest.len(), |(len, _)| len);
            found = has_bare_control(up_to(rest, len));
            rest = from(rest, len);
        }
        found
    }

    fn check_vias(&self, text: &[u8], limits: &Limits, fault: &mut FirstFault) {
        let vias = || self.entries.iter().filter(|entry| entry.name == HeaderName::Via);
        let commas = |entry: &Entry| memchr::memchr_iter(b',', value_of(text, entry)).count();
        // Commas count too much at most, so the exact count is seldom needed.
        if vias().map(|entry| commas(entry) + 1).sum::<usize>() > limits.vias
            && vias().map(|entry| split(value_of(text, entry)).count()).sum::<usize>() > limits.vias
        {
            fault.note(ParseError::TooManyVias);
        }
    }

    /// Find where the body ends (RFC 3261 §18.3).
    fn find_body(&mut self, text: &[u8], framing: Framing, fault: &mut FirstFault) {
        self.end = text.len();
        let mut length = None;
        for entry in self.entries.iter().filter(|entry| entry.name == HeaderName::ContentLength) {
            let value = read_u64(value_of(text, entry));
            if value.is_none() || length.is_some_and(|length| Some(length) != value) {
                return fault.note(ParseError::ContentLength);
            }
            length = value;
        }
        let Some(length) = length else {
            if framing == Framing::Stream {
                fault.note(ParseError::NoLength);
            }
            return;
        };
        let available = text.len() - self.body_start;
        match usize::try_from(length).ok().filter(|&length| length <= available) {
            Some(length) => self.end = self.body_start + length,
            None if framing == Framing::Stream => fault.note(ParseError::TooLarge),
            None => fault.note(ParseError::BodyShort),
        }
    }
}

/// The value of a header.
fn value_of<'a>(text: &'a [u8], entry: &Entry) -> &'a [u8] {
    between(text, entry.value_start as usize, entry.value_end as usize)
}

/// CRLFs before the start line.
fn leading_line_ends(bytes: &[u8]) -> usize {
    bytes.chunks_exact(2).take_while(|pair| pair == b"\r\n").count() * 2
}

/// How long the line end is with which the headers end, if it stands at the front. One without CR is found to be an
/// error elsewhere, but ends the headers all the same.
fn empty_line_len(text: &[u8]) -> Option<usize> {
    match text {
        [b'\r', b'\n', ..] => Some(2),
        [b'\n', ..] => Some(1),
        _ => None,
    }
}

/// How long the header at the front is with folding and line end, and how many CRLFs it has. `None` without an end.
fn header_len(text: &[u8]) -> Option<(usize, usize)> {
    let mut len = 0;
    let mut line_ends = 0;
    loop {
        let line = from(text, len);
        let line_len = memchr::memchr(b'\n', line)?;
        line_ends += usize::from(up_to(line, line_len).ends_with(b"\r"));
        len += line_len + 1;
        if !matches!(text.get(len), Some(b' ' | b'\t')) {
            return Some((len, line_ends));
        }
    }
}

/// A control character that no header may hold. HT is white space.
fn is_control(byte: u8) -> bool {
    (byte < b' ' && byte != b'\t') || byte == 0x7f
}

/// How many control characters there are, line ends among them. When they are twice as many as the CRLFs that end
/// lines, there is no other: cheap to see for the whole head at once.
fn count_controls(head: &[u8]) -> usize {
    /// So many bytes at once that their count fits into one byte, which lets the compiler use wide registers.
    const BLOCK: usize = 128;
    let controls = |block: &[u8]| block.iter().map(|&byte| u8::from(is_control(byte))).sum::<u8>();
    head.chunks(BLOCK).map(|block| usize::from(controls(block))).sum()
}

/// True when a header (or the start line), with folding and line end, holds a control character outside an escape in
/// a quoted string, or a CR or LF alone.
fn has_bare_control(header: &[u8]) -> bool {
    let mut quoted = false;
    let mut at = 0;
    while let Some(&byte) = header.get(at) {
        let next = header.get(at + 1).copied();
        match byte {
            b'"' => quoted = !quoted,
            b'\\' if quoted && !matches!(next, Some(b'\r' | b'\n') | None) => at += 1,
            b'\r' if next == Some(b'\n') => at += 1,
            byte if is_control(byte) => return true,
            _ => {}
        }
        at += 1;
    }
    false
}
