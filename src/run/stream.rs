//! SIP over TCP and TLS of one worker: from `sbc-tcp` into the core.

use std::net::SocketAddr;
use std::rc::Rc;

use sbc_core::flow::{ConnectionId, Flow, ListenerId};
use sbc_core::io::Input;
use sbc_tcp::{CloseReason, Handler, Link, Refused, Unreached};

use super::shell::Shell;
use super::websocket::Open;

/// Takes what the connections of one listener say on one worker, accepted and dialled ones.
pub(super) struct Receiver {
    shell: Rc<Shell>,
    listener: ListenerId,
    open: Rc<Open>,
}

impl Receiver {
    pub(super) fn new(shell: Rc<Shell>, listener: ListenerId, open: Rc<Open>) -> Rc<Self> {
        Rc::new(Self { shell, listener, open })
    }

    fn flow(&self, link: &Link) -> Flow {
        Flow { connection: Some(ConnectionId(link.id)), ..Flow::to(self.listener, link.remote) }
    }
}

impl Handler for Receiver {
    fn admits(&self, remote: SocketAddr) -> bool {
        self.shell.is_peer(self.listener, remote) && self.shell.is_welcome(self.listener, remote.ip())
    }

    fn is_unlimited(&self, remote: SocketAddr) -> bool {
        self.shell.is_allowed(remote.ip())
    }

    fn opened(&self, link: &Link) {
        self.open.borrow_mut().insert(link.id);
        self.shell.counters().tcp.opened(link.dialled);
        self.shell.handle(Input::Opened(self.flow(link)));
    }

    fn received(&self, link: &Link, message: &[u8]) {
        self.shell.hear(self.flow(link), link.remote, message);
    }

    fn closed(&self, link: &Link, why: CloseReason) {
        self.open.borrow_mut().remove(&link.id);
        self.shell.counters().tcp.closed(why.label());
        self.shell.handle(Input::Closed(ConnectionId(link.id)));
        if !link.dialled {
            self.shell.misbehaved(self.listener, link.remote.ip(), why.evidence());
        }
        // When we go ourselves, nothing is sent again.
        if link.dialled && !matches!(why, CloseReason::Stopped | CloseReason::Requested) {
            self.shell.handle(Input::Disconnected(Flow::to(self.listener, link.remote)));
        }
    }

    fn refused(&self, remote: SocketAddr, why: Refused) {
        self.shell.counters().tcp.refused(why.label());
        self.shell.misbehaved(self.listener, remote.ip(), why.evidence());
        tracing::debug!(%remote, why = why.label(), "refused a TCP connection");
    }

    fn unreachable(&self, remote: SocketAddr, why: Unreached) {
        self.shell.counters().tcp.unreachable(why.label());
        match why {
            // Waiting does not heal those: the operator has to know.
            Unreached::BadCertificate | Unreached::NoAuthority => {
                tracing::warn!(%remote, why = why.label(), "a server cannot be trusted");
            }
            _ => tracing::debug!(%remote, why = why.label(), "no connection to a server"),
        }
        self.shell.handle(Input::Unreachable(Flow::to(self.listener, remote)));
    }
}
