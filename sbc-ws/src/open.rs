//! An open connection as a task: its end is reported once, whatever ends it.

use std::rc::Rc;
use std::sync::Arc;

use crate::connections::Connections;
use crate::handler::Handler;
use crate::reason::CloseReason;
use crate::session::{Peer, Session, Stream};
use crate::sources::Place;

/// Runs an open connection to its end. It holds its place as long as its socket.
pub(crate) async fn live<S: Stream>(mut session: Box<Session<S>>, mut open: Open, _place: Place) {
    let end = session.run().await;
    open.why = end.reason();
    // Reported before the goodbye, so that nobody waits for an answer from a flow that is over.
    drop(open);
    // Boxed, so that the idle task has no room for it.
    Box::pin(session.part(end)).await;
}

/// While it lives, [`Handler::closed`] is owed; also when the task is dropped with its worker.
pub(crate) struct Open {
    peer: Peer,
    connections: Arc<Connections>,
    handler: Rc<dyn Handler>,
    why: CloseReason,
}

impl Open {
    pub(crate) fn new(peer: Peer, connections: Arc<Connections>, handler: Rc<dyn Handler>) -> Self {
        Self { peer, connections, handler, why: CloseReason::Stopped }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.connections.remove(self.peer.id);
        self.handler.closed(self.peer.id, self.peer.source, self.why);
    }
}
