//! A stage: sbc, and parties whose every word the test writes itself. For races that no endpoint plays on purpose.

use super::{CARRIER, EdgeSettings, INSIDE, MEMBERS, PHONE, PHONES, TRUNK, World, answer, replace};
use crate::ua::message::Message;

/// A message that left sbc, and where it went.
#[derive(Debug, Clone)]
pub struct Sent {
    /// The address.
    pub to: String,
    /// The message.
    pub message: Message,
}

/// sbc alone in the world. Members answer probes until they are silenced; nobody says anything else by himself.
pub struct Stage {
    /// The world that it stands in.
    pub world: World,
    silenced: Vec<String>,
}

/// Probes are looked for so often, in milliseconds.
const SLICE: u64 = 100;

impl Stage {
    /// With these settings.
    pub fn new(settings: &EdgeSettings) -> Self {
        let mut world = World::new(1, settings);
        for member in &settings.members {
            world.kill(&member.to_string(), false);
        }
        let mut stage = Self { world, silenced: Vec::new() };
        stage.pass(1_000);
        stage
    }

    /// With the usual two members.
    pub fn usual() -> Self {
        Self::new(&EdgeSettings::new(&MEMBERS))
    }

    /// A member answers no probe any more. With `refuses`, its host answers with ICMP errors.
    pub fn silence(&mut self, member: &str, refuses: bool) {
        self.silenced.push(member.to_owned());
        if refuses {
            self.world.kill(member, true);
        }
    }

    /// A member answers its probes again.
    pub fn wake(&mut self, member: &str) {
        self.silenced.retain(|one| one != member);
    }

    /// Say something at the door of whoever says it, and see what leaves within 20 ms.
    pub fn say(&mut self, from: &str, message: &Message) -> Vec<Sent> {
        let to = match from {
            member if MEMBERS.contains(&member) => INSIDE,
            CARRIER => TRUNK,
            _ => PHONES,
        };
        self.world.inject(from, to, &message.to_bytes());
        self.pass(20)
    }

    /// Let time pass, and see what leaves meanwhile.
    pub fn pass(&mut self, millis: u64) -> Vec<Sent> {
        let mut sent = Vec::new();
        let mut left = millis;
        while left > 0 {
            let slice = left.min(SLICE);
            left -= slice;
            self.world.departures.clear();
            self.world.run(slice);
            sent.extend(self.take());
        }
        sent
    }

    fn take(&mut self) -> Vec<Sent> {
        let departures = std::mem::take(&mut self.world.departures);
        let sent = departures.iter().map(|one| Sent { to: one.to.to_string(), message: one.message() });
        let is_probe = |one: &Sent| one.message.is_request() && one.message.method() == "OPTIONS";
        let (probes, sent): (Vec<_>, Vec<_>) = sent.partition(is_probe);
        for probe in probes.iter().filter(|probe| !self.silenced.contains(&probe.to)) {
            let mut ok = answer(&probe.message, 200, "probe");
            ok.close(None);
            self.world.inject(&probe.to, INSIDE, &ok.to_bytes());
        }
        sent
    }

    /// Everything is forgotten, 64 times T1 and the longest timers after the last message.
    ///
    /// # Panics
    /// Where anything stays in a table, or was told outside that must not be.
    pub fn assert_at_rest(&mut self) {
        self.pass(100_000);
        let status = self.world.core().status();
        assert!(status.is_at_rest(), "left over: {status:?}");
        assert_eq!(self.world.told, Vec::<String>::new());
    }
}

/// A request of the phone outside any dialog.
pub fn request(method: &str, call_id: &str, branch: &str) -> Message {
    let mut request = Message::request(method, "sip:9196@example.test");
    request.push("Via", format!("SIP/2.0/UDP {PHONE};rport;branch=z9hG4bK{branch}"));
    request.push("Max-Forwards", "70");
    request.push("From", "<sip:1003@example.test>;tag=phone");
    request.push("To", "<sip:9196@example.test>");
    request.push("Call-ID", call_id);
    request.push("CSeq", format!("1 {method}"));
    request.push("Contact", format!("<sip:1003@{PHONE}>"));
    if method == "SUBSCRIBE" {
        request.push("Event", "dialog");
    }
    request.close(None);
    request
}

/// The CANCEL of a request.
pub fn cancel(request: &Message) -> Message {
    let mut cancel = Message::request("CANCEL", request.uri());
    for name in ["Via", "Max-Forwards", "From", "To", "Call-ID"] {
        cancel.copy(request, name);
    }
    cancel.push("CSeq", format!("{} CANCEL", request.cseq()));
    cancel.close(None);
    cancel
}

/// An answer with a Contact of whoever gives it.
pub fn answer_from(member: &str, request: &Message, status: u16, tag: &str) -> Message {
    let mut response = answer(request, status, tag);
    if status > 100 && status < 300 {
        response.push("Contact", format!("<sip:9196@{member}>"));
    }
    response.close(None);
    response
}

/// A request inside the dialog that `answer` made for the party that sent `invite`; `number` counts it.
pub fn inside(method: &str, invite: &Message, answer: &Message, number: u32) -> Message {
    let mut request = Message::request(method, &answer.uri_of("Contact").expect("a Contact"));
    request.copy(invite, "Via");
    let via = invite.get("Via").expect("a Via");
    replace(&mut request, "Via", &[format!("{via}{}{number}", method.to_lowercase())]);
    request.push("Max-Forwards", "70");
    request.copy(answer, "From");
    request.copy(answer, "To");
    request.push("Call-ID", invite.call_id());
    request.push("CSeq", format!("{number} {method}"));
    request.copy(invite, "Contact");
    request.close(None);
    request
}

/// A request of the pool's side inside the same dialog: `invite` as it came to the member, and the member's answer.
pub fn inside_from_pool(
    member: &str,
    method: &str,
    invite: &Message,
    answer: &Message,
    number: u32,
) -> Message {
    let mut request = Message::request(method, &invite.uri_of("Contact").expect("a Contact"));
    request.push("Via", format!("SIP/2.0/UDP {member};rport;branch=z9hG4bK{method}{number}{member}"));
    for route in invite.list("Record-Route") {
        request.push("Route", route);
    }
    request.push("Max-Forwards", "70");
    request.push("From", answer.get("To").expect("To"));
    request.push("To", answer.get("From").expect("From"));
    request.push("Call-ID", invite.call_id());
    request.push("CSeq", format!("{number} {method}"));
    request.push("Contact", format!("<sip:9196@{member}>"));
    request.close(None);
    request
}

/// Those messages that went to an address.
pub fn to<'a>(sent: &'a [Sent], address: &str) -> Vec<&'a Message> {
    sent.iter().filter(|one| one.to == address).map(|one| &one.message).collect()
}

/// The one request of this method that left, and where it went; its repetitions count as it.
///
/// # Panics
/// Where it is not one.
pub fn the(sent: &[Sent], method: &str) -> Sent {
    let found: Vec<_> =
        sent.iter().filter(|one| one.message.is_request() && one.message.method() == method).collect();
    let first = *found.first().unwrap_or_else(|| panic!("no {method} in {sent:?}"));
    let is_same = |one: &&Sent| one.to == first.to && one.message == first.message;
    assert!(found.iter().all(is_same), "one {method} in {sent:?}");
    first.clone()
}

/// The statuses of the answers to `method` that went to an address.
pub fn statuses(sent: &[Sent], address: &str, method: &str) -> Vec<u16> {
    let answers = to(sent, address).into_iter().filter(|one| !one.is_request() && one.method() == method);
    answers.map(Message::status).collect()
}
