//! Who the client is when a network load balancer stands between (PROXY protocol, version 2).
//!
//! The header comes before the first byte of TLS, HTTP or SIP. Its length is in its fixed part, so that exactly the
//! header is read and nothing of what the client sent.

use std::net::SocketAddr;

use ppp::v2::{Addresses, Command, Header, PROTOCOL_PREFIX, Protocol};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::address::canonical;

/// The fixed part, in bytes: prefix, version and command, family and protocol, length of the rest.
const FIXED: usize = PROTOCOL_PREFIX.len() + 4;
/// The largest header, in bytes. Addresses take 52; the rest are fields for the load balancer's own news.
const MAX_HEADER: usize = 2048;

/// What stands at the beginning of the stream is no header of version 2 for TCP over IP.
#[derive(Debug, PartialEq, Eq)]
pub struct NoHeader;

/// Reads the header. `None`: the load balancer speaks for itself, as its health checks do.
///
/// # Errors
/// [`NoHeader`] at the first byte that makes it none, or when the stream ends.
pub async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Option<SocketAddr>, NoHeader> {
    let mut fixed = [0; FIXED];
    let (prefix, rest) = fixed.split_at_mut(PROTOCOL_PREFIX.len());
    stream.read_exact(prefix).await.map_err(|_| NoHeader)?;
    if prefix != PROTOCOL_PREFIX {
        return Err(NoHeader);
    }
    stream.read_exact(rest).await.map_err(|_| NoHeader)?;
    let [.., high, low] = fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if FIXED + length > MAX_HEADER {
        return Err(NoHeader);
    }
    let mut header = fixed.to_vec();
    header.resize(FIXED + length, 0);
    let addresses = header.get_mut(FIXED..).unwrap_or_default();
    stream.read_exact(addresses).await.map_err(|_| NoHeader)?;
    client(&header)
}

fn client(header: &[u8]) -> Result<Option<SocketAddr>, NoHeader> {
    let header = Header::try_from(header).map_err(|_| NoHeader)?;
    if header.command == Command::Local {
        return Ok(None);
    }
    match (header.protocol, header.addresses) {
        (Protocol::Stream, Addresses::IPv4(ends)) => Ok(Some((ends.source_address, ends.source_port).into())),
        (Protocol::Stream, Addresses::IPv6(ends)) => {
            Ok(Some(canonical((ends.source_address, ends.source_port).into())))
        }
        // The sender does not know whom it speaks for; the protocol says to take the socket's own address.
        (_, Addresses::Unspecified) => Ok(None),
        _ => Err(NoHeader),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Version and command, family and protocol, then the rest.
    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [PROTOCOL_PREFIX, &[command, family], &length, rest].concat()
    }

    /// Reads `header` with the client's own bytes behind it.
    async fn read_of(header: &[u8]) -> (Result<Option<SocketAddr>, NoHeader>, Vec<u8>) {
        let bytes = [header, b"GET /"].concat();
        let mut stream = &bytes[..];
        (read(&mut stream).await, stream.to_vec())
    }

    const IPV4: [u8; 12] = [192, 0, 2, 1, 10, 0, 0, 5, 0x12, 0x67, 0x01, 0xbb];

    #[tokio::test]
    async fn the_client_is_who_the_header_says_and_its_bytes_are_left() {
        let (source, rest) = read_of(&header(0x21, 0x11, &IPV4)).await;
        assert_eq!(source, Ok(Some("192.0.2.1:4711".parse().unwrap())));
        assert_eq!(rest, b"GET /");
        let ipv6 = ["2001:db8::1", "::1"].map(|ip| ip.parse::<std::net::Ipv6Addr>().unwrap().octets());
        let (source, _) =
            read_of(&header(0x21, 0x21, &[&ipv6.concat()[..], &[0x12, 0x67, 0, 1]].concat())).await;
        assert_eq!(source, Ok(Some("[2001:db8::1]:4711".parse().unwrap())));
    }

    #[tokio::test]
    async fn further_fields_are_passed_over() {
        let (source, rest) = read_of(&header(0x21, 0x11, &[&IPV4[..], &[0xea, 0, 2, 1, 2]].concat())).await;
        assert_eq!(source, Ok(Some("192.0.2.1:4711".parse().unwrap())));
        assert_eq!(rest, b"GET /");
    }

    #[tokio::test]
    async fn a_health_check_is_the_load_balancer_itself() {
        assert_eq!(read_of(&header(0x20, 0x00, &[])).await.0, Ok(None));
        assert_eq!(read_of(&header(0x21, 0x00, &[])).await.0, Ok(None));
    }

    #[tokio::test]
    async fn whatever_else_is_none() {
        let unix = [0; 216];
        for bytes in [
            &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
            b"PROXY TCP4 192.0.2.1 10.0.0.5 4711 443\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03aaaaaaaaaaaaaaaa",
            &header(0x21, 0x12, &IPV4),
            &header(0x21, 0x31, &unix),
            &header(0x21, 0x11, &IPV4[..8]),
            &header(0x11, 0x11, &IPV4),
            &header(0x22, 0x11, &IPV4),
            &header(0x21, 0x11, &[0; MAX_HEADER]),
        ] {
            assert_eq!(read_of(bytes).await.0, Err(NoHeader), "{:?}", bytes.get(..16));
        }
    }

    #[tokio::test]
    async fn a_header_that_ends_early_is_none() {
        let whole = header(0x21, 0x11, &IPV4);
        for end in 0..whole.len() {
            let mut stream = &whole[..end];
            assert_eq!(read(&mut stream).await, Err(NoHeader), "{end}");
        }
    }
}
