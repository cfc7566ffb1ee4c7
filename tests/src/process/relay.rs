//! Bad paths for real sockets: a relay that loses, delays, doubles and reorders datagrams, and one that delays streams.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::live::runtime;
use crate::sim::Chance;

/// The largest datagram there is.
const MAX_DATAGRAM: usize = 65_535;
/// Bytes read from a stream at once.
const CHUNK: usize = 16 * 1024;
/// Pieces of a stream on their way; then the sender waits.
const MOST_ON_THE_WAY: usize = 1024;

/// What a path does, in both directions.
#[derive(Debug, Clone, Copy)]
pub struct Path {
    /// So many of a hundred datagrams are lost. A stream's are lost below it, where TCP can see it.
    pub loss_percent: u64,
    /// So many of a hundred datagrams arrive twice.
    pub duplicate_percent: u64,
    /// The shortest way.
    pub delay: Duration,
    /// On top of it, up to so much.
    pub jitter: Duration,
}

impl Path {
    /// 5 % loss, 100±50 ms, doubled datagrams.
    pub const BAD: Self = Self {
        loss_percent: 5,
        duplicate_percent: 5,
        delay: Duration::from_millis(50),
        jitter: Duration::from_millis(100),
    };
}

/// A path and its chance.
#[derive(Debug, Clone)]
struct Weather {
    path: Path,
    chance: Arc<Mutex<Chance>>,
}

impl Weather {
    fn with<T>(&self, draw: impl FnOnce(&Path, &mut Chance) -> T) -> T {
        draw(&self.path, &mut self.chance.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn time(&self) -> Duration {
        self.with(|path, chance| {
            path.delay + Duration::from_micros(chance.below(path.jitter.as_micros() as u64 + 1))
        })
    }

    /// When each copy of a datagram arrives; none: it is lost.
    fn copies(&self) -> Vec<Duration> {
        let copies = self.with(|path, chance| 1 + u64::from(chance.percent(path.duplicate_percent)));
        let arrives = |_: &u64| self.with(|path, chance| !chance.percent(path.loss_percent));
        (0..copies).filter(arrives).map(|_| self.time()).collect()
    }
}

/// A relay in front of one address, served until the value is dropped.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Relay {
    /// Where its clients send to.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// For datagrams; each client has an address of its own at `back`, as behind an address translator.
    ///
    /// # Panics
    /// When `front` is taken.
    pub fn udp(front: SocketAddr, back: SocketAddr, path: Path, seed: u64) -> Self {
        let weather = Weather { path, chance: Arc::new(Mutex::new(Chance::new(seed))) };
        let socket = runtime().block_on(UdpSocket::bind(front)).expect("a free port");
        let serving = runtime().spawn(relay_datagrams(Arc::new(socket), back, weather));
        Self { address: front, serving }
    }

    /// For streams: what they carry arrives late, and in order.
    ///
    /// # Panics
    /// When `front` is taken.
    pub fn tcp(front: SocketAddr, back: SocketAddr, path: Path, seed: u64) -> Self {
        let weather = Weather { path, chance: Arc::new(Mutex::new(Chance::new(seed))) };
        let listener = runtime().block_on(TcpListener::bind(front)).expect("a free port");
        let serving = runtime().spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let weather = weather.clone();
                runtime().spawn(async move {
                    // Where nobody listens, the client's connection ends too.
                    let Ok(server) = TcpStream::connect(back).await else { return };
                    relay_streams(client, server, weather);
                });
            }
        });
        Self { address: front, serving }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn relay_datagrams(front: Arc<UdpSocket>, back: SocketAddr, weather: Weather) {
    let mut clients: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    let mut buffer = vec![0; MAX_DATAGRAM];
    // An error is an ICMP message about an earlier datagram.
    loop {
        let Ok((length, client)) = front.recv_from(&mut buffer).await else { continue };
        let towards = match clients.get(&client) {
            Some(socket) => Arc::clone(socket),
            None => {
                let Ok(socket) = open(&front, back, client, &weather).await else { continue };
                Arc::clone(clients.entry(client).or_insert(socket))
            }
        };
        send_late(&towards, back, buffer.get(..length).unwrap_or_default(), &weather);
    }
}

/// A socket for one client, and what comes back to it.
async fn open(
    front: &Arc<UdpSocket>,
    back: SocketAddr,
    client: SocketAddr,
    weather: &Weather,
) -> io::Result<Arc<UdpSocket>> {
    let socket = Arc::new(UdpSocket::bind((front.local_addr()?.ip(), 0)).await?);
    let (reading, front, weather) = (Arc::clone(&socket), Arc::clone(front), weather.clone());
    runtime().spawn(async move {
        let mut buffer = vec![0; MAX_DATAGRAM];
        loop {
            match reading.recv_from(&mut buffer).await {
                Ok((length, from)) if from == back => {
                    send_late(&front, client, buffer.get(..length).unwrap_or_default(), &weather);
                }
                Ok(_) | Err(_) => {}
            }
        }
    });
    Ok(socket)
}

fn send_late(socket: &Arc<UdpSocket>, to: SocketAddr, bytes: &[u8], weather: &Weather) {
    for wait in weather.copies() {
        let (socket, bytes) = (Arc::clone(socket), bytes.to_vec());
        runtime().spawn(async move {
            tokio::time::sleep(wait).await;
            // A datagram that cannot be sent is a lost one.
            let _ = socket.send_to(&bytes, to).await;
        });
    }
}

fn relay_streams(client: TcpStream, server: TcpStream, weather: Weather) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    for (from, to) in [(from_client, to_server), (from_server, to_client)] {
        let (sender, receiver) = mpsc::channel(MOST_ON_THE_WAY);
        runtime().spawn(read_late(from, sender, weather.clone()));
        runtime().spawn(write_in_time(to, receiver));
    }
}

async fn read_late(mut from: OwnedReadHalf, queue: mpsc::Sender<(Instant, Vec<u8>)>, weather: Weather) {
    let mut buffer = vec![0; CHUNK];
    let mut last = Instant::now();
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        last = last.max(Instant::now() + weather.time());
        let bytes = buffer.get(..length).unwrap_or_default().to_vec();
        if queue.send((last, bytes)).await.is_err() {
            return;
        }
    }
}

async fn write_in_time(mut to: OwnedWriteHalf, mut queue: mpsc::Receiver<(Instant, Vec<u8>)>) {
    while let Some((at, bytes)) = queue.recv().await {
        tokio::time::sleep_until(at).await;
        if to.write_all(&bytes).await.is_err() {
            return;
        }
    }
}
