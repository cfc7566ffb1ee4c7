//! CSeq (RFC 3261 §20.16): a sequence number and a method.

use super::ReadError;
use super::text::{from, is_lws, is_token, read_u64, span, trim, up_to};

/// Sequence numbers stay below 2^31 (RFC 3261 §8.1.1.5).
const FIRST_TOO_LARGE: u32 = 1 << 31;

/// The value of a CSeq header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CSeq<'a> {
    /// The sequence number, below 2^31.
    pub number: u32,
    /// The method; its case matters.
    pub method: &'a [u8],
}

impl<'a> CSeq<'a> {
    /// The largest sequence number there is.
    pub const LARGEST: u32 = FIRST_TOO_LARGE - 1;

    /// Read the value of a CSeq header.
    ///
    /// # Errors
    /// No number, a number of 2^31 or more, no white space after it, or a method that is no token.
    pub fn parse(text: &'a [u8]) -> Result<Self, ReadError> {
        let text = trim(text);
        let digits = span(text, |byte| byte.is_ascii_digit());
        let number = read_u64(up_to(text, digits))
            .and_then(|number| u32::try_from(number).ok())
            .filter(|&number| number < FIRST_TOO_LARGE)
            .ok_or(ReadError { what: "CSeq begins with a number below 2^31" })?;
        let rest = from(text, digits);
        let method = trim(rest);
        if !rest.first().is_some_and(|&byte| is_lws(byte)) || !is_token(method) {
            return Err(ReadError { what: "CSeq ends with white space and one method" });
        }
        Ok(Self { number, method })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_and_method_are_read_through_folding() {
        assert_eq!(CSeq::parse(b"0009\r\n  INVITE"), Ok(CSeq { number: 9, method: b"INVITE" }));
        assert_eq!(CSeq::parse(b" 2147483647 RE%47 "), Ok(CSeq { number: (1 << 31) - 1, method: b"RE%47" }));
    }

    #[test]
    fn numbers_of_two_to_the_31_and_more_are_refused() {
        for text in ["2147483648 INVITE", "4294967296 INVITE", "36893488147419103232 INVITE"] {
            assert!(CSeq::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn anything_but_number_space_method_is_refused() {
        for text in ["", "1", "INVITE", "1INVITE", "-1 INVITE", "1 ", "1 IN VITE", "1 INVITE;x", "1.5 INVITE"]
        {
            assert!(CSeq::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
