//! RTP of one call: every packet goes back to where the first one came from.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::call::CallNumber;

/// Silence after which a call is reported.
const MAX_SILENCE: Duration = Duration::from_secs(60);

/// The largest packet that is echoed. Audio needs a few hundred bytes; a larger one is cut, and so dropped.
const MAX_PACKET: usize = 2048;

/// An open RTP port. Closed when dropped.
#[derive(Debug)]
pub(crate) struct Media {
    control: Arc<Control>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Control {
    echo: AtomicBool,
    /// Counts the session's descriptions; each may bring another source.
    session: AtomicU32,
}

impl Media {
    /// Open the port; `silent` hears of the call after each minute without RTP.
    ///
    /// # Errors
    /// What the kernel said, such as that the port is in use.
    pub(crate) fn open(
        local: SocketAddr,
        call: CallNumber,
        silent: mpsc::Sender<CallNumber>,
    ) -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind(local)?;
        socket.set_nonblocking(true)?;
        let socket = UdpSocket::from_std(socket)?;
        let control = Arc::new(Control::default());
        let task = tokio::spawn(serve(socket, control.clone(), call, silent));
        Ok(Self { control, task })
    }

    /// A new description is in force: wait for its source, and echo to it or only listen.
    pub(crate) fn renew(&self, echo: bool) {
        self.control.echo.store(echo, Ordering::Relaxed);
        self.control.session.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Media {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(socket: UdpSocket, control: Arc<Control>, call: CallNumber, silent: mpsc::Sender<CallNumber>) {
    let mut packet = [0; MAX_PACKET + 1];
    let mut latched: Option<(SocketAddr, u32)> = None;
    loop {
        let Ok(received) = timeout(MAX_SILENCE, next_rtp(&socket, &mut packet, &mut latched, &control)).await
        else {
            if silent.send(call).await.is_err() {
                return;
            }
            continue;
        };
        let Ok((length, source)) = received else {
            return;
        };
        if control.echo.load(Ordering::Relaxed) {
            // What does not fit the send buffer is lost, as media may be.
            socket.try_send_to(packet.get(..length).unwrap_or_default(), source).ok();
        }
    }
}

/// Wait for a packet of the call's RTP stream; anything else that arrives is passed over.
async fn next_rtp(
    socket: &UdpSocket,
    packet: &mut [u8],
    latched: &mut Option<(SocketAddr, u32)>,
    control: &Control,
) -> io::Result<(usize, SocketAddr)> {
    loop {
        let (length, source) = socket.recv_from(packet).await?;
        if !packet.get(..length).is_some_and(is_rtp) {
            continue;
        }
        let session = control.session.load(Ordering::Relaxed);
        if latched.is_some_and(|(_, of)| of != session) {
            *latched = None;
        }
        // The first source of each session is the peer; nobody else gets or causes an echo.
        let (peer, _) = *latched.get_or_insert((source, session));
        if peer == source {
            return Ok((length, source));
        }
    }
}

/// Version 2, a whole header, and not RTCP on the same port (RFC 5761 §4).
fn is_rtp(packet: &[u8]) -> bool {
    let payload_type = packet.get(1).map_or(0, |byte| byte & 0x7F);
    (12..=MAX_PACKET).contains(&packet.len())
        && packet.first().is_some_and(|byte| byte >> 6 == 2)
        && !(64..=95).contains(&payload_type)
}

#[cfg(test)]
mod tests {
    use super::{MAX_PACKET, is_rtp};

    #[test]
    fn only_whole_rtp_of_version_two_is_echoed() {
        let packet = |first: u8, second: u8, length: usize| {
            let mut bytes = vec![0; length];
            bytes[..2].copy_from_slice(&[first, second]);
            bytes
        };
        assert!(is_rtp(&packet(0x80, 0, 172)));
        assert!(is_rtp(&packet(0x90, 0x80 | 111, 12)));
        assert!(!is_rtp(&packet(0x80, 200, 28)), "RTCP sender report");
        assert!(!is_rtp(&packet(0x40, 0, 172)), "version 1");
        assert!(!is_rtp(&packet(0x80, 0, 11)), "short");
        assert!(!is_rtp(&packet(0x80, 0, MAX_PACKET + 1)), "cut");
        assert!(!is_rtp(b""));
    }
}
