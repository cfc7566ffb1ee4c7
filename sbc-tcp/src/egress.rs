//! The queue of one connection: filled from any thread, emptied by the task that owns the socket.
//!
//! Bounded by messages and by bytes. Passing either bound dooms the connection: a SIP client that does not read is
//! gone or hostile, and dropping single messages would leave both sides with different ideas of a call.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

/// Bytes that wait for one peer.
const WAITING_BYTES: usize = 256 * 1024;
/// Messages that wait for one peer.
const WAITING_MESSAGES: usize = 512;

/// How much may wait for a peer that does not read. Beyond either number its connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EgressLimits {
    /// Waiting payload, in bytes.
    pub bytes: usize,
    /// Waiting messages.
    pub messages: usize,
}

impl Default for EgressLimits {
    fn default() -> Self {
        Self { bytes: WAITING_BYTES, messages: WAITING_MESSAGES }
    }
}

/// Why a message was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendError {
    /// There is no such connection, or it is closing.
    Gone,
    /// The client does not read. Its connection is being closed.
    Full,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gone => "the connection is closed",
            Self::Full => {
                "more waits for the client than the egress limits allow; its connection is being closed"
            }
        })
    }
}

impl std::error::Error for SendError {}

/// What the owner of the socket has to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// Write this message.
    Message(Bytes),
    /// Everything queued before is written: say goodbye with this status.
    Close {
        /// A status of RFC 6455 §7.4, for those who have such.
        code: u16,
        /// In words.
        reason: &'static str,
    },
    /// The bound was passed: drop the connection, there is nobody to say goodbye to.
    Overflow,
}

#[derive(Debug)]
enum Phase {
    Open,
    Closing { code: u16, reason: &'static str },
    Overflowed,
    Ended,
}

#[derive(Debug)]
struct Queue {
    waiting: VecDeque<Bytes>,
    bytes: usize,
    phase: Phase,
    waker: Option<Waker>,
}

/// See the module.
#[derive(Debug)]
pub struct Egress {
    limits: EgressLimits,
    queue: Mutex<Queue>,
}

impl Egress {
    /// An open queue.
    pub fn new(limits: EgressLimits) -> Self {
        let queue = Queue { waiting: VecDeque::new(), bytes: 0, phase: Phase::Open, waker: None };
        Self { limits, queue: Mutex::new(queue) }
    }

    /// Queues a copy of `message`; never waits for the client.
    ///
    /// # Errors
    /// [`SendError::Full`] once, when this message passes a bound; [`SendError::Gone`] from then on.
    pub fn push(&self, message: &[u8]) -> Result<(), SendError> {
        let mut queue = self.lock();
        if !matches!(queue.phase, Phase::Open) {
            return Err(SendError::Gone);
        }
        let fits = queue.waiting.len() < self.limits.messages
            && queue.bytes.saturating_add(message.len()) <= self.limits.bytes;
        if fits {
            queue.bytes += message.len();
            queue.waiting.push_back(Bytes::copy_from_slice(message));
        } else {
            queue.phase = Phase::Overflowed;
            queue.discard();
        }
        wake(queue);
        if fits { Ok(()) } else { Err(SendError::Full) }
    }

    /// Asks for a close after what is queued already. Only the first one counts.
    pub fn close(&self, code: u16, reason: &'static str) {
        let mut queue = self.lock();
        if matches!(queue.phase, Phase::Open) {
            queue.phase = Phase::Closing { code, reason };
            wake(queue);
        }
    }

    /// The connection is over; frees what waits.
    pub fn end(&self) {
        let mut queue = self.lock();
        queue.phase = Phase::Ended;
        queue.discard();
        queue.waker = None;
    }

    /// What to do next; waits until there is something. Cancel safe.
    pub async fn next(&self) -> Outgoing {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Waits until a bound is passed, for the time a write is stuck. Cancel safe.
    pub async fn overflow(&self) {
        poll_fn(|cx| {
            let mut queue = self.lock();
            if matches!(queue.phase, Phase::Overflowed) {
                return Poll::Ready(());
            }
            queue.remember(cx);
            Poll::Pending
        })
        .await;
    }

    /// The same for those who poll.
    pub fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Outgoing> {
        let mut queue = self.lock();
        if let Some(message) = queue.waiting.pop_front() {
            queue.bytes -= message.len();
            if queue.waiting.is_empty() {
                // An idle connection keeps no queue memory.
                queue.waiting = VecDeque::new();
            }
            return Poll::Ready(Outgoing::Message(message));
        }
        match queue.phase {
            Phase::Closing { code, reason } => Poll::Ready(Outgoing::Close { code, reason }),
            Phase::Overflowed => Poll::Ready(Outgoing::Overflow),
            Phase::Open | Phase::Ended => {
                queue.remember(cx);
                Poll::Pending
            }
        }
    }

    /// A poisoned lock is taken all the same: no step above leaves the queue half changed.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn discard(&mut self) {
        self.waiting = VecDeque::new();
        self.bytes = 0;
    }

    fn remember(&mut self, cx: &Context<'_>) {
        match &mut self.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => self.waker = Some(cx.waker().clone()),
        }
    }
}

/// Wakes the owner after the lock is released, and only if it sleeps.
fn wake(mut queue: MutexGuard<'_, Queue>) {
    let waker = queue.waker.take();
    drop(queue);
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn egress(bytes: usize, messages: usize) -> Egress {
        Egress::new(EgressLimits { bytes, messages })
    }

    fn poll(egress: &Egress) -> Poll<Outgoing> {
        egress.poll_next(&mut Context::from_waker(Waker::noop()))
    }

    fn message(bytes: &'static [u8]) -> Poll<Outgoing> {
        Poll::Ready(Outgoing::Message(Bytes::from_static(bytes)))
    }

    #[test]
    fn messages_leave_in_order_and_a_close_comes_after_them() {
        let egress = egress(100, 10);
        egress.push(b"one").unwrap();
        egress.push(b"two").unwrap();
        egress.close(1012, "restart");
        assert_eq!(egress.push(b"three"), Err(SendError::Gone));
        assert_eq!(poll(&egress), message(b"one"));
        assert_eq!(poll(&egress), message(b"two"));
        assert_eq!(poll(&egress), Poll::Ready(Outgoing::Close { code: 1012, reason: "restart" }));
    }

    #[test]
    fn one_message_too_many_dooms_the_connection() {
        let egress = egress(100, 2);
        assert_eq!(egress.push(b"1"), Ok(()));
        assert_eq!(egress.push(b"2"), Ok(()));
        assert_eq!(egress.push(b"3"), Err(SendError::Full));
        assert_eq!(egress.push(b"4"), Err(SendError::Gone));
        assert_eq!(poll(&egress), Poll::Ready(Outgoing::Overflow));
    }

    #[test]
    fn one_byte_too_many_dooms_the_connection() {
        let egress = egress(4, 10);
        assert_eq!(egress.push(b"1234"), Ok(()));
        assert_eq!(egress.push(b"5"), Err(SendError::Full));
    }

    #[test]
    fn what_was_taken_no_longer_counts() {
        let egress = egress(4, 1);
        for _ in 0..3 {
            assert_eq!(egress.push(b"1234"), Ok(()));
            assert_eq!(poll(&egress), message(b"1234"));
        }
        assert_eq!(poll(&egress), Poll::Pending);
    }

    #[test]
    fn an_ended_connection_takes_nothing() {
        let egress = egress(100, 10);
        egress.push(b"lost").unwrap();
        egress.end();
        assert_eq!(egress.push(b"more"), Err(SendError::Gone));
        assert_eq!(poll(&egress), Poll::Pending);
    }
}
