//! TCP between sbc and servers: connections in both directions that keep order and lose nothing.
//!
//! Each side opens one connection to the other's address and uses it for all it asks; answers come back over the
//! connection of their request. That is what sbc and FreeSWITCH do.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU64;

use sbc_core::flow::{ConnectionId, Flow, ListenerId, is_stream};
use sbc_core::io::Input;

use super::world::{Flying, World};

/// The first local port of connections that are opened.
const EPHEMERAL: u16 = 30_000;

/// A connection that sbc has opened, by its own end of it.
#[derive(Debug, Clone, Copy)]
struct Dialled {
    listener: ListenerId,
    server: SocketAddr,
    connection: ConnectionId,
}

/// All TCP connections.
#[derive(Debug, Default)]
pub(super) struct Streams {
    dialled: BTreeMap<SocketAddr, Dialled>,
    next_port: u16,
}

impl World {
    pub(super) fn is_stream(&self, listener: ListenerId) -> bool {
        is_stream(self.config.listeners[usize::from(listener.0)].transport)
    }

    pub(super) fn next_connection(&mut self) -> ConnectionId {
        self.last_socket += 1;
        ConnectionId(NonZeroU64::new(self.last_socket).expect("counted from one"))
    }

    /// sbc sends to a server's address: over the connection it has, or a new one.
    pub(super) fn dial(&mut self, flow: &Flow, bytes: &[u8]) {
        let known = self
            .streams
            .dialled
            .iter()
            .find(|(_, one)| one.listener == flow.listener && one.server == flow.remote);
        let (local, connection) = match known {
            Some((local, one)) => (*local, one.connection),
            None => self.open(flow),
        };
        self.fly(Flying { from: local, to: flow.remote, socket: Some(connection), bytes: bytes.to_vec() });
    }

    fn open(&mut self, flow: &Flow) -> (SocketAddr, ConnectionId) {
        let connection = self.next_connection();
        self.streams.next_port += 1;
        let port = EPHEMERAL + self.streams.next_port;
        let local = SocketAddr::new(self.config.listeners[usize::from(flow.listener.0)].bind.ip(), port);
        let dialled = Dialled { listener: flow.listener, server: flow.remote, connection };
        self.streams.dialled.insert(local, dialled);
        let flow = Flow { connection: Some(connection), ..*flow };
        let worker = self.worker_of(flow.remote);
        self.input(worker, |core, worker, now| core.handle(worker, now, Input::Opened(flow)));
        (local, connection)
    }

    pub(super) fn is_dialled(&self, connection: ConnectionId) -> bool {
        self.streams.dialled.values().any(|one| one.connection == connection)
    }

    /// A mark for what travels to a TCP listener, or to our end of a connection: streams lose nothing.
    pub(super) fn stream_to(&self, to: SocketAddr) -> Option<ConnectionId> {
        let listeners = self.config.listeners.iter();
        let serves = listeners.filter(|one| is_stream(one.transport)).any(|one| one.bind == to);
        let dialled = self.streams.dialled.get(&to).map(|one| one.connection);
        dialled.or(serves.then_some(ConnectionId(NonZeroU64::MAX)))
    }

    /// What a server sent to our end of a connection. One that is gone is found out at once, and the answer comes
    /// by a new connection to the listener that the Via names (RFC 3261 §18.2.2).
    pub(super) fn dialled_flow(&mut self, flying: &Flying) -> Option<Flow> {
        if let Some(one) = self.streams.dialled.get(&flying.to) {
            return Some(Flow { connection: Some(one.connection), ..Flow::to(one.listener, one.server) });
        }
        let listeners = self.config.listeners.iter().enumerate();
        let mut serving =
            listeners.filter(|(_, one)| is_stream(one.transport) && one.bind.ip() == flying.to.ip());
        let (index, _) = serving.next().filter(|_| flying.to.port() >= EPHEMERAL)?;
        Some(self.accepted_flow(ListenerId(index as u16), flying.from))
    }

    /// The connection that a server has to a listener of ours, opened if there is none.
    pub(super) fn accepted_flow(&mut self, listener: ListenerId, server: SocketAddr) -> Flow {
        let remote = SocketAddr::new(server.ip(), server.port().wrapping_add(EPHEMERAL));
        if let Some(connection) = self.sockets.get(&server) {
            return Flow { connection: Some(*connection), ..Flow::to(listener, remote) };
        }
        let connection = self.next_connection();
        self.sockets.insert(server, connection);
        let flow = Flow { connection: Some(connection), ..Flow::to(listener, remote) };
        let worker = self.worker_of(server);
        self.input(worker, |core, worker, now| core.handle(worker, now, Input::Opened(flow)));
        flow
    }

    /// Nobody listens at the server's port.
    pub(super) fn refuse_connection(&mut self, local: SocketAddr) {
        let Some(one) = self.streams.dialled.remove(&local) else { return };
        let (flow, connection) = (Flow::to(one.listener, one.server), one.connection);
        let worker = self.worker_of(flow.remote);
        self.input(worker, |core, worker, now| core.handle(worker, now, Input::Closed(connection)));
        self.input(worker, |core, worker, now| core.handle(worker, now, Input::Unreachable(flow)));
    }

    /// A server's process ended: its system closes all its connections.
    pub(super) fn reset_connections(&mut self, server: SocketAddr) {
        let ours: Vec<_> = self.streams.dialled.iter().filter(|(_, one)| one.server == server).collect();
        let ours: Vec<_> = ours.into_iter().map(|(local, one)| (*local, *one)).collect();
        self.flying.retain(|_, flying| !ours.iter().any(|(_, one)| flying.socket == Some(one.connection)));
        let worker = self.worker_of(server);
        for (local, one) in ours {
            self.streams.dialled.remove(&local);
            let (flow, connection) = (Flow::to(one.listener, one.server), one.connection);
            self.input(worker, |core, worker, now| core.handle(worker, now, Input::Closed(connection)));
            self.input(worker, |core, worker, now| core.handle(worker, now, Input::Disconnected(flow)));
        }
        if let Some(connection) = self.sockets.remove(&server) {
            self.input(worker, |core, worker, now| core.handle(worker, now, Input::Closed(connection)));
        }
    }

    /// A server closes all its connections and goes on.
    pub fn close_connections(&mut self, server: &str) {
        self.reset_connections(server.parse().expect("an address"));
    }

    /// Our own process ended.
    pub(super) fn forget_connections(&mut self) {
        self.streams.dialled.clear();
    }
}
