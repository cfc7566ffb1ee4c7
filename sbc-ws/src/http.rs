//! Just enough HTTP/1.1 (RFC 9112) for an upgrade: one request head in, one response out, both bounded.

use httparse::{Header, Status};
use tokio::io::{self, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The largest request head, in bytes. Load balancers pass up to 16 KiB for one header.
pub(crate) const MAX_HEAD: usize = 16 * 1024;
/// The most header fields in a request.
const MAX_HEADERS: usize = 64;
/// How much is read at once, in bytes; most upgrade requests fit.
const READ_SIZE: usize = 1024;
/// What ends a head.
const END: &[u8] = b"\r\n\r\n";
/// How much of what a refused client still sends is read before its socket is dropped, in bytes.
const LINGER_BYTES: u64 = 64 * 1024;

/// The bytes of a request head, and those that came after it.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) bytes: Vec<u8>,
    /// What followed the head: the first frames of an eager client.
    pub(crate) rest: Vec<u8>,
}

/// Why no head could be read.
#[derive(Debug)]
pub(crate) enum HeadError {
    /// More than [`MAX_HEAD`] bytes without an end.
    TooLarge,
    /// The client left.
    Disconnected,
}

/// Reads up to and including the empty line.
///
/// Only new bytes are searched for the end, so that a client which sends single bytes costs no more than another.
pub(crate) async fn read_head<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Head, HeadError> {
    let mut bytes = Vec::new();
    loop {
        let searched = bytes.len();
        bytes.reserve(READ_SIZE);
        match stream.read_buf(&mut bytes).await {
            Ok(0) | Err(_) => return Err(HeadError::Disconnected),
            Ok(_) => {}
        }
        // The end may have begun in what was searched before.
        let from = searched.saturating_sub(END.len() - 1);
        let new = bytes.get(from..).unwrap_or_default();
        if let Some(at) = new.windows(END.len()).position(|window| window == END) {
            let rest = bytes.split_off(from + at + END.len());
            return if bytes.len() > MAX_HEAD { Err(HeadError::TooLarge) } else { Ok(Head { bytes, rest }) };
        }
        if bytes.len() > MAX_HEAD {
            return Err(HeadError::TooLarge);
        }
    }
}

/// A parsed request head.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    /// As written: usually a path with its query.
    pub(crate) target: &'a str,
    /// 0 or 1, of HTTP/1.x.
    pub(crate) minor_version: u8,
    headers: Vec<Header<'a>>,
}

/// A header that may stand once stands twice, or is not text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unclear;

impl<'a> Request<'a> {
    /// The request in a complete head; `None` when it is not HTTP/1.x or has too many fields.
    pub(crate) fn parse(head: &'a [u8]) -> Option<Self> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(head) {
            Ok(Status::Complete(_)) => {
                let headers = request.headers.to_vec();
                Some(Self {
                    method: request.method?,
                    target: request.path?,
                    minor_version: request.version?,
                    headers,
                })
            }
            Ok(Status::Partial) | Err(_) => None,
        }
    }

    /// The path, and what follows its `?`. A whole URI stands for its path (RFC 9112 §3.2.2).
    pub(crate) fn path_and_query(&self) -> (&'a str, Option<&'a str>) {
        let relative = match self.target.split_once("://") {
            Some((scheme, rest)) if !scheme.contains('/') => {
                rest.find(['/', '?']).map_or("", |start| rest.get(start..).unwrap_or_default())
            }
            _ => self.target,
        };
        let (path, query) = match relative.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (relative, None),
        };
        (if path.is_empty() { "/" } else { path }, query)
    }

    /// All values of a header, in order.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.headers
            .iter()
            .filter(move |header| header.name.eq_ignore_ascii_case(name))
            .map(|header| header.value)
    }

    /// The value of a header that may stand only once.
    pub(crate) fn one(&self, name: &str) -> Result<Option<&'a str>, Unclear> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => std::str::from_utf8(value).map(Some).map_err(|_| Unclear),
            (Some(_), Some(_)) => Err(Unclear),
        }
    }

    /// The elements of a comma-separated header, over all its fields.
    pub(crate) fn elements(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.all(name).flat_map(|value| value.split(|&byte| byte == b',')).map(<[u8]>::trim_ascii)
    }
}

/// A response that ends the connection.
#[derive(Debug)]
pub(crate) struct Response {
    /// Code and phrase, such as `403 Forbidden`.
    pub(crate) status: &'static str,
    /// Further header lines, each with its CRLF.
    pub(crate) headers: &'static str,
    /// What was found and what would be right, for whoever reads the response.
    pub(crate) body: &'static str,
}

impl Response {
    fn to_bytes(&self) -> Vec<u8> {
        let Self { status, headers, body } = self;
        let length = body.len() + 1;
        format!(
            "HTTP/1.1 {status}\r\n{headers}Content-Type: text/plain; charset=utf-8\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n{body}\n"
        )
        .into_bytes()
    }

    /// Sends the response and closes. The caller bounds the time.
    ///
    /// # Errors
    /// What the socket said; there is nothing left to do about it.
    pub(crate) async fn send<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: &mut S) -> io::Result<()> {
        stream.write_all(&self.to_bytes()).await?;
        linger(stream).await
    }
}

/// Ends our half and reads what the client still sends, up to a bound: a socket dropped with unread bytes resets the
/// connection, and the client never sees our last words.
///
/// # Errors
/// What the socket said.
pub(crate) async fn linger<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> io::Result<()> {
    stream.shutdown().await?;
    io::copy_buf(&mut io::BufReader::with_capacity(READ_SIZE, stream.take(LINGER_BYTES)), &mut io::sink())
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn head_of(bytes: &[u8], at_once: usize) -> Result<Head, HeadError> {
        let (mut client, mut server) = tokio::io::duplex(at_once);
        let read = async move { read_head(&mut server).await };
        let write = async move {
            // Fails where the reader has read enough and is gone.
            let _ = client.write_all(bytes).await;
        };
        tokio::join!(read, write).0
    }

    #[tokio::test]
    async fn a_head_is_found_however_it_is_cut() {
        for at_once in [1, 2, 3, 7, 4096] {
            let head = head_of(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nrest", at_once).await.unwrap();
            assert_eq!(head.bytes, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            assert!(b"rest".starts_with(&head.rest));
        }
    }

    #[tokio::test]
    async fn a_client_that_leaves_is_no_head() {
        assert!(matches!(head_of(b"GET / HTTP/1.1\r\n", 64).await, Err(HeadError::Disconnected)));
    }

    #[test]
    fn headers_are_found_in_any_case_and_lists_over_several_fields() {
        let head = b"GET / HTTP/1.1\r\nX-List: a , b\r\nx-list: c\r\nOnce: 1\r\nBad: \xff\r\n\r\n";
        let request = Request::parse(head).unwrap();
        assert_eq!(request.elements("x-LIST").collect::<Vec<_>>(), [b"a", b"b", b"c"]);
        assert_eq!(request.one("once"), Ok(Some("1")));
        assert_eq!(request.one("absent"), Ok(None));
        assert_eq!(request.one("x-list"), Err(Unclear));
        assert_eq!(request.one("bad"), Err(Unclear));
    }

    #[test]
    fn a_target_is_a_path_and_a_query_in_either_form() {
        for (target, expected) in [
            ("/", ("/", None)),
            ("/ws", ("/ws", None)),
            ("/ws?a=b?c", ("/ws", Some("a=b?c"))),
            ("/?", ("/", Some(""))),
            ("https://sip.example.com/ws?a=b", ("/ws", Some("a=b"))),
            ("https://sip.example.com", ("/", None)),
            ("https://sip.example.com?a=/b", ("/", Some("a=/b"))),
            ("/ws?to=https://example.com/x", ("/ws", Some("to=https://example.com/x"))),
        ] {
            let head = format!("GET {target} HTTP/1.1\r\n\r\n");
            assert_eq!(Request::parse(head.as_bytes()).unwrap().path_and_query(), expected, "{target}");
        }
    }

    #[test]
    fn bytes_that_are_not_http_are_no_request() {
        for junk in [&b"\r\n\r\n"[..], b"\x16\x03\x01\x02\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/2.0\r\n\r\n"]
        {
            assert!(Request::parse(junk).is_none());
        }
    }

    #[test]
    fn more_fields_than_the_limit_are_no_request() {
        let head = |fields: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(fields));
        assert!(Request::parse(head(MAX_HEADERS).as_bytes()).is_some());
        assert!(Request::parse(head(MAX_HEADERS + 1).as_bytes()).is_none());
    }
}
