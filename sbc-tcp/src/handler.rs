//! Whom connections report to.

use std::net::SocketAddr;
use std::num::NonZeroU64;

use crate::reason::{CloseReason, Refused, Unreached};

/// One open connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Unique in this process, among connections of every kind.
    pub id: NonZeroU64,
    /// The other end as the socket sees it, or as a trusted proxy names it.
    pub remote: SocketAddr,
    /// True where we opened it: `remote` is then the address that was dialled.
    pub dialled: bool,
}

/// One worker's receiver of what its connections say. Runs on the worker's own thread and must not block.
pub trait Handler {
    /// Whether this address may connect at all. Asked before TLS costs anything.
    fn admits(&self, remote: SocketAddr) -> bool;

    /// Whether this address may hold more connections than [`Settings::max_per_source`](crate::Settings).
    fn is_unlimited(&self, remote: SocketAddr) -> bool;

    /// A connection is open and can be sent to.
    fn opened(&self, link: &Link);

    /// One SIP message, or one keepalive; after a [`CloseReason`] that says so, the head of one that could not be
    /// read on.
    fn received(&self, link: &Link, message: &[u8]);

    /// An opened connection is gone. Comes exactly once for each, and nothing of it follows.
    fn closed(&self, link: &Link, why: CloseReason);

    /// A peer got no connection.
    fn refused(&self, remote: SocketAddr, why: Refused);

    /// A server that was dialled is not there: what was to be sent is lost.
    fn unreachable(&self, remote: SocketAddr, why: Unreached);
}
