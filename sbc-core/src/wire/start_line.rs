//! The start line (RFC 3261 §7.1, §7.2).

use std::ops::Range;

use super::ParseError;
use super::limits::Limits;
use super::text::{between, eq_ignore_case, from, is_blank, is_token, span, trim_end, up_to};

/// What the first line says; all ranges lie in the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StartLine {
    /// A request: where its method and its Request-URI stand.
    Request { method: Range<usize>, uri: Range<usize> },
    /// A response: its code (0 when it is none) and where its phrase stands.
    Response { status: u16, phrase: Range<usize> },
}

impl Default for StartLine {
    fn default() -> Self {
        Self::Request { method: 0..0, uri: 0..0 }
    }
}

/// Every version of SIP begins so.
const PROTOCOL: &[u8] = b"SIP/";
/// The one version there is.
const VERSION: &[u8] = b"SIP/2.0";

/// Read the first line, without its line end. With an error comes whatever could be read all the same.
pub(super) fn read(line: &[u8], limits: &Limits) -> (StartLine, Result<(), ParseError>) {
    if begins_with_protocol(line) {
        return read_status_line(line);
    }
    let written = trim_end(line);
    let last_space = memchr::memrchr(b' ', written);
    if !last_space.is_some_and(|space| begins_with_protocol(from(written, space + 1))) {
        return (StartLine::default(), Err(ParseError::NotSip));
    }
    read_request_line(line, limits)
}

fn read_request_line(line: &[u8], limits: &Limits) -> (StartLine, Result<(), ParseError>) {
    let method_end = memchr::memchr(b' ', line).unwrap_or(line.len());
    let uri_start = (method_end + 1).min(line.len());
    let uri_end = memchr::memrchr(b' ', line).unwrap_or(line.len()).max(uri_start);
    let (method, uri) = (up_to(line, method_end), between(line, uri_start, uri_end));
    let version = from(line, uri_end + 1);
    let verdict =
        if !is_token(method) || uri.is_empty() || version.is_empty() || uri.iter().any(|&b| is_blank(b)) {
            Err(ParseError::StartLine)
        } else if method.len() > limits.method {
            Err(ParseError::MethodTooLong)
        } else if uri.len() > limits.request_uri {
            Err(ParseError::UriTooLong)
        } else if !eq_ignore_case(version, VERSION) {
            Err(ParseError::Version)
        } else {
            Ok(())
        };
    (StartLine::Request { method: 0..method_end, uri: uri_start..uri_end }, verdict)
}

fn read_status_line(line: &[u8]) -> (StartLine, Result<(), ParseError>) {
    let version_end = span(line, |byte| byte != b' ');
    let code_start = (version_end + 1).min(line.len());
    let code = from(line, code_start);
    let code = up_to(code, span(code, |byte| byte.is_ascii_digit()));
    let code_end = code_start + code.len();
    let phrase_start = (code_end + 1).min(line.len());
    let status = read_status(code);
    // The space before the phrase is owed even to an empty one, but some senders forget it.
    let separated = matches!(line.get(code_end), None | Some(b' '));
    let verdict = match status {
        Some(_) if !separated => Err(ParseError::StartLine),
        None => Err(ParseError::StartLine),
        Some(_) if !eq_ignore_case(up_to(line, version_end), VERSION) => Err(ParseError::Version),
        Some(_) => Ok(()),
    };
    (StartLine::Response { status: status.unwrap_or(0), phrase: phrase_start..line.len() }, verdict)
}

/// Three digits, 100 to 699 (RFC 3261 §7.2).
fn read_status(code: &[u8]) -> Option<u16> {
    let [hundreds @ b'1'..=b'6', tens, ones] = code else {
        return None;
    };
    Some(
        [hundreds, tens, ones]
            .into_iter()
            .fold(0, |sum, digit| sum * 10 + u16::from(digit.wrapping_sub(b'0'))),
    )
}

fn begins_with_protocol(text: &[u8]) -> bool {
    text.get(..PROTOCOL.len()).is_some_and(|start| eq_ignore_case(start, PROTOCOL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_request_line_still_tells_what_it_can() {
        let (line, verdict) = read(b"INVITE sip:a@b; lr SIP/2.0", &Limits::default());
        assert_eq!(line, StartLine::Request { method: 0..6, uri: 7..18 });
        assert_eq!(verdict, Err(ParseError::StartLine));
    }

    #[test]
    fn broken_status_line_is_still_a_response() {
        let (line, verdict) = read(b"SIP/2.0 4294967301 Too large", &Limits::default());
        assert_eq!(line, StartLine::Response { status: 0, phrase: 19..28 });
        assert_eq!(verdict, Err(ParseError::StartLine));
    }
}
