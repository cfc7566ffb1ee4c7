//! A peer on its way in: its place, who it is, TLS; each with a limit and a deadline.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use sbc_tls::TlsStream;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::accept::prepare;
use crate::address::is_within;
use crate::egress::Egress;
use crate::handler::{Handler, Link};
use crate::listener::Listener;
use crate::open::live;
use crate::proxy_header;
use crate::reason::Refused;
use crate::session::Stream;
use crate::settings::Settings;
use crate::sources::Place;

/// See the module.
pub(crate) struct Guest {
    /// Whom the socket sees, until a proxy has named another.
    remote: SocketAddr,
    listener: Arc<Listener>,
    settings: Arc<Settings>,
    place: Place,
    handler: Rc<dyn Handler>,
}

/// A peer that may talk.
enum Welcome {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Guest {
    /// A peer at the door.
    ///
    /// # Errors
    /// Why it is not even listened to.
    pub(crate) fn at_the_door(
        remote: SocketAddr,
        listener: &Arc<Listener>,
        handler: &Rc<dyn Handler>,
    ) -> Result<Self, Refused> {
        let settings = listener.settings();
        let place = listener.places().take(settings.max_connections).ok_or(Refused::TooManyConnections)?;
        let (listener, handler) = (Arc::clone(listener), Rc::clone(handler));
        let mut guest = Self { remote, listener, settings, place, handler };
        if !is_within(&guest.settings.proxies, remote) {
            guest.introduce(remote)?;
        }
        Ok(guest)
    }

    /// The peer is known: whether it may connect.
    fn introduce(&mut self, peer: SocketAddr) -> Result<(), Refused> {
        self.remote = peer;
        let is_unlimited = self.handler.is_unlimited(peer);
        if !is_unlimited && !self.place.count(peer.ip(), self.settings.max_per_source) {
            return Err(Refused::TooManyOfSource);
        }
        if self.handler.admits(peer) { Ok(()) } else { Err(Refused::Source) }
    }

    /// The whole way from an accepted socket to the end of the connection.
    pub(crate) async fn enter(mut self, stream: TcpStream) {
        prepare(&stream);
        // Boxed: what handshakes need must not stay with an idle connection.
        match Box::pin(self.welcome(stream)).await {
            Ok(Welcome::Plain(stream)) => self.stay(stream).await,
            Ok(Welcome::Tls(stream)) => self.stay(*stream).await,
            Err(why) => self.handler.refused(self.remote, why),
        }
    }

    async fn welcome(&mut self, mut stream: TcpStream) -> Result<Welcome, Refused> {
        if is_within(&self.settings.proxies, self.remote) {
            // The load balancer writes it on its own account, before anything of the peer.
            let header = timeout(self.settings.proxy_header, proxy_header::read(&mut stream)).await;
            let named = header.ok().and_then(Result::ok).ok_or(Refused::ProxyHeader)?;
            self.introduce(named.unwrap_or(self.remote))?;
        }
        match &self.settings.tls {
            None => Ok(Welcome::Plain(stream)),
            Some(tls) => Ok(Welcome::Tls(Box::new(tls.server.accept(stream).await?))),
        }
    }

    async fn stay<S: Stream>(self, stream: S) {
        let Self { remote, listener, settings, place, handler } = self;
        let connections = Arc::clone(listener.connections());
        let egress = Arc::new(Egress::new(settings.egress));
        let link = Link { id: connections.next_id(), remote, dialled: false };
        connections.insert(link.id, Arc::clone(&egress));
        live(stream, link, egress, connections, &settings, handler, place).await;
    }
}
