//! UDP of one worker: keepalives, handing over, and the way into the core.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use sbc_core::flow::Flow;
use sbc_core::io::{Backlog, Input};
use sbc_core::time::Time;
use sbc_udp::handover::{Handover, Route};
use sbc_udp::keepalive::{Keepalive, classify};
use sbc_udp::{Datagram, Readable, ReceiveBatch, Receiver, Socket};
use tokio::task::{spawn_local, yield_now};
use tokio::time::sleep;

use super::backlog::{HANDED, SOCKETS, room};
use super::shell::Shell;
use super::sockets::UdpSockets;

/// Messages from other workers that are handled before the outbox is sent and others get their turn.
const HANDED_IN_A_ROW: usize = sbc_udp::MAX_BATCH;

/// After an error that no peer can cause, so that it does not fill the log.
const READ_PAUSE: Duration = Duration::from_millis(100);

/// A datagram on its way to another worker.
pub(super) struct Handing {
    flow: Flow,
    /// When it arrived here, or a little before.
    since: Time,
}

/// Where one socket's datagrams come in.
#[derive(Clone, Copy)]
struct Door {
    /// The remote is a placeholder until a datagram names one.
    flow: Flow,
    hand_over: bool,
    /// Its number among the worker's queues.
    queue: u8,
    room: u32,
}

/// What the UDP tasks of one worker share.
pub(super) struct Datagrams {
    shell: Rc<Shell>,
    handover: Arc<Handover<Handing>>,
    worker: usize,
    // Never borrowed across an await: the sockets of a worker take turns.
    batch: RefCell<ReceiveBatch>,
    answer: RefCell<Vec<u8>>,
}

impl Datagrams {
    pub(super) fn new(shell: Rc<Shell>, handover: Arc<Handover<Handing>>, worker: usize) -> Rc<Self> {
        Rc::new(Self { shell, handover, worker, batch: RefCell::default(), answer: RefCell::default() })
    }

    /// Starts reading everything that is this worker's to read.
    pub(super) fn spawn(self: &Rc<Self>) -> io::Result<()> {
        let mut queues = SOCKETS..;
        for sockets in self.shell.udp().to_vec() {
            self.read(&sockets, 0, Arc::clone(&sockets.own), queues.next().unwrap_or(u8::MAX))?;
            if let (Some(fixed), Ok(port)) = (sockets.fixed.get(sockets.mine), u8::try_from(sockets.mine + 1))
            {
                self.read(&sockets, port, Arc::clone(fixed), queues.next().unwrap_or(u8::MAX))?;
            }
        }
        spawn_local(Rc::clone(self).take_handed());
        Ok(())
    }

    fn read(
        self: &Rc<Self>,
        sockets: &UdpSockets,
        port: u8,
        socket: Arc<Socket>,
        queue: u8,
    ) -> io::Result<()> {
        let remote = socket.local_addr();
        let flow = Flow { listener: sockets.listener, port, remote, connection: None };
        let door = Door { flow, hand_over: sockets.hand_over, queue, room: room(&socket) };
        spawn_local(Rc::clone(self).read_on(Receiver::new(socket)?, door));
        Ok(())
    }

    async fn read_on(self: Rc<Self>, receiver: Receiver, at: Door) {
        // Waiting fails only when the runtime ends.
        while let Ok(readable) = receiver.readable().await {
            let read = self.take_batch(readable, at, receiver.socket());
            self.shell.flush();
            match read {
                Ok(false) => {}
                // More is waiting: timers, connections and the other sockets come first.
                Ok(true) => yield_now().await,
                Err(error) => {
                    tracing::warn!(%error, socket = %receiver.socket().local_addr(), "a UDP socket cannot be read for now");
                    sleep(READ_PAUSE).await;
                }
            }
        }
    }

    /// True when more may be waiting.
    fn take_batch(&self, readable: Readable<'_>, at: Door, socket: &Socket) -> io::Result<bool> {
        let mut batch = self.batch.borrow_mut();
        readable.read(&mut batch)?;
        for notice in batch.unreachable() {
            self.shell.feed(Input::Unreachable(Flow { remote: notice.remote, ..at.flow }));
        }
        let (full, waited) = (batch.is_full(), batch.waited());
        self.tell(at.queue, waited, batch.len(), at.room);
        let since = Time::from_micros(self.shell.now().since(Time::ZERO + waited).as_micros() as u64);
        for datagram in batch.datagrams() {
            let flow = Flow { remote: datagram.source, ..at.flow };
            if !self.is_keepalive(&datagram, socket) {
                self.deliver(Handing { flow, since }, datagram.bytes, at.hand_over.then_some(full));
            }
        }
        Ok(full)
    }

    /// Say what is taken from a queue, before it is.
    fn tell(&self, queue: u8, waited: Duration, messages: usize, room: u32) {
        if messages > 0 {
            let messages = u32::try_from(messages).unwrap_or(u32::MAX);
            self.shell.judge(Input::Taken(Backlog { queue, waited, messages, room }));
        }
    }

    /// `under_load` is `None` on listeners whose peers the kernel spreads over the workers anyway.
    fn deliver(&self, handing: Handing, bytes: &[u8], under_load: Option<bool>) {
        let flow = handing.flow;
        let route =
            under_load.map_or(Route::Here, |load| self.handover.route(self.worker, bytes, handing, load));
        match route {
            Route::Here => self.shell.feed(Input::Received { flow, source: flow.remote, bytes }),
            Route::HandedTo(_) => {
                self.shell.counters().handed_over.inc();
            }
            Route::QueueFull => {
                self.shell.counters().handover_dropped.inc();
            }
        }
    }

    fn is_keepalive(&self, datagram: &Datagram<'_>, socket: &Socket) -> bool {
        if datagram.truncated {
            self.shell.counters().truncated.inc();
            return true;
        }
        let mut answer = self.answer.borrow_mut();
        let kind = classify(datagram.bytes, datagram.source, &mut answer);
        if kind == Keepalive::NotKeepalive {
            return false;
        }
        self.shell.counters().keepalives.inc();
        if kind == Keepalive::Stun {
            // A full send buffer drops the answer: the client asks again.
            let _ = socket.send_to(datagram.source, &answer);
        }
        true
    }

    /// Handles what other workers hand to this one.
    async fn take_handed(self: Rc<Self>) {
        loop {
            let first = self.handover.next(self.worker).await;
            let waited = self.shell.now().since(first.metadata().since);
            self.tell(HANDED, waited, HANDED_IN_A_ROW, u32::MAX);
            self.feed_handed(first.metadata(), first.bytes());
            drop(first);
            for _ in 1..HANDED_IN_A_ROW {
                let Some(next) = self.handover.try_next(self.worker) else {
                    break;
                };
                self.feed_handed(next.metadata(), next.bytes());
            }
            self.shell.flush();
            yield_now().await;
        }
    }

    fn feed_handed(&self, handing: &Handing, bytes: &[u8]) {
        let flow = handing.flow;
        self.shell.feed(Input::Received { flow, source: flow.remote, bytes });
    }
}
