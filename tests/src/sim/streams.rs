//! TCP between sbc and servers: connections in both directions that keep order and lose nothing.
//!
//! Each side opens one connection to the other's address and uses it for all it asks; answers come back over the
//! connection of their request. That is what sbc and FreeSWITCH do.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU64;

use sbc_core::flow::{ConnectionId, Flow, ListenerId, is_stream};
use sbc_core::io::Input;

use super::World;
use super::edges::Socket;
use super::travel::Flying;
use super::world::parse;

/// The first local port of connections that are opened.
const EPHEMERAL: u16 = 30_000;
/// Marks what travels to a listener of ours over whatever connection there is.
const ANY: ConnectionId = ConnectionId(NonZeroU64::MAX);

/// A connection that a node of sbc has opened.
#[derive(Debug, Clone, Copy)]
struct Dialled {
    edge: usize,
    listener: ListenerId,
    server: SocketAddr,
    connection: ConnectionId,
}

/// All TCP connections that sbc has opened, by its own end of them.
#[derive(Debug, Default)]
pub(super) struct Streams {
    dialled: BTreeMap<SocketAddr, Dialled>,
    next_port: u16,
}

impl World {
    pub(super) fn next_connection(&mut self) -> ConnectionId {
        self.last_socket += 1;
        ConnectionId(NonZeroU64::new(self.last_socket).expect("counted from one"))
    }

    /// A node sends to a server's address: over the connection it has, or a new one.
    pub(super) fn dial(&mut self, edge: usize, flow: &Flow, bytes: &[u8]) {
        let leads =
            |one: &Dialled| one.edge == edge && one.listener == flow.listener && one.server == flow.remote;
        let known = self.streams.dialled.iter().find(|(_, one)| leads(one));
        let (from, connection) = match known {
            Some((local, one)) => (*local, one.connection),
            None => self.open(edge, flow),
        };
        self.fly(Flying { from, to: flow.remote, socket: Some(connection), bytes: bytes.to_vec() });
    }

    fn open(&mut self, edge: usize, flow: &Flow) -> (SocketAddr, ConnectionId) {
        let connection = self.next_connection();
        self.streams.next_port += 1;
        let ip = self.edges[edge].config.listeners[usize::from(flow.listener.0)].bind.ip();
        let local = SocketAddr::new(ip, EPHEMERAL + self.streams.next_port);
        let dialled = Dialled { edge, listener: flow.listener, server: flow.remote, connection };
        self.streams.dialled.insert(local, dialled);
        let flow = Flow { connection: Some(connection), ..*flow };
        let worker = self.edges[edge].worker_of(flow.remote);
        self.input(edge, worker, |core, worker, now| core.handle(worker, now, Input::Opened(flow)));
        (local, connection)
    }

    pub(super) fn is_dialled(&self, connection: ConnectionId) -> bool {
        self.streams.dialled.values().any(|one| one.connection == connection)
    }

    /// The listener for streams of a living node at an address; with a port of an outgoing connection that is gone,
    /// the one that a server tries instead, as our Via says (RFC 3261 §18.2.2).
    fn stream_listener(&self, to: SocketAddr) -> Option<(usize, ListenerId)> {
        let alive = self.edges.iter().enumerate().filter(|(_, edge)| !edge.workers.is_empty());
        alive.into_iter().find_map(|(at, edge)| {
            let serves = edge.config.listeners.iter().position(|one| {
                let is_there = one.bind == to || (one.bind.ip() == to.ip() && to.port() >= EPHEMERAL);
                is_stream(one.transport) && is_there
            });
            Some((at, ListenerId(u16::try_from(serves?).ok()?)))
        })
    }

    /// A mark for what travels to a TCP listener, or to our end of a connection: streams lose nothing.
    pub(super) fn stream_to(&self, to: SocketAddr) -> Option<ConnectionId> {
        let dialled = self.streams.dialled.get(&to).map(|one| one.connection);
        dialled.or_else(|| self.stream_listener(to).map(|_| ANY))
    }

    /// Which node gets what arrives over TCP, and as what.
    pub(super) fn stream_flow(&mut self, flying: &Flying) -> Option<(usize, Flow)> {
        if let Some(one) = self.streams.dialled.get(&flying.to) {
            let flow = Flow { connection: Some(one.connection), ..Flow::to(one.listener, one.server) };
            return Some((one.edge, flow));
        }
        let (edge, listener) = self.stream_listener(flying.to)?;
        Some((edge, self.accepted_flow(edge, listener, flying.from)))
    }

    /// The connection that a server has to a listener of ours, opened if there is none.
    fn accepted_flow(&mut self, edge: usize, listener: ListenerId, server: SocketAddr) -> Flow {
        let remote = SocketAddr::new(server.ip(), server.port().wrapping_add(EPHEMERAL));
        if let Some(socket) = self.sockets.get(&server) {
            return Flow { connection: Some(socket.connection), ..Flow::to(listener, remote) };
        }
        let connection = self.next_connection();
        self.sockets.insert(server, Socket { connection, edge });
        let flow = Flow { connection: Some(connection), ..Flow::to(listener, remote) };
        let worker = self.edges[edge].worker_of(server);
        self.input(edge, worker, |core, worker, now| core.handle(worker, now, Input::Opened(flow)));
        flow
    }

    /// Nobody accepts connections at the server's port.
    pub(super) fn refuse_connection(&mut self, local: SocketAddr) {
        let Some(one) = self.streams.dialled.remove(&local) else { return };
        self.judge_unreachable(one.server);
        self.closed(&one, Input::Unreachable);
    }

    /// A server closes all its connections, as its system does when its process ends.
    pub fn close_connections(&mut self, server: &str) {
        let server = parse(server);
        let of_server = self.streams.dialled.iter().filter(|(_, one)| one.server == server);
        let ours: Vec<_> = of_server.map(|(local, one)| (*local, *one)).collect();
        self.flying.retain(|_, flying| !ours.iter().any(|(_, one)| flying.socket == Some(one.connection)));
        for (local, one) in ours {
            self.streams.dialled.remove(&local);
            self.closed(&one, Input::Disconnected);
        }
        if let Some(Socket { connection, edge }) = self.sockets.remove(&server) {
            let worker = self.edges[edge].worker_of(server);
            self.input(edge, worker, |core, worker, now| core.handle(worker, now, Input::Closed(connection)));
        }
    }

    fn closed(&mut self, one: &Dialled, why: impl Fn(Flow) -> Input<'static>) {
        let worker = self.edges[one.edge].worker_of(one.server);
        let flow = Flow::to(one.listener, one.server);
        for input in [Input::Closed(one.connection), why(flow)] {
            self.input(one.edge, worker, |core, worker, now| core.handle(worker, now, input));
        }
    }

    /// The process of a node ended.
    pub(super) fn forget_connections(&mut self, edge: usize) {
        self.streams.dialled.retain(|_, one| one.edge != edge);
    }
}
