//! A member of the pool that writes down every byte it is sent, and answers as politely as it can.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::sim::{answer, replace};
use crate::ua::message::Message;

/// How often it looks whether it is over.
const LOOK: Duration = Duration::from_millis(20);
/// Calls with such a Call-ID are answered, all others refused.
pub const ANSWERED: &str = "answered";

/// One such member; it ends with the value.
#[derive(Debug)]
pub struct Recorder {
    socket: Arc<UdpSocket>,
    received: Arc<Mutex<Vec<Vec<u8>>>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Recorder {
    /// A member at this address.
    ///
    /// # Panics
    /// When the address is taken.
    pub fn start(address: SocketAddr) -> Self {
        let socket = Arc::new(UdpSocket::bind(address).expect("the member's address is free"));
        socket.set_read_timeout(Some(LOOK)).expect("a time to look up");
        let (received, over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (its_socket, its_list, its_end) = (Arc::clone(&socket), Arc::clone(&received), Arc::clone(&over));
        let thread = std::thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while !its_end.load(Ordering::Relaxed) {
                if let Ok((length, from)) = its_socket.recv_from(&mut buffer) {
                    hear(&its_socket, buffer.get(..length).unwrap_or_default(), from, &its_list);
                }
            }
        });
        Self { socket, received, over, thread: Some(thread) }
    }

    /// What it was sent so far, without probes.
    pub fn received(&self) -> Vec<Vec<u8>> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends from its own address.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn send(&self, to: SocketAddr, text: &str) {
        self.socket.send_to(text.as_bytes(), to).expect("sent");
    }

    /// Its own address.
    ///
    /// # Panics
    /// Never: it is bound.
    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("a bound socket")
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It has only panicked where its test has failed.
            let _ = thread.join();
        }
    }
}

fn hear(socket: &UdpSocket, bytes: &[u8], from: SocketAddr, received: &Mutex<Vec<Vec<u8>>>) {
    let message = Message::read(bytes).ok();
    let is_probe = message.as_ref().is_some_and(|one| one.is_request() && one.get("X-AUTH-IP").is_none());
    if !is_probe {
        received.lock().unwrap_or_else(PoisonError::into_inner).push(bytes.to_vec());
    }
    let Some(request) = message.filter(|one| one.is_request() && one.method() != "ACK") else { return };
    let is_call = request.method() == "INVITE" && !request.call_id().starts_with(ANSWERED);
    let mut response = answer(&request, if is_call { 486 } else { 200 }, "recorder");
    if request.method() == "REGISTER" {
        let contacts: Vec<_> =
            request.list("Contact").into_iter().map(|contact| format!("{contact};expires=300")).collect();
        replace(&mut response, "Contact", &contacts);
    } else if !is_call {
        response.push("Contact", format!("<sip:9200@{}>", socket.local_addr().expect("a bound socket")));
    }
    response.close(None);
    // A datagram that cannot be sent is a lost one.
    let _ = socket.send_to(&response.to_bytes(), from);
}
