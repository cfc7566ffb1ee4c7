//! The nodes of sbc: their cores and workers, what reaches them, and what they send.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sbc_core::config::Config;
use sbc_core::flow::{ConnectionId, Flow, ListenerId, Transport, WorkerId, Zone, is_stream, is_websocket};
use sbc_core::io::{Input, Ticket, Transmit};
use sbc_core::time::Time;
use sbc_core::{Change, Core, Refused, Worker};

use super::travel::Flying;
use super::world::parse;
use super::{Arrival, Chance, Departure, EdgeSettings, World, node_config, secrecy};

/// One node.
pub(super) struct Edge {
    pub(super) core: Arc<Core>,
    pub(super) config: Arc<Config>,
    pub(super) workers: Vec<Worker>,
    /// The advertised address of each listener.
    advertised: Vec<Option<SocketAddr>>,
    /// Until then it is not there, and all that is sent to it is lost.
    pub(super) down_until: Time,
}

/// The client end of a WebSocket.
#[derive(Debug, Clone, Copy)]
pub(super) struct Socket {
    pub(super) connection: ConnectionId,
    pub(super) edge: usize,
}

impl Edge {
    pub(super) fn new(config: Arc<Config>, chance: &mut Chance, now: Time) -> Self {
        let core = Arc::new(Core::new(Arc::clone(&config), chance.bytes(), now));
        let advertised = config.listeners.iter().map(|one| one.advertise.to_string().parse().ok()).collect();
        Self { core, config, workers: Vec::new(), advertised, down_until: Time::ZERO }
    }

    /// The listener at an address, and which of its ports that is.
    fn listener_at(&self, address: SocketAddr) -> Option<(ListenerId, u8)> {
        self.config.listeners.iter().enumerate().find_map(|(index, listener)| {
            let id = ListenerId(u16::try_from(index).ok()?);
            if listener.bind == address || self.advertised[index] == Some(address) {
                return Some((id, 0));
            }
            let port = listener.worker_ports.iter().position(|port| *port == address)?;
            Some((id, u8::try_from(port + 1).ok()?))
        })
    }

    /// When it has something to do by itself: to start, or what one of its workers waits for.
    pub(super) fn next_due(&self) -> Option<Time> {
        if self.workers.is_empty() {
            return Some(self.down_until);
        }
        self.workers.iter().filter_map(|worker| self.core.next_deadline(worker)).min()
    }

    /// The kernel gives one address to one worker.
    pub(super) fn worker_of(&self, remote: SocketAddr) -> usize {
        usize::from(remote.port()) % self.workers.len()
    }
}

impl World {
    pub(super) fn start_workers(&mut self, edge: usize) {
        let now = self.now;
        let one = &mut self.edges[edge];
        one.workers = (0..one.config.workers).map(|id| Worker::new(WorkerId(id), now)).collect();
        for worker in 0..one.workers.len() {
            self.input(edge, worker, |core, worker, now| core.start(worker, now));
        }
    }

    /// The sbc itself, to look at; of several the first.
    pub fn core(&self) -> &Core {
        &self.edges[0].core
    }

    /// Where the pool reaches the first node.
    pub fn pool_side(&self) -> SocketAddr {
        self.edges[0].advertised[3].expect("an address")
    }

    /// Every node, to look at.
    pub fn cores(&self) -> impl Iterator<Item = &Core> {
        self.edges.iter().map(|edge| &*edge.core)
    }

    /// `kill -9` and a new start: nothing is remembered, all WebSockets are gone, ports are as before.
    pub fn restart(&mut self) {
        self.restart_node(0);
        self.last_socket = 0;
        self.last_on_stream.clear();
    }

    /// The same of one of several nodes.
    pub fn restart_node(&mut self, edge: usize) {
        self.crash(edge, 0);
        self.start_node(edge);
    }

    /// The same, and until it is back all that is sent to it is lost.
    pub fn restart_after(&mut self, millis: u64) {
        self.crash(0, millis);
        self.run(millis);
    }

    /// `kill -9` of one node; it starts again after so long.
    pub fn crash(&mut self, edge: usize, millis: u64) {
        let one = &mut self.edges[edge];
        *one = Edge::new(Arc::clone(&one.config), &mut self.chance, self.now);
        one.down_until = self.now + Duration::from_millis(millis);
        let of_it = self.sockets.values().filter(|socket| socket.edge == edge);
        let gone: Vec<_> = of_it.map(|socket| socket.connection).collect();
        self.sockets.retain(|_, socket| socket.edge != edge);
        self.vanished.retain(|_, socket| socket.edge != edge);
        self.forget_connections(edge);
        self.flying.retain(|_, flying| flying.socket.is_none_or(|socket| !gone.contains(&socket)));
        self.restarts += 1;
        if let Some(judge) = &mut self.judge {
            judge.restarted();
        }
    }

    fn start_node(&mut self, edge: usize) {
        let config = Arc::clone(&self.edges[edge].config);
        self.edges[edge] = Edge::new(config, &mut self.chance, self.now);
        self.start_workers(edge);
    }

    /// A node that was away starts, or the worker with the earliest deadline is told of it.
    pub(super) fn wake(&mut self, edge: usize) {
        let one = &self.edges[edge];
        if one.workers.is_empty() {
            return self.start_node(edge);
        }
        let due = |worker: usize| Some((one.core.next_deadline(&one.workers[worker])?, worker));
        let Some((_, worker)) = (0..one.workers.len()).filter_map(due).min() else { return };
        self.input(edge, worker, |core, worker, now| core.handle(worker, now, Input::Deadline));
    }

    /// Whether every request is over and forgotten, at all nodes.
    pub fn is_at_rest(&self) -> bool {
        self.cores().all(|core| core.status().is_at_rest())
    }

    /// Transactions in progress, at all nodes.
    pub fn transactions(&self) -> usize {
        self.cores().map(|core| core.status().transactions).sum()
    }

    /// Via branches that lead to them, at all nodes.
    pub fn branches(&self) -> usize {
        self.cores().map(|core| core.status().branches).sum()
    }

    /// The same, with another configuration.
    pub fn restart_with(&mut self, settings: &EdgeSettings) {
        self.edges[0].config = node_config(settings, 0);
        self.restart();
    }

    /// Another configuration while everything is up, at every node.
    ///
    /// # Errors
    /// Where it needs a restart; then nothing has changed.
    pub fn reload(&mut self, settings: &EdgeSettings) -> Result<Vec<Change>, Refused> {
        let mut changes = Vec::new();
        for (edge, node) in (0..self.edges.len()).zip(0..) {
            let config = node_config(settings, node);
            if self.edges[edge].workers.is_empty() {
                // It reads the file when it starts.
                self.edges[edge].config = config;
                continue;
            }
            changes = self.edges[edge].core.reconfigure(Arc::clone(&config), self.now)?;
            self.edges[edge].config = config;
            self.input(edge, 0, |core, worker, now| core.handle(worker, now, Input::Deadline));
        }
        Ok(changes)
    }

    /// Open a WebSocket for the browser at this address.
    pub fn connect(&mut self, address: &str) {
        self.connect_by(address, None);
    }

    /// The same, where the upgrade may have brought a ticket.
    pub fn connect_by(&mut self, address: &str, ticket: Option<&Ticket>) {
        let address = parse(address);
        let Some(edge) = self.balanced(address) else { return };
        let connection = self.next_connection();
        self.sockets.insert(address, Socket { connection, edge });
        let flow = Flow { listener: ListenerId(0), port: 0, remote: address, connection: Some(connection) };
        let worker = self.edges[edge].worker_of(address);
        self.input(edge, worker, |core, worker, now| {
            core.handle(
                worker,
                now,
                ticket.map_or(Input::Opened(flow), |ticket| Input::OpenedBy(flow, ticket)),
            );
        });
        for (to, bytes) in self.unsaid.remove(&address).unwrap_or_default() {
            self.fly(Flying { from: address, to, socket: Some(connection), bytes });
        }
    }

    /// What is on its way over a WebSocket never arrives.
    fn lose_words(&mut self, browser: SocketAddr, connection: ConnectionId) {
        let is_lost = |flying: &Flying| flying.socket == Some(connection);
        let lost = self.flying.values().filter(|flying| is_lost(flying) && flying.from == browser);
        let words: Vec<_> = lost.map(|flying| (flying.to, flying.bytes.clone())).collect();
        self.flying.retain(|_, flying| !is_lost(flying));
        words.into_iter().for_each(|(to, bytes)| self.leave_unsaid(browser, to, bytes));
    }

    /// A browser has no connection for something.
    pub(super) fn leave_unsaid(&mut self, browser: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        if self.browsers_repeat {
            self.unsaid.entry(browser).or_default().push((to, bytes));
        }
    }

    /// The network takes the browser's way to us: what either side says over its WebSocket is lost, and sbc does not
    /// know before [`World::find_out`].
    pub fn vanish(&mut self, address: &str) {
        let address = parse(address);
        let Some(socket) = self.sockets.remove(&address) else { return };
        self.lose_words(address, socket.connection);
        self.vanished.insert(address, socket);
    }

    /// The WebSocket that vanished is closed at last.
    pub fn find_out(&mut self, address: &str) {
        let address = parse(address);
        let Some(Socket { connection, edge }) = self.vanished.remove(&address) else { return };
        let worker = self.edges[edge].worker_of(address);
        self.input(edge, worker, |core, worker, now| core.handle(worker, now, Input::Closed(connection)));
    }

    /// Cut the WebSocket of the browser at this address.
    pub fn cut(&mut self, address: &str) {
        let address = parse(address);
        let Some(Socket { connection, edge }) = self.sockets.remove(&address) else { return };
        self.lose_words(address, connection);
        let worker = self.edges[edge].worker_of(address);
        self.input(edge, worker, |core, worker, now| core.handle(worker, now, Input::Closed(connection)));
    }

    /// True while a browser has a WebSocket.
    pub fn is_connected(&self, address: &str) -> bool {
        self.sockets.contains_key(&parse(address))
    }

    /// A balancer gives one source address to one of the nodes that live.
    fn balanced(&self, from: SocketAddr) -> Option<usize> {
        let alive = |edge: &usize| !self.edges[*edge].workers.is_empty();
        let living: Vec<_> = (0..self.edges.len()).filter(alive).collect();
        let lot = usize::from(from.port()).checked_rem(living.len())?;
        living.get(lot).copied()
    }

    /// The node that gets what is sent to this address, and where it comes in; `None`: nobody has it.
    pub(super) fn edge_at(&self, flying: &Flying) -> Option<(usize, ListenerId, u8)> {
        let having: Vec<_> =
            (0..self.edges.len()).filter(|edge| self.edges[*edge].listener_at(flying.to).is_some()).collect();
        let of_socket =
            || self.sockets.values().find(|one| Some(one.connection) == flying.socket).map(|one| one.edge);
        let edge = match (having.len(), flying.socket) {
            (0, _) => return None,
            (_, Some(_)) => of_socket()?,
            (1, None) => having[0],
            (_, None) => self.balanced(flying.from).unwrap_or(having[0]),
        };
        let (listener, port) = self.edges[edge].listener_at(flying.to)?;
        Some((edge, listener, port))
    }

    /// The node that something is for, and how it sees that.
    pub(super) fn flow_of(&mut self, flying: &Flying) -> Option<(usize, Flow)> {
        self.stream_flow(flying).or_else(|| {
            let (edge, listener, port) = self.edge_at(flying)?;
            Some((edge, Flow { listener, port, remote: flying.from, connection: flying.socket }))
        })
    }

    /// What arrives at a node; gives it back where it is for somebody else.
    pub(super) fn arrive_at_edge(&mut self, flying: Flying) -> Option<Flying> {
        let Some((edge, flow)) = self.flow_of(&flying) else { return Some(flying) };
        if self.edges[edge].workers.is_empty() {
            return None;
        }
        let worker = self.edges[edge].worker_of(flying.from);
        let (source, bytes) = (flying.from, flying.bytes);
        if let Some(arrivals) = &mut self.arrivals {
            arrivals.push(Arrival { from: source, to: flying.to, bytes: bytes.clone() });
        }
        self.judge_arrival(edge, source, flow.listener, &bytes);
        self.input(edge, worker, |core, worker, now| {
            core.handle(worker, now, Input::Received { flow, source, bytes: &bytes });
        });
        None
    }

    pub(super) fn judge_arrival(
        &mut self,
        edge: usize,
        from: SocketAddr,
        listener: ListenerId,
        bytes: &[u8],
    ) {
        let zone = self.edges[edge].config.listeners[usize::from(listener.0)].zone;
        if let Some(judge) = &mut self.judge {
            judge.arrived(self.now, from, zone, bytes);
        }
    }

    /// ICMP port unreachable, or a refused connection.
    pub(super) fn refuse(&mut self, flying: &Flying) {
        self.refuse_connection(flying.from);
        let reversed = Flying { from: flying.to, to: flying.from, socket: None, bytes: Vec::new() };
        let Some((edge, listener, port)) = self.edge_at(&reversed) else { return };
        let flow = Flow { listener, port, remote: flying.to, connection: None };
        self.judge_unreachable(flying.to);
        self.input(edge, 0, |core, worker, now| core.handle(worker, now, Input::Unreachable(flow)));
    }

    pub(super) fn judge_unreachable(&mut self, remote: SocketAddr) {
        if let Some(judge) = &mut self.judge {
            judge.unreachable(self.now, remote);
        }
    }

    pub(super) fn input(&mut self, edge: usize, worker: usize, run: impl FnOnce(&Core, &mut Worker, Time)) {
        let one = &mut self.edges[edge];
        run(&one.core, &mut one.workers[worker], self.now);
        self.flush(edge, worker);
    }

    /// Send what a worker left in its outbox.
    pub(super) fn flush(&mut self, edge: usize, worker: usize) {
        let outbox = std::mem::take(&mut self.edges[edge].workers[worker].outbox);
        if let Some(judge) = &mut self.judge {
            judge.outbox(outbox.transmits().len());
        }
        for Transmit { flow, range } in outbox.transmits() {
            self.send(edge, flow, outbox.bytes(range));
        }
    }

    fn send(&mut self, edge: usize, flow: &Flow, bytes: &[u8]) {
        let listener = &self.edges[edge].config.listeners[usize::from(flow.listener.0)];
        let from = match usize::from(flow.port).checked_sub(1) {
            Some(port) => listener.worker_ports[port],
            None => listener.bind,
        };
        let zone = listener.zone;
        if zone != Zone::Pool {
            self.told.extend(secrecy::told(bytes));
        }
        let transport = listener.transport;
        let fits = match flow.connection {
            Some(_) => transport != Transport::Udp,
            None => !is_websocket(transport),
        };
        assert!(fits, "a connection is used where the listener has them, and only there");
        let to = match flow.connection {
            None => flow.remote,
            Some(connection) if self.is_dialled(connection) => flow.remote,
            Some(connection) => {
                // A WebSocket that is gone swallows what is sent to it.
                let mut open = self.sockets.iter();
                let Some(to) = open.find(|(_, open)| open.connection == connection) else {
                    if let Some(judge) = &mut self.judge {
                        judge.swallowed(bytes);
                    }
                    return;
                };
                *to.0
            }
        };
        if let Some(judge) = &mut self.judge {
            judge.departed(self.now, edge, to, zone, bytes);
        }
        if self.departures.len() < self.most_departures {
            self.departures.push(Departure { to, zone, bytes: bytes.to_vec() });
        }
        match flow.connection {
            None if is_stream(transport) => self.dial(edge, flow, bytes),
            socket => self.fly(Flying { from, to, socket, bytes: bytes.to_vec() }),
        }
    }
}
