//! A response: to its branch, or home by what its branch says (RFC 3261 §16.7 and §16.11).

use std::net::SocketAddr;

use crate::admission::{self, Judged};
use crate::count::Count;
use crate::flow::{Flow, Zone};
use crate::proxy::cancelling::write_ack_from_response;
use crate::proxy::core::Core;
use crate::proxy::passing::{Passing, write_response};
use crate::proxy::reach::Reach;
use crate::proxy::turn::Turn;
use crate::seal::Peer;
use crate::sip::{Method, known_method};
use crate::time::Time;
use crate::transaction::key::COOKIE;
use crate::wire::{HeaderName, Message};

impl Core {
    /// The steps of a response that could be read.
    pub(super) fn response(
        &self,
        turn: &mut Turn<'_>,
        flow: Flow,
        source: SocketAddr,
        response: &Message<'_>,
    ) {
        self.counters.add(Count::Responses);
        let settings = turn.settings;
        let Some(listener) = settings.listener(flow.listener) else { return };
        let judged = Judged { message: *response, listener, source, admission: &settings.config.admission };
        if let Err(refusal) = admission::admit_response(&judged, |fault| self.tolerate(source, fault)) {
            self.refuse(turn, flow, source, response, &refusal);
            return;
        }
        let Some(branch) = judged.top_via().and_then(|via| via.branch()) else {
            self.counters.add(Count::StrayResponse);
            self.charge_rubbish(turn);
            return;
        };
        let branch_id = self.hash.of(&[b"branch", branch, response.value(HeaderName::CallId)]);
        let owner = self.branches.get(&branch_id).map(|owner| *owner);
        if let Some(id) = owner {
            self.remember_challenge(response, flow, turn.now);
            self.step(turn, id, |setup, step| setup.on_response(branch_id, response, step));
            return;
        }
        if self.probe_answered(response, branch, turn.settings) {
            return;
        }
        // Who answers nothing we asked pays for it.
        self.charge_rubbish(turn);
        self.pass_statelessly(turn, flow, response, branch);
    }

    /// Without a transaction, a branch that opens leads home; one that does not leads nowhere.
    fn pass_statelessly(&self, turn: &mut Turn<'_>, flow: Flow, response: &Message<'_>, branch: &[u8]) {
        let sealed = branch.strip_prefix(COOKIE).unwrap_or(b"");
        let mut vias = turn.worker.spare.take();
        let call_id = response.value(HeaderName::CallId);
        let opened = turn.settings.tokens.open_branch(call_id, sealed, |seal| {
            vias.extend_from_slice(seal.vias);
            seal.peer
        });
        match opened {
            Ok(peer) if may_pass(response) => self.pass_home(turn, flow, response, &peer, &vias),
            Ok(_) => {}
            Err(_) => self.counters.add(Count::StrayResponse),
        }
        turn.worker.spare.give(vias);
    }

    fn pass_home(
        &self,
        turn: &mut Turn<'_>,
        flow: Flow,
        response: &Message<'_>,
        peer: &Peer,
        hidden_vias: &[u8],
    ) {
        let settings = turn.settings;
        let Reach::Flow(home) = self.reach(peer, None, settings, turn.now) else { return };
        let Some(to) = settings.listener(home.listener) else { return };
        let Some(from) = settings.listener(flow.listener) else { return };
        // Pool requests leave with their Vias hidden; without those there is no way home.
        if to.zone == Zone::Pool && from.zone != Zone::Pool && hidden_vias.is_empty() {
            return;
        }
        let passing = Passing {
            response: *response,
            request: None,
            from: self.peer_of(&Flow { port: 0, ..flow }, Some(0), settings),
            from_zone: from.zone,
            challenger: None,
            to_zone: to.zone,
            to_flow: home,
            to_source: home.remote,
            hidden_vias,
        };
        let mut bytes = turn.worker.spare.take();
        write_response(&passing, settings, &mut turn.worker.edits, &mut bytes);
        self.counters.add(Count::Stateless);
        self.note_large_answer(&home, bytes.len(), settings);
        turn.worker.outbox.send(home, &bytes);
        let is_failure = response.status() >= 300 && response.method_text() == b"INVITE";
        if is_failure {
            // Its caller's ACK will find no transaction here; the next hop must not repeat itself for that.
            bytes.clear();
            write_ack_from_response(response, &mut bytes);
            turn.worker.outbox.send(flow, &bytes);
        }
        turn.worker.spare.give(bytes);
    }

    /// Whose nonce a Call-ID's credentials will be made with.
    fn remember_challenge(&self, response: &Message<'_>, flow: Flow, now: Time) {
        if matches!(response.status(), 401 | 407) {
            let key = self.hash.of(&[b"challenge", response.value(HeaderName::CallId)]);
            self.challenges.remember(key, flow.remote, now);
        }
    }
}

/// 100 is hop by hop. A 408 to anything but INVITE would only come too late (RFC 4320 §4.2). The 200 to a REGISTER lists what its registrant must not see, and only its
/// transaction knows which is whose: the registrant's repetition gets it anew. CANCEL was ours.
fn may_pass(response: &Message<'_>) -> bool {
    let method = known_method(response.method_text());
    response.status() > 100
        && method != Some(Method::Cancel)
        && !(response.status() == 408 && method != Some(Method::Invite))
        && !(method == Some(Method::Register) && response.status() < 300)
}
