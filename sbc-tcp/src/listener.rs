//! From a listening socket to an open connection.

use std::convert::Infallible;
use std::io;
use std::net::{self, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::net::TcpStream;

use crate::accept::{accept_each, prepare};
use crate::connections::Connections;
use crate::egress::Egress;
use crate::handler::{Handler, Link};
use crate::open::live;
use crate::reason::Refused;
use crate::settings::Settings;
use crate::sources::{Place, Places};

/// What all workers share of one listener.
#[derive(Debug)]
pub struct Listener {
    settings: ArcSwap<Settings>,
    connections: Arc<Connections>,
    places: Arc<Places>,
}

impl Listener {
    /// A listener whose peers can be sent to through `connections`.
    pub fn new(settings: Settings, connections: Arc<Connections>) -> Arc<Self> {
        let settings = ArcSwap::from_pointee(settings);
        Arc::new(Self { settings, connections, places: Arc::default() })
    }

    /// New settings for connections from now on; open ones keep theirs.
    pub fn replace(&self, settings: Settings) {
        self.settings.store(Arc::new(settings));
    }

    pub(crate) fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    pub(crate) fn connections(&self) -> &Arc<Connections> {
        &self.connections
    }

    /// A place among `max_connections` and among those of its source.
    fn take_place(&self, remote: SocketAddr) -> Result<Place, Refused> {
        let settings = self.settings.load();
        let mut place = self.places.take(settings.max_connections).ok_or(Refused::TooManyConnections)?;
        let is_counted = place.count(remote.ip(), settings.max_per_source);
        if is_counted { Ok(place) } else { Err(Refused::TooManyOfSource) }
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
    let place = match listener.take_place(remote) {
        Ok(place) => place,
        Err(why) => return handler.refused(remote, why),
    };
    if !handler.admits(remote) {
        return handler.refused(remote, Refused::Source);
    }
    prepare(&stream);
    tokio::task::spawn_local(enter(stream, remote, Arc::clone(listener), place, Rc::clone(handler)));
}

async fn enter(
    stream: TcpStream,
    remote: SocketAddr,
    listener: Arc<Listener>,
    place: Place,
    handler: Rc<dyn Handler>,
) {
    let connections = Arc::clone(&listener.connections);
    let settings = listener.settings();
    let egress = Arc::new(Egress::new(settings.egress));
    let link = Link { id: connections.next_id(), remote, dialled: false };
    connections.insert(link.id, Arc::clone(&egress));
    live(stream, link, egress, connections, &settings, handler, place).await;
}
