//! Browsers that register and then never read while messages are sent to them: each costs what the limit of its queue
//! says, is closed, and nobody else notices.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;

use super::open_files;
use crate::agent::{Agent, Registered, State};
use crate::process::live::{Live, settings};
use crate::process::{Balance, FsMember, PATIENCE, Sbc, Site, until_within, websocket};

/// The first source; each browser has its own.
const FIRST_SOURCE: Ipv4Addr = Ipv4Addr::new(127, 48, 0, 1);
/// A small one: what waits shall wait in the program.
const RECEIVE_BUFFER: u32 = 4096;
/// Browsers that register at once.
const AT_ONCE: usize = 50;
/// Users that the browsers register as, in turn.
const USERS: usize = 200;
/// Bytes of one message's body.
const BODY: usize = 48 * 1024;
/// So many of them are more than the queue and the system's buffers hold.
const MESSAGES: u32 = 10;
/// From one message to the next: what the pool sends shall not be lost in its own socket.
const PACE: Duration = Duration::from_micros(500);
/// What may wait for one browser, in bytes.
const QUEUE: u64 = 256 * 1024;
/// The rest of what one costs while it is served, in bytes.
const CONNECTION: u64 = 64 * 1024;
/// Closing goes by the queue, or by a write that makes no way for 10 s.
const CLOSED_WITHIN: Duration = Duration::from_secs(45);
/// The user that goes on calling meanwhile.
const GOOD_USER: &str = "1199";

/// What came of it.
#[derive(Debug, Clone)]
pub struct Deafened {
    /// Browsers that never read.
    pub browsers: usize,
    /// Messages sent to them.
    pub messages: u64,
    /// Those closed for being slow, or for not answering a ping, by what sbc counts.
    pub closed: u64,
    /// All were closed after so long, from the first message on.
    pub within: Duration,
    /// Calls of the good browser: made, and those that came up and ended well.
    pub calls: [u64; 2],
    /// Resident bytes with all connected, at most, and when all was over.
    pub resident: [u64; 3],
}

impl Deafened {
    /// What is not as it must be.
    pub fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        if self.closed < self.browsers as u64 {
            broken.push(format!("{} of {} browsers that never read were closed", self.closed, self.browsers));
        }
        let [made, good] = self.calls;
        if good != made || made == 0 {
            broken.push(format!("{good} of {made} calls of a good browser succeeded meanwhile"));
        }
        let [before, most, _] = self.resident;
        // Requests in progress, as they came and as they left.
        let kept = 2 * u64::from(sbc_core::limits::TRANSACTION_BYTES);
        let bound = self.browsers as u64 * (QUEUE + CONNECTION) + kept;
        if most.saturating_sub(before) > bound {
            broken.push(format!("memory grew from {before} to {most} bytes, by more than {bound}"));
        }
        broken
    }
}

impl fmt::Display for Deafened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "browsers that never read    {:>7}", self.browsers)?;
        writeln!(f, "messages sent to them       {:>7}", self.messages)?;
        writeln!(f, "closed for not reading      {:>7}", self.closed)?;
        writeln!(f, "all closed within, ms       {:>7}", self.within.as_millis())?;
        writeln!(f, "calls of a good browser     {:>7}", self.calls[0])?;
        writeln!(f, "of them good                {:>7}", self.calls[1])?;
        let [before, most, after] = self.resident.map(|bytes| bytes >> 20);
        writeln!(f, "resident when connected, MiB{before:>7}")?;
        writeln!(f, "resident at most, MiB       {most:>7}")?;
        writeln!(f, "resident afterwards, MiB    {after:>7}")
    }
}

/// Connect so many browsers, and send them what they never read; `rest` waits until all of it is forgotten. `tell` hears
/// how many were served so.
///
/// # Errors
/// When so many files cannot be open, or a browser cannot register.
///
/// # Panics
/// When a program does not start.
pub fn deafen(browsers: usize, rest: bool, mut tell: impl FnMut(&str, usize)) -> io::Result<Deafened> {
    open_files::allow(browsers)?;
    let site = Site::new("deaf");
    let members = FsMember::pair(&site, &[]);
    let sbc = Sbc::start(&site, Balance::CallId);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let connected = connect_all(&runtime, &site, browsers, &mut tell)?;
    let before = sbc.resident_bytes();
    let mut most = before;
    let good = Live::browser_at(&site, GOOD_USER, site.wss);
    let mut calls = [0, 0];
    let begun = Instant::now();
    let bindings = bindings(&members);
    let sender = Sender::new(&site)?;
    let mut messages = 0;
    for (served, binding) in bindings.iter().enumerate() {
        messages += u64::from(sender.send_to(binding, served));
        if served % 50 == 0 {
            most = most.max(sbc.resident_bytes());
            count_call(&good, &mut calls);
            tell("browsers that never read", served);
        }
    }
    let closed = || closed_by(&sbc.counts("sbc_ws_closed_total"));
    until_within(CLOSED_WITHIN, || {
        most = most.max(sbc.resident_bytes());
        closed() >= browsers as u64
    });
    let within = begun.elapsed();
    count_call(&good, &mut calls);
    let closed = closed();
    drop(connected);
    // The messages' transactions end with Timer F.
    until_within(if rest { 2 * PATIENCE } else { Duration::ZERO }, || {
        sbc.counts("sbc_transaction_alive").is_empty()
    });
    let resident = [before, most, sbc.resident_bytes()];
    Ok(Deafened { browsers, messages, closed, within, calls, resident })
}

/// Who is served late may have missed a ping before: that is not reading, too.
fn closed_by(counts: &[(String, u64)]) -> u64 {
    let deaf = |(label, _): &&(String, u64)| ["slow_reader", "ping_timeout"].contains(&label.as_str());
    counts.iter().filter(deaf).map(|(_, count)| count).sum()
}

type Deaf = WebSocketStream<TlsStream<TcpStream>>;

/// Connects and registers all of them; nobody reads from what is returned.
fn connect_all(
    runtime: &Runtime,
    site: &Site,
    browsers: usize,
    tell: &mut impl FnMut(&str, usize),
) -> io::Result<Vec<Deaf>> {
    runtime.block_on(async {
        let mut coming = JoinSet::new();
        let mut connected = Vec::with_capacity(browsers);
        for number in 0..browsers {
            if coming.len() >= AT_ONCE {
                connected
                    .extend(coming.join_next().await.transpose().map_err(io::Error::other)?.transpose()?);
            }
            coming.spawn(connect(number, site.outside(), site.wss));
            if number % 50 == 0 {
                tell("registered", number);
            }
        }
        while let Some(one) = coming.join_next().await {
            connected.push(one.map_err(io::Error::other)??);
        }
        tell("registered", browsers);
        Ok(connected)
    })
}

async fn connect(number: usize, own: SocketAddr, edge: SocketAddr) -> io::Result<Deaf> {
    let source = Ipv4Addr::from_bits(FIRST_SOURCE.to_bits() + u32::try_from(number).unwrap_or(0));
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.bind(SocketAddr::new(IpAddr::V4(source), 0))?;
    let user = (1000 + number % (USERS - 1)).to_string();
    let agent = Agent::browser(settings(&user, own, edge));
    let (endpoint, mut stream) = websocket::connect_tls_over(socket.connect(edge).await?, agent).await?;
    endpoint.act(|agent, now| agent.register(now, 300));
    endpoint.run_until(&mut stream, |agent| matches!(agent.registered(), Registered::Yes(_))).await;
    if !endpoint.act(|agent, _| matches!(agent.registered(), Registered::Yes(_))) {
        return Err(io::Error::other(format!("browser {number} was closed before it was registered")));
    }
    Ok(stream)
}

/// Where a member's messages to a browser go.
struct Binding {
    contact: String,
    path: String,
}

fn bindings(members: &[FsMember]) -> Vec<Binding> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let read =
        |binding: Value| Binding { contact: text(&binding["contact"]), path: text(&binding["path"][0]) };
    let of = |member: &FsMember| member.status()["bindings"].as_array().cloned().unwrap_or_default();
    members.iter().flat_map(of).map(read).collect()
}

/// What speaks for the members, from an address of theirs; nobody waits for the answers.
struct Sender {
    socket: UdpSocket,
    own: SocketAddr,
    inside: SocketAddr,
    body: String,
}

impl Sender {
    fn new(site: &Site) -> io::Result<Self> {
        let socket = UdpSocket::bind((site.members[0].ip(), 0))?;
        let own = socket.local_addr()?;
        Ok(Self { socket, own, inside: site.inside, body: "x".repeat(BODY) })
    }

    /// How many were sent.
    fn send_to(&self, binding: &Binding, number: usize) -> u32 {
        let Self { own, body, .. } = self;
        let Binding { contact, path } = binding;
        let mut sent = 0;
        for copy in 0..MESSAGES {
            let message = format!(
                "MESSAGE {contact} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKm{number}x{copy};rport\r\n\
                 Route: {path}\r\nMax-Forwards: 70\r\nFrom: <sip:queue@example.test>;tag=m{number}\r\n\
                 To: <{contact}>\r\nCall-ID: m{number}x{copy}@{own}\r\nCSeq: 1 MESSAGE\r\n\
                 Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            sent += u32::from(self.socket.send_to(message.as_bytes(), self.inside).is_ok());
            std::thread::sleep(PACE);
        }
        sent
    }
}

/// One call of the good browser, from its beginning to its end.
fn count_call(good: &Live, [made, succeeded]: &mut [u64; 2]) {
    *made += 1;
    let leg = good.call("9196");
    let is_up = until_within(PATIENCE, || good.state(leg) == State::Up);
    good.act(|agent, now| agent.bye(now, leg));
    let is_over = until_within(PATIENCE, || matches!(good.state(leg), State::Ended { status: 200, .. }));
    *succeeded += u64::from(is_up && is_over);
}
