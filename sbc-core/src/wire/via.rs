//! Via (RFC 3261 §20.42, RFC 3581): one hop of the way back.

use super::host::split_host;
use super::list::first_len;
use super::text::{
    between, eq_ignore_case, from, is_lws, is_token_char, offset_in, read_port, skip_lws, span, trim_end, up_to,
};
use super::{Params, ReadError};

/// One value of a Via header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Via<'a> {
    /// The transport: `UDP`, `WSS`, … in the case it was written.
    pub transport: &'a [u8],
    /// The host of sent-by, an IPv6 address with its brackets.
    pub host: &'a [u8],
    /// The port of sent-by; `None` leaves the default of the transport.
    pub port: Option<u16>,
    /// branch, received, rport and others.
    pub params: Params<'a>,
    /// Where the parameters begin in the text given (the end of sent-by when there are none): [`Params::raw`] is
    /// what stands from here to [`len`](Self::len).
    pub params_start: usize,
    /// Where this value ends in the text given, without white space after it: a new parameter goes in here.
    pub len: usize,
    sent_by: &'a [u8],
}

impl<'a> Via<'a> {
    /// Read the first value of `text`, up to its end or to a comma outside quotes. White space may stand around the
    /// slashes and the colon.
    ///
    /// # Errors
    /// Another protocol than SIP/2.0, no transport, a bad sent-by, an empty parameter, a quote that never closes.
    pub fn parse(text: &'a [u8]) -> Result<Self, ReadError> {
        let value = trim_end(up_to(text, first_len(text)));
        let at = skip_lws(value, 0);
        let at = protocol_part(value, at, b"SIP")?;
        let at = protocol_part(value, at, b"2.0")?;
        let rest = from(value, at);
        let transport = up_to(rest, span(rest, is_token_char));
        let rest = from(rest, transport.len());
        let lws = span(rest, is_lws);
        if transport.is_empty() || lws == 0 {
            return Err(ReadError { what: "a Via names its transport, then white space, then its host" });
        }
        let sent_by = from(rest, lws);
        let (host, rest) = split_host(sent_by)?;
        let (port, sent_by_len) = sent_by_port(sent_by, host.len(), rest)?;
        let after = offset_in(value, sent_by) + sent_by_len;
        let params_start = skip_lws(value, after);
        let raw = from(value, params_start);
        if !matches!(raw.first(), None | Some(b';')) {
            return Err(ReadError { what: "after a Via's host and port come parameters or nothing" });
        }
        let params = Params::new(raw);
        params.check()?;
        Ok(Self { transport, host, port, params, params_start, len: value.len(), sent_by: up_to(sent_by, sent_by_len) })
    }

    /// The branch: the transaction's name (RFC 3261 §8.1.1.7).
    pub fn branch(&self) -> Option<&'a [u8]> {
        self.params.value("branch")
    }

    /// The address that the next hop saw (RFC 3261 §18.2.1), as written: IPv6 with or without brackets.
    pub fn received(&self) -> Option<&'a [u8]> {
        self.params.value("received")
    }

    /// RFC 3581: `Some(None)` asks for symmetric responses, `Some(Some(port))` carries the port that was seen.
    /// A value that is no port counts as none.
    pub fn rport(&self) -> Option<Option<u16>> {
        self.params.get("rport").map(|value| value.and_then(|port| read_port(port).ok()))
    }

    /// Host and port as written.
    pub fn sent_by_text(&self) -> &'a [u8] {
        self.sent_by
    }
}

/// The offset after `word SLASH` at `at`.
fn protocol_part(value: &[u8], at: usize, word: &[u8]) -> Result<usize, ReadError> {
    let end = at + word.len();
    let slash = skip_lws(value, end);
    if eq_ignore_case(between(value, at, end), word) && value.get(slash) == Some(&b'/') {
        Ok(skip_lws(value, slash + 1))
    } else {
        Err(ReadError { what: "a Via begins with SIP/2.0/ and a transport" })
    }
}

/// The port after the host, and how long sent-by is with it.
fn sent_by_port(sent_by: &[u8], host_len: usize, rest: &[u8]) -> Result<(Option<u16>, usize), ReadError> {
    let colon = skip_lws(rest, 0);
    if rest.get(colon) != Some(&b':') {
        return Ok((None, host_len));
    }
    let digits_at = skip_lws(rest, colon + 1);
    let digits = from(rest, digits_at);
    let digits = up_to(digits, span(digits, |byte| byte.is_ascii_digit()));
    let port = read_port(digits)?;
    Ok((Some(port), offset_in(sent_by, digits) + digits.len()))
}
