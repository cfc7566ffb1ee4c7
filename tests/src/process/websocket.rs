//! A WebSocket around an endpoint, as a browser has it (RFC 7118): one connection to one server.

use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use sbc_core::time::Time;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;

use super::tls;
use crate::agent::{Endpoint, Output};

/// Longest sleep when the endpoint has nothing to do.
const IDLE: Duration = Duration::from_secs(3600);

/// One endpoint behind one connection.
#[derive(Debug)]
pub(super) struct WebSocket<E> {
    endpoint: Mutex<E>,
    server: SocketAddr,
    start: Instant,
    wake: Notify,
}

/// Connects, with the sub-protocol `sip`.
///
/// # Errors
/// When nobody listens there, or the upgrade is refused.
pub(super) async fn connect<E: Endpoint>(
    server: SocketAddr,
    endpoint: E,
) -> io::Result<(WebSocket<E>, WebSocketStream<TcpStream>)> {
    let socket = TcpStream::connect(server).await?;
    upgrade("ws", server, socket, endpoint).await
}

/// The same over TLS, whoever the server says it is.
///
/// # Errors
/// When nobody listens there, or the handshake or the upgrade is refused.
pub(super) async fn connect_tls<E: Endpoint>(
    server: SocketAddr,
    endpoint: E,
) -> io::Result<(WebSocket<E>, WebSocketStream<TlsStream<TcpStream>>)> {
    let socket = tls::connect(TcpStream::connect(server).await?).await?;
    upgrade("wss", server, socket, endpoint).await
}

async fn upgrade<E: Endpoint, S: AsyncRead + AsyncWrite + Unpin>(
    scheme: &str,
    server: SocketAddr,
    socket: S,
    endpoint: E,
) -> io::Result<(WebSocket<E>, WebSocketStream<S>)> {
    let mut request = format!("{scheme}://{server}/").into_client_request().map_err(io::Error::other)?;
    request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static("sip"));
    let (stream, _) = tokio_tungstenite::client_async(request, socket).await.map_err(io::Error::other)?;
    let start = Instant::now();
    Ok((WebSocket { endpoint: Mutex::new(endpoint), server, start, wake: Notify::new() }, stream))
}

impl<E: Endpoint> WebSocket<E> {
    fn now(&self) -> Time {
        Time::ZERO + self.start.elapsed()
    }

    /// Ask the endpoint something, or let it do something; what it wants to send goes out at once.
    pub(super) fn act<T>(&self, verb: impl FnOnce(&mut E, Time) -> T) -> T {
        let mut endpoint = self.endpoint.lock().unwrap_or_else(PoisonError::into_inner);
        let done = verb(&mut endpoint, self.now());
        drop(endpoint);
        self.wake.notify_one();
        done
    }

    /// Serve until the connection or the task ends.
    pub(super) async fn run<S: AsyncRead + AsyncWrite + Unpin>(&self, mut stream: WebSocketStream<S>) {
        loop {
            let (outputs, deadline) = self.drain();
            for Output { bytes, .. } in outputs {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                if stream.send(Message::text(text)).await.is_err() {
                    return;
                }
            }
            let wait = deadline.map_or(IDLE, |at| at.since(self.now()));
            tokio::select! {
                received = stream.next() => match received {
                    Some(Ok(Message::Text(text))) => self.receive(text.as_bytes()),
                    Some(Ok(Message::Binary(bytes))) => self.receive(&bytes),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return,
                },
                () = tokio::time::sleep(wait) => self.act(|endpoint, now| endpoint.on_time(now)),
                () = self.wake.notified() => {}
            }
        }
    }

    fn receive(&self, bytes: &[u8]) {
        self.act(|endpoint, now| endpoint.handle(now, self.server, bytes));
    }

    fn drain(&self) -> (Vec<Output>, Option<Time>) {
        let mut endpoint = self.endpoint.lock().unwrap_or_else(PoisonError::into_inner);
        (endpoint.outputs(), endpoint.next_deadline())
    }
}
