//! ACK and CANCEL: requests about a request (RFC 3261 §16.10, §17.2.1).

use crate::count::Count;
use crate::flow::{Flow, Zone};
use crate::proxy::core::Core;
use crate::proxy::forward::trunk_hop;
use crate::proxy::hop::{Answer, Route};
use crate::proxy::loops::routing_hash;
use crate::proxy::outgoing::{Hop, write_request};
use crate::proxy::reach::Reach;
use crate::proxy::setup::towards;
use crate::proxy::turn::{Asked, Turn};
use crate::proxy::via::write_branch;
use crate::seal::BranchSeal;
use crate::transaction::Ack;
use crate::transaction::key::proof;
use crate::wire::HeaderName;

impl Core {
    /// The ACK of a failure ends at its transaction; that of a 2xx passes, and nothing is kept of it.
    pub(super) fn ack(&self, turn: &mut Turn<'_>, asked: &Asked<'_>) {
        if self.step(turn, asked.id, |setup, step| setup.on_ack(step)) == Some(Ack::Absorbed) {
            return;
        }
        let incoming = &asked.incoming;
        self.note_asked(incoming, turn.now);
        match self.route_by_token(turn, asked) {
            Some(Route::Peer { peer, target }) => {
                let peer = self.holder_of(&peer, incoming, turn.settings);
                let dialog = (incoming.upstream.zone == Zone::Pool).then(|| incoming.dialog(&self.hash));
                match self.reach(&peer, dialog, turn.settings, turn.now) {
                    Reach::Flow(flow) => {
                        let flow = trunk_hop(flow, asked, target.as_deref(), turn.settings);
                        self.forward_statelessly(turn, asked, flow, target.as_deref());
                    }
                    // Nothing keeps it for the return of its peer: with the next 2xx it comes again.
                    Reach::Wait { .. } | Reach::Dead => self.counters.add(Count::FlowDead),
                }
                target.into_iter().for_each(|target| turn.worker.spare.give(target));
            }
            Some(Route::Drop(count)) => self.counters.add(count),
            _ => self.counters.add(Count::StrayAck),
        }
    }

    fn forward_statelessly(&self, turn: &mut Turn<'_>, asked: &Asked<'_>, flow: Flow, target: Option<&[u8]>) {
        let (incoming, settings) = (&asked.incoming, turn.settings);
        let Some(flow) = towards(flow, incoming.call_id, settings) else { return };
        let Some(zone) = settings.listener(flow.listener).map(|listener| listener.zone) else { return };
        let upstream = self.upstream_peer(&incoming.upstream, None, settings);
        let mut branch = turn.worker.spare.take();
        let seal = BranchSeal {
            peer: upstream,
            leg: 0,
            proof: proof(&settings.stable, &incoming.message, &incoming.via),
            routing: routing_hash(incoming, settings),
            vias: b"",
        };
        write_branch(&settings.tokens, incoming.call_id, &seal, &mut branch);
        let hop_by = |flow| Hop {
            zone,
            flow,
            target,
            member: None,
            branch: &branch,
            upstream,
            path: None,
            routes: asked.top.values,
            replaced_at: None,
            new_from: None,
            changes: None,
            breadth: None,
        };
        let mut bytes = turn.worker.spare.take();
        let edits = &mut turn.worker.edits;
        let mut flow = flow;
        let mut wrote = write_request(incoming, &hop_by(flow), settings, edits, &mut bytes);
        if let Some(listener) = self.way_of_ack(&flow, bytes.len(), settings, turn.now) {
            flow = Flow::to(listener, flow.remote);
            bytes.clear();
            wrote = write_request(incoming, &hop_by(flow), settings, edits, &mut bytes);
        }
        if wrote.is_ok() {
            self.counters.add(Count::Forwarded);
            turn.worker.outbox.send(flow, &bytes);
        }
        turn.worker.spare.give(bytes);
        turn.worker.spare.give(branch);
    }

    /// CANCEL is answered here and passed on as CANCELs of our own (RFC 3261 §16.10), after a restart too.
    pub(super) fn cancel(&self, turn: &mut Turn<'_>, asked: &Asked<'_>) {
        let reason = asked.incoming.message.first(HeaderName::Reason).map(|header| header.value);
        let known = self.step(turn, asked.id, |setup, step| setup.on_cancel(reason, step));
        let (status, count) = match known {
            Some(()) => (200, None),
            None if self.cancel_forgotten(turn, asked, reason) => (200, Some(Count::ForgottenCancel)),
            None => (481, Some(Count::StrayCancel)),
        };
        // The answer to CANCEL belongs before the 487 that it leads to, but order is not owed.
        self.answer(turn, &asked.incoming, &Answer { status, reason: None, retry_after: None, count });
    }
}
