//! What it costs to refuse the nastiest messages: read, and judged by every check up to the first refusal.

use std::net::SocketAddr;

use sbc_core::admission::{Judged, Refusal, admit, syntax};
use sbc_core::config::{Admission, Listener};
use sbc_core::flow::{Transport, Zone};
use sbc_core::wire::{Framing, Index, Limits, Message};

/// Where everybody may send.
const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 5060);

/// A strict listener, and memory that is used again.
#[derive(Debug)]
pub struct Judging {
    index: Index,
    listener: Listener,
    admission: Admission,
}

impl Default for Judging {
    fn default() -> Self {
        let listener = Listener::new("phones", Transport::Udp, ADDRESS, Zone::Public);
        Self { index: Index::new(), listener, admission: Admission::default() }
    }
}

impl Judging {
    /// What a datagram is refused for; `None`: it passes.
    pub fn run(&mut self, bytes: &[u8]) -> Option<Refusal> {
        if let Err(error) = self.index.parse(bytes, Framing::Datagram, &Limits::default()) {
            return Some(syntax(error));
        }
        let judged = Judged {
            message: Message::new(bytes, &self.index),
            listener: &self.listener,
            source: ADDRESS,
            admission: &self.admission,
        };
        admit(&judged, |_| {}).err()
    }
}
