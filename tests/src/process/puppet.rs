//! A member of the pool in this very process, which fails as it is told: what it was asked, and when, is known to the
//! last message.

use std::collections::HashSet;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::sim::answer;
use crate::ua::message::Message;

/// How often it looks whether it is to do something else.
const LOOK: Duration = Duration::from_millis(20);

/// How a member can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// It answers calls and probes.
    Well,
    /// It is gone: its host says by ICMP that nobody has the port.
    Gone,
    /// It is stopped (SIGSTOP): the kernel takes what comes, nobody reads it until it goes on.
    Stopped,
    /// It has all the calls it may have: whatever is new gets 503, and its probes 200, as FreeSWITCH does it.
    Full,
    /// It takes nothing, and says so to its probes, too.
    Paused,
    /// Nothing that is sent to it arrives.
    Deaf,
}

/// What it did since its mood changed last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Heard {
    /// Probes that came, repetitions counted.
    pub asked: u32,
    /// Probes answered with 200.
    pub probes: u32,
    /// Different calls that came.
    pub calls: u32,
    /// Probes that it had answered when the first call came.
    pub probes_before_calls: u32,
}

#[derive(Debug)]
struct Memory {
    mood: Mood,
    /// It takes what lies in its socket as if it had not come.
    stale: bool,
    heard: Heard,
    known: HashSet<String>,
}

/// One such member; it ends with the value.
#[derive(Debug)]
pub struct Puppet {
    memory: Arc<Mutex<Memory>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Puppet {
    /// A member at this address, well.
    ///
    /// # Panics
    /// When the address is taken.
    pub fn start(address: SocketAddr) -> Self {
        let memory =
            Memory { mood: Mood::Well, stale: false, heard: Heard::default(), known: HashSet::new() };
        let (memory, over) = (Arc::new(Mutex::new(memory)), Arc::new(AtomicBool::new(false)));
        let first = Some(open(address));
        let (its_memory, its_end) = (Arc::clone(&memory), Arc::clone(&over));
        let thread = std::thread::spawn(move || live(address, first, &its_memory, &its_end));
        Self { memory, over, thread: Some(thread) }
    }

    /// From now on it is like this.
    pub fn turn(&self, mood: Mood) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.stale = memory.mood == Mood::Stopped;
        memory.mood = mood;
        memory.heard = Heard::default();
    }

    /// What it did since then.
    pub fn heard(&self) -> Heard {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).heard
    }
}

impl Drop for Puppet {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It has only panicked where its test has failed.
            let _ = thread.join();
        }
    }
}

fn open(address: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind(address).expect("the member's address is free");
    socket.set_read_timeout(Some(LOOK)).expect("a time to look up");
    socket
}

fn live(address: SocketAddr, first: Option<UdpSocket>, memory: &Mutex<Memory>, over: &AtomicBool) {
    let mut socket = first;
    let mut buffer = vec![0; 65_536];
    while !over.load(Ordering::Relaxed) {
        let (mood, stale) = {
            let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
            (memory.mood, std::mem::take(&mut memory.stale))
        };
        match mood {
            Mood::Gone => {
                socket = None;
                std::thread::sleep(LOOK);
            }
            Mood::Stopped => std::thread::sleep(LOOK),
            Mood::Well | Mood::Full | Mood::Paused | Mood::Deaf => {
                let socket = socket.get_or_insert_with(|| open(address));
                if stale {
                    answer_the_past(socket, &mut buffer, memory);
                }
                if let Ok((length, from)) = socket.recv_from(&mut buffer) {
                    hear(socket, buffer.get(..length).unwrap_or_default(), from, memory, true);
                }
            }
        }
    }
}

/// What came while it was stopped says nothing of whom it is asked by now.
fn answer_the_past(socket: &UdpSocket, buffer: &mut [u8], memory: &Mutex<Memory>) {
    socket.set_nonblocking(true).expect("a socket");
    while let Ok((length, from)) = socket.recv_from(buffer) {
        hear(socket, buffer.get(..length).unwrap_or_default(), from, memory, false);
    }
    socket.set_nonblocking(false).expect("a socket");
}

fn hear(socket: &UdpSocket, bytes: &[u8], from: SocketAddr, memory: &Mutex<Memory>, counts: bool) {
    let Ok(request) = Message::read(bytes) else { return };
    if !request.is_request() || request.method() == "ACK" {
        return;
    }
    let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
    let mood = memory.mood;
    let refused = refuses(mood, &request);
    let is_good = matches!(mood, Mood::Well | Mood::Full);
    memory.note(&request, is_good, counts);
    drop(memory);
    if matches!(mood, Mood::Gone | Mood::Stopped | Mood::Deaf) {
        return;
    }
    let mut response = answer(&request, if refused { 503 } else { 200 }, "puppet");
    match request.method() {
        // As long as FreeSWITCH says at its limit.
        _ if refused && mood == Mood::Full => response.push("Retry-After", "300"),
        "INVITE" if !refused => {
            let own = socket.local_addr().expect("a bound socket");
            response.push("Contact", format!("<sip:9196@{own}>"));
        }
        _ => {}
    }
    response.close(None);
    // A datagram that cannot be sent is a lost one.
    let _ = socket.send_to(&response.to_bytes(), from);
}

/// Whatever happens in a call that it has goes on.
fn refuses(mood: Mood, request: &Message) -> bool {
    let is_new = request.tag("To").is_empty();
    match request.method() {
        "INVITE" | "REGISTER" | "NOTIFY" | "INFO" => is_new && matches!(mood, Mood::Full | Mood::Paused),
        "OPTIONS" => is_new && mood == Mood::Paused,
        _ => false,
    }
}

impl Memory {
    fn note(&mut self, request: &Message, is_good: bool, counts: bool) {
        match request.method() {
            "OPTIONS" if counts => {
                self.heard.asked += 1;
                self.heard.probes += u32::from(is_good);
            }
            // Of the probes that it finds when it goes on, the last one may still be waited for.
            "OPTIONS" => self.heard.probes = u32::from(is_good),
            "INVITE" if self.known.insert(request.call_id().to_owned()) && counts => {
                if self.heard.calls == 0 {
                    self.heard.probes_before_calls = self.heard.probes;
                }
                self.heard.calls += 1;
            }
            _ => {}
        }
    }
}
