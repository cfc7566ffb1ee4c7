//! Why bytes are no SIP message, and what the sender deserves for it.

use std::fmt;

/// The first thing wrong with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ParseError {
    /// No start line that looks like SIP.
    NotSip,
    /// A start line that looks like SIP but is not `Method SP URI SP SIP/2.0` or `SIP/2.0 SP code SP reason`.
    StartLine,
    /// Another SIP version than 2.0.
    Version,
    /// A method longer than [`Limits::method`](super::Limits::method): none that anybody implements.
    MethodTooLong,
    /// A Request-URI longer than [`Limits::request_uri`](super::Limits::request_uri).
    UriTooLong,
    /// A header longer than [`Limits::header_line`](super::Limits::header_line).
    HeaderTooLong,
    /// More headers than [`Limits::headers`](super::Limits::headers).
    TooManyHeaders,
    /// More Via values than [`Limits::vias`](super::Limits::vias).
    TooManyVias,
    /// A header name that is no token.
    HeaderName,
    /// A line among the headers without a colon.
    NoColon,
    /// A control character outside quoted text, or a CR or LF alone.
    BareControl,
    /// A Content-Length that is no number, or several that differ.
    ContentLength,
    /// No Content-Length where it alone says how long the body is.
    NoLength,
    /// A message too large to be taken off its stream.
    TooLarge,
    /// Fewer bytes than Content-Length says.
    BodyShort,
    /// No empty line after the headers.
    NoEnd,
}

impl ParseError {
    /// The status that a request with this error is owed; `None` for silence, because the sender may not speak SIP.
    pub const fn status(self) -> Option<u16> {
        match self {
            Self::NotSip => None,
            Self::UriTooLong => Some(414),
            Self::TooLarge => Some(513),
            Self::MethodTooLong => Some(501),
            Self::Version => Some(505),
            Self::StartLine
            | Self::HeaderTooLong
            | Self::TooManyHeaders
            | Self::TooManyVias
            | Self::HeaderName
            | Self::NoColon
            | Self::BareControl
            | Self::ContentLength
            | Self::NoLength
            | Self::BodyShort
            | Self::NoEnd => Some(400),
        }
    }

    /// A short name that stays the same, for counters.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NotSip => "not_sip",
            Self::StartLine => "start_line",
            Self::Version => "version",
            Self::MethodTooLong => "method_too_long",
            Self::UriTooLong => "uri_too_long",
            Self::HeaderTooLong => "header_too_long",
            Self::TooManyHeaders => "too_many_headers",
            Self::TooManyVias => "too_many_vias",
            Self::HeaderName => "header_name",
            Self::NoColon => "no_colon",
            Self::BareControl => "bare_control",
            Self::ContentLength => "content_length",
            Self::NoLength => "no_length",
            Self::TooLarge => "too_large",
            Self::BodyShort => "body_short",
            Self::NoEnd => "no_end",
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::NotSip => "no SIP start line",
            Self::StartLine => "start line: one space between its three parts and none elsewhere",
            Self::Version => "SIP version: only 2.0",
            Self::MethodTooLong => "method too long",
            Self::UriTooLong => "Request-URI too long",
            Self::HeaderTooLong => "header too long",
            Self::TooManyHeaders => "too many headers",
            Self::TooManyVias => "too many Via values",
            Self::HeaderName => "header name with a character that no name has",
            Self::NoColon => "header line without a colon",
            Self::BareControl => "control character in the headers",
            Self::ContentLength => "Content-Length: one number",
            Self::NoLength => "no Content-Length on a stream",
            Self::TooLarge => "message too large",
            Self::BodyShort => "body shorter than Content-Length",
            Self::NoEnd => "no empty line after the headers",
        }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for ParseError {}
