//! SIP over WebSocket of one worker: from `sbc-ws` into the core.

use std::cell::RefCell;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::rc::Rc;
use std::sync::Arc;

use sbc_core::flow::{ConnectionId, Flow, ListenerId};
use sbc_core::io::Input;
use sbc_ws::{CloseReason, Connections, Handler, Refused};

use super::engine::Engine;
use super::shell::Shell;

/// RFC 5626 §4.4.1: a client's ping, and what it waits for.
const PING: &[u8] = b"\r\n\r\n";
const PONG: &[u8] = b"\r\n";

/// Takes what the connections of one listener say on one worker.
pub(super) struct Receiver<E: Engine> {
    shell: Rc<Shell<E>>,
    listener: ListenerId,
    connections: Arc<Connections>,
    open: Rc<Open>,
}

/// The open connections of one worker.
pub(super) type Open = RefCell<HashSet<NonZeroU64>>;

impl<E: Engine> Receiver<E> {
    pub(super) fn new(
        shell: Rc<Shell<E>>,
        listener: ListenerId,
        connections: Arc<Connections>,
        open: Rc<Open>,
    ) -> Rc<Self> {
        Rc::new(Self {
            shell,
            listener,
            connections,
            open,
        })
    }
}

impl<E: Engine> Handler for Receiver<E> {
    /// Bans and rates come from the core, which has none so far for addresses.
    fn admits(&self, _source: SocketAddr) -> bool {
        true
    }

    fn opened(&self, connection: NonZeroU64, _remote: SocketAddr, _source: SocketAddr) {
        self.open.borrow_mut().insert(connection);
        self.shell.counters().opened.inc();
    }

    fn received(
        &self,
        connection: NonZeroU64,
        remote: SocketAddr,
        source: SocketAddr,
        message: &[u8],
    ) {
        if message.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
            self.shell.counters().keepalives.inc();
            if message == PING && self.connections.send(connection, PONG).is_err() {
                self.shell.counters().egress_refused.inc();
            }
            return;
        }
        let flow = Flow {
            listener: self.listener,
            port: 0,
            remote,
            connection: Some(ConnectionId(connection)),
        };
        self.shell.handle(Input::Received {
            flow,
            source,
            bytes: message,
        });
    }

    fn closed(&self, connection: NonZeroU64, why: CloseReason) {
        self.open.borrow_mut().remove(&connection);
        self.shell.counters().closed(why.label());
        self.shell.handle(Input::Closed(ConnectionId(connection)));
    }

    fn refused(&self, source: Option<SocketAddr>, why: Refused) {
        self.shell.counters().refused(why.label());
        tracing::debug!(?source, why = why.label(), "refused a WebSocket connection");
    }
}
