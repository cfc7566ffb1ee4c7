//! Credentials and challenges (RFC 3261 §22, RFC 7616): Authorization, Proxy-Authorization, WWW-Authenticate,
//! Proxy-Authenticate.
//!
//! Reads what stands there; computes and compares no digest.

use std::ops::Range;

use super::ReadError;
use super::list::split;
use super::text::{
    between, eq_ignore_case, from, is_token, is_token_char, quoted_end, skip_lws, span, trim, unquote, up_to,
};

/// One value of an authentication header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest<'a> {
    /// `Digest`, or whatever other scheme it is, in the case it was written.
    pub scheme: &'a [u8],
    text: &'a [u8],
    fields_at: usize,
}

/// One `name=value` of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestField<'a> {
    /// The name, in the case it was written.
    pub name: &'a [u8],
    /// The value with its quotes, if any.
    pub value: &'a [u8],
    /// Where name and value stand in the text given, without a comma.
    pub range: Range<usize>,
}

impl<'a> Digest<'a> {
    /// Read a header value. Of schemes other than Digest only the scheme is judged.
    ///
    /// # Errors
    /// No scheme; for Digest no field, a field without name or value, or a quote that never closes or has something
    /// after it.
    pub fn parse(value: &'a [u8]) -> Result<Self, ReadError> {
        let start = skip_lws(value, 0);
        let rest = from(value, start);
        let scheme = up_to(rest, span(rest, is_token_char));
        let fields_at = skip_lws(value, start + scheme.len());
        if scheme.is_empty() || fields_at == start + scheme.len() && fields_at < value.len() {
            return Err(ReadError { what: "credentials begin with a scheme and white space" });
        }
        let digest = Self { scheme, text: value, fields_at };
        if digest.is_digest() {
            digest.check()?;
        }
        Ok(digest)
    }

    /// True for the scheme `Digest`, in any case.
    pub fn is_digest(&self) -> bool {
        eq_ignore_case(self.scheme, b"Digest")
    }

    /// The fields in their order; pieces without `=` are skipped.
    pub fn iter(&self) -> impl Iterator<Item = DigestField<'a>> + use<'a> {
        let at = self.fields_at;
        split(from(self.text, at)).filter_map(move |item| {
            let equals = memchr::memchr(b'=', item.text)?;
            Some(DigestField {
                name: trim(up_to(item.text, equals)),
                value: trim(from(item.text, equals + 1)),
                range: at + item.range.start..at + item.range.end,
            })
        })
    }

    /// The first field of this name, in any case, without its quotes; escapes stay.
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.iter()
            .find(|field| eq_ignore_case(field.name, name.as_bytes()))
            .map(|field| unquote(field.value))
    }

    fn check(&self) -> Result<(), ReadError> {
        let mut fields = 0;
        for item in split(from(self.text, self.fields_at)) {
            fields += 1;
            let equals =
                memchr::memchr(b'=', item.text).ok_or(ReadError { what: "a digest field without '='" })?;
            let value = trim(from(item.text, equals + 1));
            let quoted = value.first() == Some(&b'"');
            let whole = if quoted { quoted_end(value, 0) == Some(value.len()) } else { is_bare_value(value) };
            if !whole || !is_token(trim(between(item.text, 0, equals))) {
                return Err(ReadError { what: "a digest field is name=token or name=\"text\"" });
            }
        }
        if fields > 0 { Ok(()) } else { Err(ReadError { what: "digest credentials without a field" }) }
    }
}

/// Some clients leave the quotes of `uri`, `nonce` or `opaque` away: anything without white space and quotes passes.
fn is_bare_value(value: &[u8]) -> bool {
    !value.is_empty()
        && value.iter().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREDENTIALS: &[u8] =
        b"Digest username=\"a, \\\"b\\\"\", realm=\"example.com\",\r\n nonce = \"84a4=\" ,\
        uri=\"sip:x@y\",response=\"\",algorithm=MD5, qop=auth, nc=00000001";

    #[test]
    fn fields_are_read_with_and_without_quotes() {
        let digest = Digest::parse(CREDENTIALS).expect("lawful");
        assert!(digest.is_digest());
        assert_eq!(digest.get("Username"), Some(&b"a, \\\"b\\\""[..]));
        assert_eq!(digest.get("nonce"), Some(&b"84a4="[..]));
        assert_eq!(digest.get("response"), Some(&b""[..]));
        assert_eq!(digest.get("qop"), Some(&b"auth"[..]));
        assert_eq!(digest.get("opaque"), None);
        assert_eq!(digest.iter().count(), 8);
    }

    #[test]
    fn ranges_leave_commas_out() {
        let digest = Digest::parse(CREDENTIALS).expect("lawful");
        let nonce = digest.iter().find(|field| field.name == b"nonce").expect("there");
        assert_eq!(&CREDENTIALS[nonce.range], b"nonce = \"84a4=\"");
        assert_eq!(nonce.value, b"\"84a4=\"");
    }

    #[test]
    fn other_schemes_pass_unjudged() {
        let unknown = Digest::parse(b"NoOneKnowsThisScheme opaque-data=here").expect("lawful");
        assert_eq!((unknown.is_digest(), unknown.get("opaque-data")), (false, Some(&b"here"[..])));
        assert!(Digest::parse(b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==").is_ok());
        assert!(Digest::parse(b"Negotiate").is_ok());
    }

    #[test]
    fn broken_credentials_are_refused() {
        let broken = "||Digest|Digest |Digest ,,|Digest realm|Digest realm=|Digest =x|Digest realm=\"x|Digest a=\"x\"y|\
                      Digest a=b c|Digest a=b\"c|\"Digest\" a=b|Digest a=b, c|Digest@ a=b";
        for text in broken.split('|') {
            assert!(Digest::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
