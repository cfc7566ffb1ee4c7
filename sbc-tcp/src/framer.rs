//! Messages out of a byte stream (RFC 3261 §18.3): the head ends with an empty line, Content-Length says the rest.
//!
//! Nothing is guessed. A stream that does not begin with SIP, has no single Content-Length or announces more than we
//! take is over: what follows could be the inside of a body, and reading that as a message would let its sender
//! speak for others. Every byte is looked at a bounded number of times, however it is cut into pieces.

use std::ops::Range;

use memchr::memmem;

use crate::reason::CloseReason;

/// The longest start line, in bytes: a Request-URI may have 2 KiB.
const START_LINE: usize = 4096;
/// A buffer that grew beyond this for one message is given back after it.
const KEPT_BUFFER: usize = 4096;
/// Room that is made for one read, in bytes.
const READ_ROOM: usize = 1024;

/// What stands at the front of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// One whole message, or one keepalive (a double CRLF, RFC 5626 §3.5.1).
    Message(Range<usize>),
    /// More has to come.
    Partial,
    /// The stream is over. Where its head could be told, the request in it is owed an answer.
    Lost(CloseReason, Option<Range<usize>>),
}

/// The bytes of one connection that have not been handled yet.
#[derive(Debug)]
pub struct Framer {
    buffer: Vec<u8>,
    /// Bytes at the front that were handled.
    used: usize,
    /// Bytes after `used` in which no end of a head was found.
    searched: usize,
    /// Length of the message at the front, once its head is complete.
    whole: Option<usize>,
    start_line_seen: bool,
    max_message: usize,
}

impl Framer {
    /// Takes messages of at most `max_message` bytes.
    pub fn new(max_message: usize) -> Self {
        Self { buffer: Vec::new(), used: 0, searched: 0, whole: None, start_line_seen: false, max_message }
    }

    /// Where the next bytes are to be appended.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        if self.used == self.buffer.len() {
            self.buffer.clear();
            if self.buffer.capacity() > KEPT_BUFFER {
                self.buffer = Vec::new();
            }
        } else {
            self.buffer.drain(..self.used);
        }
        self.used = 0;
        self.buffer.reserve(READ_ROOM);
        &mut self.buffer
    }

    /// The bytes of a [`Frame`].
    pub fn bytes(&self, range: &Range<usize>) -> &[u8] {
        self.buffer.get(range.clone()).unwrap_or(&[])
    }

    /// True while a message has begun and not ended. A single CRLF is no beginning.
    pub fn is_partial(&self) -> bool {
        !matches!(self.rest(), b"" | b"\r" | b"\r\n" | b"\r\n\r")
    }

    /// What stands at the front. A message is given once.
    pub fn next_frame(&mut self) -> Frame {
        if let Some(keepalive) = self.skip_line_ends() {
            return keepalive;
        }
        if self.rest().is_empty() || self.rest() == b"\r" {
            return Frame::Partial;
        }
        if !self.start_line_seen {
            match start_line(self.rest()) {
                StartLine::Sip => self.start_line_seen = true,
                StartLine::Incomplete => return Frame::Partial,
                StartLine::NotSip => return Frame::Lost(CloseReason::NotSip, None),
            }
        }
        let whole = match self.whole {
            Some(whole) => whole,
            None => match self.read_head() {
                Ok(Some(whole)) => whole,
                Ok(None) => return Frame::Partial,
                Err(lost) => return lost,
            },
        };
        if self.rest().len() < whole {
            self.whole = Some(whole);
            return Frame::Partial;
        }
        let message = self.used..self.used + whole;
        self.consume(whole);
        Frame::Message(message)
    }

    /// Line ends before a start line mean nothing (§7.5), but two of them ask for one (RFC 5626 §3.5.1).
    fn skip_line_ends(&mut self) -> Option<Frame> {
        if self.rest().starts_with(b"\r\n\r\n") {
            let keepalive = self.used..self.used + 4;
            self.consume(4);
            return Some(Frame::Message(keepalive));
        }
        match self.rest() {
            // It may be the first half of a keepalive.
            b"\r\n" | b"\r\n\r" => return Some(Frame::Partial),
            [b'\r', b'\n', ..] => self.consume(2),
            _ => {}
        }
        None
    }

    /// The length of the message whose head is at the front, `None` where its end is not there yet.
    fn read_head(&mut self) -> Result<Option<usize>, Frame> {
        // The empty line may have been cut anywhere.
        let from = self.searched.saturating_sub(3);
        let found = self.rest().get(from..).and_then(|rest| memmem::find(rest, b"\r\n\r\n"));
        let Some(found) = found else {
            self.searched = self.rest().len();
            let too_long = self.searched > self.max_message;
            return if too_long { Err(Frame::Lost(CloseReason::TooBig, None)) } else { Ok(None) };
        };
        let head = from + found + 4;
        let range = self.used..self.used + head;
        let lost = |why| Frame::Lost(why, Some(range.clone()));
        let body = content_length(self.bytes(&range)).map_err(lost)?;
        match body.checked_add(head).filter(|whole| *whole <= self.max_message) {
            Some(whole) => Ok(Some(whole)),
            None => Err(lost(CloseReason::TooBig)),
        }
    }

    fn rest(&self) -> &[u8] {
        self.buffer.get(self.used..).unwrap_or(&[])
    }

    fn consume(&mut self, bytes: usize) {
        self.used += bytes;
        self.searched = 0;
        self.whole = None;
        self.start_line_seen = false;
    }
}

enum StartLine {
    Sip,
    Incomplete,
    NotSip,
}

/// `Method SP URI SP SIP/2.0`, or `SIP/2.0 SP …`; another version is still SIP, and answered as such.
fn start_line(text: &[u8]) -> StartLine {
    if !text.first().is_some_and(u8::is_ascii_alphabetic) {
        return StartLine::NotSip;
    }
    let Some(end) = memchr::memchr(b'\n', text.get(..START_LINE).unwrap_or(text)) else {
        return if text.len() < START_LINE { StartLine::Incomplete } else { StartLine::NotSip };
    };
    let line = text.get(..end).unwrap_or(text);
    let names_sip = |part: &[u8]| part.get(..4).is_some_and(|name| name.eq_ignore_ascii_case(b"SIP/"));
    let last = line.rsplit(|byte| *byte == b' ').next().unwrap_or(line);
    if names_sip(line) || names_sip(last) { StartLine::Sip } else { StartLine::NotSip }
}

/// The one Content-Length of a head (§20.14; `l` is its short name). Repeated with the same value it is harmless.
fn content_length(head: &[u8]) -> Result<usize, CloseReason> {
    let mut length = None;
    let mut lines = head.split(|byte| *byte == b'\n').skip(1).peekable();
    while let Some(line) = lines.next() {
        let mut value = None;
        if let Some(colon) = memchr::memchr(b':', line) {
            let (name, after) = line.split_at(colon);
            value = is_content_length(name.trim_ascii()).then(|| after.get(1..).unwrap_or(b"").trim_ascii());
        }
        while let Some(folded) = lines.next_if(|next| matches!(next.first(), Some(b' ' | b'\t'))) {
            // A value that goes on over several lines is no number.
            value = value.map(|value| if value.is_empty() { folded.trim_ascii() } else { b"?" });
        }
        let Some(value) = value else { continue };
        let number = number(value).ok_or(CloseReason::BadLength)?;
        if length.is_some_and(|length| length != number) {
            return Err(CloseReason::BadLength);
        }
        length = Some(number);
    }
    length.ok_or(CloseReason::NoLength)
}

fn is_content_length(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"content-length") || name.eq_ignore_ascii_case(b"l")
}

/// Digits only; what does not fit is more than anybody takes.
fn number(text: &[u8]) -> Option<usize> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digit = |sum: usize, byte: &u8| sum.saturating_mul(10).saturating_add(usize::from(byte - b'0'));
    Some(text.iter().fold(0, digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &[u8] = b"INVITE sip:a@b SIP/2.0\r\nVia: x\r\nContent-Length: 4\r\n\r\nbody";
    const OK: &[u8] = b"SIP/2.0 200 OK\r\nl:\t0\r\n\r\n";

    /// Everything a stream gives when it arrives in pieces of `size` bytes.
    fn frames(stream: &[u8], size: usize) -> (Vec<Vec<u8>>, Option<CloseReason>) {
        let mut framer = Framer::new(1000);
        let mut messages = Vec::new();
        for piece in stream.chunks(size) {
            framer.buffer().extend_from_slice(piece);
            loop {
                match framer.next_frame() {
                    Frame::Message(range) => messages.push(framer.bytes(&range).to_vec()),
                    Frame::Partial => break,
                    Frame::Lost(why, _) => return (messages, Some(why)),
                }
            }
        }
        (messages, None)
    }

    #[test]
    fn messages_are_the_same_however_the_stream_is_cut() {
        let stream = [INVITE, b"\r\n", OK, b"\r\n\r\n", INVITE, OK].concat();
        let expected = [INVITE, OK, b"\r\n\r\n", INVITE, OK].map(<[u8]>::to_vec);
        for size in 1..stream.len() {
            assert_eq!(frames(&stream, size), (expected.to_vec(), None), "in pieces of {size}");
        }
    }

    #[test]
    fn a_pong_is_silent_and_no_beginning() {
        let mut framer = Framer::new(1000);
        framer.buffer().extend_from_slice(b"\r\n");
        assert_eq!(framer.next_frame(), Frame::Partial);
        assert!(!framer.is_partial());
        framer.buffer().extend_from_slice(b"I");
        assert_eq!(framer.next_frame(), Frame::Partial);
        assert!(framer.is_partial());
    }

    #[test]
    fn a_stream_that_cannot_be_framed_is_over() {
        let head = |length: &str| format!("BYE sip:a SIP/2.0\r\n{length}\r\n\r\n");
        for (stream, why) in [
            (head("Via: x"), CloseReason::NoLength),
            (head("Content-Length: -1"), CloseReason::BadLength),
            (head("Content-Length: 1 2"), CloseReason::BadLength),
            (head("Content-Length:"), CloseReason::BadLength),
            (head("Content-Length: 1\r\n 2"), CloseReason::BadLength),
            (head("Content-Length: 1\r\nl: 2"), CloseReason::BadLength),
            (head("Content-Length: 99999999999999999999999999"), CloseReason::TooBig),
            (head("Content-Length: 1001"), CloseReason::TooBig),
            ("GET / HTTP/1.1\r\n\r\n".to_owned(), CloseReason::NotSip),
            ("\u{16}\u{3}\u{1}".to_owned(), CloseReason::NotSip),
            ("A".repeat(START_LINE), CloseReason::NotSip),
            (format!("BYE sip:a SIP/2.0\r\n{}", "a: b\r\n".repeat(300)), CloseReason::TooBig),
        ] {
            assert_eq!(frames(stream.as_bytes(), 7).1, Some(why), "{stream:.60}");
            assert_eq!(frames(stream.as_bytes(), stream.len()).1, Some(why), "{stream:.60}");
        }
    }

    #[test]
    fn harmless_ways_to_write_a_length_are_read() {
        for length in
            ["Content-Length: 0", "content-length \t:\t0", "L:0", "l:\r\n 0", "l: 0\r\nContent-Length: 00"]
        {
            let stream = format!("BYE sip:a SIP/2.0\r\n{length}\r\n\r\n");
            assert_eq!(frames(stream.as_bytes(), 3), (vec![stream.into_bytes()], None), "{length}");
        }
    }

    #[test]
    fn what_can_be_answered_is_handed_on() {
        let mut framer = Framer::new(1000);
        let head = b"INVITE sip:a SIP/2.0\r\nContent-Length: 4000\r\n\r\n";
        framer.buffer().extend_from_slice(head);
        assert_eq!(framer.next_frame(), Frame::Lost(CloseReason::TooBig, Some(0..head.len())));
    }

    #[test]
    fn a_large_message_leaves_no_large_buffer() {
        let mut framer = Framer::new(100_000);
        let message = [b"BYE sip:a SIP/2.0\r\nl: 50000\r\n\r\n".as_slice(), &[b'x'; 50_000]].concat();
        framer.buffer().extend_from_slice(&message);
        assert!(matches!(framer.next_frame(), Frame::Message(_)));
        assert!(framer.buffer().capacity() <= KEPT_BUFFER);
    }
}
