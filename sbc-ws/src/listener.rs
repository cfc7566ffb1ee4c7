//! A listening socket, and the places that its clients take.

use std::convert::Infallible;
use std::io;
use std::net::{self, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use sbc_tcp::accept_each;
use tokio::net::TcpStream;

use crate::connections::Connections;
use crate::guest::Guest;
use crate::handler::Handler;
use crate::reason::Refused;
use crate::settings::Settings;
use crate::sources::Places;

/// What all workers share of one listener.
#[derive(Debug)]
pub struct Listener {
    settings: ArcSwap<Settings>,
    connections: Arc<Connections>,
    places: Arc<Places>,
    draining: AtomicBool,
}

impl Listener {
    /// A listener whose clients can be sent to through `connections`.
    pub fn new(settings: Settings, connections: Arc<Connections>) -> Arc<Self> {
        Arc::new(Self {
            settings: ArcSwap::from_pointee(settings),
            connections,
            places: Arc::default(),
            draining: AtomicBool::new(false),
        })
    }

    /// New settings for connections from now on; open ones keep theirs.
    pub fn replace(&self, settings: Settings) {
        self.settings.store(Arc::new(settings));
    }

    /// While draining, upgrades are answered with 503; open connections go on.
    pub fn set_draining(&self, draining: bool) {
        self.draining.store(draining, Ordering::Relaxed);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    pub(crate) fn connections(&self) -> Arc<Connections> {
        Arc::clone(&self.connections)
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
    let settings = listener.settings.load_full();
    let Some(place) = listener.places.take(settings.max_connections) else {
        return handler.refused(Some(remote), Refused::TooManyConnections);
    };
    match Guest::at_the_door(remote, settings, Arc::clone(listener), place, Rc::clone(handler)) {
        Ok(guest) => {
            tokio::task::spawn_local(guest.enter(stream));
        }
        Err(why) => handler.refused(Some(remote), why),
    }
}
