//! What stands in a token, and how it is written: compact, because a public UDP message must stay small.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::plain::StackBytes;

/// A listener by name, hashed: stays the same when the order in the file changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ListenerTag(pub u16);

/// A registered binding: AoR with instance and reg-id, or AoR with Contact URI, hashed with the stable key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BindingId(pub u128);

/// Where a peer is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PeerAddress {
    /// Wherever its binding is now.
    Binding,
    /// At this address: by datagrams, or over whatever connection leads there.
    At(SocketAddr),
    /// Over a connection; in another process than that of `boot` the number means nothing.
    Connection {
        /// The process that counted it.
        boot: u64,
        /// Its number there.
        number: u64,
    },
}

/// Somebody we send to without having to remember them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Peer {
    /// Through which listener.
    pub listener: ListenerTag,
    /// Through which of its local ports.
    pub port: u8,
    /// Where.
    pub address: PeerAddress,
    /// Who, where it registered: leads on when the address is dead.
    pub binding: Option<BindingId>,
}

const ADDRESS_MASK: u8 = 0b11;
const ADDRESS_V4: u8 = 1;
const ADDRESS_V6: u8 = 2;
const ADDRESS_CONNECTION: u8 = 3;
const HAS_BINDING: u8 = 0b100;
const HAS_PORT: u8 = 0b1000;

impl Peer {
    /// Append the peer; at most 38 bytes.
    pub(super) fn write<const N: usize>(&self, out: &mut StackBytes<N>) {
        let address = match self.address {
            PeerAddress::Binding => 0,
            PeerAddress::At(SocketAddr::V4(_)) => ADDRESS_V4,
            PeerAddress::At(SocketAddr::V6(_)) => ADDRESS_V6,
            PeerAddress::Connection { .. } => ADDRESS_CONNECTION,
        };
        let binding = if self.binding.is_some() { HAS_BINDING } else { 0 };
        let port = if self.port > 0 { HAS_PORT } else { 0 };
        out.push(address | binding | port);
        out.extend_from_slice(&self.listener.0.to_be_bytes());
        if self.port > 0 {
            out.push(self.port);
        }
        match self.address {
            PeerAddress::Binding => {}
            PeerAddress::At(remote) => write_address(remote, out),
            PeerAddress::Connection { boot, number } => {
                out.extend_from_slice(&boot.to_be_bytes());
                out.extend_from_slice(&number.to_be_bytes());
            }
        }
        if let Some(binding) = self.binding {
            out.extend_from_slice(&binding.0.to_be_bytes());
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let flags = reader.byte()?;
        let listener = ListenerTag(u16::from_be_bytes(reader.array()?));
        let port = if flags & HAS_PORT != 0 { reader.byte()? } else { 0 };
        let address = match flags & ADDRESS_MASK {
            ADDRESS_V4 => PeerAddress::At(reader.address_v4()?),
            ADDRESS_V6 => PeerAddress::At(reader.address_v6()?),
            ADDRESS_CONNECTION => PeerAddress::Connection {
                boot: u64::from_be_bytes(reader.array()?),
                number: u64::from_be_bytes(reader.array()?),
            },
            _ => PeerAddress::Binding,
        };
        let binding = if flags & HAS_BINDING != 0 {
            Some(BindingId(u128::from_be_bytes(reader.array()?)))
        } else {
            None
        };
        Some(Self { listener, port, address, binding })
    }
}

fn write_address<const N: usize>(address: SocketAddr, out: &mut StackBytes<N>) {
    match address.ip() {
        IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
    }
    out.extend_from_slice(&address.port().to_be_bytes());
}

/// Reads fields one after the other; every step may find the end.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }

    fn address_v4(&mut self) -> Option<SocketAddr> {
        let ip = Ipv4Addr::from(self.array::<4>()?);
        Some((ip, u16::from_be_bytes(self.array()?)).into())
    }

    fn address_v6(&mut self) -> Option<SocketAddr> {
        let ip = Ipv6Addr::from(self.array::<16>()?);
        Some((ip, u16::from_be_bytes(self.array()?)).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_survive_writing_and_reading() {
        let v4 = "192.0.2.1:5060".parse().unwrap();
        let v6 = "[2001:db8::1]:5061".parse().unwrap();
        let addresses = [
            PeerAddress::Binding,
            PeerAddress::At(v4),
            PeerAddress::At(v6),
            PeerAddress::Connection { boot: u64::MAX, number: 7 },
        ];
        for address in addresses {
            for (binding, port) in [(None, 0), (Some(BindingId(42)), 3)] {
                let peer = Peer { listener: ListenerTag(0xBEEF), port, address, binding };
                let mut written = StackBytes::<38>::new();
                peer.write(&mut written);
                let bytes = written.get().expect("at most 38 bytes");
                assert_eq!(Peer::read(&mut Reader(bytes)), Some(peer));
                for cut in 0..bytes.len() {
                    assert_eq!(Peer::read(&mut Reader(&bytes[..cut])), None);
                }
            }
        }
    }
}
