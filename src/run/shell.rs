//! One worker's hands: gives inputs to the core and carries out what it says.

use std::cell::{Cell, OnceCell, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use sbc_core::flow::{ConnectionId, Flow, ListenerId};
use sbc_core::io::{Input, Outbox, Transmit};
use sbc_core::time::Time;
use sbc_core::{Core, Worker};
use sbc_tcp::{Connections, Dialer};
use sbc_udp::{SendBatch, SendError, Socket};
use tokio::sync::Notify;

use super::backlog::Turns;
use super::clock::Clock;
use super::sieve::Told;
use super::sockets::UdpSockets;
use super::worker::Shared;
use crate::metrics::Counters;

/// Most peers found unreachable while sending, for one flush; timers find the others.
const MOST_NOTICES: usize = 64;

/// A worker's view of everything; lives on its thread.
pub(super) struct Shell {
    core: Arc<Core>,
    worker: RefCell<Worker>,
    clock: Clock,
    udp: Vec<UdpSockets>,
    connections: Arc<Connections>,
    /// Set once: they report to this shell.
    dialers: OnceCell<Vec<(ListenerId, Rc<Dialer>)>>,
    counters: Arc<Counters>,
    batch: RefCell<SendBatch>,
    /// Scratch of [`Shell::flush`]: kept for its memory.
    unreachable: RefCell<Vec<Flow>>,
    /// Scratch of [`Shell::flush`]: sockets whose datagrams are on their way.
    served: RefCell<Vec<(ListenerId, u8)>>,
    turns: Turns,
    sieve: Told,
    armed: Cell<Option<Time>>,
    /// Told when `armed` moved to an earlier time.
    pub(super) rearmed: Notify,
}

impl Shell {
    pub(super) fn new(shared: &Shared, mut worker: Worker, udp: Vec<UdpSockets>) -> Self {
        worker.set_sifts(true);
        Self {
            core: Arc::clone(&shared.core),
            worker: RefCell::new(worker),
            clock: shared.clock,
            udp,
            connections: Arc::clone(&shared.connections),
            dialers: OnceCell::new(),
            counters: Arc::clone(&shared.counters),
            batch: RefCell::default(),
            unreachable: RefCell::default(),
            served: RefCell::default(),
            turns: Turns::default(),
            sieve: Told::default(),
            armed: Cell::new(None),
            rearmed: Notify::new(),
        }
    }

    /// What opens connections to servers; later calls change nothing.
    pub(super) fn set_dialers(&self, dialers: Vec<(ListenerId, Rc<Dialer>)>) {
        let _ = self.dialers.set(dialers);
    }

    /// Whether an address may speak at a listener.
    pub(super) fn is_peer(&self, listener: ListenerId, remote: SocketAddr) -> bool {
        self.core.is_peer(listener, remote)
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(super) fn turns(&self) -> &Turns {
        &self.turns
    }

    pub(super) fn now(&self) -> Time {
        self.clock.now()
    }

    pub(super) fn udp(&self) -> &[UdpSockets] {
        &self.udp
    }

    /// Whether a source may connect to a listener at all.
    pub(super) fn is_welcome(&self, listener: ListenerId, source: IpAddr) -> bool {
        self.core.is_welcome(listener, source, self.clock.now())
    }

    /// Whether a source is on the allow list.
    pub(super) fn is_allowed(&self, source: IpAddr) -> bool {
        self.core.is_allowed(source)
    }

    /// A connection from `source` ended as good ones do not; a weight of 0 is nothing.
    pub(super) fn misbehaved(&self, listener: ListenerId, source: IpAddr, weight: u8) {
        self.core.misbehaved(listener, source, weight, self.clock.now());
    }

    /// One input, and everything that follows from it.
    pub(super) fn handle(&self, input: Input<'_>) {
        self.feed(input);
        self.flush();
    }

    /// A message of a connection, and everything that follows from it.
    pub(super) fn hear(&self, flow: Flow, source: SocketAddr, bytes: &[u8]) {
        self.turns.message(self.clock.now());
        self.handle(Input::Received { flow, source, bytes });
    }

    /// One input; [`Shell::flush`] is owed, after this one or after others of the same batch.
    pub(super) fn feed(&self, input: Input<'_>) {
        self.core.handle(&mut self.worker.borrow_mut(), self.clock.now(), input);
    }

    /// What tells how busy the worker is, and so what it need not read.
    pub(super) fn judge(&self, input: Input<'_>) {
        self.feed(input);
        self.sieve.follow(&self.core, &mut self.worker.borrow_mut(), &self.udp);
    }

    /// Does what the core said. A peer that the kernel knows to be unreachable is told to the core at once.
    pub(super) fn flush(&self) {
        let mut told = 0;
        let mut worker = self.worker.borrow_mut();
        loop {
            let mut unreachable = self.unreachable.borrow_mut();
            self.send_all(&worker.outbox, &mut unreachable);
            worker.outbox.clear();
            if unreachable.is_empty() || told >= MOST_NOTICES {
                unreachable.clear();
                break;
            }
            told += unreachable.len();
            for flow in unreachable.drain(..) {
                self.core.handle(&mut worker, self.clock.now(), Input::Unreachable(flow));
            }
        }
        self.rearm(self.core.next_deadline(&worker));
    }

    fn rearm(&self, next: Option<Time>) {
        let earlier = match (next, self.armed.get()) {
            (Some(next), Some(armed)) => next < armed,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if earlier {
            self.armed.set(next);
            self.rearmed.notify_one();
        }
    }

    /// Waits for the core's next deadline; `None` when it has none.
    pub(super) fn next_wake(&self) -> Option<tokio::time::Instant> {
        let next = self.core.next_deadline(&self.worker.borrow());
        self.armed.set(next);
        next.and_then(|time| self.clock.instant(time))
    }

    /// Connections at once; datagrams by socket, so that many leave in one system call.
    fn send_all(&self, outbox: &Outbox, unreachable: &mut Vec<Flow>) {
        let mut served = self.served.borrow_mut();
        served.clear();
        for (index, Transmit { flow, range }) in outbox.transmits().iter().enumerate() {
            match flow.connection {
                Some(connection) => self.send_message(connection, outbox.bytes(range)),
                None if served.contains(&(flow.listener, flow.port)) => {}
                None if self.dial(flow, outbox.bytes(range), unreachable) => {}
                None => {
                    served.push((flow.listener, flow.port));
                    self.send_datagrams(outbox, index, flow, unreachable);
                }
            }
        }
    }

    /// Sends to a server of a TCP listener; false where the listener has datagrams.
    fn dial(&self, flow: &Flow, message: &[u8], unreachable: &mut Vec<Flow>) -> bool {
        let mut dialers = self.dialers.get().into_iter().flatten();
        let Some((_, dialer)) = dialers.find(|(listener, _)| *listener == flow.listener) else {
            return false;
        };
        let is_away = dialer.send(flow.remote, message).is_err();
        if is_away && unreachable.len() < MOST_NOTICES {
            unreachable.push(*flow);
        }
        true
    }

    fn send_message(&self, connection: ConnectionId, message: &[u8]) {
        // A connection that is gone or does not read tells so itself, as closed.
        if self.connections.send(connection.0, message).is_err() {
            self.counters.egress_refused.inc();
        }
    }

    /// All datagrams from `index` on that leave by the same socket as `first`, in order.
    fn send_datagrams(&self, outbox: &Outbox, index: usize, first: &Flow, unreachable: &mut Vec<Flow>) {
        let Some(socket) = self.socket(first.listener, first.port) else {
            // The core names only what the configuration has.
            self.counters.no_socket.inc();
            return;
        };
        let same_socket = |transmit: &&Transmit| by_same_socket(&transmit.flow, first);
        let waiting = outbox.transmits().iter().skip(index).filter(same_socket);
        let datagrams = waiting.map(|transmit| (transmit.flow.remote, outbox.bytes(&transmit.range)));
        let failed = |remote: SocketAddr, error: SendError| {
            if matches!(error, SendError::Unreachable(_)) && unreachable.len() < MOST_NOTICES {
                unreachable.push(Flow { remote, ..*first });
            }
        };
        socket.send_batch(&mut self.batch.borrow_mut(), datagrams, failed);
    }

    /// The socket of a flow: 0 is the listener's own address, n the port of worker n-1.
    fn socket(&self, listener: ListenerId, port: u8) -> Option<&Socket> {
        let sockets = self.udp.iter().find(|sockets| sockets.listener == listener)?;
        match usize::from(port).checked_sub(1) {
            None => Some(&sockets.own),
            Some(worker) => sockets.fixed.get(worker).map(|socket| &**socket),
        }
    }
}

fn by_same_socket(flow: &Flow, other: &Flow) -> bool {
    flow.connection.is_none() && flow.listener == other.listener && flow.port == other.port
}
