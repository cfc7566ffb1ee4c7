//! A request, step by step. This is the way of a message: read it from top to bottom.

use std::net::SocketAddr;

use crate::admission::{self, Judged, Refusal};
use crate::count::Count;
use crate::flow::Flow;
use crate::proxy::core::Core;
use crate::proxy::forward::Start;
use crate::proxy::hop::{Answer, Route, top_of_route};
use crate::proxy::incoming::Incoming;
use crate::proxy::reply::{Reply, write_reply};
use crate::proxy::setup::Plan;
use crate::proxy::turn::{Asked, Turn};
use crate::sip::Method;
use crate::transaction::key::server_key;
use crate::wire::{HeaderName, Message};

impl Core {
    /// The steps of a request that could be read.
    pub(super) fn request(&self, turn: &mut Turn<'_>, flow: Flow, source: SocketAddr, message: Message<'_>) {
        self.counters.add(Count::Requests);
        // Admission judges.
        let settings = turn.settings;
        let Some(listener) = settings.listener(flow.listener) else { return };
        if let Some(refusal) = self.scanner(turn, &message) {
            return self.refuse(turn, flow, source, &message, &refusal);
        }
        let judged = Judged { message, listener, source, admission: &settings.config.admission };
        if let Err(refusal) = admission::admit(&judged, |tolerated| self.tolerate(source, tolerated)) {
            self.refuse(turn, flow, source, &message, &refusal);
            return;
        }
        let Some(incoming) = Incoming::read(message, listener, flow, source) else { return };
        if !self.charge(turn, &incoming) {
            return;
        }
        // The transaction that owns it: repetitions end here, ACK and CANCEL find their INVITE.
        let id = server_key(&self.hash, &message, &incoming.via);
        let top = top_of_route(&incoming, turn.settings);
        let asked = Asked { incoming, id, top, new_from: None, was_counted: false };
        match asked.incoming.method {
            Some(Method::Ack) => return self.ack(turn, &asked),
            Some(Method::Cancel) => return self.cancel(turn, &asked),
            _ => {}
        }
        if self.step(turn, id, |setup, step| setup.on_retransmission(step)).is_some() {
            self.counters.add(Count::Retransmissions);
            return;
        }
        if let Some(answer) = self.answer_released(&asked.incoming) {
            return self.answer(turn, &asked.incoming, &answer);
        }
        if self.sheds(turn, &asked) {
            return;
        }
        if let Some(answer) = self.circles(&asked.incoming, turn.settings) {
            return self.answer(turn, &asked.incoming, &answer);
        }
        if let Err(answer) = self.within_ticket(&asked.incoming, turn.settings) {
            return self.answer(turn, &asked.incoming, &answer);
        }
        let new_from = match self.caller_identity(&asked.incoming, turn.settings) {
            Ok(new_from) => new_from,
            Err(answer) => return self.answer(turn, &asked.incoming, &answer),
        };
        let asked = Asked { new_from, ..asked };
        self.note_asked(&asked.incoming, turn.now);
        // Its sealed address, or the rules, say where it goes.
        match self.route(&asked, turn) {
            Route::Answer(answer) => {
                self.hold_refusal_against(turn, &asked.incoming, &answer);
                self.answer(turn, &asked.incoming, &answer);
            }
            Route::Drop(count) => self.counters.add(count),
            Route::Peer { peer, target } => self.forward_to_peer(turn, &asked, peer, target),
            Route::Pool(to, ruled) => {
                let plan = self.pool_plan(turn, &asked.incoming, &to, ruled.changes.as_deref());
                self.forward(turn, &asked, plan, ruled, Start::Now);
            }
            Route::Bindings(bound, ruled) => {
                self.forward(turn, &asked, Plan::Bindings(bound), ruled, Start::Now);
            }
            Route::Redirect { status, contacts } => self.redirect(turn, &asked.incoming, status, &contacts),
        }
    }

    /// Something is wrong with a message, and it passes.
    pub(super) fn tolerate(&self, source: SocketAddr, fault: &Refusal) {
        self.counters.tolerate(fault.count);
        tracing::debug!(reason = fault.count.reason(), source = %source, "tolerated");
    }

    /// Count what is not let in, and answer it where an answer is owed: never to an ACK, never to a response,
    /// and never where the top Via does not say how.
    pub(super) fn refuse(
        &self,
        turn: &mut Turn<'_>,
        flow: Flow,
        source: SocketAddr,
        message: &Message<'_>,
        refusal: &Refusal,
    ) {
        self.counters.add(refusal.count);
        self.charge_rubbish(turn);
        self.hold_against_connected(turn, &flow, source, refusal.evidence, refusal.count);
        let may_answer =
            message.is_request() && message.method_text() != b"ACK" && admission::is_answerable(message);
        let Some(status) = refusal.status.filter(|_| may_answer && self.may_answer(turn)) else { return };
        let unsupported = match status {
            420 => format!(
                "Unsupported: {}\r\n",
                String::from_utf8_lossy(message.value(HeaderName::ProxyRequire))
            ),
            _ => String::new(),
        };
        let reply = Reply { status, reason: refusal.reason, extra: &unsupported };
        turn.worker.outbox.send_with(flow, |out| write_reply(message, source, &reply, &self.hash, out));
    }

    /// Send the caller elsewhere (RFC 3261 §8.3).
    fn redirect(&self, turn: &mut Turn<'_>, incoming: &Incoming<'_>, status: u16, contacts: &str) {
        self.counters.add(Count::RuleRedirect);
        let reply = Reply { status, reason: None, extra: contacts };
        let upstream = &incoming.upstream;
        turn.worker.outbox.send_with(upstream.reply, |out| {
            write_reply(&incoming.message, upstream.source, &reply, &self.hash, out);
        });
    }

    /// Without a transaction: a repeated request gets the same answer again (RFC 3261 §8.2.7).
    pub(super) fn answer(&self, turn: &mut Turn<'_>, incoming: &Incoming<'_>, answer: &Answer) {
        if let Some(count) = answer.count {
            self.counters.add(count);
        }
        if incoming.upstream.is_own {
            return;
        }
        let extra = match (answer.status, answer.retry_after) {
            (200, _) => {
                "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, PRACK, UPDATE, INFO, REFER, NOTIFY, \
                 SUBSCRIBE, MESSAGE, PUBLISH\r\nAccept: application/sdp\r\nSupported: path\r\n"
                    .to_owned()
            }
            (_, Some(seconds)) => format!("Retry-After: {seconds}\r\n"),
            _ => String::new(),
        };
        let reply = Reply { status: answer.status, reason: answer.reason.as_deref(), extra: &extra };
        let upstream = &incoming.upstream;
        turn.worker.outbox.send_with(upstream.reply, |out| {
            write_reply(&incoming.message, upstream.source, &reply, &self.hash, out);
        });
    }
}
