//! Datagrams from very many addresses at an even rate: one socket that names another source for each of them.

use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrIn, sendmsg};

/// The first source. Sites use other networks of loopback.
const FIRST_SOURCE: Ipv4Addr = Ipv4Addr::new(127, 16, 0, 1);
/// From one handful of datagrams to the next.
const STEP: Duration = Duration::from_millis(1);
/// After a pause of the whole machine no more than so many steps are made up for at once.
const MOST_STEPS: u32 = 20;
/// Prime, so that neighbours in time are no neighbours in the network.
const STRIDE: u32 = 7919;

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// Nothing that SIP allows.
    Garbage,
    /// INVITE, REGISTER and OPTIONS without a fault, each of another call, in the names of served users.
    Strangers,
}

/// Datagrams that go on until the value is dropped.
#[derive(Debug)]
pub struct Storm {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    begun: Instant,
    thread: Option<JoinHandle<()>>,
}

impl Storm {
    /// Sends `rate` datagrams a second to `target`, from `sources` addresses in turn.
    ///
    /// # Errors
    /// When there is no socket to send from.
    ///
    /// # Panics
    /// When `target` is no IPv4 address of loopback.
    pub fn start(weather: Weather, rate: u32, sources: u32, target: SocketAddr) -> io::Result<Self> {
        let SocketAddr::V4(target) = target else { panic!("{target} is not IPv4") };
        assert!(target.ip().is_loopback(), "{target} is not on loopback");
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        let stop = Arc::new(AtomicBool::new(false));
        let sent = Arc::new(AtomicU64::new(0));
        let port = socket.local_addr()?.port();
        let sender = Sender { socket, target, port, sources, sent: Arc::clone(&sent) };
        let stopped = Arc::clone(&stop);
        let blow = move || sender.blow(weather, rate, &stopped);
        let thread = std::thread::Builder::new().name("storm".to_owned()).spawn(blow)?;
        Ok(Self { stop, sent, begun: Instant::now(), thread: Some(thread) })
    }

    /// Datagrams sent so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Datagrams a second, as it truly was so far.
    pub fn rate(&self) -> u64 {
        let millis = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.sent().saturating_mul(1000) / millis.max(1)
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // A storm that has panicked has told so.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

struct Sender {
    socket: UdpSocket,
    target: SocketAddrV4,
    port: u16,
    sources: u32,
    sent: Arc<AtomicU64>,
}

impl Sender {
    fn blow(&self, weather: Weather, rate: u32, stop: &AtomicBool) {
        let begun = Instant::now();
        let garbage = garbage();
        let mut datagram = Vec::new();
        let (mut number, mut done) = (0u32, 0u32);
        while !stop.load(Ordering::Relaxed) {
            let steps = u32::try_from(begun.elapsed().as_millis()).unwrap_or(u32::MAX);
            let due = steps.saturating_sub(done).min(MOST_STEPS);
            done = steps;
            for _ in 0..due.saturating_mul(rate) / 1000 {
                let source = self.source(number);
                match weather {
                    Weather::Garbage => {
                        self.send(source, &garbage[number as usize % garbage.len()]);
                    }
                    Weather::Strangers => {
                        write_request(&mut datagram, number, SocketAddrV4::new(source, self.port));
                        self.send(source, &datagram);
                    }
                }
                number = number.wrapping_add(1);
            }
            std::thread::sleep(STEP);
        }
    }

    fn source(&self, number: u32) -> Ipv4Addr {
        let at = u64::from(number) * u64::from(STRIDE) % u64::from(self.sources.max(1));
        // Less than `sources`, which is 32 bits wide.
        Ipv4Addr::from_bits(FIRST_SOURCE.to_bits() + at as u32)
    }

    fn send(&self, source: Ipv4Addr, bytes: &[u8]) {
        let source = libc::in_addr { s_addr: source.to_bits().to_be() };
        let info = libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: source, ipi_addr: source };
        let named = [ControlMessage::Ipv4PacketInfo(&info)];
        let target = SockaddrIn::from(self.target);
        let sent = sendmsg(
            self.socket.as_raw_fd(),
            &[IoSlice::new(bytes)],
            &named,
            MsgFlags::empty(),
            Some(&target),
        );
        // A full queue loses datagrams, as networks do; what counts is what left.
        self.sent.fetch_add(u64::from(sent.is_ok()), Ordering::Relaxed);
    }
}

/// What no SIP parser likes: noise, other protocols, broken and cut messages.
fn garbage() -> Vec<Vec<u8>> {
    let noise = |seed: u32, length: usize| {
        let mut state = seed | 1;
        let mut next = move || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            // Above what STUN and keepalives begin with.
            state as u8 | 0x40
        };
        (0..length).map(|_| next()).collect::<Vec<u8>>()
    };
    let head = "INVITE sip:9196@example.test SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\r\n";
    vec![
        noise(1, 20),
        noise(2, 172),
        noise(3, 1200),
        b"GET / HTTP/1.1\r\nHost: example.test\r\n\r\n".to_vec(),
        b"INVITE".to_vec(),
        head.as_bytes().to_vec(),
        format!("{head}From: <sip:a@b>;tag=1\r\nTo: \"\r\nCall-ID\r\nCSeq: x INVITE\r\n\r\n").into_bytes(),
        format!("{head}\r\n").into_bytes(),
        [b"SIP/2.0 999 ".as_slice(), &noise(4, 300)].concat(),
        format!("{head}{}\r\n\r\n", ";".repeat(1000)).into_bytes(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".repeat(8),
        [head.as_bytes(), &noise(5, 600)].concat(),
    ]
}

/// One request of a stranger: the `number`-th.
fn write_request(out: &mut Vec<u8>, number: u32, own: SocketAddrV4) {
    use std::io::Write;
    out.clear();
    let user = 1000 + number % 1000;
    let (method, uri, to) = match number % 3 {
        0 => ("INVITE", "sip:9196@example.test".to_owned(), 9196),
        1 => ("REGISTER", "sip:example.test".to_owned(), user),
        _ => ("OPTIONS", "sip:example.test".to_owned(), user),
    };
    let written = write!(
        out,
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKs{number};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:{user}@example.test>;tag=s{number}\r\nTo: <sip:{to}@example.test>\r\n\
         Call-ID: s{number}@{own}\r\nCSeq: 1 {method}\r\nContact: <sip:{user}@{own}>\r\nContent-Length: 0\r\n\r\n"
    );
    written.expect("memory takes what is written");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_comes_from_many_addresses_at_its_rate() -> io::Result<()> {
        let target = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let storm = Storm::start(Weather::Strangers, 5000, 50, target.local_addr()?)?;
        let mut buffer = [0; 2048];
        let mut sources = std::collections::BTreeSet::new();
        while sources.len() < 50 {
            let (length, from) = target.recv_from(&mut buffer)?;
            assert!(buffer[..length].ends_with(b"\r\n\r\n"));
            sources.insert(from.ip());
        }
        // The last one has perhaps come before it was counted.
        assert!(storm.sent() >= 49);
        assert!(sources.iter().all(|source| *source >= std::net::IpAddr::V4(FIRST_SOURCE)));
        Ok(())
    }
}
