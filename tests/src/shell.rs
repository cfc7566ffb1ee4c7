//! A UDP socket around an endpoint. All that it knows is how to wait.

use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sbc_core::time::Time;
use tokio::net::UdpSocket;
use tokio::sync::Notify;

use crate::ua::{Endpoint, Output};

/// The largest datagram there is.
const MAX_DATAGRAM: usize = 65_535;
/// Longest sleep when the endpoint has nothing to do.
const IDLE: Duration = Duration::from_secs(3600);

/// One endpoint at one socket.
#[derive(Debug)]
pub struct Shell<E> {
    endpoint: Mutex<E>,
    socket: UdpSocket,
    start: Instant,
    wake: Notify,
}

impl<E: Endpoint> Shell<E> {
    /// Bind the socket.
    ///
    /// # Errors
    /// What the operating system says of the address.
    pub async fn bind(address: SocketAddr, endpoint: E) -> io::Result<Self> {
        let socket = UdpSocket::bind(address).await?;
        Ok(Self { endpoint: Mutex::new(endpoint), socket, start: Instant::now(), wake: Notify::new() })
    }

    fn now(&self) -> Time {
        Time::ZERO + self.start.elapsed()
    }

    /// Ask the endpoint something, or let it do something; what it wants to send goes out at once.
    pub fn act<T>(&self, verb: impl FnOnce(&mut E, Time) -> T) -> T {
        let now = self.now();
        let mut endpoint = self.endpoint.lock().unwrap_or_else(PoisonError::into_inner);
        let done = verb(&mut endpoint, now);
        drop(endpoint);
        self.wake.notify_one();
        done
    }

    /// Serve until the task is dropped.
    pub async fn run(&self) {
        let mut buffer = vec![0; MAX_DATAGRAM];
        loop {
            let (outputs, deadline) = self.drain();
            self.send(outputs).await;
            let wait = deadline.map_or(IDLE, |at| at.since(self.now()));
            tokio::select! {
                received = self.socket.recv_from(&mut buffer) => {
                    // An error here is an ICMP message about an earlier datagram: SIP's timers deal with it.
                    if let Ok((length, from)) = received {
                        self.act(|endpoint, now| endpoint.handle(now, from, buffer.get(..length).unwrap_or_default()));
                    }
                }
                () = tokio::time::sleep(wait) => self.act(|endpoint, now| endpoint.on_time(now)),
                () = self.wake.notified() => {}
            }
        }
    }

    /// Send what the endpoint has left to say.
    pub async fn flush(&self) {
        let (outputs, _) = self.drain();
        self.send(outputs).await;
    }

    fn drain(&self) -> (Vec<Output>, Option<Time>) {
        let mut endpoint = self.endpoint.lock().unwrap_or_else(PoisonError::into_inner);
        (endpoint.outputs(), endpoint.next_deadline())
    }

    async fn send(&self, outputs: Vec<Output>) {
        for output in outputs {
            // A datagram that cannot be sent is a lost one.
            let _ = self.socket.send_to(&output.bytes, output.to).await;
        }
    }
}
