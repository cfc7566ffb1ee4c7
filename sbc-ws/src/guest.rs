//! A client on its way in: who it is, TLS, upgrade, each with a limit and a deadline.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use sbc_tcp::address::is_within;
use sbc_tcp::proxy_header;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::egress::Egress;
use crate::handler::Handler;
use crate::http::{HeadError, read_head};
use crate::listener::Listener;
use crate::open::{Open, live};
use crate::reason::Refused;
use crate::session::{Peer, Session, Stream};
use crate::settings::{ClientAddress, Settings};
use crate::sources::Place;
use crate::upgrade::{Accepted, judge, refusal};

/// How long a refused client may take to read why.
const REFUSAL_DEADLINE: Duration = Duration::from_secs(1);

/// See the module.
pub(crate) struct Guest {
    remote: SocketAddr,
    /// The true client; `None` while a trusted proxy has not named it.
    client: Option<SocketAddr>,
    settings: Arc<Settings>,
    listener: Arc<Listener>,
    place: Place,
    handler: Rc<dyn Handler>,
}

impl Guest {
    /// A client at the door.
    ///
    /// # Errors
    /// Why it is not even listened to.
    pub(crate) fn at_the_door(
        remote: SocketAddr,
        settings: Arc<Settings>,
        listener: Arc<Listener>,
        place: Place,
        handler: Rc<dyn Handler>,
    ) -> Result<Self, Refused> {
        let is_proxied =
            settings.client_address != ClientAddress::Socket && is_within(&settings.trusted_proxies, remote);
        let mut guest = Self { remote, client: None, settings, listener, place, handler };
        if is_proxied {
            // The proxy may be shut out; the client is asked about as soon as it is named.
            if guest.handler.admits(remote) { Ok(guest) } else { Err(Refused::Source) }
        } else {
            guest.introduce(remote)?;
            Ok(guest)
        }
    }

    /// The client is known: whether it may connect, once more.
    fn introduce(&mut self, client: SocketAddr) -> Result<(), Refused> {
        if self.client == Some(client) {
            return Ok(());
        }
        self.client = Some(client);
        // Everybody stands behind a proxy, and it connects for itself only to see whether we live.
        let is_proxy_itself = client == self.remote && is_within(&self.settings.trusted_proxies, client);
        if !is_proxy_itself && !self.handler.admits(client) {
            return Err(Refused::Source);
        }
        let is_unlimited = is_proxy_itself || self.handler.is_unlimited(client);
        if is_unlimited || self.place.count(client.ip(), self.settings.max_per_source) {
            Ok(())
        } else {
            Err(Refused::TooManyFromSource)
        }
    }

    /// The whole way from an accepted socket to an open connection.
    pub(crate) async fn enter(mut self, mut stream: TcpStream) {
        // SIP messages are small and somebody waits for each.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
        if let Err(why) = self.read_proxy_header(&mut stream).await {
            return self.refused(why);
        }
        let Some(tls) = &self.settings.tls else {
            return self.upgrade(stream).await;
        };
        match tls.accept(stream).await {
            Ok(stream) => self.upgrade(stream).await,
            Err(why) => self.refused(why.into()),
        }
    }

    async fn read_proxy_header(&mut self, stream: &mut TcpStream) -> Result<(), Refused> {
        if self.settings.client_address != ClientAddress::ProxyV2 || self.client.is_some() {
            return Ok(());
        }
        // The load balancer writes it on its own account, before anything of the client.
        match timeout(self.settings.upgrade_deadline, proxy_header::read(stream)).await {
            Ok(Ok(client)) => self.introduce(client.unwrap_or(self.remote)),
            Ok(Err(_)) | Err(_) => Err(Refused::ProxyHeader),
        }
    }

    fn refused(&self, why: Refused) {
        self.handler.refused(self.client, why);
    }

    async fn upgrade<S: Stream>(mut self, mut stream: S) {
        match self.welcome(&mut stream).await {
            Ok((accepted, rest)) => self.stay(stream, accepted, rest).await,
            Err(why) => {
                self.refused(why);
                if let Some(response) = refusal(why) {
                    // Whether the client stays to read it is its own affair.
                    let _ = timeout(REFUSAL_DEADLINE, response.send(&mut stream)).await;
                }
            }
        }
    }

    /// Reads and answers the upgrade. Gives what was agreed on and what the client sent after its request.
    async fn welcome<S: Stream>(&mut self, stream: &mut S) -> Result<(Accepted, Vec<u8>), Refused> {
        let deadline = self.settings.upgrade_deadline;
        let answered = async {
            let head = read_head(stream).await.map_err(|error| match error {
                HeadError::TooLarge => Refused::HeadTooLarge,
                HeadError::Disconnected => Refused::Disconnected,
            })?;
            let accepted = judge(&head.bytes, &self.settings, self.remote, self.client)?;
            self.introduce(accepted.source)?;
            if self.listener.is_draining() {
                return Err(Refused::Draining);
            }
            let answer = accepted.response();
            stream.write_all(&answer).await.map_err(|_| Refused::Disconnected)?;
            stream.flush().await.map_err(|_| Refused::Disconnected)?;
            Ok((accepted, head.rest))
        };
        timeout(deadline, answered).await.unwrap_or(Err(Refused::UpgradeTimeout))
    }

    /// Opens the connection, in a task of its own: this one is as large as the handshakes in it, and an idle
    /// connection must not keep that.
    async fn stay<S: Stream>(self, stream: S, accepted: Accepted, rest: Vec<u8>) {
        let Self { remote, settings, listener, place, handler, .. } = self;
        let egress = Arc::new(Egress::new(settings.egress));
        let connections = listener.connections();
        let peer = Peer { id: connections.next_id(), remote, source: accepted.source };
        connections.insert(peer.id, Arc::clone(&egress));
        let open = Open::new(peer, connections, Rc::clone(&handler));
        handler.opened(peer.id, remote, peer.source, accepted.ticket);
        let session = Session::new(stream, rest, peer, egress, &settings, handler).await;
        tokio::task::spawn_local(live(Box::new(session), open, place));
    }
}
