//! Many datagrams with one system call (sendmmsg). Never blocks, never keeps a datagram for later.

use std::io::IoSlice;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessage, MsgFlags, MultiHeaders, SockaddrIn, SockaddrIn6, SockaddrLike, sendmmsg, sendto,
};

use crate::error_queue::Cause;
use crate::receive::MAX_BATCH;
use crate::socket::{Socket, Tally};

/// How often one datagram is offered to the kernel. A refusal may be the ICMP error of an earlier datagram to
/// another peer (the kernel reports it once, on whatever call comes next), so one is not believed at once.
const SEND_ATTEMPTS: usize = 3;

/// The kernel's headers for one worker's sends; holds no datagram between calls.
///
/// Not `Send`: it is made by the worker that uses it.
#[derive(Debug)]
pub struct SendBatch {
    headers_v4: MultiHeaders<SockaddrIn>,
    headers_v6: MultiHeaders<SockaddrIn6>,
}

impl Default for SendBatch {
    fn default() -> Self {
        Self::new()
    }
}

impl SendBatch {
    /// All the memory it will ever need.
    pub fn new() -> Self {
        Self {
            headers_v4: MultiHeaders::preallocate(MAX_BATCH, None),
            headers_v6: MultiHeaders::preallocate(MAX_BATCH, None),
        }
    }
}

/// What became of a call's datagrams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SendReport {
    /// Given to the kernel.
    pub sent: usize,
    /// Dropped: the send buffer was full.
    pub dropped: usize,
    /// Refused by the kernel.
    pub failed: usize,
}

/// Why a datagram was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The send buffer is full; the datagram is lost, as UDP may.
    #[error("the send buffer is full")]
    Full,
    /// This machine knows no way to the peer, or may not use it.
    #[error("{0}")]
    Unreachable(Cause),
    /// More bytes than UDP can carry.
    #[error("larger than a datagram can be")]
    TooLarge,
    /// An IPv6 peer on an IPv4 socket, or the reverse.
    #[error("the socket is of the other address family")]
    WrongFamily,
    /// Anything else the kernel said.
    #[error("{}", .0.desc())]
    Other(Errno),
}

impl SendError {
    fn of(errno: Errno) -> Self {
        match errno {
            Errno::EAGAIN | Errno::ENOBUFS | Errno::ENOMEM => Self::Full,
            Errno::EMSGSIZE => Self::TooLarge,
            _ => Cause::of(errno).map_or(Self::Other(errno), Self::Unreachable),
        }
    }
}

type Outgoing<'d> = (SocketAddr, &'d [u8]);

impl Socket {
    /// Send one datagram.
    ///
    /// # Errors
    /// Why it was not sent; it is counted, and not tried again.
    pub fn send_to(&self, remote: SocketAddr, bytes: &[u8]) -> Result<(), SendError> {
        let outcome = self.offer_one(remote, bytes);
        self.count(&outcome.err().map_or(SendReport { sent: 1, ..SendReport::default() }, |error| {
            let mut report = SendReport::default();
            report.record(error);
            report
        }));
        outcome
    }

    /// Send datagrams in order, [`MAX_BATCH`] with each system call. Each one that is not sent is told to
    /// `on_failure` with its remote, counted, and not tried again; the others go out.
    pub fn send_batch<'d>(
        &self,
        batch: &mut SendBatch,
        datagrams: impl IntoIterator<Item = (SocketAddr, &'d [u8])>,
        mut on_failure: impl FnMut(SocketAddr, SendError),
    ) -> SendReport {
        let mut report = SendReport::default();
        let mut datagrams = datagrams.into_iter().fuse();
        let mut chunk: [Outgoing<'d>; MAX_BATCH] = [(self.local_addr(), &[]); MAX_BATCH];
        loop {
            let mut filled = 0;
            for (slot, datagram) in chunk.iter_mut().zip(&mut datagrams) {
                *slot = datagram;
                filled += 1;
            }
            let Some(waiting) = chunk.get(..filled).filter(|waiting| !waiting.is_empty()) else {
                break;
            };
            self.send_chunk(batch, waiting, &mut report, &mut on_failure);
        }
        self.count(&report);
        report
    }

    fn send_chunk(
        &self,
        batch: &mut SendBatch,
        mut waiting: &[Outgoing<'_>],
        report: &mut SendReport,
        on_failure: &mut impl FnMut(SocketAddr, SendError),
    ) {
        while let Some(((remote, bytes), rest)) = waiting.split_first() {
            // One datagram is the rule at low load, and a plain sendto is the cheaper call for it.
            if !rest.is_empty()
                && let Ok(sent @ 1..) = self.offer_many(batch, waiting)
            {
                report.sent += sent;
                waiting = waiting.get(sent..).unwrap_or_default();
                continue;
            }
            match self.offer_one(*remote, bytes) {
                Ok(()) => report.sent += 1,
                Err(error) => {
                    report.record(error);
                    on_failure(*remote, error);
                }
            }
            waiting = rest;
        }
    }

    fn offer_one(&self, remote: SocketAddr, bytes: &[u8]) -> Result<(), SendError> {
        let mut outcome = Err(SendError::WrongFamily);
        for _ in 0..SEND_ATTEMPTS {
            outcome = match (self.local_addr(), remote) {
                (SocketAddr::V4(_), SocketAddr::V4(remote)) => {
                    send_one(self, bytes, &SockaddrIn::from(remote))
                }
                (SocketAddr::V6(_), SocketAddr::V6(remote)) => {
                    send_one(self, bytes, &SockaddrIn6::from(remote))
                }
                _ => return Err(SendError::WrongFamily),
            };
            if matches!(outcome, Ok(()) | Err(SendError::Full)) {
                break;
            }
        }
        outcome
    }

    /// How many of the first datagrams the kernel took. Stops before one of the other address family.
    fn offer_many(&self, batch: &mut SendBatch, waiting: &[Outgoing<'_>]) -> nix::Result<usize> {
        if self.local_addr().is_ipv4() {
            let address = |remote| match remote {
                SocketAddr::V4(remote) => Some(SockaddrIn::from(remote)),
                SocketAddr::V6(_) => None,
            };
            send_many(self, &mut batch.headers_v4, waiting, address)
        } else {
            let address = |remote| match remote {
                SocketAddr::V6(remote) => Some(SockaddrIn6::from(remote)),
                SocketAddr::V4(_) => None,
            };
            send_many(self, &mut batch.headers_v6, waiting, address)
        }
    }

    fn count(&self, report: &SendReport) {
        Tally::add(&self.tally.sent, report.sent);
        Tally::add(&self.tally.send_dropped, report.dropped);
        Tally::add(&self.tally.send_failed, report.failed);
    }
}

impl SendReport {
    fn record(&mut self, error: SendError) {
        match error {
            SendError::Full => self.dropped += 1,
            _ => self.failed += 1,
        }
    }
}

fn send_one<A: SockaddrLike>(socket: &Socket, bytes: &[u8], remote: &A) -> Result<(), SendError> {
    sendto(socket.as_raw_fd(), bytes, remote, MsgFlags::MSG_DONTWAIT).map(|_| ()).map_err(SendError::of)
}

fn send_many<A: SockaddrLike + Copy>(
    socket: &Socket,
    headers: &mut MultiHeaders<A>,
    waiting: &[Outgoing<'_>],
    address: impl Fn(SocketAddr) -> Option<A>,
) -> nix::Result<usize> {
    const NO_CONTROL: [ControlMessage<'static>; 0] = [];
    let mut addresses: [Option<A>; MAX_BATCH] = [None; MAX_BATCH];
    let mut buffers = [[IoSlice::new(&[])]; MAX_BATCH];
    let mut ready = 0;
    for (((remote, bytes), slot), buffer) in waiting.iter().zip(&mut addresses).zip(&mut buffers) {
        let Some(known) = address(*remote) else { break };
        *slot = Some(known);
        *buffer = [IoSlice::new(bytes)];
        ready += 1;
    }
    let Some(buffers) = buffers.get(..ready).filter(|buffers| !buffers.is_empty()) else {
        return Ok(0);
    };
    let sent = sendmmsg(socket.as_raw_fd(), headers, buffers, addresses, NO_CONTROL, MsgFlags::MSG_DONTWAIT)?;
    Ok(sent.count())
}
