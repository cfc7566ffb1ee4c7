//! To whom messages go: an answer to whoever asked, a request to whom it names, inside a dialog to whose tag it bears.
//!
//! Nothing of this is asked of sbc: it follows from what everybody in the world has said himself.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;

use sbc_core::flow::Zone;

use crate::ua::message::{Message, uri_user};

type Addresses = BTreeSet<SocketAddr>;
/// One request as it is known at both sides of sbc: Call-ID, CSeq number, method, tag of From.
type Request = (String, u32, String, String);

/// What everybody has said, and where he is.
#[derive(Debug, Default)]
pub(super) struct Ways {
    known: Addresses,
    carriers: Addresses,
    members: Addresses,
    /// Who may be meant by the user of a Request-URI.
    people: HashMap<String, Addresses>,
    /// Who asked: by the branch of the top Via, Call-ID, CSeq number and method.
    askers: HashMap<(String, String, u32, String), Addresses>,
    /// Who was asked under a branch.
    asked: HashMap<String, Addresses>,
    /// Branches of what was said into a connection that was gone.
    swallowed: BTreeSet<String>,
    /// Who bears a tag in a call.
    tags: HashMap<(String, String), Addresses>,
    /// Users that the pool has asked for.
    wanted: HashMap<Request, String>,
}

impl Ways {
    pub(super) fn know(&mut self, address: SocketAddr) {
        self.known.insert(address);
    }

    pub(super) fn introduce(&mut self, address: SocketAddr, users: &[&str]) {
        self.know(address);
        for user in users {
            self.people.entry((*user).to_owned()).or_default().insert(address);
        }
    }

    pub(super) fn introduce_member(&mut self, address: SocketAddr) {
        self.know(address);
        self.members.insert(address);
    }

    pub(super) fn introduce_carrier(&mut self, address: SocketAddr) {
        self.know(address);
        self.carriers.insert(address);
    }

    pub(super) fn is_nobody(&self, to: SocketAddr) -> bool {
        !self.known.contains(&to)
    }

    pub(super) fn arrived(&mut self, from: SocketAddr, zone: Zone, message: &Message) {
        let call_id = message.call_id().to_owned();
        let speaker = if message.is_request() { "From" } else { "To" };
        let tag = message.tag(speaker);
        if !tag.is_empty() {
            self.tags.entry((call_id.clone(), tag)).or_default().insert(from);
        }
        if !message.is_request() {
            return;
        }
        if let Some((branch, _)) = message.top_via() {
            let key = (branch, call_id, message.cseq(), message.method().to_owned());
            self.askers.entry(key).or_default().insert(from);
        }
        if zone == Zone::Pool && message.tag("To").is_empty() {
            self.wanted.insert(request(message), uri_user(message.uri()));
        }
    }

    pub(super) fn swallowed(&mut self, message: &Message) {
        if message.is_request() {
            self.swallowed.extend(message.top_via().map(|(branch, _)| branch));
        }
    }

    pub(super) fn departed(&mut self, to: SocketAddr, zone: Zone, message: &Message) -> Option<String> {
        let is_right = match message.is_request() {
            true => self.may_be_asked(to, zone, message),
            false => self.has_asked(to, message),
        };
        let what = || {
            let start = message.to_bytes();
            let start = String::from_utf8_lossy(&start);
            format!("{} of {} went astray to {to}", start.lines().next().unwrap_or(""), message.call_id())
        };
        (!is_right).then(what)
    }

    fn has_asked(&self, to: SocketAddr, message: &Message) -> bool {
        let Some((branch, _)) = message.top_via() else { return false };
        let key = (branch, message.call_id().to_owned(), message.cseq(), message.method().to_owned());
        self.askers.get(&key).is_some_and(|askers| askers.contains(&to))
    }

    fn may_be_asked(&mut self, to: SocketAddr, zone: Zone, message: &Message) -> bool {
        let branch = message.top_via().map(|(branch, _)| branch).unwrap_or_default();
        let method = message.method();
        // Hop by hop, these go where their INVITE went, or to where its party is now.
        if method == "ACK" && self.asked.contains_key(&branch) {
            return self.was_asked(&branch, to);
        }
        if method == "CANCEL" {
            // Every member is asked that may have an INVITE which this process does not know.
            let is_sought = zone == Zone::Pool && self.members.contains(&to);
            let is_he = || self.means(&uri_user(message.uri()), to);
            return is_sought || self.was_asked(&branch, to) || (self.swallowed.contains(&branch) && is_he());
        }
        self.asked.entry(branch).or_default().insert(to);
        let tag = message.tag("To");
        if !tag.is_empty() {
            let bearers = self.tags.get(&(message.call_id().to_owned(), tag));
            return bearers.is_some_and(|bearers| bearers.contains(&to));
        }
        if zone == Zone::Pool { self.members.contains(&to) } else { self.is_meant(to, message) }
    }

    fn was_asked(&self, branch: &str, to: SocketAddr) -> bool {
        let Some(asked) = self.asked.get(branch) else { return false };
        let is_he = |one: &Addresses| one.contains(&to) && !one.is_disjoint(asked);
        asked.contains(&to) || self.people.values().any(is_he)
    }

    /// A request outside dialogs leaves for somebody outside: both what it says now and what the pool asked for mean
    /// him.
    fn is_meant(&self, to: SocketAddr, message: &Message) -> bool {
        let wanted = self.wanted.get(&request(message));
        self.means(&uri_user(message.uri()), to) && wanted.is_some_and(|user| self.means(user, to))
    }

    fn means(&self, user: &str, to: SocketAddr) -> bool {
        match user.starts_with('+') {
            true => self.carriers.contains(&to),
            false => self.people.get(user).is_some_and(|people| people.contains(&to)),
        }
    }
}

fn request(message: &Message) -> Request {
    (message.call_id().to_owned(), message.cseq(), message.method().to_owned(), message.tag("From"))
}
