//! `sbc run`: from checked settings to running workers, and back to nothing.
//!
//! The order is the promise: lock, keys, sockets, then threads. Whatever fails before the threads leaves no socket
//! bound and no call touched.

mod backlog;
mod clock;
mod datagrams;
mod discovery;
mod listeners;
mod open_files;
mod reload;
mod shell;
mod sieve;
mod sockets;
mod stream;
mod websocket;
mod worker;

use std::collections::hash_map::RandomState;
use std::future::Future;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use sbc_core::Core;
use sbc_core::config::Config;
use sbc_core::flow::{ListenerId, WorkerId};
use sbc_core::time::Time;
use sbc_tcp::Connections;
use sbc_udp::handover::Handover;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, mpsc, watch};

use self::clock::Clock;
use self::listeners::SelfSigned;
use self::reload::Reloader;
use self::sockets::{Sockets, WorkerSockets};
use self::worker::{Shared, StreamListener};
use crate::admin::{self, Bans, Control, Facts, MemberOrder, Reloaded, Report, Status, UdpTotals};
use crate::config::{Echo, Problems, Settings};
use crate::keys;
use crate::metrics::{Counters, Heartbeats};
use crate::state_dir::StateDir;

/// How often the clock on the wall is looked at.
const A_MINUTE: Duration = Duration::from_secs(60);

/// Runs until SIGTERM or SIGINT. `file` is what a reload reads, `up` is called once everything works.
///
/// # Errors
/// What keeps it from starting, or a worker that could not go on.
pub(crate) fn run(settings: Settings, file: Option<PathBuf>, up: impl FnOnce()) -> anyhow::Result<()> {
    let settings = Arc::new(settings);
    let open_files = open_files::raise();
    let state = Arc::new(StateDir::lock(&settings.state_dir)?);
    let config = Arc::new(core_config(&settings, &state)?);
    let seed = keys::generate().context("no randomness from the system")?.0;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let sockets = sockets::bind(&settings)?;
    let clock = Clock::start();
    let connections = Connections::new();
    let self_signed = SelfSigned::default();
    let shared = Arc::new(Shared {
        core: Arc::new(Core::new(config, seed, clock.now())),
        clock,
        listeners: websockets(&settings, &connections, open_files, &self_signed)?,
        streams: streams(&settings, &connections, open_files, &self_signed)?,
        connections,
        handover: Arc::new(Handover::new(usize::from(settings.workers), RandomState::new())),
        counters: Arc::new(Counters::default()),
        heartbeats: Arc::new(Heartbeats::new(settings.workers, clock.now())),
        reconfigured: Notify::new(),
    });
    shared.core.set_unix_zero(clock.unix_zero());
    let reloader = Arc::new(Reloader::new(
        file,
        Arc::clone(&settings),
        Arc::clone(&shared),
        Arc::clone(&state),
        open_files,
        self_signed,
    ));
    let outcome = runtime.block_on(live(&settings, &shared, reloader, sockets, up));
    // The lock goes last: until here the sockets are ours.
    drop(state);
    outcome
}

fn core_config(settings: &Settings, state: &StateDir) -> anyhow::Result<Config> {
    let keys = match &settings.keys {
        Some(keys) => keys.clone(),
        None => vec![state.key()?],
    };
    let path_key = match &settings.path_key {
        Some(key) => key.clone(),
        None => state.path_key()?,
    };
    Ok(settings.core(keys, path_key))
}

fn websockets(
    settings: &Settings,
    connections: &Arc<Connections>,
    open_files: usize,
    self_signed: &SelfSigned,
) -> anyhow::Result<Vec<(ListenerId, Arc<sbc_ws::Listener>)>> {
    let told = listeners::websockets(settings, open_files, self_signed)?.into_iter();
    Ok(told.map(|(id, told)| (id, sbc_ws::Listener::new(told, Arc::clone(connections)))).collect())
}

fn streams(
    settings: &Settings,
    connections: &Arc<Connections>,
    open_files: usize,
    self_signed: &SelfSigned,
) -> anyhow::Result<Vec<StreamListener>> {
    let told = listeners::streams(settings, open_files, self_signed)?.into_iter();
    let listener = |(id, told): (ListenerId, sbc_tcp::Settings)| {
        let local = settings.listeners.get(usize::from(id.0))?.core.bind.ip();
        Some(StreamListener { id, local, accepting: sbc_tcp::Listener::new(told, Arc::clone(connections)) })
    };
    Ok(told.filter_map(listener).collect())
}

/// Everything that runs, from the first thread to the last.
async fn live(
    settings: &Settings,
    shared: &Arc<Shared>,
    reloader: Arc<Reloader>,
    sockets: Sockets,
    up: impl FnOnce(),
) -> anyhow::Result<()> {
    let stopped = stop_signal()?;
    let hangups = reload::hangups()?;
    let echo = match &settings.echo {
        Some(echo) => Some(bind_echo(echo).await?),
        None => None,
    };
    let (stop, stopping) = watch::channel(false);
    let facts = Arc::new(Known {
        node: settings.name.clone(),
        shared: Arc::clone(shared),
        reloader: Arc::clone(&reloader),
    });
    let registry = admin::registry(&facts, &shared.counters, udp_totals(settings, &sockets));
    let admin = tokio::spawn(serve_admin(sockets.admin, facts, registry, stopping.clone()));
    tokio::spawn(follow_the_wall(Arc::clone(shared)));
    if let Some(echo) = echo {
        tokio::spawn(run_echo(echo));
    }
    let (ended, mut ends) = mpsc::unbounded_channel();
    let threads = start_workers(shared, sockets.workers, &stopping, &ended)?;
    drop(ended);
    tokio::spawn(reload::on_hangup(Arc::clone(&reloader), hangups));
    tokio::spawn(reload::watch(Arc::clone(&reloader)));
    tokio::spawn(discovery::supervise(reloader));
    tracing::info!(node = settings.name, workers = settings.workers, admin = %settings.admin.value, "sbc is up");
    up();
    let mut outcome = tokio::select! {
        name = stopped => {
            tracing::info!(signal = name, "sbc stops");
            Ok(())
        }
        end = ends.recv() => end.unwrap_or(Ok(())),
    };
    let _ = stop.send(true);
    while let Some(end) = ends.recv().await {
        outcome = outcome.and(end);
    }
    for thread in threads {
        // A worker that panicked has ended the process already.
        let _ = thread.join();
    }
    admin.abort();
    outcome
}

/// Rules go by days and hours: whoever sets the clock on the wall shall not have to restart us.
async fn follow_the_wall(shared: Arc<Shared>) {
    let mut minutes = tokio::time::interval(A_MINUTE);
    loop {
        minutes.tick().await;
        shared.core.set_unix_zero(shared.clock.unix_zero());
    }
}

async fn bind_echo(echo: &Echo) -> Result<sbc_echo::Echo, Problems> {
    let ports = echo.rtp_ports.len();
    // A call takes two ports: RTP on the even one, RTCP beside it.
    let settings = sbc_echo::Settings {
        sip: echo.bind.value,
        rtp_ports: echo.rtp_ports.clone(),
        max_calls: ports.div_ceil(2),
    };
    let wrong = |error| Problems::all(vec![sockets::taken(&echo.bind.place, echo.bind.value, "udp", &error)]);
    sbc_echo::bind(settings).await.map_err(wrong)
}

async fn run_echo(echo: sbc_echo::Echo) {
    if let Err(error) = echo.run().await {
        tracing::error!(%error, "the echo peer cannot go on");
    }
}

async fn serve_admin(
    socket: TcpListener,
    facts: Arc<impl Facts + Control>,
    registry: prometheus_client::registry::Registry,
    mut stopping: watch::Receiver<bool>,
) {
    let stopped = async move {
        let _ = stopping.wait_for(|stop| *stop).await;
    };
    if let Err(error) = admin::serve(socket, facts, registry, stopped).await {
        tracing::error!(%error, "the admin API cannot be served");
    }
}

type Ended = mpsc::UnboundedSender<anyhow::Result<()>>;

fn start_workers(
    shared: &Arc<Shared>,
    sockets: Vec<WorkerSockets>,
    stopping: &watch::Receiver<bool>,
    ended: &Ended,
) -> anyhow::Result<Vec<thread::JoinHandle<()>>> {
    let start = |(id, sockets): (u8, WorkerSockets)| {
        let (shared, stopping, ended) = (Arc::clone(shared), stopping.clone(), ended.clone());
        let body = move || {
            let end = worker::run(&shared, WorkerId(id), sockets, stopping);
            // Nobody listens when another worker's end is being handled already.
            let _ = ended.send(end.with_context(|| format!("worker {id} cannot go on")));
        };
        thread::Builder::new().name(format!("worker-{id}")).spawn(body).context("a worker cannot start")
    };
    (0_u8..).zip(sockets).map(start).collect()
}

/// Waits for SIGTERM or SIGINT, from now on.
fn stop_signal() -> anyhow::Result<impl Future<Output = &'static str>> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be watched")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be watched")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    })
}

fn udp_totals(settings: &Settings, sockets: &Sockets) -> UdpTotals {
    let mut totals: Vec<(Box<str>, Vec<_>)> =
        settings.listeners.iter().map(|listener| (listener.core.name.clone(), Vec::new())).collect();
    for (index, worker) in sockets.workers.iter().enumerate() {
        for udp in &worker.udp {
            let Some((_, all)) = totals.get_mut(usize::from(udp.listener.0)) else {
                continue;
            };
            all.push(Arc::clone(&udp.own));
            all.extend(udp.fixed.get(index).cloned());
        }
    }
    totals.retain(|(_, sockets)| !sockets.is_empty());
    UdpTotals(totals)
}

/// What the admin API is told.
struct Known {
    node: String,
    shared: Arc<Shared>,
    reloader: Arc<Reloader>,
}

impl Control for Known {
    fn reload(&self, previous: bool) -> Result<Reloaded, Vec<String>> {
        if previous { self.reloader.previous() } else { self.reloader.reload() }
    }

    fn lift_ban(&self, source: std::net::IpAddr) -> bool {
        self.shared.core.lift_ban(source)
    }

    fn set_order(&self, member: &str, order: MemberOrder) -> bool {
        self.shared.core.set_order(member, order.into()).is_ok()
    }
}

impl Known {
    /// WebSockets that are open: connections of both kinds are numbered together.
    fn websockets(&self) -> u64 {
        let all = u64::try_from(self.shared.connections.len()).unwrap_or(u64::MAX);
        all.saturating_sub(self.shared.counters.tcp.open())
    }
}

impl Facts for Known {
    fn bans(&self) -> Bans {
        let now = self.shared.clock.now();
        Bans::of(&self.shared.core.bans(now), now)
    }

    fn alive(&self) -> bool {
        self.shared.heartbeats.all_alive(self.shared.clock.now())
    }

    fn status(&self) -> Status {
        let now = self.shared.clock.now();
        let mut core = Report::of(&self.shared.core.status(), now);
        self.reloader.name_sources(&mut core.pools);
        Status {
            node: self.node.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_seconds: now.since(Time::ZERO).as_secs(),
            workers: self.shared.heartbeats.workers(),
            ready: core.missing().is_none(),
            connections: self.websockets(),
            listeners: self.reloader.listeners(),
            core,
        }
    }
}
