//! Connections that we open: one to each server, kept while it serves (RFC 3261 §18: "should be reused").
//!
//! Messages wait in the connection's queue while it is being made. A server that does not accept is not tried again
//! at once: until the pause is over, whoever wants to send is told so immediately, and can ask another server.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU64;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use sbc_tls::TlsStream;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};

use crate::accept::prepare;
use crate::egress::{Egress, SendError};
use crate::handler::{Handler, Link};
use crate::listener::Listener;
use crate::open::live;
use crate::reason::Unreached;
use crate::session::Stream;
use crate::settings::Settings;

/// The first pause after a server did not accept; it doubles with every further failure.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest: a server that comes back is found by the next probe but one.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Servers that one worker keeps connections to, from one listener.
const MOST_SERVERS: usize = 4096;

/// The server is not there, as far as is known: the message is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreachable;

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server does not accept connections")
    }
}

impl std::error::Error for Unreachable {}

/// A connection that may be used.
enum Opened {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// The connections of one worker to servers, from one listener's address.
pub struct Dialer {
    /// Where connections come from; an unspecified one is left to the system's routes.
    local: IpAddr,
    listener: Arc<Listener>,
    handler: Rc<dyn Handler>,
    servers: RefCell<HashMap<SocketAddr, Server>>,
}

/// What is known of one server.
enum Server {
    /// Open, or being opened.
    Connected { id: NonZeroU64, pause: Duration },
    /// It did not accept.
    Away { until: Instant, pause: Duration },
}

impl Dialer {
    /// Connections from `local` that are numbered and bounded like those of `listener` and reported to `handler`.
    pub fn new(local: IpAddr, listener: Arc<Listener>, handler: Rc<dyn Handler>) -> Rc<Self> {
        Rc::new(Self { local, listener, handler, servers: RefCell::default() })
    }

    /// Queues `bytes`, one SIP message, for the server at `remote`, over the connection there is or a new one.
    ///
    /// # Errors
    /// [`Unreachable`] where the server did not accept a moment ago, or does not read.
    ///
    /// # Panics
    /// Outside of a `LocalSet`.
    pub fn send(self: &Rc<Self>, remote: SocketAddr, bytes: &[u8]) -> Result<(), Unreachable> {
        let mut servers = self.servers.borrow_mut();
        let pause = match servers.get(&remote) {
            Some(Server::Connected { id, pause }) => match self.listener.connections().send(*id, bytes) {
                Ok(()) => return Ok(()),
                Err(SendError::Full) => return Err(Unreachable),
                Err(SendError::Gone) => *pause,
            },
            Some(Server::Away { until, .. }) if *until > Instant::now() => return Err(Unreachable),
            Some(Server::Away { pause, .. }) => *pause,
            None => FIRST_PAUSE,
        };
        if servers.len() >= MOST_SERVERS && !servers.contains_key(&remote) {
            self.forget_some(&mut servers);
            if servers.len() >= MOST_SERVERS {
                return Err(Unreachable);
            }
        }
        let id = self.listener.connections().next_id();
        let egress = Arc::new(Egress::new(self.listener.settings().egress));
        // It is empty: one message within the limits always fits, and a larger one nowhere.
        egress.push(bytes).map_err(|_| Unreachable)?;
        self.listener.connections().insert(id, Arc::clone(&egress));
        servers.insert(remote, Server::Connected { id, pause });
        let link = Link { id, remote, dialled: true };
        tokio::task::spawn_local(Rc::clone(self).dial(link, egress));
        Ok(())
    }

    fn forget_some(&self, servers: &mut HashMap<SocketAddr, Server>) {
        let now = Instant::now();
        servers.retain(|_, server| match server {
            Server::Connected { .. } => true,
            Server::Away { until, .. } => *until > now,
        });
    }

    async fn dial(self: Rc<Self>, link: Link, egress: Arc<Egress>) {
        let settings = self.listener.settings();
        // Boxed: what handshakes need must not stay with an idle connection.
        match Box::pin(self.open(link.remote, &settings)).await {
            Ok(Opened::Plain(stream)) => self.stay(stream, link, egress, &settings).await,
            Ok(Opened::Tls(stream)) => self.stay(*stream, link, egress, &settings).await,
            Err(why) => self.failed(&link, why),
        }
    }

    async fn stay<S: Stream>(
        self: Rc<Self>,
        stream: S,
        link: Link,
        egress: Arc<Egress>,
        settings: &Settings,
    ) {
        self.note(&link, |_| Some(Server::Connected { id: link.id, pause: FIRST_PAUSE }));
        let (connections, handler) = (Arc::clone(self.listener.connections()), Rc::clone(&self.handler));
        let known = Known { dialer: Rc::clone(&self), link };
        live(stream, link, egress, connections, settings, handler, known).await;
    }

    async fn open(&self, remote: SocketAddr, settings: &Settings) -> Result<Opened, Unreached> {
        let stream = match timeout(settings.connect, self.connect(remote)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                tracing::debug!(%remote, %error, "no connection");
                return Err(Unreached::Connect);
            }
            Err(_) => return Err(Unreached::Timeout),
        };
        let Some(tls) = &settings.tls else { return Ok(Opened::Plain(stream)) };
        let client = tls.client.as_ref().ok_or(Unreached::NoAuthority)?;
        let stream = client.connect(stream, tls.name_of(remote)).await?;
        Ok(Opened::Tls(Box::new(stream)))
    }

    async fn connect(&self, remote: SocketAddr) -> io::Result<TcpStream> {
        let socket = if remote.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if !self.local.is_unspecified() {
            socket.bind(SocketAddr::new(self.local, 0))?;
        }
        let stream = socket.connect(remote).await?;
        prepare(&stream);
        Ok(stream)
    }

    fn failed(&self, link: &Link, why: Unreached) {
        self.listener.connections().remove(link.id);
        self.note(link, |pause| {
            Some(Server::Away { until: Instant::now() + pause, pause: (pause * 2).min(LONGEST_PAUSE) })
        });
        self.handler.unreachable(link.remote, why);
    }

    /// Changes what is known of the server, unless another connection to it has begun meanwhile.
    fn note(&self, link: &Link, change: impl FnOnce(Duration) -> Option<Server>) {
        let mut servers = self.servers.borrow_mut();
        if let Some(Server::Connected { id, pause }) = servers.get(&link.remote)
            && *id == link.id
        {
            match change(*pause) {
                Some(server) => servers.insert(link.remote, server),
                None => servers.remove(&link.remote),
            };
        }
    }
}

/// A server that has a connection; forgotten with it.
struct Known {
    dialer: Rc<Dialer>,
    link: Link,
}

impl Drop for Known {
    fn drop(&mut self) {
        self.dialer.note(&self.link, |_| None);
    }
}
