//! Via (RFC 3261 §20.42, RFC 3581): one hop of the way back.

use super::host::split_host;
use super::list::first_len;
use super::text::{from, is_lws, is_token_char, offset_in, read_port, skip_lws, span, trim_end, up_to};
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
    /// No protocol name, version and transport, a bad sent-by, an empty parameter, a quote that never closes.
    pub fn parse(text: &'a [u8]) -> Result<Self, ReadError> {
        let value = trim_end(up_to(text, first_len(text)));
        let at = skip_lws(value, 0);
        let at = after_protocol_part(value, at)?;
        let at = after_protocol_part(value, at)?;
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
        Ok(Self {
            transport,
            host,
            port,
            params,
            params_start,
            len: value.len(),
            sent_by: up_to(sent_by, sent_by_len),
        })
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

/// The offset after `token SLASH` at `at`. Any name and version pass, as the grammar says: a request of another
/// version is owed its 505, which travels along the Via.
fn after_protocol_part(value: &[u8], at: usize) -> Result<usize, ReadError> {
    let end = at + span(from(value, at), is_token_char);
    let slash = skip_lws(value, end);
    if end > at && value.get(slash) == Some(&b'/') {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn via(text: &str) -> Via<'_> {
        Via::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn usual_via_is_read() {
        let text = "SIP/2.0/WSS df7jal23ls0d.invalid;branch=z9hG4bK56sdasks;rport";
        let via = via(text);
        assert_eq!((via.transport, via.host, via.port), (&b"WSS"[..], &b"df7jal23ls0d.invalid"[..], None));
        assert_eq!(via.branch(), Some(&b"z9hG4bK56sdasks"[..]));
        assert_eq!(via.rport(), Some(None));
        assert_eq!(via.received(), None);
        assert_eq!(&text[via.params_start..via.len], ";branch=z9hG4bK56sdasks;rport");
    }

    #[test]
    fn white_space_may_stand_around_slashes_colon_and_parameters() {
        let text = "SIP  /   2.0\r\n /UDP\r\n    192.0.2.2 : 5070 ; branch =\r\n z9hG4bK1 ; rport = 9 ";
        let via = via(text);
        assert_eq!((via.transport, via.host, via.port), (&b"UDP"[..], &b"192.0.2.2"[..], Some(5070)));
        assert_eq!(via.sent_by_text(), b"192.0.2.2 : 5070");
        assert_eq!((via.branch(), via.rport()), (Some(&b"z9hG4bK1"[..]), Some(Some(9))));
        assert_eq!(via.len, text.len() - 1);
    }

    #[test]
    fn ipv6_needs_brackets_in_sent_by_and_none_in_received() {
        let via = via("SIP/2.0/UDP [2001:db8::9:1]:5061;received=2001:db8::9:255;branch=z9hG4bKas3");
        assert_eq!((via.host, via.port), (&b"[2001:db8::9:1]"[..], Some(5061)));
        assert_eq!(via.received(), Some(&b"2001:db8::9:255"[..]));
        assert!(Via::parse(b"SIP/2.0/UDP 2001:db8::9:1;branch=z9hG4bKas3").is_err());
        assert!(Via::parse(b"SIP/2.0/UDP [2001:db8::9:1;branch=z9hG4bKas3").is_err());
        assert!(Via::parse(b"SIP/2.0/UDP [host.example]").is_err());
    }

    #[test]
    fn only_the_first_of_several_values_is_read() {
        let text = "SIP/2.0/UDP a;x=\",\" , SIP/2.0/UDP b";
        let via = via(text);
        assert_eq!((via.host, via.params.value("x")), (&b"a"[..], Some(&b","[..])));
        assert_eq!(&text[..via.len], "SIP/2.0/UDP a;x=\",\"");
    }

    #[test]
    fn without_parameters_they_would_begin_after_sent_by() {
        let via = via("SIP/2.0/TCP gw.example.com:5060");
        assert_eq!((via.params_start, via.len, via.params.raw()), (31, 31, &b""[..]));
    }

    #[test]
    fn rport_that_is_no_port_counts_as_asked_for() {
        for text in ["rport=", "rport=0", "rport=65536", "rport=x"] {
            assert_eq!(via(&format!("SIP/2.0/UDP a;{text}")).rport(), Some(None), "{text}");
        }
    }

    #[test]
    fn other_versions_are_read_so_that_they_can_be_answered() {
        assert_eq!(via("SIP/7.0/UDP c.example.com;branch=z9hG4bK1").host, b"c.example.com");
    }

    #[test]
    fn broken_vias_are_refused() {
        let broken = "|SIP/2.0/UDP|SIP/2.0/UDP |SIP//UDP a|/2.0/UDP a|SIP/2.0 a|SIP/2.0/ a|SIP/2.0/UDP;branch=x|\
                      SIP/2.0/UDP a:|SIP/2.0/UDP a:0|SIP/2.0/UDP a:99999|SIP/2.0/UDP a b|SIP/2.0/UDP a;;|SIP/2.0/UDP a;|\
                      SIP/2.0/UDP a;x=\"y|SIP/2.0/UDPa|SIP/2.0/UDP a?b|, SIP/2.0/UDP a";
        for text in broken.split('|') {
            assert!(Via::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
