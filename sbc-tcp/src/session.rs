//! One open connection: messages in, messages out, deadlines, and an orderly end.
//!
//! The task that runs here owns the socket alone. Reading and writing do not wait for each other: two servers that
//! both have much to say must not stop at each other's full buffers.

use std::io;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use sbc_tls::TlsStream;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use crate::egress::{Egress, Outgoing};
use crate::framer::{Frame, Framer};
use crate::handler::{Handler, Link};
use crate::reason::CloseReason;
use crate::settings::Settings;

/// How much is read at once, in bytes; it lies on the stack, so that an idle connection has no buffer at all.
const READ: usize = 16 * 1024;
/// How long a peer may take to read why it is dismissed.
const GOODBYE: Duration = Duration::from_secs(1);
/// What a dismissed peer may still send before we stop listening, in bytes.
const GOODBYE_BYTES: u64 = 256 * 1024;

/// A byte stream over TCP that can be reset.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + 'static {
    /// The socket below.
    fn tcp(&self) -> &TcpStream;
}

impl Stream for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Stream for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// See the module.
pub(crate) struct Session<S> {
    stream: S,
    link: Link,
    egress: Arc<Egress>,
    handler: Rc<dyn Handler>,
    limits: Limits,
    framer: Framer,
    /// What is being written.
    writing: Bytes,
    /// Written, but perhaps still in a buffer of ours.
    unflushed: bool,
    writes_first: bool,
    /// Set when the stream cannot be read on: nothing more is, and what waits is the last that is written.
    lost: Option<CloseReason>,
    /// When anything was last read or written.
    active: Instant,
    /// Until when a first message must come.
    first_by: Option<Instant>,
    /// Until when the message that has begun must end.
    whole_by: Option<Instant>,
    /// Until when something of what is being written must be taken.
    taken_by: Option<Instant>,
}

/// The deadlines of [`Settings`] that an open connection has.
struct Limits {
    message: Duration,
    idle: Duration,
    write: Duration,
}

/// Something happened on a connection.
enum Event {
    /// More bytes are in the framer.
    Read,
    /// The peer ended its side.
    End,
    /// Some bytes left.
    Written,
    /// The queue has something.
    Outgoing(Outgoing),
    /// A deadline may have come.
    Time,
    /// The connection broke.
    Broken(io::Error),
}

impl<S: Stream> Session<S> {
    /// A session on a connection that just opened.
    pub(crate) fn new(
        stream: S,
        link: Link,
        egress: Arc<Egress>,
        settings: &Settings,
        handler: Rc<dyn Handler>,
    ) -> Self {
        let now = Instant::now();
        Self {
            stream,
            link,
            egress,
            handler,
            limits: Limits { message: settings.message, idle: settings.idle, write: settings.write },
            framer: Framer::new(settings.max_message),
            writing: Bytes::new(),
            unflushed: false,
            writes_first: false,
            lost: None,
            active: now,
            // Whom we dialled waits for us to speak.
            first_by: (!link.dialled).then_some(now + settings.first_message),
            whole_by: None,
            taken_by: None,
        }
    }

    /// Runs until something ends the connection. [`Session::part`] follows.
    pub(crate) async fn run(&mut self) -> CloseReason {
        let mut timer = Box::pin(sleep_until(self.due()));
        loop {
            let event = std::future::poll_fn(|cx| self.poll(timer.as_mut(), cx)).await;
            if let ControlFlow::Break(why) = self.on(event) {
                return why;
            }
            // Moved only when it must ring earlier: a timer that rings in vain is cheaper than one set for each read.
            let due = self.due();
            if timer.is_elapsed() || due < timer.deadline() {
                timer.as_mut().reset(due);
            }
        }
    }

    fn poll(&mut self, timer: Pin<&mut Sleep>, cx: &mut Context<'_>) -> Poll<Event> {
        // Each side is asked first every other time, so that neither starves the other.
        self.writes_first = !self.writes_first;
        let turns = if self.writes_first {
            [Self::poll_write, Self::poll_read]
        } else {
            [Self::poll_read, Self::poll_write]
        };
        for turn in turns {
            if let Poll::Ready(event) = turn(self, cx) {
                return Poll::Ready(event);
            }
        }
        timer.poll(cx).map(|()| Event::Time)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        if self.lost.is_some() {
            return Poll::Pending;
        }
        let mut room = [0; READ];
        let mut read = ReadBuf::new(&mut room);
        match Pin::new(&mut self.stream).poll_read(cx, &mut read) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(Event::Broken(error)),
            Poll::Ready(Ok(())) if read.filled().is_empty() => Poll::Ready(Event::End),
            Poll::Ready(Ok(())) => {
                self.framer.buffer().extend_from_slice(read.filled());
                Poll::Ready(Event::Read)
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        if !self.writing.is_empty() {
            return Pin::new(&mut self.stream).poll_write(cx, &self.writing).map(|written| match written {
                Ok(bytes) => {
                    self.writing.advance(bytes);
                    self.unflushed = true;
                    Event::Written
                }
                Err(error) => Event::Broken(error),
            });
        }
        if self.unflushed {
            match Pin::new(&mut self.stream).poll_flush(cx) {
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(error)) => return Poll::Ready(Event::Broken(error)),
                Poll::Pending => return Poll::Pending,
            }
            self.taken_by = None;
        }
        self.egress.poll_next(cx).map(Event::Outgoing)
    }

    fn on(&mut self, event: Event) -> ControlFlow<CloseReason> {
        let now = Instant::now();
        match event {
            Event::Read => {
                self.active = now;
                self.take_messages(now);
            }
            Event::Written => {
                self.active = now;
                self.taken_by = Some(now + self.limits.write);
            }
            Event::Outgoing(Outgoing::Message(bytes)) => {
                self.writing = bytes;
                self.taken_by = Some(now + self.limits.write);
            }
            Event::Outgoing(Outgoing::Close { .. }) => {
                return ControlFlow::Break(self.lost.unwrap_or(CloseReason::Requested));
            }
            Event::Outgoing(Outgoing::Overflow) => return ControlFlow::Break(CloseReason::SlowReader),
            Event::Time => return self.overdue(now).map_or(ControlFlow::Continue(()), ControlFlow::Break),
            Event::End => return ControlFlow::Break(CloseReason::Peer),
            Event::Broken(error) => {
                tracing::debug!(remote = %self.link.remote, %error, "a connection broke");
                return ControlFlow::Break(CloseReason::Lost);
            }
        }
        ControlFlow::Continue(())
    }

    fn take_messages(&mut self, now: Instant) {
        let before = self.whole_by;
        loop {
            match self.framer.next_frame() {
                Frame::Message(range) => {
                    self.first_by = None;
                    self.whole_by = None;
                    self.handler.received(&self.link, self.framer.bytes(&range));
                }
                Frame::Partial => break,
                Frame::Lost(why, head) => {
                    if let Some(head) = head {
                        self.handler.received(&self.link, self.framer.bytes(&head));
                    }
                    self.lost = Some(why);
                    self.egress.close(0, "the stream cannot be read on");
                    return;
                }
            }
        }
        // One byte now and then must not keep a message unfinished for ever: the time runs from its first one.
        self.whole_by = match (self.framer.is_partial(), self.whole_by) {
            (false, _) => None,
            (true, Some(_)) => before,
            (true, None) => Some(now + self.limits.message),
        };
    }

    fn due(&self) -> Instant {
        let deadlines = [self.first_by, self.whole_by, self.taken_by];
        deadlines.into_iter().flatten().fold(self.active + self.limits.idle, Instant::min)
    }

    fn overdue(&self, now: Instant) -> Option<CloseReason> {
        let over = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        if over(self.taken_by) {
            Some(CloseReason::SlowReader)
        } else if over(self.whole_by) {
            Some(CloseReason::Unfinished)
        } else if over(self.first_by) {
            Some(CloseReason::Silent)
        } else {
            (self.active + self.limits.idle <= now).then_some(CloseReason::Idle)
        }
    }

    /// Says goodbye as the end demands, within a deadline.
    pub(crate) async fn part(&mut self, why: CloseReason) {
        match why {
            CloseReason::SlowReader | CloseReason::Lost | CloseReason::Stopped => self.abort(),
            _ => {
                // A goodbye is a courtesy: if it fails or takes too long, the connection is dropped all the same.
                let _ = timeout(GOODBYE, self.finish()).await;
            }
        }
    }

    /// Ends our side and lets the peer read what was written: closing with bytes unread would reset that away.
    async fn finish(&mut self) -> io::Result<()> {
        self.stream.shutdown().await?;
        let mut rest = (&mut self.stream).take(GOODBYE_BYTES);
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await.map(drop)
    }

    /// Drops with a reset: the kernel would otherwise keep what the peer never reads, for minutes.
    fn abort(&self) {
        if let Err(error) = SockRef::from(self.stream.tcp()).set_linger(Some(Duration::ZERO)) {
            tracing::debug!(remote = %self.link.remote, %error, "a dead connection could not be reset");
        }
    }
}
