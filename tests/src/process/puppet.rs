//! A member of the pool in this very process, which fails as it is told: what it was asked, and when, is known to the
//! last message.

mod door;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use sbc_core::flow::Transport;

use self::door::Door;
use crate::sim::answer;
use crate::ua::message::Message;

/// How often it looks whether it is to do something else.
const LOOK: Duration = Duration::from_millis(20);

/// How a member can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// It answers calls and probes.
    Well,
    /// It is gone: its host says that nobody has the port, by ICMP, or closes its connections and refuses others.
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
    /// A member at this address, reached by UDP or TCP, well.
    ///
    /// # Panics
    /// When the address is taken.
    pub fn start(address: SocketAddr, transport: Transport) -> Self {
        let memory =
            Memory { mood: Mood::Well, stale: false, heard: Heard::default(), known: HashSet::new() };
        let (memory, over) = (Arc::new(Mutex::new(memory)), Arc::new(AtomicBool::new(false)));
        let first = Some(Door::open(address, transport));
        let (its_memory, its_end) = (Arc::clone(&memory), Arc::clone(&over));
        let thread = std::thread::spawn(move || live((address, transport), first, &its_memory, &its_end));
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

fn live(own: (SocketAddr, Transport), first: Option<Door>, memory: &Mutex<Memory>, over: &AtomicBool) {
    let mut door = first;
    while !over.load(Ordering::Relaxed) {
        let (mood, stale) = {
            let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
            (memory.mood, std::mem::take(&mut memory.stale))
        };
        match mood {
            Mood::Gone => {
                door = None;
                std::thread::sleep(LOOK);
            }
            Mood::Stopped => std::thread::sleep(LOOK),
            Mood::Well | Mood::Full | Mood::Paused | Mood::Deaf => {
                let door = door.get_or_insert_with(|| Door::open(own.0, own.1));
                // What came while it was stopped says nothing of whom it is asked by now.
                while let Some(heard) = stale.then(|| door.hear(Duration::ZERO)).flatten() {
                    take(door, own, heard, memory, false);
                }
                if let Some(heard) = door.hear(LOOK) {
                    take(door, own, heard, memory, true);
                }
            }
        }
    }
}

fn take(
    door: &mut Door,
    own: (SocketAddr, Transport),
    heard: (Vec<u8>, SocketAddr),
    memory: &Mutex<Memory>,
    counts: bool,
) {
    let (bytes, from) = heard;
    let Ok(request) = Message::read(&bytes) else { return };
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
            let by = if own.1 == Transport::Tcp { ";transport=tcp" } else { "" };
            response.push("Contact", format!("<sip:9196@{}{by}>", own.0));
        }
        _ => {}
    }
    response.close(None);
    door.say(from, &response.to_bytes());
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
