//! SIP over WebSocket of one worker: from `sbc-ws` into the core.

use std::cell::RefCell;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::rc::Rc;

use sbc_core::flow::{ConnectionId, Flow, ListenerId};
use sbc_core::io::{Input, Ticket};
use sbc_ws::{CloseReason, Handler, Refused};

use super::shell::Shell;

/// Takes what the connections of one listener say on one worker.
pub(super) struct Receiver {
    shell: Rc<Shell>,
    listener: ListenerId,
    open: Rc<Open>,
}

/// The open connections of one worker.
pub(super) type Open = RefCell<HashSet<NonZeroU64>>;

impl Receiver {
    pub(super) fn new(shell: Rc<Shell>, listener: ListenerId, open: Rc<Open>) -> Rc<Self> {
        Rc::new(Self { shell, listener, open })
    }

    fn flow(&self, connection: NonZeroU64, remote: SocketAddr) -> Flow {
        Flow { listener: self.listener, port: 0, remote, connection: Some(ConnectionId(connection)) }
    }
}

impl Handler for Receiver {
    fn admits(&self, source: SocketAddr) -> bool {
        self.shell.is_welcome(self.listener, source.ip())
    }

    fn is_unlimited(&self, source: SocketAddr) -> bool {
        self.shell.is_allowed(source.ip())
    }

    fn opened(
        &self,
        connection: NonZeroU64,
        remote: SocketAddr,
        _source: SocketAddr,
        ticket: Option<sbc_ws::Ticket>,
    ) {
        self.open.borrow_mut().insert(connection);
        self.shell.counters().opened.inc();
        let flow = self.flow(connection, remote);
        let ticket = ticket.map(|sbc_ws::Ticket { users, destinations }| Ticket { users, destinations });
        self.shell.handle(match &ticket {
            Some(ticket) => Input::OpenedBy(flow, ticket),
            None => Input::Opened(flow),
        });
    }

    fn received(&self, connection: NonZeroU64, remote: SocketAddr, source: SocketAddr, message: &[u8]) {
        self.shell.hear(self.flow(connection, remote), source, message);
    }

    fn closed(&self, connection: NonZeroU64, source: SocketAddr, why: CloseReason) {
        self.shell.misbehaved(self.listener, source.ip(), why.evidence());
        self.open.borrow_mut().remove(&connection);
        self.shell.counters().closed(why.label());
        self.shell.handle(Input::Closed(ConnectionId(connection)));
    }

    fn refused(&self, source: Option<SocketAddr>, why: Refused) {
        self.shell.counters().refused(why.label());
        if let Some(source) = source {
            self.shell.misbehaved(self.listener, source.ip(), why.evidence());
        }
        tracing::debug!(?source, why = why.label(), "refused a WebSocket connection");
    }
}
