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

/// The ACK of an answer to an INVITE of `from`, or the BYE of the call that it began.
pub fn within(method: &str, from: SocketAddr, answer: &Message) -> Message {
    let uri = answer.uri_of("Contact").unwrap_or_else(|| "sip:9196@example.test".into());
    let mut request = Message::request(method, &uri);
    if answer.status() < 300 {
        let branch = format!("z9hG4bK{method}{}", answer.call_id());
        request.push("Via", format!("SIP/2.0/UDP {from};rport;branch={branch}"));
    } else {
        request.copy(answer, "Via");
    }
    request.push("Max-Forwards", "70");
    request.copy(answer, "From");
    request.copy(answer, "To");
    request.push("Call-ID", answer.call_id());
    request.push("CSeq", format!("{} {method}", if method == "BYE" { 2 } else { 1 }));
    request.close(None);
    request
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
