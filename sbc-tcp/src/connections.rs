//! All open connections of a process, by number: WebSockets, TCP and TLS, accepted and opened by us.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;

use crate::egress::{Egress, SendError};

/// Senders to all open connections, of all listeners and workers; usable from any thread, never blocking.
#[derive(Debug)]
pub struct Connections {
    open: DashMap<NonZeroU64, Arc<Egress>>,
    last: AtomicU64,
}

impl Connections {
    /// No connections yet.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { open: DashMap::new(), last: AtomicU64::new(0) })
    }

    /// A number no other connection of this process has, counted from 1.
    pub fn next_id(&self) -> NonZeroU64 {
        // 2^64 connections do not happen; were they to, the count would go on from 1.
        NonZeroU64::MIN.saturating_add(self.last.fetch_add(1, Ordering::Relaxed))
    }

    /// Queues `bytes`, one SIP message or keepalive.
    ///
    /// # Errors
    /// [`SendError::Gone`] when the connection is closed or closing; [`SendError::Full`] when it does not read, and
    /// is closed for that.
    pub fn send(&self, connection: NonZeroU64, bytes: &[u8]) -> Result<(), SendError> {
        self.egress(connection).ok_or(SendError::Gone)?.push(bytes)
    }

    /// Closes a connection once what is queued for it is written. A WebSocket is told why: a status of RFC 6455 §7.4
    /// (1001 going away, 1008 policy, 1012 restart) and at most 123 bytes of reason. Nothing happens when it is gone
    /// already.
    pub fn close(&self, connection: NonZeroU64, code: u16, reason: &'static str) {
        if let Some(egress) = self.egress(connection) {
            egress.close(code, reason);
        }
    }

    /// How many connections are open.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// True when no connection is open.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// `connection` can be sent to from now on.
    pub fn insert(&self, connection: NonZeroU64, egress: Arc<Egress>) {
        self.open.insert(connection, egress);
    }

    /// `connection` is over; what waits for it is freed.
    pub fn remove(&self, connection: NonZeroU64) {
        if let Some((_, egress)) = self.open.remove(&connection) {
            egress.end();
        }
    }

    /// A clone, so that no guard of the table is held while the queue is touched.
    fn egress(&self, connection: NonZeroU64) -> Option<Arc<Egress>> {
        self.open.get(&connection).map(|entry| Arc::clone(&entry))
    }
}
