//! From a listening socket to an open connection: accept, TLS, upgrade, each with a limit and a deadline.

use std::convert::Infallible;
use std::io;
use std::net::{self, SocketAddr};
use std::num::NonZeroU64;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::certificates::Certificates;
use crate::client_address::canonical;
use crate::connections::Connections;
use crate::egress::Egress;
use crate::handler::Handler;
use crate::http::{HeadError, read_head};
use crate::reason::{CloseReason, Refused};
use crate::session::{Peer, Session, Stream};
use crate::settings::Settings;
use crate::upgrade::{is_proxied, judge, refusal};

/// What TLS buffers for one client, in bytes: a full record with its overhead.
const TLS_BUFFER: usize = 32 * 1024;
/// How long we wait after the system refused us a socket: the cause, often too many open files, needs time to pass.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a refused client may take to read why.
const REFUSAL_DEADLINE: Duration = Duration::from_secs(1);

/// What all workers share of one listener.
#[derive(Debug)]
pub struct Listener {
    settings: ArcSwap<Settings>,
    connections: Arc<Connections>,
    held: AtomicUsize,
    draining: AtomicBool,
}

impl Listener {
    /// A listener whose clients can be sent to through `connections`.
    pub fn new(settings: Settings, connections: Arc<Connections>) -> Arc<Self> {
        Arc::new(Self {
            settings: ArcSwap::from_pointee(settings),
            connections,
            held: AtomicUsize::new(0),
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
        let place = Place(Arc::clone(self));
        // The place is given back by its drop, also when it was one too many.
        (self.held.fetch_add(1, Ordering::Relaxed) < limit).then_some(place)
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
    if !handler.admits(remote) {
        return handler.refused(Some(remote), Refused::Source);
    }
    let guest = Guest { remote, settings, place, handler: Rc::clone(handler) };
    tokio::task::spawn_local(guest.enter(stream));
}

/// A client on its way in.
struct Guest {
    remote: SocketAddr,
    settings: Arc<Settings>,
    place: Place,
    handler: Rc<dyn Handler>,
}

impl Guest {
    async fn enter(self, stream: TcpStream) {
        // SIP messages are small and somebody waits for each.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
        let Some(certificates) = &self.settings.tls else {
            return self.upgrade(stream).await;
        };
        match handshake(stream, certificates, self.settings.tls_deadline).await {
            Ok(stream) => self.upgrade(stream).await,
            Err(why) => self.handler.refused(self.undisputed(), why),
        }
    }

    /// The client's address as far as it is known before a proxy could name it.
    fn undisputed(&self) -> Option<SocketAddr> {
        (!is_proxied(&self.settings, self.remote)).then_some(self.remote)
    }

    async fn upgrade<S: Stream>(self, mut stream: S) {
        match self.welcome(&mut stream).await {
            Ok((source, rest)) => self.stay(stream, source, rest).await,
            Err((source, why)) => {
                self.handler.refused(source, why);
                if let Some(response) = refusal(why) {
                    // Whether the client stays to read it is its own affair.
                    let _ = timeout(REFUSAL_DEADLINE, response.send(&mut stream)).await;
                }
            }
        }
    }

    /// Reads and answers the upgrade. Gives the true client and what it sent after the request.
    async fn welcome<S: Stream>(
        &self,
        stream: &mut S,
    ) -> Result<(SocketAddr, Vec<u8>), (Option<SocketAddr>, Refused)> {
        let unknown = |why| (self.undisputed(), why);
        let answered = async {
            let head = read_head(stream).await.map_err(|error| match error {
                HeadError::TooLarge => unknown(Refused::HeadTooLarge),
                HeadError::Disconnected => unknown(Refused::Disconnected),
            })?;
            let accepted = judge(&head.bytes, &self.settings, self.remote).map_err(unknown)?;
            let source = accepted.source;
            let known = |why| (Some(source), why);
            if source.ip() != self.remote.ip() && !self.handler.admits(source) {
                return Err(known(Refused::Source));
            }
            if self.place.0.draining.load(Ordering::Relaxed) {
                return Err(known(Refused::Draining));
            }
            let answer = accepted.response();
            stream.write_all(&answer).await.map_err(|_| known(Refused::Disconnected))?;
            stream.flush().await.map_err(|_| known(Refused::Disconnected))?;
            Ok((source, head.rest))
        };
        timeout(self.settings.upgrade_deadline, answered)
            .await
            .unwrap_or(Err(unknown(Refused::UpgradeTimeout)))
    }

    /// Opens the connection, in a task of its own: this one is as large as the handshakes in it, and an idle
    /// connection must not keep that.
    async fn stay<S: Stream>(self, stream: S, source: SocketAddr, rest: Vec<u8>) {
        let Self { remote, settings, place, handler } = self;
        let egress = Arc::new(Egress::new(settings.egress));
        let peer = Peer { id: place.0.connections.next_id(), remote, source };
        place.0.connections.insert(peer.id, Arc::clone(&egress));
        let connections = Arc::clone(&place.0.connections);
        let open = Open { id: peer.id, connections, handler: Rc::clone(&handler), why: CloseReason::Stopped };
        handler.opened(peer.id, remote, source);
        let session = Session::new(stream, rest, peer, egress, &settings, handler).await;
        tokio::task::spawn_local(live(Box::new(session), open, place));
    }
}

/// Runs an open connection to its end. It holds its place as long as its socket.
async fn live<S: Stream>(mut session: Box<Session<S>>, mut open: Open, _place: Place) {
    let end = session.run().await;
    open.why = end.reason();
    // Reported before the goodbye, so that nobody waits for an answer from a flow that is over.
    drop(open);
    // Boxed, so that the idle task has no room for it.
    Box::pin(session.part(end)).await;
}

/// While it lives, [`Handler::closed`] is owed; also when the task is dropped with its worker.
struct Open {
    id: NonZeroU64,
    connections: Arc<Connections>,
    handler: Rc<dyn Handler>,
    why: CloseReason,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.connections.remove(self.id);
        self.handler.closed(self.id, self.why);
    }
}

async fn handshake(
    stream: TcpStream,
    certificates: &Certificates,
    deadline: Duration,
) -> Result<TlsStream<TcpStream>, Refused> {
    let acceptor = TlsAcceptor::from(certificates.server_config());
    let accept = acceptor.accept_with(stream, |connection| connection.set_buffer_limit(Some(TLS_BUFFER)));
    match timeout(deadline, accept).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            Err(Refused::TlsFailed)
        }
        Err(_) => Err(Refused::TlsTimeout),
    }
}
