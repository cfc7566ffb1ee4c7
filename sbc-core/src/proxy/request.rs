//! A request, step by step. This is the way of a message: read it from top to bottom.

use std::net::SocketAddr;

use crate::admission;
use crate::config::Balance;
use crate::count::Count;
use crate::flow::{Flow, Zone};
use crate::limits;
use crate::pool::{PoolState, Tried};
use crate::proxy::core::Core;
use crate::proxy::hop::{Answer, Route, called_aor, top_of_route};
use crate::proxy::incoming::Incoming;
use crate::proxy::outgoing::{Hop, write_request};
use crate::proxy::reach::Reach;
use crate::proxy::reply::{Reply, write_reply};
use crate::proxy::route::Consumed;
use crate::proxy::settings::Settings;
use crate::proxy::setup::{NewSetup, Plan, Registers, Setup, Step};
use crate::proxy::via::write_branch;
use crate::proxy::worker::Worker;
use crate::proxy::{bindings, credentials};
use crate::seal::{BranchSeal, OpenError, Peer, PeerAddress};
use crate::sip::Method;
use crate::time::Time;
use crate::transaction::key::{proof, server_key};
use crate::transaction::{Ack, EntryId};
use crate::wire::{HeaderName, Message};

impl Core {
    /// The steps of a request that could be read.
    pub(super) fn request(
        &self,
        worker: &mut Worker,
        now: Time,
        flow: Flow,
        source: SocketAddr,
        message: Message<'_>,
        settings: &Settings,
    ) {
        self.counters.add(Count::Requests);
        // Admission judges.
        if let Err(refusal) = admission::admit(&message) {
            self.refuse(worker, flow, source, &message, &refusal);
            return;
        }
        let Some(listener) = settings.listener(flow.listener) else { return };
        let Some(incoming) = Incoming::read(message, listener, flow, source) else { return };
        // The transaction that owns it: repetitions end here, ACK and CANCEL find their INVITE.
        let id = server_key(&self.hash, &message, &incoming.via);
        match incoming.method {
            Some(Method::Ack) => return self.ack(worker, now, settings, id, &incoming),
            Some(Method::Cancel) => return self.cancel(worker, now, settings, id, &incoming),
            _ => {}
        }
        let repeated = self.step(worker, now, settings, id, |setup, step| setup.on_retransmission(step));
        if repeated.is_some() {
            self.counters.add(Count::Retransmissions);
            return;
        }
        // Its sealed address, or the rules, say where it goes.
        let top = top_of_route(&incoming, settings);
        let route = self.route(&incoming, &top, settings, now);
        match route {
            Route::Answer(answer) => self.answer(worker, &incoming, &answer),
            Route::Drop(count) => self.counters.add(count),
            Route::Peer { peer, target } => {
                self.forward_to_peer(worker, now, settings, id, &incoming, &top, peer, target);
            }
            Route::Pool { pool, balance } => {
                let plan = self.pool_plan(now, &incoming, settings, pool, balance);
                self.forward(worker, now, settings, id, &incoming, &top, plan, None);
            }
            Route::Bindings(mut left) => {
                left.reverse();
                self.forward(worker, now, settings, id, &incoming, &top, Plan::Bindings { left }, None);
            }
        }
    }

    fn refuse(
        &self,
        worker: &mut Worker,
        flow: Flow,
        source: SocketAddr,
        message: &Message<'_>,
        refusal: &admission::Refusal,
    ) {
        self.counters.add(refusal.count);
        let Some(status) = refusal.status.filter(|_| message.method_text() != b"ACK") else { return };
        let unsupported = match status {
            420 => format!(
                "Unsupported: {}\r\n",
                String::from_utf8_lossy(message.value(HeaderName::ProxyRequire))
            ),
            _ => String::new(),
        };
        let reply = Reply { status, reason: refusal.reason, extra: &unsupported };
        worker.outbox.send_with(flow, |out| write_reply(message, source, &reply, &self.hash, out));
    }

    /// Without a transaction: a repeated request gets the same answer again (RFC 3261 §8.2.7).
    fn answer(&self, worker: &mut Worker, incoming: &Incoming<'_>, answer: &Answer) {
        if let Some(count) = answer.count {
            self.counters.add(count);
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
        worker.outbox.send_with(upstream.reply, |out| {
            write_reply(&incoming.message, upstream.source, &reply, &self.hash, out);
        });
    }

    #[expect(clippy::too_many_arguments, reason = "one call site; the parts have no common name")]
    fn forward_to_peer(
        &self,
        worker: &mut Worker,
        now: Time,
        settings: &Settings,
        id: EntryId,
        incoming: &Incoming<'_>,
        top: &Consumed,
        peer: Peer,
        target: Option<Vec<u8>>,
    ) {
        let dialog = (incoming.is_in_dialog() && incoming.upstream.zone == Zone::Pool)
            .then(|| incoming.dialog(&self.hash));
        let (flow, wait) = match self.reach(&peer, dialog, settings, now) {
            Reach::Flow(flow) => (Some(trunk_hop(flow, incoming, top, target.as_deref(), settings)), None),
            Reach::Wait { key, until } => (None, Some((key, until))),
            Reach::Dead => {
                self.counters.add(Count::FlowDead);
                let answer = self.answer_for_the_dead(incoming);
                self.answer(worker, incoming, &answer);
                return;
            }
        };
        self.forward(worker, now, settings, id, incoming, top, Plan::Peer { peer, flow, target }, wait);
    }

    /// RFC 5626 §5.3.1: 430. A BYE is granted: there is nobody left to be told.
    fn answer_for_the_dead(&self, incoming: &Incoming<'_>) -> Answer {
        let is_bye = incoming.method == Some(Method::Bye);
        if is_bye && self.dialogs.ended(incoming.dialog(&self.hash)) {
            self.counters.add(Count::Ended);
        }
        Answer { status: if is_bye { 200 } else { 430 }, reason: None, retry_after: None, count: None }
    }

    fn pool_plan(
        &self,
        now: Time,
        incoming: &Incoming<'_>,
        settings: &Settings,
        pool: usize,
        balance: Balance,
    ) -> Plan {
        let state = settings.pools.get(pool);
        let first = state.and_then(|state| self.challenger(now, incoming, settings, state, balance));
        let key = match balance {
            Balance::HashAor => called_aor(incoming, settings),
            Balance::HashCallId | Balance::RoundRobin => settings.stable.of(&[b"call", incoming.call_id]),
        };
        let left = state.map_or(1, |state| state.config.failover.attempts.max(1));
        Plan::Pool { pool, balance, key, tried: Tried::default(), first, left }
    }

    /// The member whose challenge a request answers: by the `opaque` we added, else by its Call-ID.
    ///
    /// A registration under `hash:aor` has a home. It leaves it for a challenger only while it answers the
    /// challenge; a phone that uses an old nonce again would stay away for ever.
    fn challenger(
        &self,
        now: Time,
        incoming: &Incoming<'_>,
        settings: &Settings,
        state: &PoolState,
        balance: Balance,
    ) -> Option<usize> {
        if !credentials::present(&incoming.message) {
            return None;
        }
        let named = credentials::challenger(&incoming.message, settings);
        if let Some(Err(OpenError::Forged)) = named {
            self.counters.add(Count::ForgedToken);
        }
        let recent = self.challenges.member(self.hash.of(&[b"challenge", incoming.call_id]));
        let has_home = incoming.method == Some(Method::Register) && balance == Balance::HashAor;
        let address = if has_home {
            recent.filter(|(_, at)| now.since(*at) < limits::CHALLENGE_ANSWER).map(|(member, _)| member)
        } else {
            named.and_then(Result::ok).or(recent.map(|(member, _)| member))
        };
        state.at(address?)
    }

    /// Make the entry and its first branch.
    #[expect(clippy::too_many_arguments, reason = "three call sites; the parts have no common name")]
    fn forward(
        &self,
        worker: &mut Worker,
        now: Time,
        settings: &Settings,
        id: EntryId,
        incoming: &Incoming<'_>,
        top: &Consumed,
        plan: Plan,
        wait: Option<(crate::hash::Digest, Time)>,
    ) {
        if self.entries.len() >= limits::TRANSACTIONS {
            self.counters.add(Count::TableFull);
            let retry_after = Some(limits::RETRY_AFTER_SECONDS);
            self.answer(worker, incoming, &Answer { status: 503, reason: None, retry_after, count: None });
            return;
        }
        let new = NewSetup {
            upstream_peer: self.peer_of(
                &incoming.upstream.reply,
                Some(incoming.caller_aor(settings)),
                settings,
            ),
            routes: top.values,
            registers: self.registers(incoming, settings),
            plan,
        };
        match self.entries.entry(id.0) {
            // Another worker got the same request a moment ago.
            dashmap::Entry::Occupied(_) => return,
            dashmap::Entry::Vacant(vacant) => {
                let mut step = Step { core: self, settings, worker: &mut *worker, now, id };
                let setup = Box::new(Setup::new(incoming, new, &mut step));
                let mut setup = vacant.insert(setup);
                match wait {
                    Some((key, until)) if self.directory.wait(key, id) => setup.wait(key, until),
                    Some(_) => setup.answer(&Reply::status(430), &mut step),
                    None => setup.attempt(incoming, &mut step),
                }
                setup.settle(&mut step);
            }
        }
        self.after(worker, now, settings, id);
        if let Some((key, _)) = wait {
            self.look_again(worker, now, settings, id, key);
        }
    }

    /// The flow may have come back between the look and the wait.
    fn look_again(
        &self,
        worker: &mut Worker,
        now: Time,
        settings: &Settings,
        id: EntryId,
        key: crate::hash::Digest,
    ) {
        let waits =
            self.entries.get(&id.0).and_then(|setup| Some((setup.awaited_peer()?, setup.dialog_key())));
        let Some((peer, dialog)) = waits else { return };
        if let Reach::Flow(flow) = self.reach(&peer, dialog, settings, now) {
            self.directory.stop_waiting(key, id);
            self.step(worker, now, settings, id, |setup, step| setup.resume(flow, step));
        }
    }

    /// The binding of a REGISTER from outside, and its Path: as at its first REGISTER.
    fn registers(&self, incoming: &Incoming<'_>, settings: &Settings) -> Option<Registers> {
        if incoming.method != Some(Method::Register) || incoming.upstream.zone == Zone::Pool {
            return None;
        }
        let aor = incoming.registered_aor(settings)?;
        let binding = bindings::binding_of(&incoming.message, aor, settings)?;
        let flow = &incoming.upstream.flow;
        let path = self.directory.path_of(binding).unwrap_or_else(|| match flow.connection {
            Some(_) => {
                let listener = crate::seal::ListenerTag(0);
                Peer { listener, port: 0, address: PeerAddress::Binding, binding: Some(binding) }
            }
            None => Peer { binding: Some(binding), ..self.peer_of(flow, None, settings) },
        });
        Some(Registers { binding, aor, path })
    }

    /// The ACK of a failure ends at its transaction; that of a 2xx passes, and nothing is kept of it.
    fn ack(&self, worker: &mut Worker, now: Time, settings: &Settings, id: EntryId, incoming: &Incoming<'_>) {
        match self.step(worker, now, settings, id, |setup, step| setup.on_ack(step)) {
            Some(Ack::Absorbed) => return,
            Some(Ack::PassUp | Ack::Unexpected) | None => {}
        }
        let top = top_of_route(incoming, settings);
        match self.route(incoming, &top, settings, now) {
            Route::Peer { peer, target } => {
                let dialog = (incoming.upstream.zone == Zone::Pool).then(|| incoming.dialog(&self.hash));
                if let Reach::Flow(flow) = self.reach(&peer, dialog, settings, now) {
                    let flow = trunk_hop(flow, incoming, &top, target.as_deref(), settings);
                    self.forward_statelessly(
                        worker,
                        settings,
                        incoming,
                        &top,
                        &peer,
                        flow,
                        target.as_deref(),
                    );
                }
            }
            Route::Drop(count) => self.counters.add(count),
            _ => self.counters.add(Count::StrayAck),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "two call sites; the parts have no common name")]
    fn forward_statelessly(
        &self,
        worker: &mut Worker,
        settings: &Settings,
        incoming: &Incoming<'_>,
        top: &Consumed,
        _peer: &Peer,
        flow: Flow,
        target: Option<&[u8]>,
    ) {
        let Some(flow) = super::setup::towards(flow, incoming.call_id, settings) else { return };
        let Some(zone) = settings.listener(flow.listener).map(|listener| listener.zone) else { return };
        let upstream = self.peer_of(&incoming.upstream.reply, None, settings);
        let mut branch = worker.spare.take();
        let seal = BranchSeal {
            peer: upstream,
            leg: 0,
            proof: proof(&settings.stable, &incoming.message, &incoming.via),
            vias: b"",
        };
        write_branch(&settings.tokens, incoming.call_id, &seal, &mut branch);
        let hop = Hop {
            zone,
            flow,
            target,
            member: None,
            branch: &branch,
            upstream,
            path: None,
            routes: top.values,
            replaced_at: None,
        };
        let mut bytes = worker.spare.take();
        if write_request(incoming, &hop, settings, &mut worker.edits, &mut bytes).is_ok() {
            self.counters.add(Count::Forwarded);
            worker.outbox.send(flow, &bytes);
        }
        worker.spare.give(bytes);
        worker.spare.give(branch);
    }

    /// CANCEL is answered here and passed on as CANCELs of our own (RFC 3261 §16.10).
    fn cancel(
        &self,
        worker: &mut Worker,
        now: Time,
        settings: &Settings,
        id: EntryId,
        incoming: &Incoming<'_>,
    ) {
        let reason = incoming.message.first(HeaderName::Reason).map(|header| header.value);
        let known = self.step(worker, now, settings, id, |setup, step| setup.on_cancel(reason, step));
        let status = if known.is_some() { 200 } else { 481 };
        let count = known.is_none().then_some(Count::StrayCancel);
        // The answer to CANCEL belongs before the 487 that it leads to, but order is not owed.
        self.answer(worker, incoming, &Answer { status, reason: None, retry_after: None, count });
    }
}

/// An asymmetric carrier is followed: its Route or Contact, as long as that is inside its networks. Only
/// the pool's Route counts: it is the carrier's own, come back.
fn trunk_hop(
    flow: Flow,
    incoming: &Incoming<'_>,
    top: &Consumed,
    target: Option<&[u8]>,
    settings: &Settings,
) -> Flow {
    let listener = settings.listener(flow.listener);
    let Some(listener) = listener.filter(|one| one.zone == Zone::Trunk && !one.symmetric) else {
        return flow;
    };
    let message = incoming.message;
    let mut routes = message.all(HeaderName::Route).flat_map(|header| crate::wire::split(header.value));
    let route = routes.nth(top.values).filter(|_| incoming.upstream.zone == Zone::Pool);
    let next = route.map_or(target.unwrap_or(message.request_uri()), |item| item.text);
    let uri = crate::wire::NameAddr::parse(next).map_or(next, |address| address.uri);
    let address = crate::wire::Uri::parse(uri).ok().and_then(|uri| uri.socket_address());
    match address.filter(|address| listener.networks.iter().any(|network| network.contains(&address.ip()))) {
        Some(remote) => Flow { remote, ..flow },
        None => flow,
    }
}
