//! Where bytes come from and go to: listeners, connections, workers.
//!
//! `remote` is what the socket saw; it is never what a Via or a Contact claims.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU64;

pub use routing_rules::Zone;
pub use rsip::Transport;

/// Index of a listener in [`Config::listeners`](crate::config::Config::listeners).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerId(pub u16);

/// Index of a worker thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(pub u8);

/// Number of one accepted connection, counted from 1 since this process started.
///
/// It says nothing in another process: tokens pair it with the boot id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub NonZeroU64);

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// One way in and out: a UDP address seen at one of our sockets, a connection, or the address of a server
/// that connections are opened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Flow {
    /// The listener the bytes came to, or shall leave by.
    pub listener: ListenerId,
    /// Which of the listener's local UDP ports: 0 is its own `bind`, n is entry n-1 of `worker_ports`.
    pub port: u8,
    /// The other end as the socket sees it.
    pub remote: SocketAddr,
    /// Set for WebSocket, and for TCP and TLS where bytes came in; then it alone decides where bytes go. Without
    /// one, a TCP or TLS listener uses the connection it has to `remote`, or opens it.
    pub connection: Option<ConnectionId>,
}

impl Flow {
    /// To an address, from a listener's own port.
    pub const fn to(listener: ListenerId, remote: SocketAddr) -> Self {
        Self { listener, port: 0, remote, connection: None }
    }
}

/// True for transports that lose nothing, so that no timer repeats a message on them.
pub const fn is_reliable(transport: Transport) -> bool {
    !matches!(transport, Transport::Udp)
}

/// True where messages are cut out of a byte stream by their Content-Length.
pub const fn is_stream(transport: Transport) -> bool {
    matches!(transport, Transport::Tcp | Transport::Tls)
}

/// True for SIP over WebSocket (RFC 7118), with TLS or without.
pub const fn is_websocket(transport: Transport) -> bool {
    matches!(transport, Transport::Ws | Transport::Wss)
}

/// Longest text of an address: IPv6 with scope and port.
const ADDRESS_TEXT: usize = 64;

/// `ip:port` as URIs write it, on the stack.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AddressText {
    bytes: [u8; ADDRESS_TEXT],
    length: usize,
}

impl AddressText {
    /// No address.
    pub(crate) const EMPTY: Self = Self { bytes: [0; ADDRESS_TEXT], length: 0 };

    pub(crate) fn of(address: SocketAddr) -> Self {
        use std::io::Write as _;
        let mut text = Self::EMPTY;
        let mut room = &mut text.bytes[..];
        let fits = write!(room, "{address}").is_ok();
        let left = room.len();
        text.length = if fits { ADDRESS_TEXT - left } else { 0 };
        text
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_as_text_is_what_display_writes() {
        for text in
            ["192.0.2.1:5060", "[2001:db8::1]:65535", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"]
        {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(AddressText::of(address).as_bytes(), text.as_bytes());
        }
        assert!(AddressText::EMPTY.as_bytes().is_empty());
    }
}
