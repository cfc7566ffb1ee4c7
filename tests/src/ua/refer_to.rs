//! The URI of a Refer-To, and the Replaces inside it (RFC 3515, RFC 3891).

use sbc_core::wire::Uri;

/// A Refer-To URI taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// The URI to call, without headers.
    pub(crate) uri: String,
    /// The value of the Replaces header for that call.
    pub(crate) replaces: Option<String>,
}

impl Target {
    /// Read a Refer-To URI.
    pub(crate) fn read(uri: &str) -> Self {
        let headers =
            Uri::parse(uri.as_bytes()).ok().and_then(|uri| uri.headers).map(String::from_utf8_lossy);
        let replaces = headers.as_deref().unwrap_or("").split('&').find_map(|header| {
            let (name, value) = header.split_once('=')?;
            name.eq_ignore_ascii_case("Replaces").then(|| unescape(value))
        });
        Self { uri: uri.split('?').next().unwrap_or(uri).to_owned(), replaces }
    }
}

/// The dialog that a Replaces value names, as its receiver knows it: Call-ID and own tag.
pub(crate) fn replaced(value: &str) -> (String, String) {
    let mut parts = value.split(';').map(str::trim);
    let call_id = parts.next().unwrap_or("").to_owned();
    let tag = parts.find_map(|part| part.strip_prefix("to-tag=")).unwrap_or("").to_owned();
    (call_id, tag)
}

/// Decode %-escapes. Control characters are left out: they would end the header that the text goes into.
fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = text.get(at + 1..at + 3).filter(|_| byte == b'%');
        let escape = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.extend(Some(escape.unwrap_or(byte)).filter(|byte| !byte.is_ascii_control()));
        at += if escape.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_is_unescaped_and_carries_no_line_end() {
        let target = Target::read(
            "sip:a@127.0.0.1:5080;transport=udp?Replaces=x%40y%3Bto-tag%3D1%0D%0A%3Bfrom-tag%3D2",
        );
        assert_eq!(target.uri, "sip:a@127.0.0.1:5080;transport=udp");
        assert_eq!(target.replaces.as_deref(), Some("x@y;to-tag=1;from-tag=2"));
        assert_eq!(replaced("x@y;to-tag=1;from-tag=2"), ("x@y".into(), "1".into()));
    }

    #[test]
    fn a_plain_target_replaces_nothing_and_broken_escapes_stay() {
        assert_eq!(Target::read("sip:1002@example.test").replaces, None);
        assert_eq!(unescape("a%zzb%4"), "a%zzb%4");
    }
}
