//! The handshake with a client that connected to us.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::server::{Acceptor, NoServerSessionStorage, WebPkiClientVerifier};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{LazyConfigAcceptor, TlsStream};

use crate::authorities::Authorities;
use crate::certificates::{CertificateError, Certificates};
use crate::provider::{BUFFER, VERSIONS, provider};
use crate::reason::Failed;
use crate::server_name::ServerNamePattern;

/// The fatal alert `unrecognized_name` (RFC 6066 §3) in a record of its own; no key is agreed on yet.
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];
/// How long a client may take to read that alert.
const ALERT_DEADLINE: Duration = Duration::from_secs(1);
/// What such a client may still send before we stop listening, in bytes.
const ALERT_BYTES: u64 = 64 * 1024;

/// What a listener decides about TLS.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// What clients are shown.
    pub certificates: Arc<Certificates>,
    /// The only application protocol that is spoken (RFC 7301). Clients that name none are believed to mean it;
    /// those that insist on others are told so.
    pub protocol: &'static [u8],
    /// Names that clients may ask for; empty: any, and none.
    pub names: Vec<ServerNamePattern>,
    /// Who must have signed the certificate that every client shows; `None`: clients need none.
    pub clients: Option<Authorities>,
    /// How long a handshake may take.
    pub deadline: Duration,
}

/// How accepted connections become TLS. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Server {
    config: Arc<ServerConfig>,
    names: Arc<[ServerNamePattern]>,
    deadline: Duration,
}

enum Refusal {
    Tls(io::Error),
    ServerName(TcpStream),
}

impl Server {
    /// A server as decided.
    ///
    /// # Errors
    /// [`CertificateError::Setup`] where the library refuses its own settings.
    pub fn new(settings: ServerSettings) -> Result<Self, CertificateError> {
        let ServerSettings { certificates, protocol, names, clients, deadline } = settings;
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&VERSIONS)
            .map_err(CertificateError::Setup)?;
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authorities) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(authorities.0, provider());
                let failed = |error| CertificateError::Setup(rustls::Error::General(format!("{error}")));
                builder.with_client_cert_verifier(verifier.build().map_err(failed)?)
            }
        };
        let mut config = builder.with_cert_resolver(certificates);
        config.alpn_protocols = vec![protocol.to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self { config: Arc::new(config), names: names.into(), deadline })
    }

    /// Makes a TLS stream of `stream`. A client that asks for a name that is not listed costs no signature.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn accept(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>, Failed> {
        match timeout(self.deadline, self.agree(stream)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(Refusal::Tls(error))) => {
                tracing::debug!(%error, "a TLS handshake failed");
                Err(Failed::of(&error))
            }
            Ok(Err(Refusal::ServerName(stream))) => {
                // Whether the client stays to read it is its own affair.
                let _ = timeout(ALERT_DEADLINE, alert(stream)).await;
                Err(Failed::ServerName)
            }
            Err(_) => Err(Failed::Timeout),
        }
    }

    async fn agree(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>, Refusal> {
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await.map_err(Refusal::Tls)?;
        if !self.is_known(start.client_hello().server_name()) {
            return Err(Refusal::ServerName(start.io));
        }
        let handshake = start.into_stream_with(Arc::clone(&self.config), |connection| {
            connection.set_buffer_limit(Some(BUFFER));
        });
        handshake.await.map(TlsStream::from).map_err(Refusal::Tls)
    }

    fn is_known(&self, name: Option<&str>) -> bool {
        self.names.is_empty()
            || name.is_some_and(|name| self.names.iter().any(|pattern| pattern.matches(name)))
    }
}

/// Ends our half and reads what still comes: closing with bytes unread would reset the alert away.
async fn alert(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(&UNRECOGNIZED_NAME).await?;
    stream.shutdown().await?;
    tokio::io::copy(&mut stream.take(ALERT_BYTES), &mut tokio::io::sink()).await.map(drop)
}
