//! One bound UDP socket: how it is made, and what it counts.
//!
//! A socket is bound, never connected: one fixed local port serves every peer. ICMP errors reach it through
//! the kernel's error queue (`IP_RECVERR`), which names the peer they are about. Connected sockets towards the
//! pool were measured against it (`examples/connected.rs`): they save 3 to 5 % of the kernel's part, lose 2 %
//! where small batches go to several members, and need one socket for each member and worker.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Type};

/// How a [`Socket`] is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Share the port with other sockets of this program (`SO_REUSEPORT`), one per worker: the kernel
    /// spreads peers over them by a hash of their addresses.
    pub reuse_port: bool,
    /// Bytes of receive buffer to ask for. The kernel may grant less: see [`Socket::receive_buffer`].
    pub receive_buffer: usize,
    /// Bytes of send buffer to ask for. The kernel may grant less.
    pub send_buffer: usize,
}

impl Default for Options {
    fn default() -> Self {
        // 4 MiB hold a burst of about 2,000 large INVITEs while a worker is busy for some milliseconds.
        Self { reuse_port: false, receive_buffer: 4 << 20, send_buffer: 1 << 20 }
    }
}

/// What a socket has counted since it was bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams received.
    pub received: u64,
    /// Datagrams given to the kernel.
    pub sent: u64,
    /// Datagrams dropped because the send buffer was full.
    pub send_dropped: u64,
    /// Datagrams the kernel refused: no route, too large, prohibited, wrong address family.
    pub send_failed: u64,
    /// ICMP notices read from the error queue.
    pub unreachable: u64,
}

/// Counters that several workers add to. Each is independent, so relaxed ordering is enough.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) received: AtomicU64,
    pub(crate) sent: AtomicU64,
    pub(crate) send_dropped: AtomicU64,
    pub(crate) send_failed: AtomicU64,
    pub(crate) unreachable: AtomicU64,
    /// The kernel was given rules.
    pub(crate) sifted: AtomicBool,
}

impl Tally {
    pub(crate) fn add(counter: &AtomicU64, count: usize) {
        if count > 0 {
            counter.fetch_add(count as u64, Ordering::Relaxed);
        }
    }
}

/// A bound, non-blocking UDP socket. Any thread may send through it; one [`Receiver`](crate::Receiver) reads it.
#[derive(Debug)]
pub struct Socket {
    inner: socket2::Socket,
    local: SocketAddr,
    pub(crate) tally: Tally,
}

impl Socket {
    /// Bind to `address`; port 0 takes a free port. IPv6 sockets carry IPv6 only.
    ///
    /// # Errors
    /// What the kernel said, with the address in the text: in use, not ours, or not permitted.
    pub fn bind(address: SocketAddr, options: &Options) -> io::Result<Self> {
        Self::try_bind(address, options).map_err(|error| with_address(address, &error))
    }

    fn try_bind(address: SocketAddr, options: &Options) -> io::Result<Self> {
        let inner = unbound(address)?;
        inner.set_reuse_port(options.reuse_port)?;
        report_icmp_errors(&inner, address)?;
        // How long a datagram has waited tells how far its reader is behind.
        setsockopt(&inner, sockopt::ReceiveTimestampns, &true)?;
        grow_buffers(&inner, options);
        inner.bind(&address.into())?;
        let local = inner.local_addr()?.as_socket().unwrap_or(address);
        Ok(Self { inner, local, tally: Tally::default() })
    }

    /// The address this socket is bound to, with its true port.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    pub(crate) fn inner(&self) -> &socket2::Socket {
        &self.inner
    }

    /// Bytes of receive buffer that the kernel granted, in its own accounting (it doubles what was asked for
    /// and counts its overhead).
    ///
    /// # Errors
    /// What the kernel said; not expected on a bound socket.
    pub fn receive_buffer(&self) -> io::Result<usize> {
        self.inner.recv_buffer_size()
    }

    /// What this socket has counted since it was bound.
    pub fn counters(&self) -> Counters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counters {
            received: read(&self.tally.received),
            sent: read(&self.tally.sent),
            send_dropped: read(&self.tally.send_dropped),
            send_failed: read(&self.tally.send_failed),
            unreachable: read(&self.tally.unreachable),
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.inner.as_raw_fd()
    }
}

/// Find out whether `address` is free, by binding it plainly for a moment.
///
/// With `SO_REUSEPORT` a second program of the same user would share the port without an error and take a
/// part of the traffic. So each address is probed once, before this program's own sockets share it.
///
/// # Errors
/// [`io::ErrorKind::AddrInUse`] when any socket holds the address; else what the kernel said.
pub fn probe_free(address: SocketAddr) -> io::Result<()> {
    unbound(address)
        .and_then(|socket| socket.bind(&address.into()))
        .map_err(|error| with_address(address, &error))
}

fn unbound(address: SocketAddr) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

fn report_icmp_errors(socket: &socket2::Socket, address: SocketAddr) -> io::Result<()> {
    match address {
        SocketAddr::V4(_) => setsockopt(socket, sockopt::Ipv4RecvErr, &true)?,
        SocketAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvErr, &true)?,
    }
    Ok(())
}

/// Best effort: a smaller buffer is a reason for a warning of the caller, not for refusing to start.
fn grow_buffers(socket: &socket2::Socket, options: &Options) {
    // FORCE goes beyond net.core.rmem_max, but only with CAP_NET_ADMIN.
    if setsockopt(socket, sockopt::RcvBufForce, &options.receive_buffer).is_err() {
        socket.set_recv_buffer_size(options.receive_buffer).ok();
    }
    if setsockopt(socket, sockopt::SndBufForce, &options.send_buffer).is_err() {
        socket.set_send_buffer_size(options.send_buffer).ok();
    }
}

fn with_address(address: SocketAddr, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("udp {address}: {error}"))
}
