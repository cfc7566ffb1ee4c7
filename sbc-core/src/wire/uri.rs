//! URIs (RFC 3261 §19.1): SIP and SIPS in full, others as scheme and rest.
//!
//! A header may be folded inside a URI, before a parameter: RFC 7118 §8.2 prints such a Contact. Folding is read over
//! there and nowhere else; [`write_unfolded`] takes it out where a URI moves into a start line.
//!
//! Nothing is decoded. An escaped NUL stays three harmless characters here (RFC 4475 §3.1.1.4 has such users in
//! lawful messages): whoever decodes it has to say what it means.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use super::host::{ip, split_host};
use super::text::{
    between, eq_ignore_case, from, is_blank, is_forbidden_in_uri, is_lws, offset_in, read_port, span,
    trim_end, up_to,
};
use super::{Params, ReadError};

/// The parts of a URI, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uri<'a> {
    /// `sip`, `sips`, `tel`, … in the case it was written.
    pub scheme: &'a [u8],
    /// The user without a password; may hold `;`, `?` and `/`, which then belong to it. `None` without `@`.
    pub user: Option<&'a [u8]>,
    /// What follows the first `:` before the `@`.
    pub password: Option<&'a [u8]>,
    /// The host, an IPv6 address with its brackets. For other schemes than SIP: everything up to `;` or `?`.
    pub host: &'a [u8],
    /// The port as written.
    pub port: Option<u16>,
    /// The parameters after the host.
    pub params: Params<'a>,
    /// What follows `?`.
    pub headers: Option<&'a [u8]>,
    /// Host and port in the text given: replace this to redirect a URI.
    pub host_range: Range<usize>,
    /// The user in the text given.
    pub user_range: Option<Range<usize>>,
}

/// RFC 3261 §19.1.2: the port of a `sip:` URI that names none.
const SIP_PORT: u16 = 5060;
/// RFC 3261 §19.1.2: the port of a `sips:` URI that names none.
const SIPS_PORT: u16 = 5061;

impl<'a> Uri<'a> {
    /// Read one URI without anything around it.
    ///
    /// # Errors
    /// No scheme, white space other than folding before a parameter, control characters, quotes or angle brackets, a bad percent escape; in SIP and SIPS
    /// also an empty user or host, an IPv6 address that is none or lacks its brackets, a port outside 1 to 65535.
    pub fn parse(text: &'a [u8]) -> Result<Self, ReadError> {
        check_characters(text)?;
        let colon = memchr::memchr(b':', text).unwrap_or(0);
        let scheme = up_to(text, colon);
        if !is_scheme(scheme) {
            return Err(ReadError { what: "a URI begins with a scheme and a colon" });
        }
        let rest = from(text, colon + 1);
        if is_sip_scheme(scheme) {
            Self::parse_sip(text, scheme, rest)
        } else {
            Self::parse_other(text, scheme, rest)
        }
    }

    fn parse_sip(text: &'a [u8], scheme: &'a [u8], rest: &'a [u8]) -> Result<Self, ReadError> {
        // The first '@' ends the user: '@' itself is never part of one unless escaped, but ';' and '?' may be.
        let (userinfo, rest) = match memchr::memchr(b'@', rest) {
            Some(at) => (Some(up_to(rest, at)), from(rest, at + 1)),
            None => (None, rest),
        };
        let (user, password) = match userinfo.map(|info| (info, memchr::memchr(b':', info))) {
            None => (None, None),
            Some((_, Some(0)) | (b"", None)) => {
                return Err(ReadError { what: "no user before the '@'" });
            }
            Some((info, _)) if info.contains(&b'\r') => return Err(FOLDED),
            Some((info, None)) => (Some(info), None),
            Some((info, Some(at))) => (Some(up_to(info, at)), Some(from(info, at + 1))),
        };
        let (host, after) = split_host(rest)?;
        let (port, after) = match after.split_first() {
            Some((b':', after)) => {
                let digits = up_to(after, span(after, |byte| byte.is_ascii_digit()));
                (Some(read_port(digits)?), from(after, digits.len()))
            }
            _ => (None, after),
        };
        let tail = from(after, span(after, is_lws));
        if !matches!(tail.first(), None | Some(b';' | b'?')) {
            return Err(ReadError { what: "a character that no host has" });
        }
        let host_start = offset_in(text, host);
        let (params, headers) = params_and_headers(tail)?;
        let user_range = user.map(|user| {
            let start = offset_in(text, user);
            start..start + user.len()
        });
        let host_range = host_start..offset_in(text, after);
        Ok(Self { scheme, user, password, host, port, params, headers, host_range, user_range })
    }

    fn parse_other(text: &'a [u8], scheme: &'a [u8], rest: &'a [u8]) -> Result<Self, ReadError> {
        let len = memchr::memchr2(b';', b'?', rest).unwrap_or(rest.len());
        let host = trim_end(up_to(rest, len));
        if host.is_empty() {
            return Err(ReadError { what: "nothing after the scheme" });
        }
        let (params, headers) = split_headers(from(rest, len))?;
        let start = offset_in(text, host);
        let host_range = start..start + host.len();
        let params = Params::new(params);
        Ok(Self {
            scheme,
            user: None,
            password: None,
            host,
            port: None,
            params,
            headers,
            host_range,
            user_range: None,
        })
    }

    /// True for `sip` and `sips`, in any case.
    pub fn is_sip(&self) -> bool {
        is_sip_scheme(self.scheme)
    }

    /// The host as an address; `None` for a name.
    pub fn ip(&self) -> Option<IpAddr> {
        if self.is_sip() { ip(self.host) } else { None }
    }

    /// Address and port, where the host is an address; without a port 5060, or 5061 for `sips` (RFC 3261 §19.1.2).
    pub fn socket_address(&self) -> Option<SocketAddr> {
        let default = if eq_ignore_case(self.scheme, b"sips") { SIPS_PORT } else { SIP_PORT };
        Some(SocketAddr::new(self.ip()?, self.port.unwrap_or(default)))
    }

    /// The host as a domain is compared: an IPv6 address without its brackets, a name without the root's dot.
    pub fn domain(&self) -> &'a [u8] {
        match self.host {
            [b'[', inside @ .., b']'] => inside,
            [name @ .., b'.'] if !name.is_empty() => name,
            host => host,
        }
    }
}

fn is_sip_scheme(scheme: &[u8]) -> bool {
    eq_ignore_case(scheme, b"sip") || eq_ignore_case(scheme, b"sips")
}

fn is_scheme(scheme: &[u8]) -> bool {
    scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

const FOLDED: ReadError = ReadError { what: "a URI folded elsewhere than before a parameter" };

/// What may stand in no URI at all, wherever it is.
fn check_characters(text: &[u8]) -> Result<(), ReadError> {
    let mut rest = text;
    while let Some(found) = rest.iter().position(|&byte| is_forbidden_in_uri(byte)) {
        rest = from(rest, found);
        let folding = folding_len(rest);
        if folding == 0 || rest.get(folding) != Some(&b';') {
            return Err(ReadError {
                what: "white space, a control character, a quote or an angle bracket in a URI",
            });
        }
        rest = from(rest, folding);
    }
    let is_hex = |at: usize| text.get(at).is_some_and(u8::is_ascii_hexdigit);
    if memchr::memchr_iter(b'%', text).all(|at| is_hex(at + 1) && is_hex(at + 2)) {
        Ok(())
    } else {
        Err(ReadError { what: "'%' without two hexadecimal digits after it" })
    }
}

/// How long the folding at the front is: a line end and the white space that continues the header. 0 without one.
fn folding_len(text: &[u8]) -> usize {
    match text {
        [b'\r', b'\n', continued @ ..] => match span(continued, is_blank) {
            0 => 0,
            blanks => 2 + blanks,
        },
        _ => 0,
    }
}

/// Append a URI without the folding that its header may have had: a start line must have none.
pub fn write_unfolded(out: &mut Vec<u8>, uri: &[u8]) {
    out.extend(uri.iter().filter(|&&byte| !is_lws(byte)));
}

/// The parameters and headers of a SIP URI. A second '@' before the headers is refused: another reader might take
/// the last one for the end of the user and see another host.
fn params_and_headers(after: &[u8]) -> Result<(Params<'_>, Option<&[u8]>), ReadError> {
    let (params, headers) = split_headers(after)?;
    if memchr::memchr(b'@', params).is_some() {
        return Err(ReadError { what: "a second '@' that is not escaped" });
    }
    Ok((Params::new(params), headers))
}

fn split_headers(after: &[u8]) -> Result<(&[u8], Option<&[u8]>), ReadError> {
    match memchr::memchr(b'?', after) {
        Some(at) if from(after, at).contains(&b'\r') => Err(FOLDED),
        Some(at) => Ok((between(after, 0, at), Some(from(after, at + 1)))),
        None => Ok((after, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri<'_> {
        Uri::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn all_parts_are_found() {
        let text = "SIPS:alice:se%20cret@EXAMPLE.com:5071;transport=ws;lr?Subject=a%3Fb&Priority=urgent";
        let uri = uri(text);
        assert_eq!(
            (uri.scheme, uri.user, uri.password),
            (&b"SIPS"[..], Some(&b"alice"[..]), Some(&b"se%20cret"[..]))
        );
        assert_eq!((uri.host, uri.port, uri.is_sip()), (&b"EXAMPLE.com"[..], Some(5071), true));
        assert_eq!((uri.params.value("transport"), uri.params.get("lr")), (Some(&b"ws"[..]), Some(None)));
        assert_eq!(uri.headers, Some(&b"Subject=a%3Fb&Priority=urgent"[..]));
        assert_eq!(&text[uri.host_range], "EXAMPLE.com:5071");
        assert_eq!(uri.user_range.map(|range| &text[range]), Some("alice"));
    }

    #[test]
    fn separators_before_the_at_sign_belong_to_the_user() {
        let uri = uri("sip:user;par=u%40example.net/?x,$@example.com;lr");
        assert_eq!((uri.user, uri.host), (Some(&b"user;par=u%40example.net/?x,$"[..]), &b"example.com"[..]));
        assert!(uri.params.has("lr") && !uri.params.has("par"));
    }

    #[test]
    fn escapes_are_kept_and_never_decoded() {
        assert_eq!(
            uri("sip:sips%3Auser%40example.com@example.net").user,
            Some(&b"sips%3Auser%40example.com"[..])
        );
        assert_eq!(uri("sip:null-%00-null@example.com").user, Some(&b"null-%00-null"[..]));
        for text in ["sip:a%@b", "sip:a%4@b", "sip:a%4g@b", "sip:a@b;x=%", "sip:a@b?x=%z1"] {
            assert!(Uri::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn ipv6_is_read_in_brackets_only() {
        let text = "sip:[2001:db8::10]:5070";
        assert_eq!(uri(text).host, b"[2001:db8::10]");
        assert_eq!(uri(text).domain(), b"2001:db8::10");
        assert_eq!(uri(text).socket_address(), "[2001:db8::10]:5070".parse().ok());
        let ambiguous = uri("sip:[2001:db8::10:5070]");
        assert_eq!((ambiguous.port, ambiguous.ip()), (None, "2001:db8::10:5070".parse().ok()));
        assert_eq!(uri("sip:a@[::ffff:192.0.2.10]").ip(), "::ffff:192.0.2.10".parse().ok());
        for text in [
            "sip:2001:db8::10",
            "sip:[2001:db8::10",
            "sip:2001:db8::10]",
            "sip:[]",
            "sip:[2001:db8:::1]",
            "sip:[a]",
        ] {
            assert!(Uri::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn default_port_depends_on_the_scheme() {
        assert_eq!(uri("sip:192.0.2.1").socket_address(), "192.0.2.1:5060".parse().ok());
        assert_eq!(uri("sips:a@192.0.2.1").socket_address(), "192.0.2.1:5061".parse().ok());
        assert_eq!(uri("sip:example.com").socket_address(), None);
        assert_eq!(uri("sip:192.0.2.256").ip(), None);
    }

    #[test]
    fn domain_loses_the_dot_of_the_root() {
        assert_eq!(uri("sip:a@example.com.").domain(), b"example.com");
        assert_eq!(uri("sip:a@example.com").domain(), b"example.com");
    }

    #[test]
    fn folding_is_read_over_before_a_parameter_and_can_be_taken_out() {
        let text = "sip:alice@example.com:5060\r\n ;gr=urn:uuid:f81\r\n\t;ob";
        let folded = uri(text);
        assert_eq!((folded.host, folded.port), (&b"example.com"[..], Some(5060)));
        assert_eq!(
            (folded.params.value("gr"), folded.params.get("ob")),
            (Some(&b"urn:uuid:f81"[..]), Some(None))
        );
        assert_eq!(&text[folded.host_range], "example.com:5060");
        assert_eq!(uri("tel:+1234\r\n ;ext=5").host, b"+1234");
        let mut out = b"BYE ".to_vec();
        write_unfolded(&mut out, text.as_bytes());
        assert_eq!(out, b"BYE sip:alice@example.com:5060;gr=urn:uuid:f81;ob");
        for text in [
            "sip:a\r\n ;b@c",
            "sip:a@b ;c",
            "sip:a@b\r\n;c",
            "sip:a@b;c=\r\n d",
            "sip:a@b?c\r\n ;d",
            "sip:a@b\r\n ",
        ] {
            assert!(Uri::parse(text.as_bytes()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn other_schemes_are_read_as_scheme_and_rest() {
        let tel = uri("tel:+49-30-1234;phone-context=example.com");
        assert_eq!((tel.is_sip(), tel.user, tel.host), (false, None, &b"+49-30-1234"[..]));
        assert_eq!(tel.params.value("phone-context"), Some(&b"example.com"[..]));
        assert_eq!(uri("soap.beep://192.0.2.103:3002").ip(), None);
        assert_eq!(uri("isbn:2983792873").scheme, b"isbn");
        assert_eq!(uri("urn:service:sos").host, b"service:sos");
    }

    #[test]
    fn broken_uris_are_refused() {
        let broken = "|sip|sip:|:a@b|1sip:a|s_p:a|sip:@b|sip::x@b|sip:a@|sip:a@:5060|sip:a@b:|sip:a@b:0|sip:a@b:65536|\
                      sip:a@b:5o60|sip:a@b c|sip: a@b|<sip:a@b>|sip:\"a\"@b|sip:a@b>|sip:a\\@b|sip:a@b@c|sip:a@b;x=@c|\
                      sip:a@b/c|sip:a@b,c|sip:a\u{1}@b|sip:a@b\u{7f}|sip:a@b\t|tel:|sip:a@bü|sip:;lr";
        for text in broken.split('|') {
            assert!(Uri::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
