//! SIP over UDP for worker threads on Linux: datagrams in batches, ICMP errors as notices, keepalives,
//! and handing datagrams from one worker to another.
//!
//! A worker that is behind may have the kernel drop a share of what begins in a certain way ([`Socket::sift`]).
//!
//! Promises:
//! * nothing here blocks; a datagram that does not fit the send buffer is dropped and counted, as UDP may;
//! * receiving and sending allocate nothing in steady state;
//! * a closed port of a peer is reported as [`Unreachable`], even on a socket that serves many peers;
//! * no bytes from the network can make this crate panic.
//!
//! It never parses SIP, except for the one look at Call-ID in [`handover`], never retransmits, and never
//! decides where a message goes.
//!
//! A worker binds its sockets once ([`probe_free`], then [`Socket::bind`]), shares them for sending
//! (`Arc<Socket>`, one [`SendBatch`] per worker) and reads each with one [`Receiver`] into one [`ReceiveBatch`].
#![forbid(unsafe_code)]

mod error_queue;
pub mod handover;
pub mod keepalive;
mod receive;
mod receiver;
mod send;
mod sieve;
mod socket;
mod unread;

pub use error_queue::{Cause, Unreachable};
pub use receive::{Datagram, MAX_BATCH, MAX_DATAGRAM_BYTES, ReceiveBatch};
pub use receiver::{Readable, Receiver};
pub use send::{SendBatch, SendError, SendReport};
pub use sieve::{Rule, WHOLE};
pub use socket::{Counters, Options, Socket, probe_free};
pub use unread::Unread;
