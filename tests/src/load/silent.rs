//! Clients that connect by TLS and then say nothing, half a word or a byte a second: all are closed in time, and
//! whoever shakes hands as one should is served meanwhile.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::open_files;
use crate::process::{Balance, FsMember, Sbc, Site, tls};

/// The first source; each client has its own.
const FIRST_SOURCE: Ipv4Addr = Ipv4Addr::new(127, 32, 0, 1);
/// All of them have come within this.
const ARRIVAL: Duration = Duration::from_secs(4);
/// They are closed within this.
const CLOSED_WITHIN: Duration = Duration::from_secs(10);
/// Whoever is not closed after this is taken to stay for ever.
const FOR_EVER: Duration = Duration::from_secs(30);
/// From one good handshake to the next.
const GOOD_EVERY: Duration = Duration::from_millis(50);
/// 99 of 100 good handshakes take at most this, from the first packet to the answered upgrade.
const GOOD_WITHIN: Duration = Duration::from_millis(200);
/// From one byte to the next of those who are slow.
const BYTE_EVERY: Duration = Duration::from_secs(1);

const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: example.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Protocol: sip\r\n\r\n";
const HALF_AN_UPGRADE: usize = 60;

/// How far a client comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Silence {
    /// It connects.
    AfterConnect,
    /// It sends its ClientHello.
    AfterHello,
    /// TLS stands, and it sends half of its upgrade.
    HalfUpgrade,
    /// It sends a byte of its ClientHello each second.
    SlowHello,
    /// TLS stands, and it sends a byte of its upgrade each second.
    SlowUpgrade,
}

impl Silence {
    /// So many of eight clients, the others doing likewise.
    const MIX: [Self; 8] = [
        Self::AfterConnect,
        Self::AfterHello,
        Self::HalfUpgrade,
        Self::SlowHello,
        Self::AfterConnect,
        Self::AfterHello,
        Self::HalfUpgrade,
        Self::SlowUpgrade,
    ];
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Silenced {
    /// Clients that were silent.
    pub clients: usize,
    /// Of each kind: how many were closed, and the longest time from connecting to that.
    pub closed: BTreeMap<Silence, (usize, Duration)>,
    /// How long good handshakes took, in order.
    pub good: Vec<Duration>,
    /// Good handshakes that failed.
    pub failed: usize,
    /// Resident bytes before and at most.
    pub resident: [u64; 2],
    /// What sbc refused, by reason.
    pub refused: Vec<(String, u64)>,
}

impl Silenced {
    /// Clients that were closed.
    pub fn all_closed(&self) -> usize {
        self.closed.values().map(|(count, _)| count).sum()
    }

    fn good_at(&self, percent: usize) -> Duration {
        let at = (self.good.len() * percent / 100).min(self.good.len().saturating_sub(1));
        self.good.get(at).copied().unwrap_or_default()
    }

    /// What is not as it must be.
    pub fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        if self.all_closed() != self.clients {
            broken.push(format!("{} of {} silent clients were closed", self.all_closed(), self.clients));
        }
        let late = |(kind, (_, longest)): (&Silence, &(usize, Duration))| {
            (*longest > CLOSED_WITHIN).then(|| format!("{kind:?} closed after {longest:?}"))
        };
        broken.extend(self.closed.iter().filter_map(late));
        if self.failed > 0 || self.good.is_empty() {
            broken.push(format!("{} good handshakes failed", self.failed));
        }
        if self.good_at(99) > GOOD_WITHIN {
            broken.push(format!("99 of 100 good handshakes took {:?}", self.good_at(99)));
        }
        broken
    }
}

impl fmt::Display for Silenced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "silent TLS clients          {:>7}", self.clients)?;
        for (kind, (count, longest)) in &self.closed {
            writeln!(f, "  {:<26}{count:>7} closed within {} ms", format!("{kind:?}"), longest.as_millis())?;
        }
        writeln!(f, "good handshakes meanwhile   {:>7}", self.good.len())?;
        writeln!(f, "failed                      {:>7}", self.failed)?;
        for percent in [50, 99, 100] {
            writeln!(f, "  {percent:>3} % within, ms         {:>7}", self.good_at(percent).as_millis())?;
        }
        let [before, most] = self.resident.map(|bytes| bytes >> 20);
        writeln!(f, "resident before, MiB        {before:>7}")?;
        writeln!(f, "resident at most, MiB       {most:>7}")?;
        self.refused.iter().try_for_each(|(reason, count)| writeln!(f, "  {reason:<26}{count:>7}"))
    }
}

/// Let so many clients be silent. `tell` hears how many were closed.
///
/// # Errors
/// When so many files cannot be open.
///
/// # Panics
/// When a program does not start.
pub fn silence(clients: usize, tell: impl FnMut(usize)) -> io::Result<Silenced> {
    open_files::allow(clients)?;
    let site = Site::new("silent");
    let _members = FsMember::pair(&site, &[]);
    let sbc = Sbc::start(&site, Balance::CallId);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(watch(&site, &sbc, clients, tell))
}

async fn watch(
    site: &Site,
    sbc: &Sbc<'_>,
    clients: usize,
    mut tell: impl FnMut(usize),
) -> io::Result<Silenced> {
    let before = sbc.resident_bytes();
    let good = GoodClients::start(site.wss);
    let mut suffering = JoinSet::new();
    for (number, kind) in (0..clients).zip(Silence::MIX.into_iter().cycle()) {
        let pause = ARRIVAL * u32::try_from(number).unwrap_or(u32::MAX) / u32::try_from(clients).unwrap_or(1);
        let server = site.wss;
        suffering.spawn(async move {
            sleep(pause).await;
            (kind, timeout(FOR_EVER, suffer(kind, server, number)).await)
        });
    }
    let mut closed = BTreeMap::new();
    let (mut most, mut count) = (before, 0);
    while let Some(ended) = suffering.join_next().await {
        let (kind, outcome) = ended.map_err(io::Error::other)?;
        if let Ok(after) = outcome {
            let (closed, longest): &mut (usize, Duration) = closed.entry(kind).or_default();
            (*closed, *longest) = (*closed + 1, (*longest).max(after?));
            count += 1;
        }
        if count % 100 == 1 {
            most = most.max(sbc.resident_bytes());
            tell(count);
        }
    }
    tell(count);
    let (good, failed) = good.finish().await?;
    let refused = sbc.counts("sbc_ws_refused_total");
    Ok(Silenced { clients, closed, good, failed, resident: [before, most], refused })
}

/// Lives through one silence; how long it took until the server had enough.
async fn suffer(kind: Silence, server: SocketAddr, number: usize) -> io::Result<Duration> {
    let begun = Instant::now();
    let mut socket = connect_from(number, server).await?;
    let half = UPGRADE.get(..HALF_AN_UPGRADE).unwrap_or(UPGRADE);
    match kind {
        Silence::AfterConnect => say(&mut socket, b"", false).await,
        Silence::AfterHello => say(&mut socket, &tls::client_hello(server.ip())?, false).await,
        Silence::HalfUpgrade => say(&mut tls::connect(socket).await?, half.as_bytes(), false).await,
        Silence::SlowHello => say(&mut socket, &tls::client_hello(server.ip())?, true).await,
        Silence::SlowUpgrade => say(&mut tls::connect(socket).await?, UPGRADE.as_bytes(), true).await,
    }
    Ok(begun.elapsed())
}

async fn connect_from(number: usize, server: SocketAddr) -> io::Result<TcpStream> {
    let source = Ipv4Addr::from_bits(FIRST_SOURCE.to_bits() + u32::try_from(number).unwrap_or(0));
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(IpAddr::V4(source), 0))?;
    socket.connect(server).await
}

/// Sends words at once or byte by byte, then nothing, until the other side closes.
async fn say(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), words: &[u8], slowly: bool) {
    let pieces = words.chunks(if slowly { 1 } else { words.len().max(1) });
    let mut pieces = pieces.into_iter();
    let mut ticks = interval(BYTE_EVERY);
    let mut heard = [0; 1024];
    loop {
        tokio::select! {
            read = stream.read(&mut heard) => match read {
                Ok(1..) => {}
                Ok(0) | Err(_) => return,
            },
            _ = ticks.tick() => if let Some(piece) = pieces.next() {
                let sent = async { stream.write_all(piece).await?; stream.flush().await };
                if sent.await.is_err() {
                    return;
                }
            },
        }
    }
}

/// Clients as they should be, one after the other.
struct GoodClients(JoinHandle<(Vec<Duration>, usize)>, tokio::sync::oneshot::Sender<()>);

impl GoodClients {
    fn start(server: SocketAddr) -> Self {
        let (stop, mut stopped) = tokio::sync::oneshot::channel();
        let coming = tokio::spawn(async move {
            let mut ticks = interval(GOOD_EVERY);
            // Each starts when it is due, however slow the others are.
            ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
            let mut clients = JoinSet::new();
            while stopped.try_recv().is_err_and(|error| error == EMPTY) {
                ticks.tick().await;
                clients.spawn(timeout(FOR_EVER, shake_hands(server)));
            }
            let taken: Vec<_> = clients.join_all().await;
            let count = taken.len();
            let mut good: Vec<Duration> = taken.into_iter().filter_map(|one| one.ok()?.ok()).collect();
            good.sort_unstable();
            let failed = count - good.len();
            (good, failed)
        });
        Self(coming, stop)
    }

    async fn finish(self) -> io::Result<(Vec<Duration>, usize)> {
        // They have stopped by themselves only where they panicked, which the handle tells.
        let _ = self.1.send(());
        self.0.await.map_err(io::Error::other)
    }
}

const EMPTY: tokio::sync::oneshot::error::TryRecvError = tokio::sync::oneshot::error::TryRecvError::Empty;

/// TCP, TLS and the upgrade.
async fn shake_hands(server: SocketAddr) -> io::Result<Duration> {
    let begun = Instant::now();
    let mut stream = tls::connect(TcpStream::connect(server).await?).await?;
    stream.write_all(UPGRADE.as_bytes()).await?;
    let mut heard = [0; 12];
    stream.read_exact(&mut heard).await?;
    match &heard {
        b"HTTP/1.1 101" => Ok(begun.elapsed()),
        other => Err(io::Error::other(String::from_utf8_lossy(other).into_owned())),
    }
}
