//! The asking side of the user agent: INVITE, requests inside and outside legs, second tries with credentials.

use std::net::SocketAddr;

use sbc_core::time::Time;

use super::dialog::Dialog;
use super::digest::Challenge;
use super::message::Message;
use super::{ClientId, Happening, Leg, LegId, LegState, Parts, Pending, Purpose, Ua};

/// Tries of one request, the first without credentials included.
const MAX_TRIES: u8 = 3;

/// A call to make.
#[derive(Debug, Clone)]
pub(crate) struct Invite {
    pub(crate) uri: String,
    /// From without a tag.
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) call_id: String,
    pub(crate) route: Vec<String>,
    pub(crate) contact: String,
    pub(crate) max_forwards: u32,
    /// Where the INVITE goes.
    pub(crate) address: SocketAddr,
    /// Where everything after it goes; without it the dialog says.
    pub(crate) fixed: Option<SocketAddr>,
    pub(crate) parts: Parts,
}

impl Ua {
    /// Start a call.
    pub(crate) fn invite(&mut self, now: Time, call: Invite) -> LegId {
        let tag = self.stack.ids.text(13);
        let mut dialog = Dialog {
            call_id: call.call_id,
            local: format!("{};tag={tag}", call.from),
            local_tag: tag,
            remote: call.to,
            remote_tag: String::new(),
            local_seq: self.style.first_seq,
            remote_seq: 0,
            route: call.route,
            target: call.uri,
            contact: call.contact,
            fixed: call.fixed,
            source: call.address,
        };
        let mut message = dialog.request("INVITE", None);
        if let Some((_, value)) = message.headers.iter_mut().find(|(name, _)| name == "Max-Forwards") {
            *value = call.max_forwards.to_string();
        }
        message.push("Contact", dialog.contact.clone());
        self.authorize_unasked(&mut message);
        self.dress_request(&mut message, call.parts);
        let leg = self.keep(Leg {
            dialog,
            state: LegState::Early,
            invite: message.clone(),
            server: None,
            client: None,
            confirmed: true,
            bye_wanted: None,
            rseq: 0,
        });
        let client = self.submit(now, message, call.address, Purpose::Invite(leg));
        self.set_client(leg, Some(client));
        leg
    }

    fn set_client(&mut self, leg: LegId, client: Option<ClientId>) {
        if let Some(leg) = self.legs.get_mut(&leg) {
            leg.client = client;
        }
    }

    fn submit(&mut self, now: Time, request: Message, to: SocketAddr, purpose: Purpose) -> ClientId {
        let id = self.stack.send(now, request.clone(), to);
        self.pending.insert(id.clone(), Pending { purpose, request, to, tries: 1 });
        id
    }

    /// Send a request inside a leg; false when the leg is gone, or an INVITE of it is under way.
    pub(crate) fn request(&mut self, now: Time, id: LegId, method: &str, parts: Parts) -> bool {
        let Some(leg) = self.legs.get_mut(&id) else {
            return false;
        };
        let invite = method == "INVITE";
        if invite && (leg.client.is_some() || leg.server.is_some() || !leg.confirmed) {
            return false;
        }
        let mut message = leg.dialog.request(method, None);
        if method != "BYE" && method != "PRACK" {
            message.push("Contact", leg.dialog.contact.clone());
        }
        let to = leg.dialog.next_hop();
        self.dress_request(&mut message, parts);
        let client =
            self.submit(now, message, to, if invite { Purpose::Reinvite(id) } else { Purpose::Inside(id) });
        if invite {
            self.set_client(id, Some(client));
        }
        true
    }

    /// Send a request outside legs that is complete up to its CSeq; the number names its reply.
    pub(crate) fn ask(&mut self, now: Time, mut message: Message, to: SocketAddr, parts: Parts) -> u64 {
        let token = self.number();
        self.authorize_unasked(&mut message);
        self.dress_request(&mut message, parts);
        self.submit(now, message, to, Purpose::Outside(token));
        token
    }

    /// End a leg that is up, or cancel or refuse one that is not.
    pub(crate) fn hang_up(&mut self, now: Time, id: LegId, parts: Parts) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        match (leg.state, leg.client.clone(), leg.server.is_some()) {
            (LegState::Up, ..) if !leg.confirmed => leg.bye_wanted = Some(parts),
            (LegState::Up, ..) => {
                self.request(now, id, "BYE", parts);
                self.forget(id);
            }
            (LegState::Early, Some(client), _) => {
                leg.state = LegState::Cancelling;
                self.stack.cancel(now, &client, parts.head);
            }
            (LegState::Early, None, true) => self.answer(now, id, 480, parts),
            (LegState::Early, None, false) | (LegState::Cancelling, ..) => {}
        }
    }

    pub(super) fn on_response(&mut self, now: Time, id: &ClientId, message: Option<Message>) {
        let Some(pending) = self.pending.get(id) else {
            return self.on_stray(message);
        };
        let purpose = pending.purpose;
        if message.as_ref().is_some_and(|message| message.status() < 200) {
            if let (Purpose::Invite(leg), Some(message)) = (purpose, message) {
                self.on_progress(now, leg, message);
            }
            return;
        }
        if let Some(message) = &message
            && matches!(message.status(), 401 | 407)
            && self.try_again(now, id, message)
        {
            return;
        }
        let Some(Pending { request, .. }) = self.pending.remove(id) else {
            return;
        };
        let request = request.method().to_owned();
        match purpose {
            Purpose::Invite(leg) => self.on_invite_final(now, leg, id, message),
            Purpose::Reinvite(leg) => self.on_reinvite_final(leg, id, message),
            Purpose::Inside(leg) => {
                if let (Some(message), Some(leg)) = (&message, self.legs.get_mut(&leg))
                    && message.status() < 300
                    && request == "UPDATE"
                {
                    leg.dialog.learn_target(message);
                }
                self.happenings.push_back(Happening::Reply { leg, method: request, message });
            }
            Purpose::Outside(token) => self.happenings.push_back(Happening::OutsideReply { token, message }),
        }
    }

    /// A response to a transaction that has had its final one: another branch answered too.
    fn on_stray(&mut self, message: Option<Message>) {
        if let Some(message) = message.filter(|message| message.method() == "INVITE") {
            let what = format!("a second 2xx with tag {} for {}", message.tag("To"), message.call_id());
            self.stack.violations.push(what);
        }
    }

    fn on_progress(&mut self, now: Time, id: LegId, message: Message) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        if leg.state == LegState::Up || message.status() == 100 {
            return;
        }
        leg.dialog.learn_response(&message);
        if message.lists("Require", "100rel")
            && let Some(rseq) = message.number("RSeq").and_then(|number| u32::try_from(number).ok())
        {
            if rseq <= leg.rseq {
                return;
            }
            leg.rseq = rseq;
            let rack = format!("{rseq} {} INVITE", message.cseq());
            self.request(now, id, "PRACK", Parts::default().with("RAck", rack));
        }
        self.happenings.push_back(Happening::Progress { leg: id, message });
    }

    fn on_invite_final(&mut self, now: Time, id: LegId, client: &ClientId, message: Option<Message>) {
        let message = match message {
            Some(message) if message.status() < 300 => message,
            failure => {
                self.forget(id);
                return self.happenings.push_back(Happening::Failed { leg: id, message: failure });
            }
        };
        match self.legs.get(&id).map(|leg| leg.state) {
            Some(LegState::Early) => {
                if let Some(leg) = self.legs.get_mut(&id) {
                    leg.dialog.learn_response(&message);
                    leg.state = LegState::Up;
                    leg.client = None;
                }
                self.acknowledge(client, id, &message);
                self.happenings.push_back(Happening::Answered { leg: id, message });
            }
            Some(LegState::Cancelling) => {
                if let Some(leg) = self.legs.get_mut(&id) {
                    leg.dialog.learn_response(&message);
                    leg.state = LegState::Up;
                }
                self.acknowledge(client, id, &message);
                self.hang_up(now, id, Parts::default());
                self.happenings.push_back(Happening::Failed { leg: id, message: None });
            }
            Some(LegState::Up) | None => {}
        }
    }

    fn on_reinvite_final(&mut self, id: LegId, client: &ClientId, message: Option<Message>) {
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.client = None;
            if let Some(message) = message.as_ref().filter(|message| message.status() < 300) {
                leg.dialog.learn_target(message);
                self.acknowledge(client, id, &message.clone());
            }
        }
        self.happenings.push_back(Happening::Reply { leg: id, method: "INVITE".into(), message });
    }

    fn acknowledge(&mut self, client: &ClientId, id: LegId, response: &Message) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        let mut ack = leg.dialog.request("ACK", Some(response.cseq()));
        ack.push("Contact", leg.dialog.contact.clone());
        ack.close(None);
        let to = leg.dialog.next_hop();
        self.stack.acknowledge(client, ack, to);
    }

    /// Repeat a challenged request with credentials; false when there are none, or they were refused.
    fn try_again(&mut self, now: Time, id: &ClientId, response: &Message) -> bool {
        let Some(credentials) = self.credentials.clone() else {
            return false;
        };
        let proxy = response.status() == 407;
        let name = if proxy { "Proxy-Authenticate" } else { "WWW-Authenticate" };
        let Some(mut challenge) = response.get(name).and_then(Challenge::read) else {
            return false;
        };
        let Some(pending) = self.pending.get(id) else {
            return false;
        };
        let answered = pending.request.get(authorization(proxy)).is_some();
        if pending.tries >= MAX_TRIES || (answered && !challenge.stale) {
            return false;
        }
        let Some(Pending { purpose, mut request, to, tries }) = self.pending.remove(id) else {
            return false;
        };
        let number = self.next_number(purpose, &request);
        let method = request.method().to_owned();
        let value = challenge.answer(&credentials, &method, request.uri(), &self.stack.ids.text(16));
        request.headers.retain(|(name, _)| name != authorization(proxy));
        for (name, text) in &mut request.headers {
            if name == "CSeq" {
                *text = format!("{number} {method}");
            }
        }
        insert_after(&mut request, "CSeq", authorization(proxy), value);
        self.remembered = Some((proxy, challenge));
        let client = self.stack.send(now, request.clone(), to);
        if let Purpose::Invite(leg) | Purpose::Reinvite(leg) = purpose {
            let cancelling = self.legs.get(&leg).is_none_or(|leg| leg.state == LegState::Cancelling);
            self.set_client(leg, Some(client.clone()));
            if cancelling {
                self.stack.cancel(now, &client, Vec::new());
            }
        }
        self.pending.insert(client, Pending { purpose, request, to, tries: tries + 1 });
        true
    }

    fn next_number(&mut self, purpose: Purpose, request: &Message) -> u32 {
        match purpose {
            Purpose::Invite(id) | Purpose::Reinvite(id) | Purpose::Inside(id) => {
                if let Some(leg) = self.legs.get_mut(&id) {
                    leg.dialog.local_seq += 1;
                    return leg.dialog.local_seq;
                }
                request.cseq() + 1
            }
            Purpose::Outside(_) => request.cseq() + 1,
        }
    }

    fn authorize_unasked(&mut self, message: &mut Message) {
        if !self.reuse_nonce {
            return;
        }
        let (Some(credentials), Some((proxy, challenge))) = (&self.credentials, &mut self.remembered) else {
            return;
        };
        let client_nonce = self.stack.ids.text(16);
        let value = challenge.answer(credentials, message.method(), message.uri(), &client_nonce);
        let name = authorization(*proxy);
        insert_after(message, "CSeq", name, value);
    }
}

const fn authorization(proxy: bool) -> &'static str {
    if proxy { "Proxy-Authorization" } else { "Authorization" }
}

fn insert_after(message: &mut Message, after: &str, name: &str, value: String) {
    let at = message.headers.iter().position(|(own, _)| own == after).map_or(0, |at| at + 1);
    message.headers.insert(at, (name.into(), value));
}
