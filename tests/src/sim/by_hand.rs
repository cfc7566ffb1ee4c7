//! Messages by hand: what no well-behaved endpoint sends, and what a test wants to read word for word.

use std::net::SocketAddr;

use sbc_core::flow::Zone;

use super::World;
use crate::ua::message::{Message, phrase};

/// A message that left sbc.
#[derive(Debug, Clone)]
pub struct Departure {
    /// Where it went.
    pub to: SocketAddr,
    /// Whom that faces.
    pub zone: Zone,
    /// The message.
    pub bytes: Vec<u8>,
}

/// A message that came in at sbc.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// Who sent it, as sbc sees it.
    pub from: SocketAddr,
    /// Which address of ours it was sent to.
    pub to: SocketAddr,
    /// The message.
    pub bytes: Vec<u8>,
}

impl Departure {
    /// The message, read.
    ///
    /// # Panics
    /// Where sbc sent what cannot be read.
    pub fn message(&self) -> Message {
        Message::read(&self.bytes)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.bytes)))
    }
}

impl World {
    /// What left sbc under one Call-ID since the departures were cleared, in order.
    pub fn departed(&self, call_id: &str) -> Vec<(SocketAddr, Message)> {
        let messages = self.departures.iter().map(|departure| (departure.to, departure.message()));
        messages.filter(|(_, message)| message.call_id() == call_id).collect()
    }

    /// Send raw text from an address to another, and say what left sbc under `call_id` within 50 ms of it.
    pub fn say(&mut self, from: &str, to: &str, text: &str, call_id: &str) -> Vec<(SocketAddr, Message)> {
        self.departures.clear();
        self.inject(from, to, text.as_bytes());
        self.run(50);
        self.departed(call_id)
    }
}

/// The answer that the far end of `request` gives; `tag` becomes the tag of To where it has none.
pub fn answer(request: &Message, status: u16, tag: &str) -> Message {
    let mut answer = Message::response(status, phrase(status));
    for name in ["Via", "Record-Route", "From", "To", "Call-ID", "CSeq"] {
        answer.copy(request, name);
    }
    if answer.tag("To").is_empty() {
        let to = format!("{};tag={tag}", request.get("To").unwrap_or_default());
        replace(&mut answer, "To", &[to]);
    }
    answer
}

/// Put these values in the place of every header `name`, one line for each; without values it is taken out.
pub fn replace(message: &mut Message, name: &str, values: &[String]) {
    let at = message.headers.iter().position(|(own, _)| own.eq_ignore_ascii_case(name));
    message.headers.retain(|(own, _)| !own.eq_ignore_ascii_case(name));
    let at = at.unwrap_or(message.headers.len());
    let lines = values.iter().map(|value| (name.to_owned(), value.clone()));
    message.headers.splice(at..at, lines);
}
