//! CANCEL of an INVITE that this process does not know: it left before a restart, or by another node.
//!
//! RFC 3261 §16.10 passes such a CANCEL on without state. Here its transaction is made again, as it stood when the INVITE
//! had been answered provisionally: what the CANCEL carries gives the same branches to the same targets, so the INVITE is
//! found there. The CANCEL is then repeated until it has arrived, and the caller gets its final answer: that of a target,
//! or after 64*T1 one of ours. Not earlier, even if nobody knows the call: its INVITE may have left under a Via that only the
//! other node has, or a connection that is gone, and then a 2xx that still comes finds a caller who can end it.
//!
//! Some balances go by more than the request (round-robin, load), and so each member is asked that may have the call, up
//! to [`limits::BRANCHES`](crate::limits::BRANCHES). One that does not have it says 481, and that is all.

use crate::flow::Zone;
use crate::proxy::core::Core;
use crate::proxy::forward::{Start, trunk_hop};
use crate::proxy::hop::{Route, top_of_route};
use crate::proxy::incoming::Incoming;
use crate::proxy::reach::Reach;
use crate::proxy::ruled::Ruled;
use crate::proxy::setup::{Plan, with_message};
use crate::proxy::turn::{Asked, Turn};
use crate::seal::Peer;
use crate::wire::{CSeq, Edits, HeaderName, Message, write_u64};

impl Core {
    /// Make the INVITE's transaction again and cancel it. False where the INVITE could not have gone on.
    pub(super) fn cancel_forgotten(
        &self,
        turn: &mut Turn<'_>,
        asked: &Asked<'_>,
        reason: Option<&[u8]>,
    ) -> bool {
        let mut bytes = turn.worker.spare.take();
        write_invite(&asked.incoming.message, &mut turn.worker.edits, &mut bytes);
        let mut index = std::mem::take(&mut turn.worker.inner_index);
        let is_cancelled =
            with_message(&bytes, &mut index, |invite| self.cancel_invite(turn, asked, invite, reason));
        turn.worker.inner_index = index;
        turn.worker.spare.give(bytes);
        is_cancelled.unwrap_or(false)
    }

    fn cancel_invite(
        &self,
        turn: &mut Turn<'_>,
        asked: &Asked<'_>,
        invite: Message<'_>,
        reason: Option<&[u8]>,
    ) -> bool {
        let (settings, upstream) = (turn.settings, asked.incoming.upstream);
        let Some(listener) = settings.listener(upstream.flow.listener) else { return false };
        let Some(incoming) = Incoming::read(invite, listener, upstream.flow, upstream.source) else {
            return false;
        };
        if self.circles(&incoming, settings).is_some() {
            return false;
        }
        // Credentials do not come with a CANCEL: whether From was the caller's was judged with the INVITE.
        let new_from = self.caller_identity(&incoming, settings).unwrap_or_default();
        let top = top_of_route(&incoming, settings);
        let invite = Asked { incoming, id: asked.id, top, new_from, was_counted: true };
        let (plan, ruled) = match self.route(&invite, turn) {
            Route::Peer { peer, target } => (self.peer_plan(turn, &invite, &peer, target), Ruled::default()),
            Route::Pool(to, ruled) => {
                let plan = self.pool_plan(turn, &invite.incoming, &to, ruled.changes.as_deref());
                (plan.wherever_it_went(), ruled)
            }
            Route::Bindings(bound, ruled) => (Plan::Bindings(bound), ruled),
            Route::Answer(_) | Route::Drop(_) | Route::Redirect { .. } => return false,
        };
        self.forward(turn, &invite, plan, ruled, Start::Cancelled { reason });
        true
    }

    /// A peer that is not there now has nothing to be told.
    fn peer_plan(&self, turn: &Turn<'_>, invite: &Asked<'_>, peer: &Peer, target: Option<Vec<u8>>) -> Plan {
        let incoming = &invite.incoming;
        let peer = self.holder_of(peer, incoming, turn.settings);
        let is_from_pool = incoming.is_in_dialog() && incoming.upstream.zone == Zone::Pool;
        let dialog = is_from_pool.then(|| incoming.dialog(&self.hash));
        let flow = match self.reach(&peer, dialog, turn.settings, turn.now) {
            Reach::Flow(flow) => Some(trunk_hop(flow, invite, target.as_deref(), turn.settings)),
            Reach::Wait { .. } | Reach::Dead => None,
        };
        Plan::Peer { peer, flow, target }
    }
}

/// What the INVITE of a CANCEL said, as far as routing and branches go by it (RFC 3261 §9.1).
fn write_invite(cancel: &Message<'_>, edits: &mut Edits, out: &mut Vec<u8>) {
    edits.clear();
    let start = cancel.start_line_range().start;
    edits.replace(start..start + cancel.method_text().len(), b"INVITE");
    if let Some(header) = cancel.first(HeaderName::CSeq) {
        let number = CSeq::parse(header.value).map_or(0, |cseq| cseq.number);
        edits.replace_with(header.value_range(), |out| {
            write_u64(out, u64::from(number));
            out.extend_from_slice(b" INVITE");
        });
    }
    edits.apply(cancel.bytes(), out);
}
