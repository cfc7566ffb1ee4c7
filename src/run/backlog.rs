//! How far a worker is behind, as it tells the core: what waited in sockets, at other workers, and in its own queue of
//! things to do.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use sbc_core::io::{Backlog, Input};
use sbc_core::time::Time;
use sbc_udp::Socket;
use tokio::sync::Notify;

use super::shell::Shell;

/// What waits in the worker's runtime: connections that have something to say, among all the others.
const RUNTIME: u8 = 0;
/// What other workers handed over.
pub(super) const HANDED: u8 = 1;
/// UDP sockets are counted from here.
pub(super) const SOCKETS: u8 = 2;
/// The runtime's queue is looked at so often while connections say anything.
const LOOK: Duration = Duration::from_millis(5);
/// What the kernel accounts for a datagram of about 1 KiB.
const DATAGRAM_ACCOUNTED: usize = 2304;

/// How many datagrams a socket can hold.
pub(super) fn room(socket: &Socket) -> u32 {
    let granted = socket.receive_buffer().unwrap_or(usize::MAX);
    u32::try_from(granted / DATAGRAM_ACCOUNTED).unwrap_or(u32::MAX)
}

/// Measures how long something that is ready waits for its turn: it gets ready itself, and looks how long that took.
#[derive(Default)]
pub(super) struct Turns {
    ready: Notify,
    since: Cell<Option<Time>>,
    last: Cell<Time>,
    messages: Cell<u32>,
}

impl Turns {
    /// A connection has had its turn.
    pub(super) fn message(&self, now: Time) {
        self.messages.set(self.messages.get().saturating_add(1));
        if self.since.get().is_none() && now.since(self.last.get()) >= LOOK {
            self.since.set(Some(now));
            self.ready.notify_one();
        }
    }
}

/// Takes the turns, and tells the core how long they were waited for.
pub(super) async fn take_turns(shell: Rc<Shell>) {
    loop {
        let turns = shell.turns();
        turns.ready.notified().await;
        let now = shell.now();
        turns.last.set(now);
        let waited = turns.since.take().map(|since| now.since(since)).unwrap_or_default();
        // The messages it is true of have been handled; they count, and nothing that follows is as old.
        let messages = turns.messages.take();
        shell.judge(Input::Taken(Backlog { queue: RUNTIME, waited, messages, room: u32::MAX }));
    }
}

/// How busy this thread keeps its processor.
pub(super) struct Processor {
    wall: Time,
    used: Duration,
}

impl Processor {
    pub(super) fn new(now: Time) -> Self {
        Self { wall: now, used: used() }
    }

    /// In percent, since the last look.
    pub(super) fn busy(&mut self, now: Time) -> u8 {
        let Self { wall, used: before } = std::mem::replace(self, Self::new(now));
        let share = self.used.saturating_sub(before).as_micros() * 100;
        let share = share.checked_div(now.since(wall).as_micros()).unwrap_or(0);
        u8::try_from(share.min(100)).unwrap_or(100)
    }
}

/// Processor time of this thread so far.
fn used() -> Duration {
    // It fails on no Linux; then a worker never counts as busy.
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}
