//! How much one message may hold; refusals name the limit ([`ParseError`](super::ParseError)).

/// What one message may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Header lines, a folded header counted once.
    pub headers: usize,
    /// Bytes of one header with its name, its folding and its line end.
    pub header_line: usize,
    /// Bytes of the Request-URI.
    pub request_uri: usize,
    /// Bytes of the method.
    pub method: usize,
    /// Via values over all Via headers. A request that began with Max-Forwards 70 cannot have more hops.
    pub vias: usize,
}

/// Default of [`Limits::headers`].
const HEADERS: usize = 256;
/// Default of [`Limits::header_line`].
const HEADER_LINE: usize = 8192;
/// Default of [`Limits::request_uri`].
const REQUEST_URI: usize = 2048;
/// Default of [`Limits::method`].
const METHOD: usize = 32;
/// Default of [`Limits::vias`].
const VIAS: usize = 70;

impl Default for Limits {
    fn default() -> Self {
        Self {
            headers: HEADERS,
            header_line: HEADER_LINE,
            request_uri: REQUEST_URI,
            method: METHOD,
            vias: VIAS,
        }
    }
}
