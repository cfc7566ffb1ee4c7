//! What goes into the core and what comes out of it.
//!
//! The contract for the driver: some inputs, then send everything in the [`Outbox`], in order, clear it,
//! next inputs. An input only ever adds to the outbox.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

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
    /// A connection was accepted on a ticket that bounds what it may ask for.
    OpenedBy(Flow, &'a Ticket),
    /// A connection is gone.
    Closed(ConnectionId),
    /// Nobody receives at this flow's remote: the network said so (ICMP port or host unreachable), or a connection
    /// could not be opened.
    Unreachable(Flow),
    /// The connection that was opened to this flow's remote is gone; the next message opens another.
    Disconnected(Flow),
    /// Some messages are taken from one of the worker's queues; they are the next inputs.
    Taken(Backlog),
    /// How busy the worker's processor has been lately, in percent. Once a second, so that the worker knows of quiet.
    Busy(u8),
    /// A time that `next_deadline` named has come.
    Deadline,
}

/// What the driver knows of a queue that it takes messages from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// Which of the worker's queues, counted from 0.
    pub queue: u8,
    /// How long the oldest of them has waited there.
    pub waited: Duration,
    /// How many are taken.
    pub messages: u32,
    /// How many the queue can hold before it loses any.
    pub room: u32,
}

/// What passes of datagrams that begin something and that nobody has read yet, in parts of
/// [`WHOLE`](crate::admission::WHOLE): the driver may have the rest dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sieve {
    /// Of requests that begin a call or bring a message.
    pub calls: u32,
    /// Of those that begin anything else that stays, and of probes.
    pub others: u32,
}

/// What a client was given by the site it comes from; the front end has verified it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// The users it may speak for, as `alice@example.com`.
    pub users: Vec<Box<str>>,
    /// Whom it may ask for, as `sales@example.com`, `sales` or `+49*`; `None`: anybody.
    pub destinations: Option<Vec<Box<str>>>,
}

/// A message to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// Where to.
    pub flow: Flow,
    /// Which bytes: see [`Outbox::bytes`].
    pub range: Range<usize>,
}

/// Messages to send, in order. Reused from input to input, so that it stops allocating.
#[derive(Debug, Default)]
pub struct Outbox {
    pub(crate) bytes: Vec<u8>,
    transmits: Vec<Transmit>,
}

impl Outbox {
    /// An empty outbox.
    pub fn new() -> Self {
        Self::default()
    }

    /// What to send, in order.
    pub fn transmits(&self) -> &[Transmit] {
        &self.transmits
    }

    /// The bytes of a [`Transmit`].
    pub fn bytes(&self, range: &Range<usize>) -> &[u8] {
        &self.bytes[range.clone()]
    }

    /// Forget everything, keep the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.transmits.clear();
    }

    /// True when there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.transmits.is_empty()
    }

    /// Queue a copy of `message`.
    pub fn send(&mut self, flow: Flow, message: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(message);
        self.transmits.push(Transmit { flow, range: start..self.bytes.len() });
    }

    /// Queue what `write` appends.
    pub(crate) fn send_with(&mut self, flow: Flow, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        self.transmits.push(Transmit { flow, range: start..self.bytes.len() });
    }
}
