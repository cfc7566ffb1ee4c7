//! URIs (RFC 3261 §19.1): SIP and SIPS in full, others as scheme and rest.
//!
//! Nothing is decoded. An escaped NUL stays three harmless characters here (RFC 4475 §3.1.1.4 has such users in
//! lawful messages): whoever decodes it has to say what it means.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use super::host::{ip, split_host};
use super::text::{between, eq_ignore_case, from, offset_in, read_port, up_to};
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
    /// No scheme, white space, control characters, quotes or angle brackets, a bad percent escape; in SIP and SIPS
    /// also an empty user or host, an IPv6 address that is none or lacks its brackets, a port outside 1 to 65535.
    pub fn parse(text: &'a [u8]) -> Result<Self, ReadError> {
        check_characters(text)?;
        let colon = memchr::memchr(b':', text).unwrap_or(0);
        let scheme = up_to(text, colon);
        if !is_scheme(scheme) {
            return Err(ReadError { what: "a URI begins with a scheme and a colon" });
        }
        let rest = from(text, colon + 1);
        if is_sip_scheme(scheme) { Self::parse_sip(text, scheme, rest) } else { Self::parse_other(text, scheme, rest) }
    }

    fn parse_sip(text: &'a [u8], scheme: &'a [u8], rest: &'a [u8]) -> Result<Self, ReadError> {
        // The first '@' ends the user: '@' itself is never part of one unless escaped, but ';' and '?' may be.
        let (userinfo, rest) = match memchr::memchr(b'@', rest) {
            Some(at) => (Some(up_to(rest, at)), from(rest, at + 1)),
            None => (None, rest),
        };
        let (user, password) = match userinfo.map(|info| (info, memchr::memchr(b':', info))) {
            None => (None, None),
            Some((_, Some(0)) | (b"", None)) => return Err(ReadError { what: "no user before the '@'" }),
            Some((info, None)) => (Some(info), None),
            Some((info, Some(at))) => (Some(up_to(info, at)), Some(from(info, at + 1))),
        };
        let (host, after) = split_host(rest)?;
        let (port, after) = match after.split_first() {
            Some((b':', after)) => {
                let digits = up_to(after, memchr::memchr2(b';', b'?', after).unwrap_or(after.len()));
                (Some(read_port(digits)?), from(after, digits.len()))
            }
            _ => (None, after),
        };
        if !matches!(after.first(), None | Some(b';' | b'?')) {
            return Err(ReadError { what: "a character that no host has" });
        }
        let host_start = offset_in(text, host);
        let (params, headers) = params_and_headers(after)?;
        let user_range = user.map(|user| {
            let start = offset_in(text, user);
            start..start + user.len()
        });
        let host_range = host_start..offset_in(text, after);
        Ok(Self { scheme, user, password, host, port, params, headers, host_range, user_range })
    }

    fn parse_other(text: &'a [u8], scheme: &'a [u8], rest: &'a [u8]) -> Result<Self, ReadError> {
        let host = up_to(rest, memchr::memchr2(b';', b'?', rest).unwrap_or(rest.len()));
        if host.is_empty() {
            return Err(ReadError { what: "nothing after the scheme" });
        }
        let (params, headers) = split_headers(from(rest, host.len()));
        let start = offset_in(text, host);
        let host_range = start..start + host.len();
        let params = Params::new(params);
        Ok(Self { scheme, user: None, password: None, host, port: None, params, headers, host_range, user_range: None })
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

/// What may stand in no URI at all, wherever it is.
fn check_characters(text: &[u8]) -> Result<(), ReadError> {
    let forbidden = |byte: &u8| *byte <= b' ' || matches!(byte, b'<' | b'>' | b'"' | b'\\' | 0x7f);
    if text.iter().any(forbidden) {
        return Err(ReadError { what: "white space, a control character, a quote or an angle bracket in a URI" });
    }
    let is_hex = |at: usize| text.get(at).is_some_and(u8::is_ascii_hexdigit);
    if memchr::memchr_iter(b'%', text).all(|at| is_hex(at + 1) && is_hex(at + 2)) {
        Ok(())
    } else {
        Err(ReadError { what: "'%' without two hexadecimal digits after it" })
    }
}

/// The parameters and headers of a SIP URI. A second '@' before the headers is refused: another reader might take
/// the last one for the end of the user and see another host.
fn params_and_headers(after: &[u8]) -> Result<(Params<'_>, Option<&[u8]>), ReadError> {
    let (params, headers) = split_headers(after);
    if memchr::memchr(b'@', params).is_some() {
        return Err(ReadError { what: "a second '@' that is not escaped" });
    }
    Ok((Params::new(params), headers))
}

fn split_headers(after: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(b'?', after) {
        Some(at) => (between(after, 0, at), Some(from(after, at + 1))),
        None => (after, None),
    }
}
