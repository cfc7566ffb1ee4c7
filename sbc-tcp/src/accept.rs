//! Listening sockets: bound once for every worker, and accepting whatever a single connection does.

use std::convert::Infallible;
use std::io;
use std::net::{self, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use crate::address::canonical;

/// Connections that wait in the kernel until a worker accepts them; it cuts the number to `net.core.somaxconn`.
const BACKLOG: i32 = 4096;
/// What the kernel buffers for one peer, in bytes (it allows itself twice that). Left alone it grows to megabytes
/// for a peer that does not read.
const SEND_BUFFER: usize = 64 * 1024;
/// How long we wait after the system refused us a socket: the cause, often too many open files, needs time to pass.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Silence after which the kernel asks whether the peer's system is still there.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);
/// From one such question to the next.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// Unanswered questions that end a connection.
const KEEPALIVE_RETRIES: u32 = 3;
/// How long what was sent may stay unacknowledged: a server that lost its power is given up after that.
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);

/// Binds a listening socket. With `reuse_port` each worker can bind its own to the same address, and the kernel
/// spreads connections over them.
///
/// # Errors
/// What the system said, such as an address in use.
pub fn bind(address: SocketAddr, reuse_port: bool) -> io::Result<net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections of an earlier process that linger must not keep us from the port.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(reuse_port)?;
    // Accepted sockets inherit it.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Gives every connection to `take`, addresses of IPv4 peers on an IPv6 socket as IPv4. Never ends by itself.
///
/// # Errors
/// When the runtime cannot watch `socket`.
pub async fn accept_each(
    socket: net::TcpListener,
    take: impl Fn(TcpStream, SocketAddr),
) -> io::Result<Infallible> {
    let socket = TcpListener::from_std(socket)?;
    loop {
        match socket.accept().await {
            Ok((stream, remote)) => {
                take(stream, canonical(remote));
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted for now");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Errors of accept(2) that are over with the connection they belong to.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Makes a connection fit for signalling: messages leave at once, and a peer that vanished is noticed.
pub(crate) fn prepare(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_AFTER)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_RETRIES);
    let set = stream
        .set_nodelay(true)
        .and_then(|()| socket.set_tcp_keepalive(&keepalive))
        .and_then(|()| socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED)));
    if let Err(error) = set {
        tracing::debug!(%error, "an option of a TCP socket could not be set");
    }
}
