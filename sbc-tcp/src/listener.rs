//! From a listening socket to an open connection.

use std::convert::Infallible;
use std::io;
use std::net::{self, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpStream;

use crate::accept::{accept_each, prepare};
use crate::connections::Connections;
use crate::egress::Egress;
use crate::handler::{Handler, Link};
use crate::open::live;
use crate::reason::Refused;
use crate::settings::Settings;

/// What all workers share of one listener.
#[derive(Debug)]
pub struct Listener {
    settings: Settings,
    connections: Arc<Connections>,
    held: AtomicUsize,
}

impl Listener {
    /// A listener whose peers can be sent to through `connections`.
    pub fn new(settings: Settings, connections: Arc<Connections>) -> Arc<Self> {
        Arc::new(Self { settings, connections, held: AtomicUsize::new(0) })
    }

    /// A place among `max_connections`, or none.
    fn take_place(self: &Arc<Self>) -> Option<Place> {
        let place = Place(Arc::clone(self));
        // The place is given back by its drop, also when it was one too many.
        (self.held.fetch_add(1, Ordering::Relaxed) < self.settings.max_connections).then_some(place)
    }
}

/// One of the listener's `max_connections`, from accept to the end.
struct Place(Arc<Listener>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Accepts connections for one worker, each a task on its `LocalSet`. Never ends by itself; dropping the future stops
/// accepting and closes `socket`, while open connections go on.
///
/// # Errors
/// When the runtime cannot watch `socket`.
///
/// # Panics
/// Outside of a `LocalSet`.
pub async fn serve(
    socket: net::TcpListener,
    listener: Arc<Listener>,
    handler: Rc<dyn Handler>,
) -> io::Result<Infallible> {
    accept_each(socket, |stream, remote| accept(stream, remote, &listener, &handler)).await
}

/// Takes what costs nothing to refuse; the rest goes to its own task.
fn accept(stream: TcpStream, remote: SocketAddr, listener: &Arc<Listener>, handler: &Rc<dyn Handler>) {
    let Some(place) = listener.take_place() else {
        return handler.refused(remote, Refused::TooManyConnections);
    };
    if !handler.admits(remote) {
        return handler.refused(remote, Refused::Source);
    }
    prepare(&stream);
    tokio::task::spawn_local(enter(stream, remote, place, Rc::clone(handler)));
}

async fn enter(stream: TcpStream, remote: SocketAddr, place: Place, handler: Rc<dyn Handler>) {
    let listener = Arc::clone(&place.0);
    let connections = Arc::clone(&listener.connections);
    let egress = Arc::new(Egress::new(listener.settings.egress));
    let link = Link { id: connections.next_id(), remote, dialled: false };
    connections.insert(link.id, Arc::clone(&egress));
    live(stream, link, egress, connections, &listener.settings, handler, place).await;
}
