//! Waiting for a socket inside a worker's tokio runtime.

use std::io;
use std::sync::Arc;

use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};
use tokio::io::{Interest, Ready};

use crate::receive::{ReceiveBatch, Remainder};
use crate::socket::Socket;

/// Reads one socket in the runtime it was made in.
#[derive(Debug)]
pub struct Receiver {
    fd: AsyncFd<Arc<Socket>>,
}

/// A socket that has something to read, until [`Readable::read`].
#[derive(Debug)]
pub struct Readable<'a> {
    guard: AsyncFdReadyGuard<'a, Arc<Socket>>,
}

impl Receiver {
    /// Watch `socket` in the current runtime.
    ///
    /// # Errors
    /// What the kernel said when the socket was registered.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O enabled, as everything of tokio.
    pub fn new(socket: Arc<Socket>) -> io::Result<Self> {
        // The replacement that tokio names is an unsafe function: its caller has to promise that the descriptor
        // stays the same and open. An `Arc<Socket>` keeps that promise, and this way no unsafe code is needed.
        // WRITABLE is left out on purpose: it would wake the worker for every datagram sent.
        #[allow(deprecated)]
        let fd = AsyncFd::with_interest(socket, Interest::READABLE | Interest::ERROR)?;
        Ok(Self { fd })
    }

    /// The socket, for sending.
    pub fn socket(&self) -> &Arc<Socket> {
        self.fd.get_ref()
    }

    /// Wait until there is something to read. Safe to cancel.
    ///
    /// This step apart lets many receivers of one worker share a single [`ReceiveBatch`]: nobody holds it
    /// while waiting.
    ///
    /// # Errors
    /// Only when the runtime shuts down.
    pub async fn readable(&self) -> io::Result<Readable<'_>> {
        let guard = self.fd.ready(Interest::READABLE | Interest::ERROR).await?;
        Ok(Readable { guard })
    }

    /// Wait for datagrams or ICMP notices and read them into `batch`, which is never left empty of both.
    /// Safe to cancel: nothing is read before it returns.
    ///
    /// # Errors
    /// What the kernel said; not expected on a bound socket, and no peer can cause it.
    pub async fn recv(&self, batch: &mut ReceiveBatch) -> io::Result<()> {
        loop {
            self.readable().await?.read(batch)?;
            if !batch.is_empty() || !batch.unreachable().is_empty() {
                return Ok(());
            }
        }
    }
}

impl Readable<'_> {
    /// Read what is waiting into `batch`. Both its parts may stay empty: readiness is a hint.
    ///
    /// # Errors
    /// What the kernel said; not expected on a bound socket, and no peer can cause it.
    pub fn read(mut self, batch: &mut ReceiveBatch) -> io::Result<()> {
        let errors_waiting = self.guard.ready().is_error();
        let remainder = self.guard.get_inner().read(batch, errors_waiting)?;
        // A batch that was not filled ended because the queue was empty: saying so here saves the call that
        // would only return EAGAIN. An error or datagram that came in meanwhile makes a new event.
        if remainder == Remainder::Nothing {
            self.guard.clear_ready_matching(Ready::READABLE | Ready::ERROR);
        }
        Ok(())
    }
}
