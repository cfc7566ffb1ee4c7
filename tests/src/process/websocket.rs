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
pub(crate) struct WebSocket<E> {
    endpoint: Mutex<E>,
    server: SocketAddr,
    start: Instant,
    wake: Notify,
}

/// Connects, with the sub-protocol `sip`.
///
/// # Errors
/// When nobody listens there, or the upgrade is refused.
pub(crate) async fn connect<E: Endpoint>(
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
pub(crate) async fn connect_tls<E: Endpoint>(
    server: SocketAddr,
    endpoint: E,
) -> io::Result<(WebSocket<E>, WebSocketStream<TlsStream<TcpStream>>)> {
    let socket = TcpStream::connect(server).await?;
    connect_tls_over(socket, endpoint).await
}

/// The same over a TCP connection that stands.
///
/// # Errors
/// When the handshake or the upgrade is refused.
pub(crate) async fn connect_tls_over<E: Endpoint>(
    socket: TcpStream,
    endpoint: E,
) -> io::Result<(WebSocket<E>, WebSocketStream<TlsStream<TcpStream>>)> {
    let server = socket.peer_addr()?;
    upgrade("wss", server, tls::connect(socket).await?, endpoint).await
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
    pub(crate) fn act<T>(&self, verb: impl FnOnce(&mut E, Time) -> T) -> T {
        let mut endpoint = self.endpoint.lock().unwrap_or_else(PoisonError::into_inner);
        let done = verb(&mut endpoint, self.now());
        drop(endpoint);
        self.wake.notify_one();
        done
    }

    /// Serve until the connection or the task ends.
    pub(crate) async fn run<S: AsyncRead + AsyncWrite + Unpin>(&self, mut stream: WebSocketStream<S>) {
        self.run_until(&mut stream, |_| false).await;
    }

    /// The same, or until the endpoint is so far.
    pub(crate) async fn run_until<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut WebSocketStream<S>,
        mut done: impl FnMut(&E) -> bool,
    ) {
        loop {
            let (outputs, deadline) = self.drain();
            for Output { bytes, .. } in outputs {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                if stream.send(Message::text(text)).await.is_err() {
                    return;
                }
            }
            if done(&self.endpoint.lock().unwrap_or_else(PoisonError::into_inner)) {
                return;
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
