//! The handshake with a server that we connected to.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::sign::SingleCertAndKey;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{TlsConnector, TlsStream};

use crate::authorities::Authorities;
use crate::certificates::{CertificateError, Certificates};
use crate::provider::{BUFFER, VERSIONS, provider};
use crate::reason::Failed;

/// How connections to servers become TLS. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    config: Arc<ClientConfig>,
    deadline: Duration,
}

impl Client {
    /// Servers are believed when one of `authorities` signed their certificate, and are shown the first of `own`
    /// where they ask for one.
    ///
    /// # Errors
    /// [`CertificateError::Setup`] where the library refuses its own settings.
    pub fn new(
        authorities: &Authorities,
        own: Option<&Certificates>,
        deadline: Duration,
    ) -> Result<Self, CertificateError> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&VERSIONS)
            .map_err(CertificateError::Setup)?
            .with_root_certificates(Arc::clone(&authorities.0));
        let mut config = match own.and_then(Certificates::first) {
            Some(own) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(own))),
            None => builder.with_no_client_auth(),
        };
        config.resumption = Resumption::disabled();
        Ok(Self { config: Arc::new(config), deadline })
    }

    /// Makes a TLS stream of `stream`, whose server must prove that it is `name`.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn connect(
        &self,
        stream: TcpStream,
        name: ServerName<'static>,
    ) -> Result<TlsStream<TcpStream>, Failed> {
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let handshake =
            connector.connect_with(name, stream, |connection| connection.set_buffer_limit(Some(BUFFER)));
        match timeout(self.deadline, handshake).await {
            Ok(Ok(stream)) => Ok(stream.into()),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a TLS handshake with a server failed");
                Err(Failed::of(&error))
            }
            Err(_) => Err(Failed::Timeout),
        }
    }
}
