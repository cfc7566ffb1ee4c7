//! sbc on one processor, offered ever more calls: first what it can do at most, then many times of that.
//!
//! The caller and the members are threads of this program, so that the callers are many and cheap. Each call is an
//! INVITE, its 200, its ACK, the BYE and its 200; a refused one ends with the ACK of its 503.

use std::fmt;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::process::{Sbc, Site, until};
use crate::sim::{answer, within};
use crate::ua::message::Message;

/// The first rate, in calls a second; it doubles until sbc answers much less than it is offered.
const FIRST_RATE: u32 = 250;
/// No machine of today comes that far.
const MOST_RATE: u32 = 256_000;
/// How long each rate is offered on the way to the peak, and how long until it counts.
const STEP: [Duration; 2] = [Duration::from_secs(3), Duration::from_secs(1)];
/// The same for the overload.
const OVERLOAD: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(4)];
/// The same for a look in passing.
const SHORT_STEP: [Duration; 2] = [Duration::from_secs(1), Duration::from_millis(300)];
const SHORT_OVERLOAD: [Duration; 2] = [Duration::from_secs(4), Duration::from_secs(2)];
/// Calls are begun so often.
const TICK: Duration = Duration::from_millis(1);
/// In percent of the peak.
const LEAST_GOODPUT: u64 = 80;
/// Answers read before time is looked at again.
const IN_A_ROW: usize = 256;

/// What came of one rate, in calls a second.
#[derive(Debug, Clone, Copy, Default)]
pub struct Managed {
    /// Begun: the generator may not come as far as it was told.
    pub offered: u64,
    /// Answered with 200.
    pub answered: u64,
    /// Answered with 503.
    pub refused: u64,
    /// Ended with a BYE that was granted.
    pub ended: u64,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Overloaded {
    /// The rate at which most was answered, while it grew.
    pub peak: Managed,
    /// The overload.
    pub beyond: Managed,
}

impl Overloaded {
    /// What is answered under overload, in percent of the peak.
    pub fn goodput(&self) -> u64 {
        self.beyond.answered * 100 / self.peak.answered.max(1)
    }

    /// What is not as it must be: nine tenths of the peak are meant to be answered, and a machine that others use, too, is
    /// given some of that.
    pub fn broken(&self) -> Vec<String> {
        let starved = self.goodput() < LEAST_GOODPUT;
        let lost = format!("under overload {} % of the peak are answered", self.goodput());
        let silent = self.beyond.refused == 0;
        let nobody_told = "under overload nobody is told to come back later".to_owned();
        starved.then_some(lost).into_iter().chain(silent.then_some(nobody_told)).collect()
    }
}

impl fmt::Display for Overloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { peak, beyond } = self;
        writeln!(f, "peak, calls/s               {:>7}", peak.answered)?;
        writeln!(f, "offered, calls/s            {:>7}", beyond.offered)?;
        writeln!(f, "answered with 200           {:>7}", beyond.answered)?;
        writeln!(f, "answered with 503           {:>7}", beyond.refused)?;
        writeln!(f, "ended by BYE                {:>7}", beyond.ended)?;
        writeln!(f, "goodput, % of the peak      {:>7}", self.goodput())
    }
}

/// Find the peak, and offer so many times of it.
///
/// # Panics
/// When a program does not start, or a socket cannot be had.
pub fn overload(times: u32, tell: impl FnMut(&str)) -> Overloaded {
    under(times, [STEP, OVERLOAD], tell).0
}

/// The same in a few seconds; with it what the kernel dropped unread, and what comes of a few calls once the load has
/// gone.
///
/// # Panics
/// When a program does not start, a socket cannot be had, or sbc goes on dropping.
pub fn overload_shortly(times: u32) -> (Overloaded, u64, Managed) {
    under(times, [SHORT_STEP, SHORT_OVERLOAD], |_| {})
}

fn under(
    times: u32,
    [step, overload]: [[Duration; 2]; 2],
    mut tell: impl FnMut(&str),
) -> (Overloaded, u64, Managed) {
    let site = Site::new("overload");
    let _members = site.members.map(Member::start);
    let change = |config: String| {
        let config = config.replace("workers = 2", "workers = 1");
        config.replace("[admission]\n", "[admission]\nallow = [\"127.0.0.0/8\"]\n")
    };
    let sbc = Sbc::start_on_one_processor(&site, change);
    let mut caller = Caller::new(&site);
    let mut peak = Managed::default();
    let mut rate = FIRST_RATE;
    while rate <= MOST_RATE {
        let managed = caller.offer(rate, step);
        tell(&format!("{rate} calls/s: {} answered", managed.answered));
        if managed.answered > peak.answered {
            peak = managed;
        }
        if managed.answered * 10 < u64::from(rate) * 6 {
            break;
        }
        rate *= 2;
    }
    let beyond = u64::from(times) * peak.answered;
    let beyond = caller.offer(u32::try_from(beyond).unwrap_or(MOST_RATE), overload);
    let unread = sbc.metric("sbc_overload_unread_total{listener=\"phones\"}");
    until("nothing is dropped unread any more", || is_all_read(&sbc));
    (Overloaded { peak, beyond }, unread, caller.offer(FIRST_RATE / 5, step))
}

fn is_all_read(sbc: &Sbc<'_>) -> bool {
    let status = sbc.status();
    let unread = status["load"]["unread_percent"].as_array().cloned().unwrap_or_default();
    !unread.is_empty() && unread.iter().all(|class| class[1] == 0)
}

/// A server that answers everything with 200 at once, until the value is dropped.
struct Member {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Member {
    fn start(address: SocketAddr) -> Self {
        let socket = socket(address);
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut buffer = [0; 65_536];
            while !stopped.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
                let Ok(request) = Message::read(&buffer[..length]) else { continue };
                if request.is_request() && request.method() != "ACK" {
                    let mut ok = answer(&request, 200, "member");
                    ok.push("Contact", format!("<sip:9196@{address}>"));
                    ok.close(None);
                    // A full buffer loses it, as the network may.
                    let _ = socket.send_to(&ok.to_bytes(), from);
                }
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn socket(address: SocketAddr) -> UdpSocket {
    UdpSocket::bind(address).expect("a free port")
}

struct Caller {
    socket: UdpSocket,
    own: SocketAddr,
    to: SocketAddr,
    begun: u64,
    counts: Managed,
    buffer: Box<[u8; 65_536]>,
}

impl Caller {
    fn new(site: &Site) -> Self {
        let own = site.outside();
        let socket = socket(own);
        socket.set_nonblocking(true).expect("a socket that does not block");
        let (begun, counts) = (0, Managed::default());
        Self { socket, own, to: site.udp, begun, counts, buffer: Box::new([0; 65_536]) }
    }

    /// Offer calls at a rate for so long; the second time is how long until it counts.
    fn offer(&mut self, rate: u32, [time, until_it_counts]: [Duration; 2]) -> Managed {
        let start = Instant::now();
        let mut begun = 0;
        let mut before = None;
        while start.elapsed() < time {
            let due = start.elapsed().as_micros() * u128::from(rate) / 1_000_000;
            while begun < due {
                self.invite();
                begun += 1;
                if begun.is_multiple_of(64) {
                    self.hear();
                }
            }
            self.hear();
            if before.is_none() && start.elapsed() >= until_it_counts {
                before = Some(self.counts);
            }
            let next = start + TICK * u32::try_from(start.elapsed().as_millis() + 1).unwrap_or(u32::MAX);
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        let (before, now) = (before.unwrap_or_default(), self.counts);
        let counted = (time - until_it_counts).as_millis() as u64;
        let a_second = |count: fn(&Managed) -> u64| (count(&now) - count(&before)) * 1000 / counted;
        Managed {
            offered: a_second(|counts| counts.offered),
            answered: a_second(|counts| counts.answered),
            refused: a_second(|counts| counts.refused),
            ended: a_second(|counts| counts.ended),
        }
    }

    fn say(&self, message: &[u8]) {
        // A full buffer loses it, as the network may.
        let _ = self.socket.send_to(message, self.to);
    }

    fn invite(&mut self) {
        self.begun += 1;
        self.counts.offered += 1;
        let (own, number) = (self.own, self.begun);
        // Written in one go: many times more of these are made than sbc can read.
        let invite = format!(
            "INVITE sip:9196@example.test SIP/2.0\r\nVia: SIP/2.0/UDP {own};rport;branch=z9hG4bK{number}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:1003@example.test>;tag=caller\r\nTo: <sip:9196@example.test>\r\n\
             Call-ID: {number}@overload.test\r\nCSeq: 1 INVITE\r\nContact: <sip:1003@{own}>\r\n\
             Content-Length: 0\r\n\r\n"
        );
        self.say(invite.as_bytes());
    }

    /// Takes what is there.
    fn hear(&mut self) {
        for _ in 0..IN_A_ROW {
            let length = match self.socket.recv(&mut self.buffer[..]) {
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => continue,
            };
            if let Ok(message) = Message::read(&self.buffer[..length]) {
                self.answered(&message);
            }
        }
    }

    fn answered(&mut self, message: &Message) {
        if message.is_request() {
            return;
        }
        match (message.method(), message.status()) {
            ("INVITE", 200) => {
                self.counts.answered += 1;
                self.say(&within("ACK", self.own, message).to_bytes());
                self.say(&within("BYE", self.own, message).to_bytes());
            }
            ("INVITE", 300..) => {
                self.counts.refused += u64::from(message.status() == 503);
                self.say(&within("ACK", self.own, message).to_bytes());
            }
            ("BYE", 200) => self.counts.ended += 1,
            _ => {}
        }
    }
}
