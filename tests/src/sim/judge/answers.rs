//! What those hear who asked: one final answer, and nothing provisional after it.

use std::collections::HashMap;

use sbc_core::flow::Zone;
use sbc_core::time::Time;

use crate::ua::message::Message;

/// One server transaction of ours: branch of the top Via, Call-ID, CSeq number and method.
type Server = (String, String, u32, String);

/// How far a server transaction is.
#[derive(Debug, Clone)]
struct Answered {
    fin: Option<Final>,
    /// The node that said it.
    node: usize,
    /// How many restarts there had been when its request came first.
    life: u32,
}

/// A final answer.
#[derive(Debug, Clone)]
struct Final {
    status: u16,
    tag: String,
    at: Time,
}

/// What became of an INVITE outside dialogs that came from outside.
#[derive(Debug, Clone, Copy, Default)]
pub struct SetUp {
    /// It came to sbc at least once.
    pub arrived: bool,
    /// We said 100.
    pub trying: bool,
    /// The pool said anything about it.
    pub pool_spoke: bool,
    /// A final answer left for its caller.
    pub answered: bool,
    /// It was under way when a node was killed, after our 100 and before the pool's first answer.
    pub lost_between: bool,
    /// The same between a failure that we sent and its ACK.
    pub answer_lost: bool,
    /// Its caller acknowledged an answer.
    pub acknowledged: bool,
}

/// What sbc answered.
#[derive(Debug, Default)]
pub(super) struct Answers {
    servers: HashMap<Server, Answered>,
    setups: HashMap<(String, u32), SetUp>,
    restarts: u32,
}

impl Answers {
    pub(super) const fn setups(&self) -> &HashMap<(String, u32), SetUp> {
        &self.setups
    }

    pub(super) fn restarted(&mut self) {
        self.restarts += 1;
        for setup in self.setups.values_mut() {
            setup.lost_between |= setup.trying && !setup.pool_spoke && !setup.answered;
            setup.answer_lost |= setup.answered && !setup.acknowledged;
        }
    }

    pub(super) fn arrived(&mut self, zone: Zone, message: &Message) {
        let key = (message.call_id().to_owned(), message.cseq());
        if message.method() == "ACK" && zone != Zone::Pool {
            self.setups.entry(key).and_modify(|setup| setup.acknowledged = true);
            return;
        }
        self.note_server(message);
        if message.method() != "INVITE" {
            return;
        }
        if message.is_request() && zone != Zone::Pool && message.tag("To").is_empty() {
            self.setups.entry(key).or_default().arrived = true;
        } else if !message.is_request() && zone == Zone::Pool {
            self.setups.entry(key).and_modify(|setup| setup.pool_spoke = true);
        }
    }

    pub(super) fn departed(
        &mut self,
        now: Time,
        node: usize,
        zone: Zone,
        message: &Message,
        is_unordered: bool,
    ) -> Option<String> {
        let (branch, _) = message.top_via()?;
        let (status, method) = (message.status(), message.method().to_owned());
        if method == "INVITE" && zone != Zone::Pool {
            self.note_setup(message, status);
        }
        let key = (branch, message.call_id().to_owned(), message.cseq(), method);
        let life = self.restarts;
        let server = self.servers.entry(key).or_insert(Answered { fin: None, node, life });
        // A node that was killed forgot what it had said, and none knows what another has.
        let remembers = server.life == life && server.node == node;
        let said = Final { status, tag: message.tag("To"), at: now };
        let complaint = match &server.fin {
            // Two threads may hand their answers over in the other order; a moment later none may.
            Some(fin) if status < 200 && is_unordered && fin.at == now => None,
            Some(fin) if status < 200 => Some(format!("{status} after {}", fin.status)),
            Some(fin) if status < 300 && (fin.status, &fin.tag) != (status, &said.tag) => {
                Some(format!("{status} of {:?} after {} of {:?}", said.tag, fin.status, fin.tag))
            }
            // The failure of a branch that nobody remembers any more goes home by its branch: it changes nothing.
            Some(_) => None,
            None => {
                if status >= 200 {
                    server.node = node;
                    server.fin = Some(said);
                }
                None
            }
        };
        let what = complaint.filter(|_| remembers)?;
        let of = format!("{} {}", message.method(), message.call_id());
        Some(format!("{what} for {of} at {} ms", now.as_micros() / 1000))
    }

    /// An answer may go home without a transaction after a restart: it says nothing of the node that is there now.
    fn note_server(&mut self, request: &Message) {
        let Some((branch, _)) = request.top_via().filter(|_| request.is_request()) else { return };
        let key = (branch, request.call_id().to_owned(), request.cseq(), request.method().to_owned());
        self.servers.entry(key).or_insert(Answered { fin: None, node: 0, life: self.restarts });
    }

    fn note_setup(&mut self, message: &Message, status: u16) {
        let key = (message.call_id().to_owned(), message.cseq());
        if let Some(setup) = self.setups.get_mut(&key) {
            setup.trying |= status == 100;
            setup.answered |= status >= 200;
        }
    }
}
