//! `sbc run`: from checked settings to running workers, and back to nothing.
//!
//! The order is the promise: lock, keys, sockets, then threads. Whatever fails before the threads leaves no socket
//! bound and no call touched.

mod backlog;
mod clock;
mod datagrams;
mod discovery;
mod open_files;
mod reload;
mod shell;
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
use sbc_core::flow::{ListenerId, WorkerId, Zone};
use sbc_core::time::Time;
use sbc_tcp::{Connections, EgressLimits};
use sbc_tls::{Certificates, ServerSettings};
use sbc_udp::handover::Handover;
use sbc_ws::ClientAddress;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, mpsc, watch};

use self::clock::Clock;
use self::reload::{Reloader, SelfSigned};
use self::sockets::{Sockets, WorkerSockets};
use self::worker::{Shared, StreamListener};
use crate::admin::{self, Bans, Control, Facts, MemberOrder, Reloaded, Report, Status, UdpTotals};
use crate::config::{Echo, ListenerSettings, Problems, Settings, Stream, Tls, WebSocket};
use crate::keys;
use crate::metrics::{Counters, Heartbeats};
use crate::state_dir::StateDir;

/// How often the clock on the wall is looked at.
const A_MINUTE: Duration = Duration::from_secs(60);

/// How long a TLS handshake may take.
const TLS_DEADLINE: Duration = Duration::from_secs(5);
/// What is spoken over TLS, as ALPN names it (RFC 7301 §6).
const HTTP: &[u8] = b"http/1.1";
const SIP: &[u8] = b"sip/2";
/// Hundreds of agents sit behind one office's address, and a browser that reconnects holds two for a moment.
const BROWSERS_PER_SOURCE: usize = 10_000;

/// Names that a self-signed certificate carries beside the advertised one.
const LOCAL_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

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

type Websockets = Vec<(ListenerId, Arc<sbc_ws::Listener>)>;

fn websockets(
    settings: &Settings,
    connections: &Arc<Connections>,
    open_files: usize,
    self_signed: &SelfSigned,
) -> anyhow::Result<Websockets> {
    let mut listeners = Vec::new();
    for (id, listener) in (0_u16..).map(ListenerId).zip(&settings.listeners) {
        if let Some(websocket) = &listener.websocket {
            let ready = websocket_settings(settings, listener, websocket, open_files, self_signed)?;
            listeners.push((id, sbc_ws::Listener::new(ready, Arc::clone(connections))));
        }
    }
    Ok(listeners)
}

/// A server's connection carries the messages of all its calls.
const SERVER_EGRESS: EgressLimits = EgressLimits { bytes: 8 << 20, messages: 16 * 1024 };

fn streams(
    settings: &Settings,
    connections: &Arc<Connections>,
    open_files: usize,
    self_signed: &SelfSigned,
) -> anyhow::Result<Vec<StreamListener>> {
    let mut listeners = Vec::new();
    for (id, listener) in (0_u16..).map(ListenerId).zip(&settings.listeners) {
        if let Some(stream) = &listener.stream {
            let ready = stream_settings(settings, listener, stream, open_files, self_signed)?;
            let accepting = sbc_tcp::Listener::new(ready, Arc::clone(connections));
            listeners.push(StreamListener { id, local: listener.core.bind.ip(), accepting });
        }
    }
    Ok(listeners)
}

fn stream_settings(
    settings: &Settings,
    listener: &ListenerSettings,
    stream: &Stream,
    open_files: usize,
    self_signed: &SelfSigned,
) -> anyhow::Result<sbc_tcp::Settings> {
    let tls = match tls_of(listener) {
        Some(tls) => Some(stream_tls(listener, tls, self_signed)?),
        None => None,
    };
    let connection = listener.connection.as_ref();
    let defaults = sbc_tcp::Settings::default();
    let is_public = listener.core.zone == Zone::Public;
    Ok(sbc_tcp::Settings {
        tls,
        proxies: connection.map(|connection| connection.trusted_proxies.clone()).unwrap_or_default(),
        max_message: settings.admission.max_message,
        max_connections: open_files::for_connections(open_files),
        max_per_source: connection.and_then(|one| one.per_source).unwrap_or(defaults.max_per_source),
        idle: stream.idle_timeout,
        egress: if is_public { defaults.egress } else { SERVER_EGRESS },
        ..defaults
    })
}

fn stream_tls(
    listener: &ListenerSettings,
    tls: &Tls,
    self_signed: &SelfSigned,
) -> anyhow::Result<sbc_tcp::Tls> {
    let own = tls.certificates.as_deref();
    let client = tls.ca.as_ref().map(|ca| sbc_tls::Client::new(ca, own, TLS_DEADLINE)).transpose()?;
    let server = tls_server(listener, tls, SIP, self_signed)?;
    Ok(sbc_tcp::Tls { server, client, names: listener.names.clone() })
}

fn tls_of(listener: &ListenerSettings) -> Option<&Tls> {
    listener.connection.as_ref()?.tls.as_ref()
}

/// How a listener's clients are met; shown the certificate that we made ourselves where none is configured.
fn tls_server(
    listener: &ListenerSettings,
    tls: &Tls,
    protocol: &'static [u8],
    self_signed: &SelfSigned,
) -> anyhow::Result<sbc_tls::Server> {
    let certificates = match &tls.certificates {
        Some(certificates) => Arc::clone(certificates),
        None => self_signed.of(listener)?,
    };
    let settings = ServerSettings {
        certificates,
        protocol,
        names: tls.server_names.clone(),
        clients: tls.client_ca.clone(),
        deadline: TLS_DEADLINE,
    };
    Ok(sbc_tls::Server::new(settings)?)
}

fn websocket_settings(
    settings: &Settings,
    listener: &ListenerSettings,
    websocket: &WebSocket,
    open_files: usize,
    self_signed: &SelfSigned,
) -> anyhow::Result<sbc_ws::Settings> {
    let tls = tls_of(listener).map(|tls| tls_server(listener, tls, HTTP, self_signed)).transpose()?;
    let connection = listener.connection.as_ref();
    let per_source = connection.and_then(|connection| connection.per_source);
    Ok(sbc_ws::Settings {
        tls,
        path: websocket.path.clone(),
        origins: websocket.origins.clone(),
        tickets: websocket.tickets.clone(),
        client_address: connection.map_or(ClientAddress::Socket, |connection| connection.client_address),
        trusted_proxies: connection.map(|connection| connection.trusted_proxies.clone()).unwrap_or_default(),
        max_per_source: per_source.unwrap_or(BROWSERS_PER_SOURCE),
        first_message_deadline: websocket.first_message,
        ping_interval: websocket.ping_interval,
        pong_timeout: websocket.pong_timeout,
        max_message: settings.admission.max_message,
        max_connections: open_files::for_connections(open_files),
        ..sbc_ws::Settings::default()
    })
}

fn self_signed(listener: &ListenerSettings) -> anyhow::Result<Certificates> {
    let mut names: Vec<String> = LOCAL_NAMES.map(str::to_owned).to_vec();
    let told = listener.core.advertise.host.to_string();
    if !names.contains(&told) {
        names.push(told);
    }
    let certificates = Certificates::self_signed(&names)?;
    let listener = &*listener.core.name;
    tracing::warn!(
        listener,
        fingerprint = certificates.fingerprint(),
        "a self-signed certificate was made: clients will refuse it until certificate and private_key are set"
    );
    Ok(certificates)
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
