//! The transaction layer of one endpoint (RFC 3261 §17 with RFC 6026).

mod client;
mod repeat;
mod server;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use sbc_core::time::Time;
use serde::Serialize;

use self::client::{InviteClient, PlainClient, Step};
pub use self::repeat::Timers;
use self::server::{InviteServer, PlainServer, Tick};
use super::Output;
use super::alarm::Alarms;
use super::ids::Ids;
use super::message::Message;

/// Names a client transaction.
pub(crate) type ClientId = String;
/// Names a server transaction.
pub(crate) type ServerId = String;

/// Server transactions kept; what comes beyond is lost, as in a full socket buffer.
const MAX_SERVERS: usize = 200_000;

/// What the transaction layer tells its user.
#[derive(Debug)]
pub(crate) enum Event {
    /// A new request, which wants a response (or is an ACK that found no transaction).
    Request { id: ServerId, from: SocketAddr, message: Message },
    /// The ACK of a 2xx.
    Ack { message: Message },
    /// A response to our request.
    Response { id: ClientId, message: Message },
    /// No final response came.
    Timeout { id: ClientId },
    /// The ACK of our 2xx never came.
    NoAck { invite: Message },
}

#[derive(Debug)]
enum Client {
    Invite(InviteClient),
    Plain(PlainClient),
}

#[derive(Debug)]
enum Server {
    Invite(InviteServer),
    Plain(PlainServer),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Client(ClientId),
    Server(ServerId),
}

/// What the Via of our requests says.
#[derive(Debug, Clone)]
pub(crate) struct Local {
    /// `UDP`, `WSS`, ….
    pub(crate) transport: &'static str,
    /// Host and port, or a host name of our own.
    pub(crate) sent_by: String,
}

/// How many messages passed; keys are a method, or a method and a status. Repetitions do not count.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Tally {
    /// Requests received.
    pub received: BTreeMap<String, u64>,
    /// Responses sent.
    pub answered: BTreeMap<String, u64>,
    /// Responses received to own requests.
    pub got: BTreeMap<String, u64>,
}

fn count(counters: &mut BTreeMap<String, u64>, key: String) {
    *counters.entry(key).or_default() += 1;
}

/// All transactions of one endpoint.
#[derive(Debug)]
pub(crate) struct Stack {
    local: Local,
    timers: Timers,
    /// Chance.
    pub(crate) ids: Ids,
    clients: BTreeMap<ClientId, Client>,
    servers: BTreeMap<ServerId, Server>,
    /// INVITE servers by Call-ID, CSeq and From tag, for the ACK of a 2xx.
    by_dialog: BTreeMap<(String, u32, String), ServerId>,
    alarms: Alarms<Key>,
    events: VecDeque<Event>,
    /// What is to be sent.
    pub(crate) out: Vec<Output>,
    /// What peers did that they must not.
    pub(crate) violations: Vec<String>,
    /// What has passed.
    pub(crate) tally: Tally,
}

impl Stack {
    pub(crate) fn new(local: Local, timers: Timers, ids: Ids) -> Self {
        Self {
            local,
            timers,
            ids,
            clients: BTreeMap::new(),
            servers: BTreeMap::new(),
            by_dialog: BTreeMap::new(),
            alarms: Alarms::default(),
            events: VecDeque::new(),
            out: Vec::new(),
            violations: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// The next thing to tell the user.
    pub(crate) fn event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When a timer fires next.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.alarms.next()
    }

    /// Start a client transaction for a request that has no Via yet.
    pub(crate) fn send(&mut self, now: Time, mut request: Message, to: SocketAddr) -> ClientId {
        self.put_via(&mut request);
        let id = client::key(&request).unwrap_or_default();
        let client = if request.method() == "INVITE" {
            Client::Invite(InviteClient::new(now, request, to, &self.timers))
        } else {
            Client::Plain(PlainClient::new(now, &request, to, &self.timers))
        };
        let (bytes, deadline) = match &client {
            Client::Invite(client) => (client.bytes.clone(), client.deadline()),
            Client::Plain(client) => (client.bytes.clone(), client.deadline()),
        };
        self.out.push(Output { to, bytes });
        self.alarms.set(&Key::Client(id.clone()), deadline);
        self.clients.insert(id.clone(), client);
        id
    }

    /// Send the ACK of the 2xx that `invite` got, and repeat it as often as the 2xx is repeated.
    pub(crate) fn acknowledge(&mut self, invite: &ClientId, mut ack: Message, to: SocketAddr) {
        self.put_via(&mut ack);
        let bytes = ack.to_bytes();
        if let Some(Client::Invite(client)) = self.clients.get_mut(invite) {
            client.keep_ack(&ack.tag("To"), to, bytes.clone());
        }
        self.out.push(Output { to, bytes });
    }

    /// Cancel an INVITE: at once, or with its first provisional response (§9.1).
    pub(crate) fn cancel(&mut self, now: Time, invite: &ClientId, headers: Vec<(String, String)>) {
        let Some(Client::Invite(client)) = self.clients.get_mut(invite) else {
            return;
        };
        match client.state {
            client::InviteState::Calling { .. } => client.cancel_wanted = Some(headers),
            client::InviteState::Proceeding { .. } => self.send_cancel(now, invite, headers),
            client::InviteState::Completed { .. } | client::InviteState::Accepted { .. } => {}
        }
    }

    fn send_cancel(&mut self, now: Time, invite: &ClientId, headers: Vec<(String, String)>) {
        let Some(Client::Invite(client)) = self.clients.get_mut(invite) else {
            return;
        };
        client.state = client::InviteState::Proceeding { gives_up: Some(now + self.timers.timeout) };
        self.alarms.set(&Key::Client(invite.clone()), client.deadline());
        let mut cancel = client.follow_up("CANCEL");
        cancel.headers.extend(headers);
        cancel.close(None);
        let to = client.to;
        let Some(id) = client::key(&cancel) else {
            return;
        };
        let cancel = PlainClient::new(now, &cancel, to, &self.timers);
        self.out.push(Output { to, bytes: cancel.bytes.clone() });
        self.alarms.set(&Key::Client(id.clone()), cancel.deadline());
        self.clients.insert(id, Client::Plain(cancel));
    }

    fn put_via(&mut self, request: &mut Message) {
        let branch = self.ids.text(13);
        let Local { transport, sent_by } = &self.local;
        let rport = if *transport == "UDP" { "rport;" } else { "" };
        let via = format!("SIP/2.0/{transport} {sent_by};{rport}branch=z9hG4bK{branch}");
        request.headers.insert(0, ("Via".into(), via));
    }

    /// The request that a server transaction answers.
    pub(crate) fn request(&self, id: &ServerId) -> Option<&Message> {
        match self.servers.get(id)? {
            Server::Invite(server) => Some(&server.request),
            Server::Plain(server) => Some(&server.request),
        }
    }

    /// The INVITE that a CANCEL means, while it has no final response.
    pub(crate) fn cancelled(&self, cancel: &ServerId) -> Option<ServerId> {
        let invite = cancel.strip_suffix("CANCEL").map(|start| format!("{start}INVITE"))?;
        matches!(self.servers.get(&invite)?, Server::Invite(server) if server.is_open()).then_some(invite)
    }

    /// Send a response.
    pub(crate) fn respond(&mut self, now: Time, id: &ServerId, response: &Message) {
        let Some(server) = self.servers.get_mut(id) else {
            return;
        };
        let (bytes, back, deadline) = match server {
            Server::Invite(server) => {
                (server.respond(now, response, &self.timers), server.back, server.deadline())
            }
            Server::Plain(server) => {
                (server.respond(now, response, &self.timers), server.back, server.deadline())
            }
        };
        self.alarms.set(&Key::Server(id.clone()), deadline);
        if let Some(bytes) = bytes {
            count(&mut self.tally.answered, format!("{} {}", response.method(), response.status()));
            self.out.push(Output { to: back, bytes });
        }
    }

    /// Stop repeating a reliable provisional response.
    pub(crate) fn on_prack(&mut self, invite: &ServerId) {
        if let Some(Server::Invite(server)) = self.servers.get_mut(invite) {
            server.on_prack();
            self.alarms.set(&Key::Server(invite.clone()), server.deadline());
        }
    }

    /// One message arrived.
    pub(crate) fn receive(&mut self, now: Time, from: SocketAddr, bytes: &[u8], message: Message) {
        if !message.is_request() {
            self.on_response(now, message);
        } else if message.method() == "ACK" {
            self.on_ack(now, message);
        } else {
            self.on_request(from, bytes, message);
        }
    }

    fn on_response(&mut self, now: Time, message: Message) {
        let Some(id) = client::key(&message) else {
            return;
        };
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        let (step, to, cancel) = match client {
            Client::Invite(client) => {
                let step = client.on_response(now, &message, &self.timers);
                let open = matches!(client.state, client::InviteState::Proceeding { .. });
                // The ACK of a 2xx goes where the dialog leads, not where the INVITE went.
                let to = client.kept_ack(&message.tag("To")).map_or(client.to, |(to, _)| to);
                (step, to, client.cancel_wanted.take_if(|_| open))
            }
            Client::Plain(client) => (client.on_response(now, &message, &self.timers), client.to, None),
        };
        let deadline = deadline_of(client);
        self.alarms.set(&Key::Client(id.clone()), deadline);
        if let Some(headers) = cancel {
            self.send_cancel(now, &id, headers);
        }
        match step {
            Step::Send(bytes) => self.out.push(Output { to, bytes }),
            Step::Pass(bytes) => {
                self.out.extend(bytes.map(|bytes| Output { to, bytes }));
                count(&mut self.tally.got, format!("{} {}", message.method(), message.status()));
                self.events.push_back(Event::Response { id, message });
            }
            Step::Violation(what) => self.violations.push(what),
            Step::Absorb | Step::Timeout | Step::Done => {}
        }
    }

    fn on_ack(&mut self, now: Time, message: Message) {
        let same_branch = server_key(&message, "INVITE").filter(|id| self.servers.contains_key(id));
        let dialog = (message.call_id().to_owned(), message.cseq(), message.tag("From"));
        let Some(id) = same_branch.or_else(|| self.by_dialog.get(&dialog).cloned()) else {
            return;
        };
        let Some(Server::Invite(server)) = self.servers.get_mut(&id) else {
            return;
        };
        server.on_ack_of_failure(now, &self.timers);
        let first = server.on_ack_of_success();
        self.alarms.set(&Key::Server(id), server.deadline());
        if first {
            self.events.push_back(Event::Ack { message });
        }
    }

    fn on_request(&mut self, from: SocketAddr, bytes: &[u8], mut message: Message) {
        let Some(id) = server_key(&message, message.method()) else {
            return;
        };
        if let Some(server) = self.servers.get(&id) {
            let (received, again, back) = match server {
                Server::Invite(server) => (&server.received, server.on_repeat(), server.back),
                Server::Plain(server) => (&server.received, server.on_repeat(), server.back),
            };
            if received != bytes {
                self.violations.push(format!(
                    "{} of {} repeated with other bytes",
                    message.method(),
                    message.call_id()
                ));
            }
            self.out.extend(again.map(|bytes| Output { to: back, bytes }));
            return;
        }
        if self.servers.len() >= MAX_SERVERS {
            return;
        }
        let back = message.note_source(from);
        let received = bytes.to_vec();
        let server = if message.method() == "INVITE" {
            let dialog = (message.call_id().to_owned(), message.cseq(), message.tag("From"));
            self.by_dialog.insert(dialog, id.clone());
            Server::Invite(InviteServer::new(message.clone(), received, back))
        } else {
            Server::Plain(PlainServer::new(message.clone(), received, back))
        };
        count(&mut self.tally.received, message.method().to_owned());
        self.servers.insert(id.clone(), server);
        self.events.push_back(Event::Request { id, from, message });
    }

    /// Let every timer fire that is due.
    pub(crate) fn on_time(&mut self, now: Time) {
        while let Some(key) = self.alarms.pop_due(now) {
            match key {
                Key::Client(id) => self.on_client_time(now, id),
                Key::Server(id) => self.on_server_time(now, id),
            }
        }
    }

    fn on_client_time(&mut self, now: Time, id: ClientId) {
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        let (step, to) = match client {
            Client::Invite(client) => (client.on_time(now), client.to),
            Client::Plain(client) => (client.on_time(now), client.to),
        };
        let deadline = deadline_of(client);
        match step {
            Step::Send(bytes) => self.out.push(Output { to, bytes }),
            Step::Timeout | Step::Done => {
                self.clients.remove(&id);
                if step == Step::Timeout {
                    self.events.push_back(Event::Timeout { id });
                }
                return;
            }
            Step::Absorb | Step::Pass(_) | Step::Violation(_) => {}
        }
        self.alarms.set(&Key::Client(id), deadline);
    }

    fn on_server_time(&mut self, now: Time, id: ServerId) {
        let Some(server) = self.servers.get_mut(&id) else {
            return;
        };
        let tick = match server {
            Server::Invite(server) => server.on_time(now),
            Server::Plain(server) if server.deadline().is_some_and(|at| at <= now) => {
                Tick::Done { unacknowledged: false }
            }
            Server::Plain(_) => Tick::Nothing,
        };
        match (tick, server) {
            (Tick::Done { unacknowledged }, Server::Invite(server)) => {
                let invite = server.request.clone();
                self.by_dialog.remove(&(invite.call_id().to_owned(), invite.cseq(), invite.tag("From")));
                self.servers.remove(&id);
                if unacknowledged {
                    self.events.push_back(Event::NoAck { invite });
                }
            }
            (Tick::Done { .. }, Server::Plain(_)) => {
                self.servers.remove(&id);
            }
            (Tick::Send(bytes), Server::Invite(server)) => {
                let (to, deadline) = (server.back, server.deadline());
                self.out.push(Output { to, bytes });
                self.alarms.set(&Key::Server(id), deadline);
            }
            (_, Server::Invite(server)) => {
                let deadline = server.deadline();
                self.alarms.set(&Key::Server(id), deadline);
            }
            (_, Server::Plain(_)) => {}
        }
    }
}

fn deadline_of(client: &Client) -> Option<Time> {
    match client {
        Client::Invite(client) => client.deadline(),
        Client::Plain(client) => client.deadline(),
    }
}

/// §17.2.3: branch, sent-by and method.
fn server_key(message: &Message, method: &str) -> Option<ServerId> {
    let (branch, sent_by) = message.top_via()?;
    Some(format!("{branch} {sent_by} {method}"))
}
