//! A small media peer for trying sbc without a media server: it answers every SIP call over UDP and echoes
//! the caller's RTP.
//!
//! Promises: every table and queue has a limit; malformed input is ignored and cannot make it panic; a call
//! ends by BYE, after an hour, when its session interval ends, or after a minute without RTP.
//!
//! It never calls anybody, never bridges two parties, does no SRTP and no transcoding, and asks nobody for a
//! password: it belongs on a loopback or test network.
#![forbid(unsafe_code)]

mod agent;
mod call;
mod dialog;
mod media;
mod registrar;
mod repeat;
mod replies;
mod request;
mod sdp;

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::io;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Instant;

use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use agent::{Agent, Command, Input};
use call::CallNumber;
use media::Media;

/// The largest datagram that UDP carries.
const MAX_DATAGRAM: usize = 64 * 1024;

/// Calls whose silence is reported and not yet looked at. A full queue only delays the reports.
const MAX_REPORTS: usize = 64;

/// What an [`Echo`] is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where SIP is listened to: one address of this machine, as callers are told it. Port 0 takes a free one.
    pub sip: SocketAddr,
    /// RTP ports, on the same address. Each call takes an even one.
    pub rtp_ports: RangeInclusive<u16>,
    /// Most calls at a time; more get 486.
    pub max_calls: usize,
}

/// A bound echo peer.
#[derive(Debug)]
pub struct Echo {
    socket: UdpSocket,
    local: SocketAddr,
    agent: Agent,
    media: HashMap<CallNumber, Media>,
}

/// Bind an echo peer and run it. Returns only with an error.
///
/// # Errors
/// As [`bind`] and [`Echo::run`].
pub async fn run(settings: Settings) -> io::Result<()> {
    bind(settings).await?.run().await
}

/// Bind the SIP address; calls are answered from [`Echo::run`] on.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] for a wildcard address or a range without an even port; else what the kernel said
/// of the address.
pub async fn bind(settings: Settings) -> io::Result<Echo> {
    if settings.sip.ip().is_unspecified() {
        let text = format!(
            "the echo peer tells callers its address: {} is none, one of this machine is",
            settings.sip
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    if !settings.rtp_ports.clone().any(|port| port > 0 && port.is_multiple_of(2)) {
        let text =
            format!("the echo peer needs an even RTP port, and there is none in {:?}", settings.rtp_ports);
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let with_address =
        |error: io::Error| io::Error::new(error.kind(), format!("udp {}: {error}", settings.sip));
    let socket = UdpSocket::bind(settings.sip).await.map_err(with_address)?;
    let local = socket.local_addr()?;
    let agent = Agent::new(local, &settings, RandomState::new());
    Ok(Echo { socket, local, agent, media: HashMap::new() })
}

impl Echo {
    /// The SIP address, with its true port.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Answer calls. Returns only with an error; when dropped, all ports are closed.
    ///
    /// # Errors
    /// What the kernel said when the SIP socket was read.
    pub async fn run(mut self) -> io::Result<()> {
        let (silent, mut reports) = mpsc::channel(MAX_REPORTS);
        let mut datagram = vec![0; MAX_DATAGRAM];
        let mut commands = Vec::new();
        loop {
            let deadline = self.agent.next_deadline();
            let input = tokio::select! {
                received = self.socket.recv_from(&mut datagram) => {
                    let (length, source) = received?;
                    Input::Received { source, bytes: datagram.get(..length).unwrap_or_default() }
                }
                () = at(deadline) => Input::Deadline,
                Some(call) = reports.recv() => Input::MediaSilent(call),
            };
            self.agent.handle(Instant::now(), input, &mut commands);
            self.carry_out(&mut commands, &silent);
        }
    }

    fn carry_out(&mut self, commands: &mut Vec<Command>, silent: &mpsc::Sender<CallNumber>) {
        let mut failed = Vec::new();
        for command in commands.drain(..) {
            match command {
                Command::Send { to, bytes } => self.send(to, &bytes),
                Command::Media { call, echo } => {
                    self.media.get(&call).into_iter().for_each(|media| media.renew(echo))
                }
                Command::Close { call } => drop(self.media.remove(&call)),
                Command::Open { call, port } => {
                    match Media::open(SocketAddr::new(self.local.ip(), port), call, silent.clone()) {
                        Ok(media) => drop(self.media.insert(call, media)),
                        Err(error) => {
                            tracing::warn!(port, %error, "the RTP port of a call cannot be opened");
                            failed.push(call);
                        }
                    }
                }
            }
        }
        for call in failed {
            self.agent.handle(Instant::now(), Input::MediaFailed(call), commands);
        }
        // A failure is answered with datagrams only.
        for command in commands.drain(..) {
            if let Command::Send { to, bytes } = command {
                self.send(to, &bytes);
            }
        }
    }

    /// What cannot be sent is lost, as UDP may; SIP repeats it.
    fn send(&self, to: SocketAddr, bytes: &[u8]) {
        if let Err(error) = self.socket.try_send_to(bytes, to) {
            tracing::debug!(%to, %error, "a datagram was not sent");
        }
    }
}

/// Wait until `deadline`; forever without one.
async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
