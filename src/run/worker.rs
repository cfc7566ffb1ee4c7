//! One worker: a thread with its own runtime, sockets, timers and share of the connections.

use std::future::pending;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use sbc_core::flow::{Flow, ListenerId, WorkerId};
use sbc_core::io::Input;
use sbc_core::{Core, Worker};
use sbc_udp::handover::Handover;
use sbc_ws::{Connections, Listener};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::{sleep, sleep_until, timeout};

use super::clock::Clock;
use super::datagrams::Datagrams;
use super::shell::Shell;
use super::sockets::WorkerSockets;
use super::websocket::{Open, Receiver};
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
    pub handover: Arc<Handover<Flow>>,
    pub counters: Arc<Counters>,
    pub heartbeats: Arc<Heartbeats>,
    /// Told when the core has another configuration.
    pub reconfigured: Notify,
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
    shell.flush();
    Datagrams::new(Rc::clone(&shell), Arc::clone(&shared.handover), usize::from(id.0)).spawn()?;
    let open = Rc::new(Open::default());
    let accepting = accept(&shared, &shell, &open, sockets.tcp);
    spawn_local(keep_time(Rc::clone(&shell)));
    if id.0 == 0 {
        spawn_local(follow(Arc::clone(&shared), Rc::clone(&shell)));
    }
    spawn_local(beat(Arc::clone(&shared.heartbeats), id, shared.clock));
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
        let Some((_, listener)) = shared.listeners.iter().find(|(listener, _)| *listener == id) else {
            continue;
        };
        let handler = Receiver::new(Rc::clone(shell), id, Rc::clone(open));
        let serve = sbc_ws::serve(socket, Arc::clone(listener), handler);
        accepting.push(spawn_local(async move {
            let Err(error) = serve.await;
            tracing::error!(%error, "a WebSocket listener cannot accept");
        }));
    }
    accepting
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
            () = deadline => shell.handle(Input::Deadline),
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

async fn beat(heartbeats: Arc<Heartbeats>, id: WorkerId, clock: Clock) {
    loop {
        heartbeats.beat(id, clock.now());
        sleep(HEARTBEAT).await;
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
