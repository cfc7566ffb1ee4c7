//! One open connection: frames in, frames out, pings, and an orderly end.
//!
//! The task that runs here owns the socket alone. While a write is stuck it does not read either, so that a client
//! which does not take what it gets cannot ask for more.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use crate::egress::{Egress, Outgoing};
use crate::handler::Handler;
use crate::http::linger;
use crate::liveness::{Beat, Liveness};
use crate::reason::CloseReason;
use crate::settings::Settings;

/// How long saying goodbye may take.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);
/// The first size of a connection's read buffer and the most read into it at once, in bytes. The buffer grows to what
/// a message needs and stays so; beginning with 512 leaves it half a kilobyte smaller after a REGISTER than 1024 does.
const READ_BUFFER: usize = 512;
/// Room beside one message in the write buffer, in bytes: frame headers, pongs and a close.
const WRITE_SLACK: usize = 1024;

/// A byte stream that can be reset.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + 'static {
    /// Makes the drop of the stream a reset: the kernel would otherwise keep what the client never reads, for minutes.
    fn reset_on_drop(&self) -> io::Result<()>;
}

impl Stream for TcpStream {
    fn reset_on_drop(&self) -> io::Result<()> {
        SockRef::from(self).set_linger(Some(Duration::ZERO))
    }
}

impl Stream for sbc_tls::TlsStream<TcpStream> {
    fn reset_on_drop(&self) -> io::Result<()> {
        self.get_ref().0.reset_on_drop()
    }
}

/// Who is connected.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    pub(crate) id: NonZeroU64,
    pub(crate) remote: SocketAddr,
    pub(crate) source: SocketAddr,
}

/// See the module.
pub(crate) struct Session<S> {
    socket: WebSocketStream<S>,
    peer: Peer,
    egress: Arc<Egress>,
    liveness: Liveness,
    /// Until when a first message has to come; `None` once it came, and where it need not.
    mute_until: Option<Instant>,
    pong_timeout: Duration,
    handler: Rc<dyn Handler>,
}

impl<S: Stream> Session<S> {
    /// A session on a stream whose upgrade is answered; `rest` came after the request.
    pub(crate) async fn new(
        stream: S,
        rest: Vec<u8>,
        peer: Peer,
        egress: Arc<Egress>,
        settings: &Settings,
        handler: Rc<dyn Handler>,
    ) -> Self {
        let socket =
            WebSocketStream::from_partially_read(stream, rest, Role::Server, Some(config(settings))).await;
        let (now, pong_timeout) = (Instant::now(), settings.pong_timeout);
        let liveness = Liveness::new(settings.ping_interval, pong_timeout, now, peer.id);
        let mute_until = settings.first_message_deadline.map(|deadline| now + deadline);
        Self { socket, peer, egress, liveness, mute_until, pong_timeout, handler }
    }

    /// Runs until something ends the connection. [`Session::part`] follows.
    pub(crate) async fn run(&mut self) -> End {
        let mut timer = std::pin::pin!(sleep_until(self.due()));
        loop {
            let step = tokio::select! {
                incoming = self.socket.next() => self.incoming(incoming),
                outgoing = self.egress.next() => self.outgoing(outgoing).await,
                () = &mut timer => self.beat().await,
            };
            if let ControlFlow::Break(end) = step {
                return end;
            }
            // Moved only when it must ring earlier: a timer that rings in vain is cheaper than one set for each frame.
            let due = self.due();
            if timer.is_elapsed() || due < timer.deadline() {
                timer.as_mut().reset(due);
            }
            // Frames that were read together do not pass through the runtime; without this a client that sends many
            // small ones would keep the worker for itself.
            consume_budget().await;
        }
    }

    /// When [`Session::beat`] has something to say next.
    fn due(&self) -> Instant {
        let alive = self.liveness.due();
        self.mute_until.map_or(alive, |until| until.min(alive))
    }

    fn incoming(&mut self, incoming: Option<Result<Message, Error>>) -> ControlFlow<End> {
        let message = match incoming {
            Some(Ok(message)) => message,
            Some(Err(error)) => return ControlFlow::Break(End::of(&error)),
            None => return ControlFlow::Break(End::Drop(CloseReason::Lost)),
        };
        self.liveness.heard(Instant::now());
        let Peer { id, remote, source } = self.peer;
        if matches!(message, Message::Text(_) | Message::Binary(_)) {
            self.mute_until = None;
        }
        match &message {
            Message::Text(text) => self.handler.received(id, remote, source, text.as_bytes()),
            Message::Binary(bytes) => self.handler.received(id, remote, source, bytes),
            Message::Close(frame) => {
                return ControlFlow::Break(End::Answer(frame.as_ref().map(|frame| frame.code.into())));
            }
            // The pong to a ping leaves with the next read.
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
        ControlFlow::Continue(())
    }

    async fn outgoing(&mut self, outgoing: Outgoing) -> ControlFlow<End> {
        match outgoing {
            Outgoing::Message(bytes) => self.write(message(bytes)).await,
            Outgoing::Close { code, reason } => {
                ControlFlow::Break(End::Say(code.into(), reason, CloseReason::Requested))
            }
            Outgoing::Overflow => ControlFlow::Break(End::Abort(CloseReason::SlowReader)),
        }
    }

    async fn beat(&mut self) -> ControlFlow<End> {
        let now = Instant::now();
        if self.mute_until.is_some_and(|until| until <= now) {
            return ControlFlow::Break(End::Say(
                CloseCode::Policy,
                "no message came",
                CloseReason::NoMessage,
            ));
        }
        match self.liveness.beat(now) {
            Beat::Wait => ControlFlow::Continue(()),
            Beat::Ping => self.write(Message::Ping(Bytes::new())).await,
            Beat::Dead => ControlFlow::Break(End::Abort(CloseReason::PingTimeout)),
        }
    }

    /// Writes one message; a client that takes nothing for `pong_timeout`, or lets its queue overflow meanwhile, is
    /// not reading.
    async fn write(&mut self, message: Message) -> ControlFlow<End> {
        tokio::select! {
            biased;
            sent = self.socket.send(message) => match sent {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => ControlFlow::Break(End::of(&error)),
            },
            () = self.egress.overflow() => ControlFlow::Break(End::Abort(CloseReason::SlowReader)),
            () = sleep(self.pong_timeout) => ControlFlow::Break(End::Abort(CloseReason::SlowReader)),
        }
    }

    /// Says goodbye as the end demands, within a deadline.
    pub(crate) async fn part(&mut self, end: End) {
        match end {
            End::Drop(_) => {}
            End::Abort(_) => self.abort(),
            End::Answer(_) => within_deadline(self.answer_close()).await,
            End::Say(code, words, _) => within_deadline(self.say_close(code, words)).await,
        }
    }

    fn abort(&self) {
        if let Err(error) = self.socket.get_ref().reset_on_drop() {
            tracing::debug!(connection = self.peer.id, %error, "a dead connection could not be reset");
        }
    }

    /// The answering close frame is queued already.
    async fn answer_close(&mut self) -> Result<(), Error> {
        self.socket.flush().await?;
        Ok(linger(self.socket.get_mut()).await?)
    }

    /// Sends a close frame and waits for the client's own, or its end.
    async fn say_close(&mut self, code: CloseCode, words: &'static str) -> Result<(), Error> {
        let frame = CloseFrame { code, reason: Utf8Bytes::from_static(words) };
        self.socket.send(Message::Close(Some(frame))).await?;
        while let Some(Ok(_)) = self.socket.next().await {}
        Ok(linger(self.socket.get_mut()).await?)
    }
}

/// A goodbye is a courtesy: if it fails or takes too long, the connection is dropped all the same.
async fn within_deadline(goodbye: impl Future<Output = Result<(), Error>>) {
    if let Ok(Err(error)) = timeout(CLOSE_DEADLINE, goodbye).await {
        tracing::trace!(%error, "the client did not stay for the closing handshake");
    }
}

/// How a connection ends, and why.
#[derive(Debug)]
pub(crate) enum End {
    /// There is nobody left.
    Drop(CloseReason),
    /// There is somebody, but it does not read.
    Abort(CloseReason),
    /// The client said goodbye with this status.
    Answer(Option<u16>),
    /// We say goodbye.
    Say(CloseCode, &'static str, CloseReason),
}

impl End {
    /// What an error of the WebSocket layer means (RFC 6455 §7.4.1).
    fn of(error: &Error) -> Self {
        match error {
            Error::Capacity(_) => Self::Say(CloseCode::Size, "message too big", CloseReason::TooBig),
            Error::Utf8(_) => Self::Say(CloseCode::Invalid, "text is not UTF-8", CloseReason::NotUtf8),
            Error::WriteBufferFull(_) => Self::Abort(CloseReason::SlowReader),
            Error::Protocol(reset) if is_end_of_stream(reset) => Self::Drop(CloseReason::Lost),
            Error::Protocol(_) => Self::Say(CloseCode::Protocol, "protocol error", CloseReason::Protocol),
            _ => Self::Drop(CloseReason::Lost),
        }
    }

    /// The word for whoever asks.
    pub(crate) const fn reason(&self) -> CloseReason {
        match *self {
            Self::Drop(why) | Self::Abort(why) | Self::Say(_, _, why) => why,
            Self::Answer(code) => CloseReason::Peer { code },
        }
    }
}

fn is_end_of_stream(error: &tokio_tungstenite::tungstenite::error::ProtocolError) -> bool {
    matches!(error, tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake)
}

/// Text when it can be (RFC 7118 §5): browsers' libraries read text most reliably, and bodies may be anything.
fn message(bytes: Bytes) -> Message {
    Utf8Bytes::try_from(bytes.clone()).map_or_else(|_| Message::Binary(bytes), Message::Text)
}

fn config(settings: &Settings) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(settings.egress.bytes.saturating_add(WRITE_SLACK))
        .max_message_size(Some(settings.max_message))
        .max_frame_size(Some(settings.max_message))
}
