//! `name-addr` and `addr-spec` with header parameters (RFC 3261 §20): From, To, Contact, Route, Record-Route, Path,
//! Refer-To, P-Asserted-Identity and their like.

use std::ops::Range;

use super::text::{between, from, is_lws, offset_in, quoted_end, skip_lws, span, trim, trim_end, up_to};
use super::{Params, ReadError};

/// One value: a display name, a URI, parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameAddr<'a> {
    /// The display name as written, with quotes if it has them. `None` when there is none.
    pub display: Option<&'a [u8]>,
    /// The URI without angle brackets, not yet read: see [`Uri::parse`](super::Uri::parse).
    pub uri: &'a [u8],
    /// Where the URI stands in the text given.
    pub uri_range: Range<usize>,
    /// The header's parameters.
    pub params: Params<'a>,
    /// Where they stand in the text given; empty, at its end, when there are none.
    pub params_range: Range<usize>,
    /// False for the form without angle brackets.
    pub bracketed: bool,
}

impl<'a> NameAddr<'a> {
    /// Read one value. Without angle brackets everything from the first `;` belongs to the header (RFC 3261 §20).
    ///
    /// # Errors
    /// A quote or bracket that never closes, an unquoted display name with characters that separate values, `?` or
    /// `,` in a URI without brackets, an empty URI or parameter, a second value.
    pub fn parse(text: &'a [u8]) -> Result<Self, ReadError> {
        let (display, uri, rest_at, bracketed) = match display(text)? {
            Some((display, open)) => {
                let close = memchr::memchr(b'>', from(text, open))
                    .map(|len| open + len)
                    .ok_or(ReadError { what: "'<' without '>'" })?;
                (display, between(text, open + 1, close), close + 1, true)
            }
            None => {
                let uri = bare_uri(text)?;
                (None, uri, offset_in(text, uri) + uri.len(), false)
            }
        };
        if uri.is_empty() {
            return Err(ReadError { what: "no URI" });
        }
        let raw = trim_end(from(text, skip_lws(text, rest_at)));
        if !matches!(raw.first(), None | Some(b';')) {
            return Err(ReadError { what: "after the URI come parameters or nothing" });
        }
        let params = Params::new(raw);
        params.check()?;
        let uri_start = offset_in(text, uri);
        let params_start = if raw.is_empty() { trim_end(text).len() } else { offset_in(text, raw) };
        Ok(Self {
            display,
            uri,
            uri_range: uri_start..uri_start + uri.len(),
            params,
            params_range: params_start..params_start + raw.len(),
            bracketed,
        })
    }

    /// The `tag` of From and To.
    pub fn tag(&self) -> Option<&'a [u8]> {
        self.params.value("tag")
    }
}

/// A display name and where the `<` after it stands.
type DisplayAndOpen<'a> = (Option<&'a [u8]>, usize);

/// `None` for the form without angle brackets.
fn display(text: &[u8]) -> Result<Option<DisplayAndOpen<'_>>, ReadError> {
    let start = skip_lws(text, 0);
    if text.get(start) == Some(&b'"') {
        let end = quoted_end(text, start).ok_or(ReadError { what: "a quote that never closes" })?;
        let open = skip_lws(text, end);
        return match text.get(open) {
            Some(b'<') => Ok(Some((Some(between(text, start, end)), open))),
            _ => Err(ReadError { what: "after a quoted display name comes '<'" }),
        };
    }
    // A bare URI may be followed by a quoted parameter with '<' in it, so the first separator decides.
    let lead = span(text, |byte| !matches!(byte, b'<' | b';' | b'"' | b','));
    if text.get(lead) != Some(&b'<') {
        return Ok(None);
    }
    let display = trim(up_to(text, lead));
    if display.iter().any(|byte| matches!(byte, b':' | b'@' | b'>' | b'\\')) {
        return Err(ReadError { what: "a display name with ':', '@' or '>' needs quotes" });
    }
    Ok(Some(((!display.is_empty()).then_some(display), lead)))
}

/// The URI of the form without angle brackets. RFC 3261 §20: one with `?` or `,` must have them.
fn bare_uri(text: &[u8]) -> Result<&[u8], ReadError> {
    let rest = from(text, skip_lws(text, 0));
    let uri = up_to(rest, span(rest, |byte| byte != b';' && !is_lws(byte)));
    if uri.iter().any(|byte| matches!(byte, b'?' | b',' | b'"' | b'<' | b'>')) {
        return Err(ReadError { what: "a URI with '?' or ',' needs angle brackets" });
    }
    Ok(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> NameAddr<'_> {
        NameAddr::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn display_uri_and_parameters_are_found() {
        let text = r#" "J Rosenberg \\\""       <sip:jdrosen@example.com;lr> ; tag = 98asjd8 "#;
        let from = read(text);
        assert_eq!(from.display, Some(&br#""J Rosenberg \\\"""#[..]));
        assert_eq!((from.uri, from.bracketed), (&b"sip:jdrosen@example.com;lr"[..], true));
        assert_eq!(from.tag(), Some(&b"98asjd8"[..]));
        assert_eq!(&text[from.uri_range], "sip:jdrosen@example.com;lr");
        assert_eq!(&text[from.params_range], "; tag = 98asjd8");
        assert!(!from.params.has("lr"));
    }

    #[test]
    fn without_brackets_parameters_belong_to_the_header() {
        let text = "sip:+12125551212@server.phone2net.com;tag=887s";
        let from = read(text);
        assert_eq!((from.uri, from.bracketed), (&b"sip:+12125551212@server.phone2net.com"[..], false));
        assert_eq!((from.tag(), from.display), (Some(&b"887s"[..]), None));
        assert_eq!(read("\r\n sip:a@example.com ;   tag    = 19n").tag(), Some(&b"19n"[..]));
        assert_eq!(read("sip:a@b;x=\"<sip:c@d>\"").uri, b"sip:a@b");
    }

    #[test]
    fn display_name_needs_no_space_and_no_quotes() {
        assert_eq!(read("caller<sip:caller@example.com>;tag=323").display, Some(&b"caller"[..]));
        assert_eq!(read("Anna B. M\u{fc}ller <sip:a@b>").display, Some("Anna B. M\u{fc}ller".as_bytes()));
        assert_eq!(read("<sip:a@b>").display, None);
        assert_eq!(read("\"\" <sip:a@b>").display, Some(&b"\"\""[..]));
    }

    #[test]
    fn separators_in_quotes_and_brackets_are_text() {
        let contact = read(r#""<, ;>" <sip:a;b=c?d=e@f,g>;+sip.instance="<urn:uuid:0-1>";reg-id=1"#);
        assert_eq!(contact.uri, b"sip:a;b=c?d=e@f,g");
        assert_eq!(contact.params.value("+sip.instance"), Some(&b"<urn:uuid:0-1>"[..]));
        assert_eq!(contact.params.value("reg-id"), Some(&b"1"[..]));
    }

    #[test]
    fn without_parameters_their_range_is_empty_at_the_end() {
        assert_eq!(read("<sip:a@b> ").params_range, 9..9);
        assert_eq!(read("sip:a@b").params_range, 7..7);
    }

    #[test]
    fn broken_values_are_refused() {
        let broken = "||<>|<sip:a@b|\"x <sip:a@b>|\"x\" sip:a@b|\"x\"|Watson, Thomas <sip:a@b>|sip:a@b?Route=%3Csip%3E|\
                      sip:a@b, <sip:c@d>|<sip:a@b>, <sip:c@d>|<sip:a@b> x|<sip:a@b>;;|<sip:a@b>;tag=1, <sip:c@d>|\
                      a:b <sip:a@b>|<sip:a@b>;x=\"y|x <sip:a@b>;|;tag=1|sip:a@b>|sip:a@b x|a> <sip:a@b>|\"x\\";
        for text in broken.split('|') {
            assert!(NameAddr::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
