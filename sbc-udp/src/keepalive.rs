//! What keeps a NAT binding open on a SIP port, told apart from SIP before any parser sees it.
//!
//! * STUN Binding requests (RFC 8489, on the SIP port by RFC 5626 §3.5.2) get a response that names the
//!   sender's address. Without authentication, which that usage does not have.
//! * Datagrams of line ends, blanks or zero bytes, and empty ones, get no answer on UDP.
//!
//! Pure: bytes in, verdict and response bytes out.

use std::net::{IpAddr, SocketAddr};

/// What a datagram is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keepalive {
    /// A STUN Binding request; the response is in the buffer and goes back to the source.
    Stun,
    /// A keepalive, or STUN, that gets no answer.
    Ignore,
    /// Something else: SIP, or garbage for the SIP parser to refuse.
    NotKeepalive,
}

/// Larger than any request that a client sends where it does not know the path MTU (RFC 8489 §6.1).
const MAX_REQUEST_BYTES: usize = 548;

/// Most unknown attribute types that a 420 names. Keeps the response from outgrowing what was asked.
const MAX_UNKNOWN: usize = 8;

const HEADER_BYTES: usize = 20;
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];
const BINDING_REQUEST: [u8; 2] = [0x00, 0x01];
const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;
const ERROR_CODE: u16 = 0x0009;
const UNKNOWN_ATTRIBUTES: u16 = 0x000A;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const FINGERPRINT: u16 = 0x8028;
const FINGERPRINT_XOR: u32 = 0x5354_554E;

/// Judge `datagram`, which came from `source`. `response` is cleared; after [`Keepalive::Stun`] it holds what
/// to send back.
pub fn classify(datagram: &[u8], source: SocketAddr, response: &mut Vec<u8>) -> Keepalive {
    response.clear();
    match datagram.first() {
        // SIP begins with a letter, and STUN with two zero bits followed by its type: never above 0x3F.
        Some(first) if *first > 0x3F => Keepalive::NotKeepalive,
        _ if is_stun(datagram) => answer(datagram, source, response),
        _ if datagram.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0 | b' ' | b'\t')) => {
            Keepalive::Ignore
        }
        _ => Keepalive::NotKeepalive,
    }
}

/// RFC 8489 §5: two zero bits, the magic cookie, and a length that fits and is a multiple of four.
fn is_stun(datagram: &[u8]) -> bool {
    let Some((header, body)) = datagram.split_at_checked(HEADER_BYTES) else {
        return false;
    };
    let stated = usize::from(u16_at(header, 2));
    header.first().is_some_and(|first| first & 0xC0 == 0)
        && header.get(4..8) == Some(&MAGIC_COOKIE)
        && stated == body.len()
        && stated.is_multiple_of(4)
}

fn answer(datagram: &[u8], source: SocketAddr, response: &mut Vec<u8>) -> Keepalive {
    if datagram.len() > MAX_REQUEST_BYTES || !datagram.starts_with(&BINDING_REQUEST) {
        return Keepalive::Ignore;
    }
    let Some(request) = Request::read(datagram) else {
        return Keepalive::Ignore;
    };
    let transaction = datagram.get(8..HEADER_BYTES).unwrap_or_default();
    if request.unknown.is_empty() {
        begin(response, BINDING_SUCCESS, transaction);
        push_xor_address(response, source, transaction);
    } else {
        begin(response, BINDING_ERROR, transaction);
        push_attribute(response, ERROR_CODE, &[0, 0, 4, 20]);
        let types: Vec<u8> = request.unknown.iter().flat_map(|kind| kind.to_be_bytes()).collect();
        push_attribute(response, UNKNOWN_ATTRIBUTES, &types);
    }
    if request.fingerprint {
        push_fingerprint(response);
    }
    Keepalive::Stun
}

/// What a Binding request asks for beside its header.
struct Request {
    fingerprint: bool,
    unknown: Vec<u16>,
}

impl Request {
    /// `None` for attributes that overrun the message, or a FINGERPRINT that is wrong or not the last.
    fn read(datagram: &[u8]) -> Option<Self> {
        let mut request = Self { fingerprint: false, unknown: Vec::new() };
        let mut offset = HEADER_BYTES;
        while offset < datagram.len() {
            let attribute = datagram.get(offset..).filter(|rest| rest.len() >= 4)?;
            let kind = u16_at(attribute, 0);
            let value = attribute.get(4..4 + usize::from(u16_at(attribute, 2)))?;
            let next = offset + 4 + value.len().next_multiple_of(4);
            if kind == FINGERPRINT {
                request.fingerprint = next == datagram.len() && fingerprint_is_right(datagram, offset, value);
                return request.fingerprint.then_some(request);
            }
            if !is_understood(kind) && request.unknown.len() < MAX_UNKNOWN {
                request.unknown.push(kind);
            }
            offset = next;
        }
        Some(request)
    }
}

/// RFC 8489 §14: types below 0x8000 must be understood. Credentials are, though nothing here asks for them.
fn is_understood(kind: u16) -> bool {
    // USERNAME, MESSAGE-INTEGRITY, REALM, NONCE, MESSAGE-INTEGRITY-SHA256, PASSWORD-ALGORITHM, USERHASH.
    kind >= 0x8000 || matches!(kind, 0x0006 | 0x0008 | 0x0014 | 0x0015 | 0x001C | 0x001D | 0x001E)
}

fn fingerprint_is_right(datagram: &[u8], offset: usize, value: &[u8]) -> bool {
    datagram.get(..offset).is_some_and(|covered| value == fingerprint(covered).to_be_bytes())
}

/// RFC 8489 §14.7.
fn fingerprint(covered: &[u8]) -> u32 {
    crc32(covered) ^ FINGERPRINT_XOR
}

/// The CRC of ITU V.42, bit by bit: at most 548 bytes are ever given to it.
fn crc32(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0xEDB8_8320;
    let step = |crc: u32| {
        if crc & 1 == 1 { crc >> 1 ^ POLYNOMIAL } else { crc >> 1 }
    };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

fn begin(out: &mut Vec<u8>, kind: u16, transaction: &[u8]) {
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&MAGIC_COOKIE);
    out.extend_from_slice(transaction);
}

/// Append one attribute, padded, and correct the length in the header.
fn push_attribute(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&(value.len() as u16).to_be_bytes());
    out.extend_from_slice(value);
    out.resize(out.len().next_multiple_of(4), 0);
    set_length(out, 0);
}

/// Write the length of what is there, and of `coming` more bytes, into the header.
fn set_length(out: &mut [u8], coming: usize) {
    let length = (out.len().saturating_sub(HEADER_BYTES) + coming) as u16;
    if let Some(field) = out.get_mut(2..4) {
        field.copy_from_slice(&length.to_be_bytes());
    }
}

/// RFC 8489 §14.2: port and address, XORed with the cookie and, for IPv6, the transaction id.
fn push_xor_address(out: &mut Vec<u8>, source: SocketAddr, transaction: &[u8]) {
    let mask = || MAGIC_COOKIE.iter().chain(transaction);
    let mut value = Vec::with_capacity(20);
    value.extend_from_slice(&[0, if source.is_ipv4() { 1 } else { 2 }]);
    value.extend(source.port().to_be_bytes().iter().zip(mask()).map(|(byte, mask)| byte ^ mask));
    match source.ip() {
        IpAddr::V4(ip) => value.extend(ip.octets().iter().zip(mask()).map(|(byte, mask)| byte ^ mask)),
        IpAddr::V6(ip) => value.extend(ip.octets().iter().zip(mask()).map(|(byte, mask)| byte ^ mask)),
    }
    push_attribute(out, XOR_MAPPED_ADDRESS, &value);
}

/// The length in the header counts FINGERPRINT itself when it is computed.
fn push_fingerprint(out: &mut Vec<u8>) {
    set_length(out, 8);
    let value = fingerprint(out);
    push_attribute(out, FINGERPRINT, &value.to_be_bytes());
}

/// Two bytes in network order; zero beyond the end.
fn u16_at(bytes: &[u8], offset: usize) -> u16 {
    bytes.get(offset..).and_then(|rest| rest.first_chunk()).map_or(0, |pair| u16::from_be_bytes(*pair))
}

#[cfg(test)]
mod tests;
