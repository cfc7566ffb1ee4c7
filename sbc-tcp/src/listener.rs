//! From a listening socket to an open connection.

use std::convert::Infallible;
use std::io;
use std::net::{self, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::net::TcpStream;

use crate::accept::accept_each;
use crate::connections::Connections;
use crate::guest::Guest;
use crate::handler::Handler;
use crate::settings::Settings;
use crate::sources::Places;

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

    pub(crate) fn places(&self) -> &Arc<Places> {
        &self.places
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
    match Guest::at_the_door(remote, listener, handler) {
        Ok(guest) => drop(tokio::task::spawn_local(guest.enter(stream))),
        Err(why) => handler.refused(remote, why),
    }
}
