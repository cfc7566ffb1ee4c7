//! Many datagrams with one system call (recvmmsg), into memory that is reused.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrIn, SockaddrIn6, SockaddrLike, recvmmsg,
};
use nix::sys::time::TimeSpec;

use crate::error_queue::{self, Unreachable};
use crate::socket::{Socket, Tally};

/// Most datagrams of one system call, either way.
pub const MAX_BATCH: usize = 32;

/// Room for one received datagram. The largest that UDP can carry over IPv4 has 65,507 bytes.
pub const MAX_DATAGRAM_BYTES: usize = 64 * 1024;

/// How often one read begins again because an ICMP error was reported in place of data.
const MAX_INTERRUPTIONS: usize = 4;

/// Received datagrams and ICMP notices. One per worker is enough: its sockets take turns.
///
/// It reserves 2 MiB of address space; the kernel gives memory only to pages that a datagram has touched.
/// Not `Send`: it is made by the worker that uses it.
#[derive(Debug)]
pub struct ReceiveBatch {
    slab: Vec<u8>,
    entries: Vec<Entry>,
    notices: Vec<Unreachable>,
    control: Vec<u8>,
    // One set per family: the kernel writes the address length back, and the next call reads it again.
    headers_v4: MultiHeaders<SockaddrIn>,
    headers_v6: MultiHeaders<SockaddrIn6>,
    /// When the kernel got the oldest datagram of the last read, by the clock on the wall.
    oldest: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    source: SocketAddr,
    length: usize,
    truncated: bool,
}

/// One received datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Who sent it, as the socket saw it.
    pub source: SocketAddr,
    /// What was sent.
    pub bytes: &'a [u8],
    /// True when there were more bytes than [`MAX_DATAGRAM_BYTES`]; `bytes` is then only the beginning.
    pub truncated: bool,
}

impl Default for ReceiveBatch {
    fn default() -> Self {
        Self::new()
    }
}

impl ReceiveBatch {
    /// An empty batch with all the memory it will ever need.
    pub fn new() -> Self {
        Self {
            slab: vec![0; MAX_BATCH * MAX_DATAGRAM_BYTES],
            entries: Vec::with_capacity(MAX_BATCH),
            notices: Vec::with_capacity(error_queue::MAX_NOTICES),
            control: error_queue::control_buffer(),
            headers_v4: MultiHeaders::preallocate(MAX_BATCH, Some(nix::cmsg_space!(TimeSpec))),
            headers_v6: MultiHeaders::preallocate(MAX_BATCH, Some(nix::cmsg_space!(TimeSpec))),
            oldest: None,
        }
    }

    /// The datagrams of the last read, in order of arrival.
    pub fn datagrams(&self) -> impl Iterator<Item = Datagram<'_>> {
        self.entries.iter().zip(self.slab.chunks_exact(MAX_DATAGRAM_BYTES)).map(|(entry, slot)| Datagram {
            source: entry.source,
            bytes: slot.get(..entry.length).unwrap_or(slot),
            truncated: entry.truncated,
        })
    }

    /// The peers that the network reported unreachable, as of the last read.
    pub fn unreachable(&self) -> &[Unreachable] {
        &self.notices
    }

    /// How long the oldest datagram of the last read has waited in the socket. Zero where the kernel does not say, and
    /// where the clock on the wall was set back meanwhile.
    pub fn waited(&self) -> Duration {
        let wall = || SystemTime::now().duration_since(UNIX_EPOCH).ok();
        self.oldest.and_then(|oldest| wall()?.checked_sub(oldest)).unwrap_or_default()
    }

    /// How many datagrams the last read brought.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when the last read brought no datagram; it may have brought notices.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// True when the last read filled the batch: more datagrams may be waiting, a sign of load.
    pub fn is_full(&self) -> bool {
        self.entries.len() >= MAX_BATCH
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.notices.clear();
        self.oldest = None;
    }
}

/// What one read left behind in the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remainder {
    /// Nothing: wait for the socket to become readable.
    Nothing,
    /// Perhaps something: read again before waiting.
    Perhaps,
}

impl Socket {
    /// Read what is waiting, without blocking: up to [`MAX_BATCH`] datagrams and up to 64 ICMP notices.
    /// What the batch held before is gone. Returns the number of datagrams.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when nothing is waiting; else what the kernel said, which is not
    /// expected on a bound socket. A peer's ICMP error is never an error here: it becomes a notice.
    pub fn recv_batch(&self, batch: &mut ReceiveBatch) -> io::Result<usize> {
        self.read(batch, true)?;
        if batch.is_empty() && batch.notices.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(batch.len())
    }

    /// Read datagrams, and notices too if `errors_waiting` or if the kernel reports one meanwhile.
    pub(crate) fn read(&self, batch: &mut ReceiveBatch, errors_waiting: bool) -> io::Result<Remainder> {
        batch.clear();
        let mut errors_left =
            errors_waiting && !error_queue::drain(self, &mut batch.control, &mut batch.notices);
        let mut outcome = self.read_datagrams(batch);
        for _ in 0..MAX_INTERRUPTIONS {
            match outcome {
                // With IP_RECVERR an ICMP error is also reported once in place of data.
                Err(errno) if is_asynchronous(errno) => {
                    errors_left = !error_queue::drain(self, &mut batch.control, &mut batch.notices);
                    outcome = self.read_datagrams(batch);
                }
                _ => break,
            }
        }
        Tally::add(&self.tally.received, batch.len());
        match outcome {
            Ok(()) if batch.is_full() || errors_left => Ok(Remainder::Perhaps),
            Ok(()) => Ok(Remainder::Nothing),
            Err(Errno::EAGAIN) if errors_left => Ok(Remainder::Perhaps),
            Err(Errno::EAGAIN) => Ok(Remainder::Nothing),
            Err(errno) if is_asynchronous(errno) => Ok(Remainder::Perhaps),
            Err(errno) => Err(errno.into()),
        }
    }

    fn read_datagrams(&self, batch: &mut ReceiveBatch) -> nix::Result<()> {
        let ReceiveBatch { slab, entries, headers_v4, headers_v6, oldest, .. } = batch;
        *oldest = if self.local_addr().is_ipv4() {
            read_family(self, slab, headers_v4, entries)?
        } else {
            read_family(self, slab, headers_v6, entries)?
        };
        Ok(())
    }
}

/// Errors that speak of an earlier datagram or of a signal, not of this read.
fn is_asynchronous(errno: Errno) -> bool {
    error_queue::Cause::of(errno).is_some() || matches!(errno, Errno::EINTR | Errno::EMSGSIZE | Errno::EPROTO)
}

/// Says when the kernel got the first of them.
fn read_family<A>(
    socket: &Socket,
    slab: &mut [u8],
    headers: &mut MultiHeaders<A>,
    entries: &mut Vec<Entry>,
) -> nix::Result<Option<Duration>>
where
    A: SockaddrLike + Copy + Into<SocketAddr>,
{
    let mut slots = slab.chunks_exact_mut(MAX_DATAGRAM_BYTES);
    let mut buffers: [_; MAX_BATCH] =
        std::array::from_fn(|_| [IoSliceMut::new(slots.next().unwrap_or_default())]);
    let received = recvmmsg(socket.as_raw_fd(), headers, &mut buffers, MsgFlags::MSG_DONTWAIT, None)?;
    let mut oldest = None;
    for (index, message) in received.enumerate() {
        let Some(address) = message.address else { continue };
        if index == 0 {
            oldest = arrival(&message);
        }
        entries.push(Entry {
            source: address.into(),
            length: message.bytes,
            truncated: message.flags.contains(MsgFlags::MSG_TRUNC),
        });
    }
    Ok(oldest)
}

fn arrival<A>(message: &RecvMsg<'_, '_, A>) -> Option<Duration> {
    message.cmsgs().ok()?.find_map(|control| match control {
        ControlMessageOwned::ScmTimestampns(time) => Some(Duration::from(time)),
        _ => None,
    })
}
