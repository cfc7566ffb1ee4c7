//! ICMP errors read from a socket's error queue (`IP_RECVERR`, `IPV6_RECVERR`; see ip(7)).
//!
//! A notice names the peer that our datagram was sent to. It is a hint, not a proof: an attacker who knows
//! both addresses and ports can forge one, so a caller should believe it only of peers it has just sent to,
//! and probe before it gives one up for good.

use std::fmt;
use std::net::SocketAddr;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn, SockaddrIn6, SockaddrLike, recvmsg};
use nix::sys::time::TimeSpec;
use std::os::fd::AsRawFd;

use crate::socket::{Socket, Tally};

/// Most notices taken in one read; the rest wait for the next one.
pub(crate) const MAX_NOTICES: usize = 64;

/// Most entries looked at in one read, those included that are no notice (such as path MTU).
const MAX_ENTRIES: usize = 2 * MAX_NOTICES;

/// The network said that a datagram to `remote` did not arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Unreachable {
    /// Where our datagram was sent.
    pub remote: SocketAddr,
    /// Why it did not arrive.
    pub cause: Cause,
}

/// Why a datagram does not reach a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The host is there, and nobody listens at the port.
    PortClosed,
    /// No way to the host, or it does not answer.
    HostUnreachable,
    /// No route to its network.
    NetworkUnreachable,
    /// A filter on the way, or on this machine, refuses it.
    Prohibited,
}

impl Cause {
    /// What an error number says about the peer; `None` if it says nothing about it.
    pub(crate) fn of(errno: Errno) -> Option<Self> {
        match errno {
            Errno::ECONNREFUSED | Errno::ENOPROTOOPT => Some(Self::PortClosed),
            Errno::EHOSTUNREACH | Errno::EHOSTDOWN => Some(Self::HostUnreachable),
            Errno::ENETUNREACH => Some(Self::NetworkUnreachable),
            Errno::EACCES | Errno::EPERM => Some(Self::Prohibited),
            _ => None,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PortClosed => "port closed",
            Self::HostUnreachable => "host unreachable",
            Self::NetworkUnreachable => "network unreachable",
            Self::Prohibited => "prohibited by a filter",
        })
    }
}

/// Room for the control messages of one entry: when it came, and what is wrong with a peer of either family.
pub(crate) fn control_buffer() -> Vec<u8> {
    cmsg_space!(TimeSpec, libc::sock_extended_err, libc::sockaddr_in6)
}

/// Append the waiting notices of `socket` to `notices`. True when the queue was emptied.
pub(crate) fn drain(socket: &Socket, control: &mut [u8], notices: &mut Vec<Unreachable>) -> bool {
    let before = notices.len();
    let mut emptied = false;
    for _ in 0..MAX_ENTRIES {
        if notices.len() >= MAX_NOTICES {
            break;
        }
        let entry = if socket.local_addr().is_ipv4() {
            read_one::<SockaddrIn>(socket, control)
        } else {
            read_one::<SockaddrIn6>(socket, control)
        };
        match entry {
            Ok(notice) => notices.extend(notice),
            Err(Errno::EINTR) => {}
            Err(_) => {
                emptied = true;
                break;
            }
        }
    }
    Tally::add(&socket.tally.unreachable, notices.len() - before);
    emptied
}

/// Take one entry off the queue; `Ok(None)` if it says nothing about a peer. The returned part of our own
/// datagram is not asked for.
fn read_one<A>(socket: &Socket, control: &mut [u8]) -> nix::Result<Option<Unreachable>>
where
    A: SockaddrLike + Copy + Into<SocketAddr>,
{
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let entry = recvmsg::<A>(socket.as_raw_fd(), &mut [], Some(control), flags)?;
    let Some(remote) = entry.address.map(Into::into) else {
        return Ok(None);
    };
    let Ok(mut messages) = entry.cmsgs() else {
        return Ok(None);
    };
    let cause = messages.find_map(|message| match message {
        ControlMessageOwned::Ipv4RecvErr(error, _) | ControlMessageOwned::Ipv6RecvErr(error, _) => {
            cause_of(&error)
        }
        _ => None,
    });
    Ok(cause.map(|cause| Unreachable { remote, cause }))
}

fn cause_of(error: &libc::sock_extended_err) -> Option<Cause> {
    let from_network = matches!(error.ee_origin, libc::SO_EE_ORIGIN_ICMP | libc::SO_EE_ORIGIN_ICMP6);
    let errno = i32::try_from(error.ee_errno).ok()?;
    from_network.then(|| Cause::of(Errno::from_raw(errno))).flatten()
}
