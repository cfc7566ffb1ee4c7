//! One connection of an endpoint to its server, over TCP or TLS: opened again whenever it has closed.

use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sbc_core::time::Time;
use sbc_tcp::{Frame, Framer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::{LOOK, tls};
use crate::agent::{Endpoint, Output};

/// Longest sleep when the endpoint has nothing to do.
const IDLE: Duration = Duration::from_secs(3600);
/// The largest message that the endpoint takes.
const MAX_MESSAGE: usize = 64 * 1024;

/// One endpoint behind one connection.
#[derive(Debug)]
pub(super) struct Stream<E> {
    endpoint: Mutex<E>,
    server: SocketAddr,
    tls: bool,
    start: Instant,
    wake: Notify,
}

impl<E: Endpoint> Stream<E> {
    pub(super) fn new(server: SocketAddr, tls: bool, endpoint: E) -> Self {
        Self { endpoint: Mutex::new(endpoint), server, tls, start: Instant::now(), wake: Notify::new() }
    }

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

    /// Serve until the task ends.
    pub(super) async fn run(&self) {
        loop {
            // Whatever ended the connection: the server may be starting again.
            let _ = self.connect().await;
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn connect(&self) -> io::Result<()> {
        let socket = TcpStream::connect(self.server).await?;
        if self.tls { self.serve(tls::connect(socket).await?).await } else { self.serve(socket).await }
    }

    async fn serve(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
        let mut framer = Framer::new(MAX_MESSAGE);
        loop {
            let (outputs, deadline) = self.drain();
            for Output { bytes, .. } in outputs {
                stream.write_all(&bytes).await?;
            }
            stream.flush().await?;
            let wait = deadline.map_or(IDLE, |at| at.since(self.now()));
            tokio::select! {
                read = stream.read_buf(framer.buffer()) => {
                    if read? == 0 {
                        return Ok(());
                    }
                    while let Frame::Message(range) = framer.next_frame() {
                        self.act(|endpoint, now| endpoint.handle(now, self.server, framer.bytes(&range)));
                    }
                }
                () = tokio::time::sleep(wait) => self.act(|endpoint, now| endpoint.on_time(now)),
                () = self.wake.notified() => {}
            }
        }
    }

    fn drain(&self) -> (Vec<Output>, Option<Time>) {
        let mut endpoint = self.endpoint.lock().unwrap_or_else(PoisonError::into_inner);
        (endpoint.outputs(), endpoint.next_deadline())
    }
}
