//! Where a puppet hears and answers: a UDP socket, or whatever connections there are to its TCP port.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use sbc_core::flow::Transport;
use sbc_tcp::{Frame, Framer};

/// Between two looks at many connections.
const LOOK: Duration = Duration::from_millis(2);
/// The largest message that it takes.
const MAX_MESSAGE: usize = 64 * 1024;
/// As much is read at once.
const READ: usize = 16 * 1024;

/// Closed with the value, connections too.
pub(super) enum Door {
    Udp(UdpSocket),
    Tcp(TcpListener, Vec<Connection>),
}

/// One connection that somebody has opened.
pub(super) struct Connection {
    peer: SocketAddr,
    stream: TcpStream,
    framer: Framer,
    is_closed: bool,
}

impl Door {
    pub(super) fn open(address: SocketAddr, transport: Transport) -> Self {
        if transport == Transport::Tcp {
            let listener = TcpListener::bind(address).expect("the member's address is free");
            listener.set_nonblocking(true).expect("a socket");
            return Self::Tcp(listener, Vec::new());
        }
        Self::Udp(UdpSocket::bind(address).expect("the member's address is free"))
    }

    /// The next message, and whom it is from; waits for so long.
    pub(super) fn hear(&mut self, patience: Duration) -> Option<(Vec<u8>, SocketAddr)> {
        let (listener, connections) = match self {
            Self::Udp(socket) => return hear_datagram(socket, patience),
            Self::Tcp(listener, connections) => (listener, connections),
        };
        let begun = Instant::now();
        loop {
            while let Ok((stream, peer)) = listener.accept() {
                stream.set_nonblocking(true).expect("a socket");
                let framer = Framer::new(MAX_MESSAGE);
                connections.push(Connection { peer, stream, framer, is_closed: false });
            }
            if let Some(heard) = connections.iter_mut().find_map(Connection::hear) {
                return Some(heard);
            }
            connections.retain(|connection| !connection.is_closed);
            if begun.elapsed() >= patience {
                return None;
            }
            std::thread::sleep(LOOK);
        }
    }

    /// What cannot be sent is lost: a datagram, or what is for a connection that has closed.
    pub(super) fn say(&mut self, to: SocketAddr, bytes: &[u8]) {
        match self {
            Self::Udp(socket) => {
                let _ = socket.send_to(bytes, to);
            }
            Self::Tcp(_, connections) => {
                if let Some(connection) = connections.iter_mut().find(|connection| connection.peer == to) {
                    connection.say(bytes);
                }
            }
        }
    }
}

fn hear_datagram(socket: &UdpSocket, patience: Duration) -> Option<(Vec<u8>, SocketAddr)> {
    socket.set_nonblocking(patience.is_zero()).expect("a socket");
    socket.set_read_timeout((!patience.is_zero()).then_some(patience)).expect("a time to look up");
    let mut buffer = vec![0; MAX_MESSAGE];
    let (length, from) = socket.recv_from(&mut buffer).ok()?;
    buffer.truncate(length);
    Some((buffer, from))
}

impl Connection {
    /// The next whole message, if it has come.
    fn hear(&mut self) -> Option<(Vec<u8>, SocketAddr)> {
        loop {
            match self.framer.next_frame() {
                Frame::Message(range) => return Some((self.framer.bytes(&range).to_vec(), self.peer)),
                Frame::Partial if !self.is_closed && self.read() => {}
                Frame::Partial => return None,
                Frame::Lost(..) => {
                    self.is_closed = true;
                    return None;
                }
            }
        }
    }

    /// Whether more has come.
    fn read(&mut self) -> bool {
        let mut some = [0; READ];
        match self.stream.read(&mut some) {
            Ok(length) if length > 0 => {
                self.framer.buffer().extend_from_slice(some.get(..length).unwrap_or_default());
                true
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            _ => {
                self.is_closed = true;
                false
            }
        }
    }

    /// Answers are short; a peer that reads has room for them.
    fn say(&mut self, bytes: &[u8]) {
        if self.stream.write_all(bytes).is_err() {
            self.is_closed = true;
        }
    }
}
