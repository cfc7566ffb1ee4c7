//! The TLS handshake of one client, with a deadline.

use std::time::Duration;

use rustls::server::Acceptor;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use crate::certificates::Certificates;
use crate::http::linger;
use crate::reason::Refused;
use crate::server_name::ServerNamePattern;

/// What TLS buffers for one client, in bytes: a full record with its overhead.
const TLS_BUFFER: usize = 32 * 1024;
/// The fatal alert `unrecognized_name` (RFC 6066 §3) in a record of its own; no key is agreed on yet.
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];
/// How long a client may take to read that alert.
const ALERT_DEADLINE: Duration = Duration::from_secs(1);

/// Makes a TLS stream of `stream` within `deadline`. Where names are listed, a client that asks for another one, or
/// for none, costs no signature.
///
/// # Errors
/// Why there is none.
pub(crate) async fn handshake(
    stream: TcpStream,
    certificates: &Certificates,
    names: &[ServerNamePattern],
    deadline: Duration,
) -> Result<TlsStream<TcpStream>, Refused> {
    match timeout(deadline, agree(stream, certificates, names)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(Failure::Tls(error))) => {
            tracing::debug!(%error, "a TLS handshake failed");
            Err(Refused::TlsFailed)
        }
        Ok(Err(Failure::ServerName(stream))) => {
            // Whether the client stays to read it is its own affair.
            let _ = timeout(ALERT_DEADLINE, alert(stream)).await;
            Err(Refused::ServerName)
        }
        Err(_) => Err(Refused::TlsTimeout),
    }
}

enum Failure {
    Tls(std::io::Error),
    ServerName(TcpStream),
}

async fn agree(
    stream: TcpStream,
    certificates: &Certificates,
    names: &[ServerNamePattern],
) -> Result<TlsStream<TcpStream>, Failure> {
    let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await.map_err(Failure::Tls)?;
    if !is_known(start.client_hello().server_name(), names) {
        return Err(Failure::ServerName(start.io));
    }
    start
        .into_stream_with(certificates.server_config(), |connection| {
            connection.set_buffer_limit(Some(TLS_BUFFER));
        })
        .await
        .map_err(Failure::Tls)
}

fn is_known(name: Option<&str>, names: &[ServerNamePattern]) -> bool {
    names.is_empty() || name.is_some_and(|name| names.iter().any(|pattern| pattern.matches(name)))
}

async fn alert(mut stream: TcpStream) -> std::io::Result<()> {
    stream.write_all(&UNRECOGNIZED_NAME).await?;
    linger(&mut stream).await
}
