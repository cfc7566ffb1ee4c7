//! How many datagrams the kernel dropped before anybody read them.

use std::collections::HashMap;
use std::fs;

use nix::sys::stat::fstat;

use crate::socket::Socket;

/// Where the kernel shows its UDP sockets, one a line: the tenth word is the inode, the last what it dropped.
const TABLES: [&str; 2] = ["/proc/net/udp", "/proc/net/udp6"];
const INODE: usize = 9;

/// What the kernel says of all UDP sockets at one moment. It takes a look at each socket of the machine (or container):
/// for metrics, not for messages.
#[derive(Debug, Clone, Default)]
pub struct Unread(HashMap<u64, u64>);

impl Unread {
    /// Look now. Where the kernel does not show its sockets, nothing counts as dropped.
    pub fn look() -> Self {
        let tables = TABLES.map(|table| fs::read_to_string(table).unwrap_or_default());
        Self(tables.iter().flat_map(|table| table.lines()).filter_map(line).collect())
    }

    /// What a socket lost before it was read, since it was bound: what [`Socket::sift`] let the kernel drop, and what
    /// found the receive buffer full. The kernel counts to 2^32, then from 0.
    pub fn of(&self, socket: &Socket) -> u64 {
        let inode = fstat(socket).map(|stat| stat.st_ino);
        inode.ok().and_then(|inode| self.0.get(&inode)).copied().unwrap_or(0)
    }
}

/// Inode and drops; the heading has none.
fn line(line: &str) -> Option<(u64, u64)> {
    let mut words = line.split_ascii_whitespace();
    let inode = words.nth(INODE)?.parse().ok()?;
    Some((inode, words.next_back()?.parse().ok()?))
}
