//! A message as its readers see it: bytes and index together.

use std::ops::Range;

use super::index::Entry;
use super::start_line::StartLine;
use super::text::{between, eq_ignore_case};
use super::{CSeq, HeaderName, Index};

/// An indexed message. All offsets it gives are relative to [`bytes`](Self::bytes).
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    bytes: &'a [u8],
    index: &'a Index,
}

/// One header of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// Which header it is.
    pub name: HeaderName,
    /// The name as written.
    pub raw_name: &'a [u8],
    /// The value without white space around it; folding inside stays.
    pub value: &'a [u8],
    line: (u32, u32),
    value_start: u32,
}

impl Header<'_> {
    /// The whole header with its folding and its line end: delete this to remove it.
    pub fn line(&self) -> Range<usize> {
        self.line.0 as usize..self.line.1 as usize
    }

    /// Where the value stands: replace this to change it.
    pub fn value_range(&self) -> Range<usize> {
        let start = self.value_start as usize;
        start..start + self.value.len()
    }
}

impl<'a> Message<'a> {
    /// The message that `index` was made from. Given other bytes, the answers make no sense, but nothing panics.
    pub fn new(bytes: &'a [u8], index: &'a Index) -> Self {
        let bytes = between(bytes, index.skipped, (index.skipped + index.end).min(bytes.len()));
        Self { bytes, index }
    }

    /// The message without line ends before it and without what follows its body.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// True for a request, false for a response.
    pub fn is_request(&self) -> bool {
        matches!(self.index.start_line, StartLine::Request { .. })
    }

    /// The method: of a request from its start line, of a response from its CSeq (empty without a good one).
    pub fn method_text(&self) -> &'a [u8] {
        match &self.index.start_line {
            StartLine::Request { method, .. } => self.slice(method),
            StartLine::Response { .. } => {
                CSeq::parse(self.value(HeaderName::CSeq)).map_or(b"", |cseq| cseq.method)
            }
        }
    }

    /// The Request-URI; empty for a response.
    pub fn request_uri(&self) -> &'a [u8] {
        self.slice(&self.request_uri_range())
    }

    /// Where the Request-URI stands; empty for a response.
    pub fn request_uri_range(&self) -> Range<usize> {
        match &self.index.start_line {
            StartLine::Request { uri, .. } => uri.clone(),
            StartLine::Response { .. } => 0..0,
        }
    }

    /// The status code; 0 for a request.
    pub fn status(&self) -> u16 {
        match self.index.start_line {
            StartLine::Response { status, .. } => status,
            StartLine::Request { .. } => 0,
        }
    }

    /// The reason phrase, which may be empty; empty for a request.
    pub fn reason_phrase(&self) -> &'a [u8] {
        match &self.index.start_line {
            StartLine::Response { phrase, .. } => self.slice(phrase),
            StartLine::Request { .. } => b"",
        }
    }

    /// The start line with its line end. The first header begins where it ends.
    pub fn start_line_range(&self) -> Range<usize> {
        0..self.index.start_line_end
    }

    /// The first header of this name. Costs the same for every name.
    pub fn first(&self, name: HeaderName) -> Option<Header<'a>> {
        self.entries_from_first(name).first().map(|entry| self.header(entry))
    }

    /// The last header of this name.
    pub fn last(&self, name: HeaderName) -> Option<Header<'a>> {
        self.entries_from_first(name).iter().rfind(|entry| entry.name == name).map(|entry| self.header(entry))
    }

    /// All headers of this name, from top to bottom.
    pub fn all(&self, name: HeaderName) -> impl Iterator<Item = Header<'a>> + use<'a> {
        let message = *self;
        self.entries_from_first(name)
            .iter()
            .filter(move |entry| entry.name == name)
            .map(move |e| message.header(e))
    }

    /// How many headers of this name there are. A header may hold several values: see [`split`](super::split).
    pub fn count(&self, name: HeaderName) -> usize {
        self.entries_from_first(name).iter().filter(|entry| entry.name == name).count()
    }

    /// All headers, from top to bottom.
    pub fn headers(&self) -> impl Iterator<Item = Header<'a>> + use<'a> {
        let message = *self;
        self.index.entries.iter().map(move |entry| message.header(entry))
    }

    /// All headers of this name, given as text in any case: known names find their compact forms, too.
    pub fn named<'n>(&self, name: &'n str) -> impl Iterator<Item = Header<'a>> + use<'a, 'n> {
        let id = HeaderName::of(name.as_bytes());
        self.headers().filter(move |header| {
            header.name == id && (id != HeaderName::Other || eq_ignore_case(header.raw_name, name.as_bytes()))
        })
    }

    /// The value of the first header of this name; empty without one.
    pub fn value(&self, name: HeaderName) -> &'a [u8] {
        self.first(name).map_or(b"", |header| header.value)
    }

    /// Where the empty line after the headers begins: insert a header here to append it.
    pub fn head_end(&self) -> usize {
        self.index.head_end
    }

    /// The body; empty without one.
    pub fn body(&self) -> &'a [u8] {
        between(self.bytes, self.index.body_start, self.bytes.len())
    }

    fn slice(&self, range: &Range<usize>) -> &'a [u8] {
        between(self.bytes, range.start, range.end)
    }

    /// The entries from the first of this name on; empty without one.
    fn entries_from_first(&self, name: HeaderName) -> &'a [Entry] {
        let first = self.index.first.get(name as usize).copied().unwrap_or(u16::MAX);
        self.index.entries.get(usize::from(first)..).unwrap_or_default()
    }

    fn header(&self, entry: &Entry) -> Header<'a> {
        let slice = |start: u32, end: u32| between(self.bytes, start as usize, end as usize);
        Header {
            name: entry.name,
            raw_name: slice(entry.start, entry.name_end),
            value: slice(entry.value_start, entry.value_end),
            line: (entry.start, entry.end),
            value_start: entry.value_start,
        }
    }
}
