//! A listening socket, and the places that its clients take.

use std::convert::Infallible;
use std::io;
use std::net::{self, IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use crate::client_address::canonical;
use crate::connections::Connections;
use crate::guest::Guest;
use crate::handler::Handler;
use crate::reason::Refused;
use crate::settings::Settings;
use crate::sources::{SourceKey, Sources};

/// How long we wait after the system refused us a socket: the cause, often too many open files, needs time to pass.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What all workers share of one listener.
#[derive(Debug)]
pub struct Listener {
    settings: ArcSwap<Settings>,
    connections: Arc<Connections>,
    held: AtomicUsize,
    sources: Sources,
    draining: AtomicBool,
}

impl Listener {
    /// A listener whose clients can be sent to through `connections`.
    pub fn new(settings: Settings, connections: Arc<Connections>) -> Arc<Self> {
        Arc::new(Self {
            settings: ArcSwap::from_pointee(settings),
            connections,
            held: AtomicUsize::new(0),
            sources: Sources::default(),
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

    /// A place among `limit`, or none.
    fn take_place(self: &Arc<Self>, limit: usize) -> Option<Place> {
        let place = Place { listener: Arc::clone(self), source: None };
        // The place is given back by its drop, also when it was one too many.
        (self.held.fetch_add(1, Ordering::Relaxed) < limit).then_some(place)
    }
}

/// One of the listener's `max_connections`, from accept to the end, and one of its source's.
pub(crate) struct Place {
    listener: Arc<Listener>,
    source: Option<SourceKey>,
}

impl Place {
    /// Counts the connection as one of `source`; false when that has `limit` others.
    pub(crate) fn count(&mut self, source: IpAddr, limit: usize) -> bool {
        let source = SourceKey::of(source);
        let counted = self.listener.sources.take(source, limit);
        if counted && let Some(before) = self.source.replace(source) {
            self.listener.sources.give_back(before);
        }
        counted
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.listener.draining.load(Ordering::Relaxed)
    }

    pub(crate) fn connections(&self) -> Arc<Connections> {
        Arc::clone(&self.listener.connections)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.listener.held.fetch_sub(1, Ordering::Relaxed);
        if let Some(source) = self.source {
            self.listener.sources.give_back(source);
        }
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
    let socket = TcpListener::from_std(socket)?;
    loop {
        match socket.accept().await {
            Ok((stream, remote)) => accept(stream, canonical(remote), &listener, &handler),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted for now");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Errors of accept(2) that are over with the connection they belong to.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Takes what costs nothing to refuse; the rest goes to its own task.
fn accept(stream: TcpStream, remote: SocketAddr, listener: &Arc<Listener>, handler: &Rc<dyn Handler>) {
    let settings = listener.settings.load_full();
    let Some(place) = listener.take_place(settings.max_connections) else {
        return handler.refused(Some(remote), Refused::TooManyConnections);
    };
    match Guest::at_the_door(remote, settings, place, Rc::clone(handler)) {
        Ok(guest) => {
            tokio::task::spawn_local(guest.enter(stream));
        }
        Err(why) => handler.refused(Some(remote), why),
    }
}
