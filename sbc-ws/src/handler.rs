//! Whom connections report to.

use std::net::SocketAddr;
use std::num::NonZeroU64;

use crate::reason::{CloseReason, Refused};
use crate::ticket::Ticket;

/// One worker's receiver of what its connections say. Runs on the worker's own thread and must not block.
///
/// `remote` is what the socket saw; `source` is the true client: the same, or what a trusted proxy said (then with
/// port 0 when the proxy named none). Addresses of IPv4 clients on an IPv6 socket are given as IPv4.
pub trait Handler {
    /// Whether this address may connect at all. Asked before TLS costs anything, and again for the address that a
    /// trusted proxy names.
    fn admits(&self, source: SocketAddr) -> bool;

    /// Whether this address may hold more connections than [`Settings::max_per_source`](crate::Settings).
    fn is_unlimited(&self, source: SocketAddr) -> bool;

    /// A client finished its upgrade and can be sent to. `connection` is unique in this process. `ticket` says what it
    /// may ask for, on listeners that want one.
    fn opened(&self, connection: NonZeroU64, remote: SocketAddr, source: SocketAddr, ticket: Option<Ticket>);

    /// One WebSocket message, text or binary, as it came: one SIP message (RFC 7118 §5), or a keepalive.
    fn received(&self, connection: NonZeroU64, remote: SocketAddr, source: SocketAddr, message: &[u8]);

    /// An opened connection is gone. Comes exactly once for each, and nothing of it follows. What it says about
    /// `source` is [`CloseReason::evidence`].
    fn closed(&self, connection: NonZeroU64, source: SocketAddr, why: CloseReason);

    /// A client got no connection. `source` is `None` when it is behind a trusted proxy that has not
    /// named it yet. What it says about `source` is [`Refused::evidence`].
    fn refused(&self, source: Option<SocketAddr>, why: Refused);
}
