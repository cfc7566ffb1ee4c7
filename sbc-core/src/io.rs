//! What goes into the core and what comes out of it.
//!
//! The contract for the driver: one [`Input`], then send everything in the [`Outbox`], in order,
//! clear it, next input.

use std::net::SocketAddr;
use std::ops::Range;

use crate::flow::{ConnectionId, Flow};

/// Something happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// One datagram, or one message of a stream.
    Received {
        /// Where it came in.
        flow: Flow,
        /// The client's true address: the flow's remote, or what a trusted proxy said.
        source: SocketAddr,
        /// The message.
        bytes: &'a [u8],
    },
    /// A connection was accepted.
    Opened(Flow),
    /// A connection is gone.
    Closed(ConnectionId),
    /// The network said that nobody receives at this flow's remote (ICMP port or host unreachable).
    Unreachable(Flow),
    /// A time that `next_deadline` named has come.
    Deadline,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Send bytes.
    Send {
        /// Where to.
        flow: Flow,
        /// Which bytes: see [`Outbox::bytes`].
        range: Range<usize>,
    },
    /// Close a connection.
    Close(ConnectionId),
}

/// Messages to send, in order. Reused from input to input, so that it stops allocating.
#[derive(Debug, Default)]
pub struct Outbox {
    pub(crate) bytes: Vec<u8>,
    commands: Vec<Command>,
}

impl Outbox {
    /// An empty outbox.
    pub fn new() -> Self {
        Self::default()
    }

    /// What to do, in order.
    pub fn commands(&self) -> &[Command] {
        &self.commands
    }

    /// The bytes of a [`Command::Send`].
    pub fn bytes(&self, range: &Range<usize>) -> &[u8] {
        &self.bytes[range.clone()]
    }

    /// Forget everything, keep the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.commands.clear();
    }

    /// True when there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// Queue a copy of `message`.
    pub fn send(&mut self, flow: Flow, message: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(message);
        self.commands.push(Command::Send { flow, range: start..self.bytes.len() });
    }

    /// Queue what `write` appends.
    pub(crate) fn send_with(&mut self, flow: Flow, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        self.commands.push(Command::Send { flow, range: start..self.bytes.len() });
    }

    /// Queue the closing of a connection.
    pub fn close(&mut self, connection: ConnectionId) {
        self.commands.push(Command::Close(connection));
    }
}
