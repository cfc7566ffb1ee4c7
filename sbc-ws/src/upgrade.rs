//! The opening handshake (RFC 6455 §4.2, RFC 7118 §4): judged as a value, check by check.
//!
//! Nothing here reads a socket, counts or logs; [`judge`] says what it found and [`refusal`] what the client is told.

use std::net::SocketAddr;

use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::client_address::rightmost;
use crate::http::{Request, Response};
use crate::reason::Refused;
use crate::settings::Settings;
use crate::ticket::{NoTicket, Ticket, TicketPlace};

/// The sub-protocol of SIP (RFC 7118 §4); names of sub-protocols are compared as they are.
const SUB_PROTOCOL: &[u8] = b"sip";

/// The challenge that a 401 owes (RFC 9110 §11.6.1).
const BEARER: &str = "WWW-Authenticate: Bearer\r\n";

/// A request that may have its connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// The true client.
    pub(crate) source: SocketAddr,
    /// What it may ask for, where tickets are needed.
    pub(crate) ticket: Option<Ticket>,
    accept: String,
}

impl Accepted {
    /// The answer that makes the stream a WebSocket. No extension is named, so none is negotiated.
    pub(crate) fn response(&self) -> Vec<u8> {
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: sip\r\n\r\n",
            self.accept
        )
        .into_bytes()
    }
}

/// A check judges one thing; it never answers, counts or logs.
type Check = fn(&Request<'_>, &Settings) -> Result<(), Refused>;

/// In this order: what is no upgrade at all is told that first.
const CHECKS: &[Check] = &[method, is_upgrade, http_version, host, path, version, sub_protocol, origin];

/// Judges a complete request head from `remote`; `client` is who that is, where it is known already.
///
/// # Errors
/// The first rule that the request breaks.
pub(crate) fn judge(
    head: &[u8],
    settings: &Settings,
    remote: SocketAddr,
    client: Option<SocketAddr>,
) -> Result<Accepted, Refused> {
    let request = Request::parse(head).ok_or(Refused::Malformed)?;
    CHECKS.iter().try_for_each(|check| check(&request, settings))?;
    let key = key(&request)?;
    let source = client.map_or_else(|| forwarded_for(&request, remote), Ok)?;
    // Last, since it costs the most.
    let ticket = ticket(&request, settings)?;
    Ok(Accepted { source, ticket, accept: derive_accept_key(key.as_bytes()) })
}

fn method(request: &Request<'_>, _: &Settings) -> Result<(), Refused> {
    if request.method == "GET" { Ok(()) } else { Err(Refused::Method) }
}

fn is_upgrade(request: &Request<'_>, _: &Settings) -> Result<(), Refused> {
    let names =
        |header, token: &[u8]| request.elements(header).any(|element| element.eq_ignore_ascii_case(token));
    if names("Upgrade", b"websocket") && names("Connection", b"upgrade") {
        Ok(())
    } else {
        Err(Refused::NotAnUpgrade)
    }
}

fn http_version(request: &Request<'_>, _: &Settings) -> Result<(), Refused> {
    if request.minor_version == 1 { Ok(()) } else { Err(Refused::Malformed) }
}

/// HTTP wants exactly one (RFC 9112 §3.2), whatever it says.
fn host(request: &Request<'_>, _: &Settings) -> Result<(), Refused> {
    match request.one("Host") {
        Ok(Some(_)) => Ok(()),
        Ok(None) | Err(_) => Err(Refused::Malformed),
    }
}

fn path(request: &Request<'_>, settings: &Settings) -> Result<(), Refused> {
    let asked = request.path_and_query().0;
    if settings.path.as_deref().is_none_or(|path| path == asked) { Ok(()) } else { Err(Refused::Path) }
}

fn version(request: &Request<'_>, _: &Settings) -> Result<(), Refused> {
    if request.one("Sec-WebSocket-Version") == Ok(Some("13")) { Ok(()) } else { Err(Refused::Version) }
}

fn sub_protocol(request: &Request<'_>, _: &Settings) -> Result<(), Refused> {
    let offered = request.elements("Sec-WebSocket-Protocol").any(|element| element == SUB_PROTOCOL);
    if offered { Ok(()) } else { Err(Refused::SubProtocol) }
}

/// Where origins are listed, a client without one is refused too: the list says who may connect.
fn origin(request: &Request<'_>, settings: &Settings) -> Result<(), Refused> {
    if settings.origins.is_empty() {
        return Ok(());
    }
    match request.one("Origin") {
        Ok(Some(origin)) if settings.origins.iter().any(|pattern| pattern.matches(origin)) => Ok(()),
        _ => Err(Refused::Origin),
    }
}

fn ticket(request: &Request<'_>, settings: &Settings) -> Result<Option<Ticket>, Refused> {
    let Some(tickets) = &settings.tickets else { return Ok(None) };
    let name = tickets.name();
    let called = |part: &'_ [u8], end: u8| {
        part.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&end))
    };
    let token = |part| <[u8]>::get(part, name.len() + 1..).unwrap_or_default();
    let judged = match tickets.place() {
        TicketPlace::Query => {
            let query = request.path_and_query().1.unwrap_or_default().as_bytes();
            tickets.judge(query.split(|&byte| byte == b'&').filter(|part| called(part, b'=')).map(token))
        }
        TicketPlace::Cookie => {
            let cookies = request.all("Cookie").flat_map(|value| value.split(|&byte| byte == b';'));
            let cookies = cookies.map(<[u8]>::trim_ascii);
            tickets.judge(cookies.filter(|part| called(part, b'=')).map(token))
        }
        TicketPlace::SubProtocol => {
            let offered = request.elements("Sec-WebSocket-Protocol");
            tickets.judge(offered.filter(|part| called(part, b'.')).map(token))
        }
    };
    judged.map(Some).map_err(|why| match why {
        NoTicket::Absent => Refused::NoTicket,
        NoTicket::OutOfTime => Refused::TicketOutOfTime,
        NoTicket::Bad => Refused::BadTicket,
    })
}

/// 16 bytes in base64 (RFC 6455 §4.2.1) are 22 digits and two `=`.
fn key<'a>(request: &Request<'a>) -> Result<&'a str, Refused> {
    let key = request.one("Sec-WebSocket-Key").ok().flatten().ok_or(Refused::Key)?;
    let digits = key.strip_suffix("==").ok_or(Refused::Key)?;
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    if digits.len() == 22 && digits.bytes().all(is_digit) { Ok(key) } else { Err(Refused::Key) }
}

/// Whom a trusted proxy names. Without the header it is taken for the client itself: something inside its network
/// that connects directly.
fn forwarded_for(request: &Request<'_>, proxy: SocketAddr) -> Result<SocketAddr, Refused> {
    match request.all("X-Forwarded-For").last() {
        Some(value) => std::str::from_utf8(value).ok().and_then(rightmost).ok_or(Refused::ForwardedFor),
        None => Ok(proxy),
    }
}

/// What a refused client is told; `None` where there is nobody to tell, or not in HTTP.
pub(crate) const fn refusal(why: Refused) -> Option<Response> {
    let (status, headers, body) = match why {
        Refused::TooManyConnections
        | Refused::ProxyHeader
        | Refused::TlsTimeout
        | Refused::TlsFailed
        | Refused::ServerName
        | Refused::Disconnected => return None,
        Refused::UpgradeTimeout => ("408 Request Timeout", "", "No complete upgrade request came in time."),
        Refused::HeadTooLarge => {
            ("431 Request Header Fields Too Large", "", "The request head is larger than 16 KiB.")
        }
        Refused::Malformed => {
            ("400 Bad Request", "", "Not an HTTP/1.1 request with one Host and at most 64 header fields.")
        }
        Refused::Method => ("405 Method Not Allowed", "Allow: GET\r\n", "Only GET opens a WebSocket."),
        Refused::NotAnUpgrade => (
            "426 Upgrade Required",
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: sip\r\n",
            "This is a SIP over WebSocket endpoint (RFC 7118): connect by WebSocket, sub-protocol \"sip\".",
        ),
        Refused::Version => (
            "426 Upgrade Required",
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
            "Only version 13 of the WebSocket protocol is spoken here.",
        ),
        Refused::Key => ("400 Bad Request", "", "Sec-WebSocket-Key must be 16 bytes in base64."),
        Refused::SubProtocol => {
            ("400 Bad Request", "", "Sec-WebSocket-Protocol must offer \"sip\" (RFC 7118).")
        }
        Refused::Origin => ("403 Forbidden", "", "Pages of this origin may not connect."),
        Refused::Path => ("404 Not Found", "", "No WebSocket is offered at this path."),
        Refused::TooManyFromSource => {
            ("429 Too Many Requests", "Retry-After: 10\r\n", "This address holds too many connections.")
        }
        Refused::NoTicket => ("401 Unauthorized", BEARER, "A ticket is needed to connect."),
        Refused::TicketOutOfTime => ("401 Unauthorized", BEARER, "The ticket is not good at this time."),
        Refused::BadTicket => ("403 Forbidden", "", "The ticket is not good here."),
        Refused::Source => ("403 Forbidden", "", "This address may not connect."),
        Refused::ForwardedFor => {
            ("400 Bad Request", "", "The last element of X-Forwarded-For must be an IP address.")
        }
        Refused::Draining => {
            ("503 Service Unavailable", "Retry-After: 1\r\n", "This node is going away: connect again.")
        }
    };
    Some(Response { status, headers, body })
}

#[cfg(test)]
#[path = "upgrade_tests.rs"]
mod tests;
