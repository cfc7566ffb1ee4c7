//! A SIP user agent without habits of its own: transactions, INVITE dialogs, authentication.
//!
//! The member and the agents stand on it. It answers what needs no decision (BYE, CANCEL, PRACK, unknown
//! dialogs, old CSeq numbers) and tells its owner the rest as happenings.

pub(crate) mod alarm;
pub mod challenge;
pub(crate) mod client;
pub(crate) mod dialog;
pub mod digest;
pub mod ids;
pub mod message;
pub(crate) mod refer_to;
pub mod registrar;
pub mod sdp;
mod server;
pub mod transaction;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use sbc_core::time::Time;

use self::dialog::{Dialog, tagged};
use self::digest::{Challenge, Credentials};
use self::ids::Ids;
use self::message::{Body, Message, phrase};
pub(crate) use self::transaction::{ClientId, Local, ServerId};
use self::transaction::{Event, Stack, Timers};

/// Something to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Where to. For a WebSocket endpoint: its server.
    pub to: SocketAddr,
    /// One message.
    pub bytes: Vec<u8>,
}

/// An endpoint as a value. Whoever drives it calls one of `handle` and `on_time`, or a verb of the endpoint's own,
/// and then sends what `outputs` gives.
pub trait Endpoint {
    /// One datagram or WebSocket message arrived.
    fn handle(&mut self, now: Time, from: SocketAddr, bytes: &[u8]);
    /// When [`Endpoint::on_time`] is to be called next.
    fn next_deadline(&self) -> Option<Time>;
    /// Do what is due.
    fn on_time(&mut self, now: Time);
    /// Take what is to be sent, in order.
    fn outputs(&mut self) -> Vec<Output>;
}

/// Names an INVITE dialog of one endpoint; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LegId(pub u64);

/// What an endpoint says of itself in every message.
#[derive(Debug, Clone)]
pub(crate) struct Style {
    pub(crate) user_agent: &'static str,
    pub(crate) allow: &'static str,
    pub(crate) supported: String,
    /// Said in INVITE, OPTIONS, NOTIFY and in answers to INVITE.
    pub(crate) allow_events: Option<&'static str>,
    /// Our first CSeq number.
    pub(crate) first_seq: u32,
}

/// What a message carries beside what its dialog and style demand.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parts {
    pub(crate) head: Vec<(String, String)>,
    pub(crate) body: Option<Body>,
    /// Headers after Content-Length, where FreeSWITCH puts its extras.
    pub(crate) tail: Vec<(String, String)>,
}

impl Parts {
    pub(crate) fn body(body: Body) -> Self {
        Self { body: Some(body), ..Self::default() }
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.head.push((name.into(), value.into()));
        self
    }
}

/// How far a leg is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LegState {
    /// INVITE sent or received, no final response.
    Early,
    /// We cancelled and wait for the end of it.
    Cancelling,
    /// Answered.
    Up,
}

/// One INVITE dialog.
#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) dialog: Dialog,
    pub(crate) state: LegState,
    /// The first INVITE, as sent (without Via) or received.
    pub(crate) invite: Message,
    /// The INVITE we have not finally answered.
    pub(crate) server: Option<ServerId>,
    /// The INVITE we wait for an answer to.
    pub(crate) client: Option<ClientId>,
    /// Callee: the ACK of the first 2xx has come. Caller: always.
    pub(crate) confirmed: bool,
    bye_wanted: Option<Parts>,
    /// RSeq last acknowledged (caller) or sent (callee).
    rseq: u32,
}

/// Something the owner of the user agent decides about or wants to know.
#[derive(Debug)]
pub(crate) enum Happening {
    /// An INVITE outside any dialog: [`Ua::adopt`] it or [`Ua::respond`].
    Invite { id: ServerId, from: SocketAddr, message: Message },
    /// Another request outside our INVITE dialogs: respond.
    Outside { id: ServerId, from: SocketAddr, message: Message },
    /// A request inside a leg: respond.
    Inside { leg: LegId, id: ServerId, message: Message },
    /// A provisional response to our INVITE.
    Progress { leg: LegId, message: Message },
    /// Our INVITE was answered.
    Answered { leg: LegId, message: Message },
    /// Our INVITE failed; without a message nobody answered.
    Failed { leg: LegId, message: Option<Message> },
    /// The caller gave up before we answered.
    Cancelled { leg: LegId },
    /// Our 2xx was acknowledged for the first time.
    Confirmed { leg: LegId },
    /// The other side sent BYE.
    Ended { leg: LegId },
    /// Nobody acknowledged our 2xx.
    NoAck { leg: LegId },
    /// A final response to our request inside a leg; without a message nobody answered.
    Reply { leg: LegId, method: String, message: Option<Message> },
    /// A final response to our request outside legs.
    OutsideReply { token: u64, message: Option<Message> },
}

/// Why a client transaction runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Invite(LegId),
    Reinvite(LegId),
    Inside(LegId),
    Outside(u64),
}

/// A request that waits for its final response, kept for a second try with credentials.
#[derive(Debug)]
struct Pending {
    purpose: Purpose,
    request: Message,
    to: SocketAddr,
    tries: u8,
}

/// The user agent.
#[derive(Debug)]
pub(crate) struct Ua {
    pub(crate) stack: Stack,
    pub(crate) style: Style,
    pub(crate) credentials: Option<Credentials>,
    /// Send credentials for the last nonce unasked.
    pub(crate) reuse_nonce: bool,
    remembered: Option<(bool, Challenge)>,
    legs: BTreeMap<LegId, Leg>,
    by_tag: BTreeMap<(String, String), LegId>,
    pending: BTreeMap<ClientId, Pending>,
    happenings: VecDeque<Happening>,
    last_number: u64,
}

impl Ua {
    pub(crate) fn new(local: Local, timers: Timers, ids: Ids, style: Style) -> Self {
        Self {
            stack: Stack::new(local, timers, ids),
            style,
            credentials: None,
            reuse_nonce: false,
            remembered: None,
            legs: BTreeMap::new(),
            by_tag: BTreeMap::new(),
            pending: BTreeMap::new(),
            happenings: VecDeque::new(),
            last_number: 0,
        }
    }

    /// One message arrived.
    pub(crate) fn receive(&mut self, now: Time, from: SocketAddr, bytes: &[u8], message: Message) {
        self.stack.receive(now, from, bytes, message);
        self.settle(now);
    }

    /// Let timers fire.
    pub(crate) fn on_time(&mut self, now: Time) {
        self.stack.on_time(now);
        self.settle(now);
    }

    fn settle(&mut self, now: Time) {
        while let Some(event) = self.stack.event() {
            match event {
                Event::Request { id, from, message } => self.on_request(now, id, from, message),
                Event::Response { id, message } => self.on_response(now, &id, Some(message)),
                Event::Timeout { id } => self.on_response(now, &id, None),
                Event::Ack { message } => self.on_ack(now, &message),
                Event::NoAck { invite } => self.on_no_ack(&invite),
            }
        }
    }

    /// The next thing the owner wants to know.
    pub(crate) fn happening(&mut self) -> Option<Happening> {
        self.happenings.pop_front()
    }

    /// A live leg.
    pub(crate) fn leg(&self, id: LegId) -> Option<&Leg> {
        self.legs.get(&id)
    }

    /// A live leg, to change.
    pub(crate) fn leg_mut(&mut self, id: LegId) -> Option<&mut Leg> {
        self.legs.get_mut(&id)
    }

    /// All live legs.
    pub(crate) fn legs(&self) -> impl Iterator<Item = (LegId, &Leg)> {
        self.legs.iter().map(|(id, leg)| (*id, leg))
    }

    /// How many live legs there are.
    pub(crate) fn leg_count(&self) -> usize {
        self.legs.len()
    }

    /// The live leg with this Call-ID and our tag.
    pub(crate) fn find(&self, call_id: &str, local_tag: &str) -> Option<LegId> {
        self.by_tag.get(&(call_id.to_owned(), local_tag.to_owned())).copied()
    }

    fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    fn keep(&mut self, leg: Leg) -> LegId {
        let id = LegId(self.number());
        self.by_tag.insert((leg.dialog.call_id.clone(), leg.dialog.local_tag.clone()), id);
        self.legs.insert(id, leg);
        id
    }

    fn forget(&mut self, id: LegId) -> Option<Leg> {
        let leg = self.legs.remove(&id)?;
        self.by_tag.remove(&(leg.dialog.call_id.clone(), leg.dialog.local_tag.clone()));
        Some(leg)
    }

    /// Headers that the style gives a request, then `parts`.
    fn dress_request(&self, message: &mut Message, parts: Parts) {
        let style = &self.style;
        message.push("User-Agent", style.user_agent);
        message.push("Allow", style.allow);
        message.push("Supported", style.supported.clone());
        if let (Some(events), "INVITE" | "OPTIONS" | "NOTIFY" | "SUBSCRIBE") =
            (style.allow_events, message.method())
        {
            message.push("Allow-Events", events);
        }
        message.headers.extend(parts.head);
        message.close(parts.body);
        message.headers.extend(parts.tail);
    }

    /// A response with what the RFC and the style demand.
    fn response(
        &self,
        request: &Message,
        status: u16,
        tag: &str,
        contact: Option<&str>,
        parts: Parts,
    ) -> Message {
        let mut message = Message::response(status, phrase(status));
        if status == 100 {
            // FreeSWITCH copies the top Via alone; for the others it makes no difference.
            message.headers.extend(request.headers.iter().find(|(name, _)| name == "Via").cloned());
        } else {
            message.copy(request, "Via");
        }
        let method = request.method();
        if matches!(status, 101..=299) && matches!(method, "INVITE" | "SUBSCRIBE" | "REFER") {
            message.copy(request, "Record-Route");
        }
        message.copy(request, "From");
        let to = request.get("To").unwrap_or("");
        message.push("To", if status == 100 { to.to_owned() } else { tagged(to, tag) });
        message.copy(request, "Call-ID");
        message.copy(request, "CSeq");
        if status == 100 {
            message.push("User-Agent", self.style.user_agent);
            message.close(None);
            return message;
        }
        contact.into_iter().for_each(|contact| message.push("Contact", contact));
        let (contacts, head): (Vec<_>, Vec<_>) =
            parts.head.into_iter().partition(|(name, _)| name == "Contact");
        message.headers.extend(contacts);
        message.push("User-Agent", self.style.user_agent);
        if method == "INVITE" {
            message.push("Accept", "application/sdp");
        }
        message.push("Allow", self.style.allow);
        message.push("Supported", self.style.supported.clone());
        if let (Some(events), "INVITE" | "SUBSCRIBE") = (self.style.allow_events, method) {
            message.push("Allow-Events", events);
        }
        message.headers.extend(head);
        message.close(parts.body);
        message.headers.extend(parts.tail);
        message
    }

    /// Answer a request that is in no leg of ours.
    pub(crate) fn respond(&mut self, now: Time, id: &ServerId, status: u16, parts: Parts) {
        self.respond_as(now, id, (status, phrase(status)), None, parts);
    }

    /// Answer a request that is in no leg of ours, with a phrase, tag and Contact of our own.
    pub(crate) fn respond_as(
        &mut self,
        now: Time,
        id: &ServerId,
        (status, reason): (u16, &str),
        dialog: Option<(&str, Option<&str>)>,
        parts: Parts,
    ) {
        let Some(request) = self.stack.request(id).cloned() else {
            return;
        };
        let tag = dialog.map_or_else(|| self.stack.ids.text(13), |(tag, _)| tag.to_owned());
        let mut response =
            self.response(&request, status, &tag, dialog.and_then(|(_, contact)| contact), parts);
        response.start = message::Start::Response { status, reason: reason.into() };
        self.stack.respond(now, id, &response);
    }
}
