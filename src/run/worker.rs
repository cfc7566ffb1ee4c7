//! One worker: a thread with its own runtime, sockets, timers and share of the connections.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use sbc_core::flow::{ListenerId, WorkerId};
use sbc_core::io::Input;
use sbc_core::{Core, Worker};
use sbc_tcp::{Connections, Dialer};
use sbc_udp::handover::Handover;
use sbc_ws::Listener;
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::{sleep, sleep_until, timeout};

use super::backlog::{Processor, take_turns};
use super::clock::Clock;
use super::datagrams::{Datagrams, Handing};
use super::shell::Shell;
use super::sockets::WorkerSockets;
use super::websocket::Open;
use super::{stream, websocket};
use crate::metrics::{Counters, Heartbeats};

/// RFC 6455 §7.4.1: the server goes away.
const GOING_AWAY: u16 = 1001;
/// How long clients may take to answer our close frames when the program stops.
const GOODBYE: Duration = Duration::from_secs(1);
const GOODBYE_STEP: Duration = Duration::from_millis(10);
/// How often a worker says that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// What all workers share.
pub(super) struct Shared {
    pub core: Arc<Core>,
    pub clock: Clock,
    pub connections: Arc<Connections>,
    /// WebSocket listeners by id.
    pub listeners: Vec<(ListenerId, Arc<Listener>)>,
    /// TCP listeners, and what is dialled from them.
    pub streams: Vec<StreamListener>,
    pub handover: Arc<Handover<Handing>>,
    pub counters: Arc<Counters>,
    pub heartbeats: Arc<Heartbeats>,
    /// Told when the core has another configuration.
    pub reconfigured: Notify,
}

/// One TCP listener.
pub(super) struct StreamListener {
    pub id: ListenerId,
    /// Where connections to servers come from.
    pub local: IpAddr,
    pub accepting: Arc<sbc_tcp::Listener>,
}

/// Runs worker `id` until `stop` becomes true.
///
/// # Errors
/// When the runtime cannot be made or a socket cannot be watched.
pub(super) fn run(
    shared: &Arc<Shared>,
    id: WorkerId,
    sockets: WorkerSockets,
    stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, work(Arc::clone(shared), id, sockets, stop))
}

async fn work(
    shared: Arc<Shared>,
    id: WorkerId,
    sockets: WorkerSockets,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let now = shared.clock.now();
    let mut worker = Worker::new(id, now);
    shared.core.start(&mut worker, now);
    let shell = Rc::new(Shell::new(&shared, worker, sockets.udp));
    let open = Rc::new(Open::default());
    shell.set_dialers(dialers(&shared, &shell, &open));
    shell.flush();
    Datagrams::new(Rc::clone(&shell), Arc::clone(&shared.handover), usize::from(id.0)).spawn()?;
    let accepting = accept(&shared, &shell, &open, sockets.tcp);
    spawn_local(keep_time(Rc::clone(&shell)));
    spawn_local(take_turns(Rc::clone(&shell)));
    if id.0 == 0 {
        spawn_local(follow(Arc::clone(&shared), Rc::clone(&shell)));
    }
    spawn_local(beat(Arc::clone(&shared.heartbeats), id, shell));
    // A sender that is gone means the same as one that says stop.
    let _ = stop.wait_for(|stop| *stop).await;
    accepting.iter().for_each(JoinHandle::abort);
    say_goodbye(&shared.connections, &open).await;
    Ok(())
}

fn accept(
    shared: &Arc<Shared>,
    shell: &Rc<Shell>,
    open: &Rc<Open>,
    sockets: Vec<(ListenerId, std::net::TcpListener)>,
) -> Vec<JoinHandle<()>> {
    let mut accepting = Vec::new();
    for (id, socket) in sockets {
        if let Some((_, listener)) = shared.listeners.iter().find(|(listener, _)| *listener == id) {
            let handler = websocket::Receiver::new(Rc::clone(shell), id, Rc::clone(open));
            accepting.push(watch(sbc_ws::serve(socket, Arc::clone(listener), handler)));
        } else if let Some(listener) = shared.streams.iter().find(|listener| listener.id == id) {
            let handler = stream::Receiver::new(Rc::clone(shell), id, Rc::clone(open));
            accepting.push(watch(sbc_tcp::serve(socket, Arc::clone(&listener.accepting), handler)));
        }
    }
    accepting
}

fn watch(serve: impl Future<Output = io::Result<Infallible>> + 'static) -> JoinHandle<()> {
    spawn_local(async move {
        let Err(error) = serve.await;
        tracing::error!(%error, "a listener cannot accept");
    })
}

/// What opens this worker's connections to servers.
fn dialers(shared: &Shared, shell: &Rc<Shell>, open: &Rc<Open>) -> Vec<(ListenerId, Rc<Dialer>)> {
    let dialer = |listener: &StreamListener| {
        let handler = stream::Receiver::new(Rc::clone(shell), listener.id, Rc::clone(open));
        (listener.id, Dialer::new(listener.local, Arc::clone(&listener.accepting), handler))
    };
    shared.streams.iter().map(dialer).collect()
}

/// Tells the core when a deadline it named has come.
async fn keep_time(shell: Rc<Shell>) {
    loop {
        let deadline = async {
            match shell.next_wake() {
                Some(instant) => sleep_until(instant).await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = deadline => {
                shell.handle(Input::Deadline);
                // Where much is due at once, messages are read in between.
                tokio::task::yield_now().await;
            }
            () = shell.rearmed.notified() => {}
        }
    }
}

/// Lets the core look at another configuration at once.
async fn follow(shared: Arc<Shared>, shell: Rc<Shell>) {
    loop {
        shared.reconfigured.notified().await;
        shell.handle(Input::Deadline);
    }
}

async fn beat(heartbeats: Arc<Heartbeats>, id: WorkerId, shell: Rc<Shell>) {
    let mut processor = Processor::new(shell.now());
    loop {
        heartbeats.beat(id, shell.now());
        sleep(HEARTBEAT).await;
        shell.judge(Input::Busy(processor.busy(shell.now())));
    }
}

/// Closes every connection of this worker and lets the close frames leave.
async fn say_goodbye(connections: &Connections, open: &Open) {
    let waiting: Vec<_> = open.borrow().iter().copied().collect();
    for connection in waiting {
        connections.close(connection, GOING_AWAY, "the server goes away");
    }
    let gone = async {
        while !open.borrow().is_empty() {
            sleep(GOODBYE_STEP).await;
        }
    };
    // Whoever does not answer is cut off by the end of the program.
    let _ = timeout(GOODBYE, gone).await;
}
