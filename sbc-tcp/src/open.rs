//! The life of an open connection, however it was opened.

use std::rc::Rc;
use std::sync::Arc;

use crate::connections::Connections;
use crate::egress::Egress;
use crate::handler::{Handler, Link};
use crate::reason::CloseReason;
use crate::session::{Session, Stream};
use crate::settings::Settings;

/// Runs a connection that can be sent to through `connections` already, to its end; `kept` lives as long.
pub(crate) async fn live<S: Stream, K>(
    stream: S,
    link: Link,
    egress: Arc<Egress>,
    connections: Arc<Connections>,
    settings: &Settings,
    handler: Rc<dyn Handler>,
    kept: K,
) {
    handler.opened(&link);
    let mut open = Open { link, connections, handler: Rc::clone(&handler), why: CloseReason::Stopped };
    let mut session = Box::new(Session::new(stream, link, egress, settings, handler));
    let why = session.run().await;
    open.why = why;
    // Reported before the goodbye, so that nobody waits for an answer from a flow that is over.
    drop(open);
    // Boxed, so that the idle task has no room for it.
    Box::pin(session.part(why)).await;
    drop(kept);
}

/// While it lives, [`Handler::closed`] is owed; also when the task is dropped with its worker.
struct Open {
    link: Link,
    connections: Arc<Connections>,
    handler: Rc<dyn Handler>,
    why: CloseReason,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.connections.remove(self.link.id);
        self.handler.closed(&self.link, self.why);
    }
}
