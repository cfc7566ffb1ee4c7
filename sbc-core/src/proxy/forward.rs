//! A request that goes on with a transaction: to a sealed peer, or to the first of several targets.

use crate::count::Count;
use crate::flow::{Flow, Zone};
use crate::gauge::Held;
use crate::hash::Digest;
use crate::limits;
use crate::proxy::bindings;
use crate::proxy::core::Core;
use crate::proxy::hop::Answer;
use crate::proxy::incoming::Incoming;
use crate::proxy::reach::Reach;
use crate::proxy::reply::Reply;
use crate::proxy::ruled::Ruled;
use crate::proxy::settings::Settings;
use crate::proxy::setup::{NewSetup, Plan, Registers, Setup, Step};
use crate::proxy::turn::{Asked, Turn};
use crate::seal::{ListenerTag, Peer, PeerAddress};
use crate::sip::Method;
use crate::table::Entry;
use crate::time::Time;
use crate::transaction::EntryId;
use crate::wire::{HeaderName, NameAddr, Uri, split};

/// How a request that goes on begins.
pub(super) enum Start<'a> {
    /// At once.
    Now,
    /// When its peer is back, which is announced under this key; until then at the latest.
    Wait { key: Digest, until: Time },
    /// It left before, and is cancelled, for the caller's Reason.
    Cancelled { reason: Option<&'a [u8]> },
}

impl Core {
    /// To whom a token named: over its flow, after its return, or not at all.
    pub(super) fn forward_to_peer(
        &self,
        turn: &mut Turn<'_>,
        asked: &Asked<'_>,
        peer: Peer,
        target: Option<Vec<u8>>,
    ) {
        let incoming = &asked.incoming;
        let peer = self.holder_of(&peer, incoming, turn.settings);
        let dialog = (incoming.is_in_dialog() && incoming.upstream.zone == Zone::Pool)
            .then(|| incoming.dialog(&self.hash));
        let (flow, start) = match self.reach(&peer, dialog, turn.settings, turn.now) {
            Reach::Flow(flow) => (Some(trunk_hop(flow, asked, target.as_deref(), turn.settings)), Start::Now),
            Reach::Wait { key, until } => (None, Start::Wait { key, until }),
            Reach::Dead => {
                self.counters.add(Count::FlowDead);
                let answer = self.answer_for_the_dead(incoming, turn.now);
                self.answer(turn, incoming, &answer);
                return;
            }
        };
        self.forward(turn, asked, Plan::Peer { peer, flow, target }, Ruled::default(), start);
    }

    /// Whom a request inside a dialog means: the member that its token names, or the one that has taken the
    /// dialog over since.
    pub(super) fn holder_of(&self, peer: &Peer, incoming: &Incoming<'_>, settings: &Settings) -> Peer {
        let from_outside = incoming.is_in_dialog() && incoming.upstream.zone != Zone::Pool;
        let PeerAddress::At(named) = peer.address else { return *peer };
        if !from_outside || settings.pool_member(named).is_none() {
            return *peer;
        }
        let taker = self.dialogs.taken_by(incoming.dialog(&self.hash));
        let taker = taker.filter(|member| settings.pool_member(*member).is_some());
        taker.and_then(|member| settings.pool_peer(member)).unwrap_or(*peer)
    }

    /// RFC 5626 §5.3.1: 430. A BYE is granted: there is nobody left to be told.
    fn answer_for_the_dead(&self, incoming: &Incoming<'_>, now: Time) -> Answer {
        let is_bye = incoming.method == Some(Method::Bye);
        if is_bye && self.dialogs.over(incoming.dialog(&self.hash), now) {
            self.counters.add(Count::Ended);
        }
        Answer { status: if is_bye { 200 } else { 430 }, reason: None, retry_after: None, count: None }
    }

    /// Make the entry and its first branch.
    pub(super) fn forward(
        &self,
        turn: &mut Turn<'_>,
        asked: &Asked<'_>,
        plan: Plan,
        ruled: Ruled,
        start: Start<'_>,
    ) {
        let incoming = &asked.incoming;
        let Some(held) = self.room_for(incoming.message.bytes().len()) else {
            let (retry_after, count) = (Some(limits::RETRY_AFTER_SECONDS), Some(Count::TableFull));
            self.answer(turn, incoming, &Answer { status: 503, reason: None, retry_after, count });
            return;
        };
        let merge = self.merge_key(incoming).filter(|_| !asked.was_counted);
        if merge.is_some_and(|key| self.is_merged(key, asked.id)) {
            let reason = Some("Merged Request".to_owned());
            let count = Some(Count::Merged);
            self.answer(turn, incoming, &Answer { status: 482, reason, retry_after: None, count });
            return;
        }
        let caller = Some(incoming.caller_aor(turn.settings));
        let new = NewSetup {
            upstream_peer: self.upstream_peer(&incoming.upstream, caller, turn.settings),
            routes: asked.top.values,
            registers: self.registers(incoming, turn.settings),
            new_from: asked.new_from.clone(),
            merge,
            plan,
            ruled,
            held,
        };
        match self.entries.entry(asked.id.0) {
            // Another worker got the same request a moment ago.
            Entry::Occupied(_) => return,
            Entry::Vacant(vacant) => {
                let mut step = Step::of(self, turn, asked.id);
                let setup = Setup::new(incoming, new, &mut step);
                let mut setup = vacant.insert(step.worker.entries.fill(setup));
                match start {
                    Start::Wait { key, until } if self.directory.wait(key, asked.id) => {
                        setup.wait(key, until);
                    }
                    Start::Wait { .. } => setup.answer(&Reply::status(430), &mut step),
                    Start::Now => setup.attempt(incoming, &mut step),
                    Start::Cancelled { reason } => setup.cancel_forgotten(incoming, reason, &mut step),
                }
                setup.settle(&mut step);
            }
        }
        self.after(turn, asked.id);
        if let Start::Wait { key, .. } = start {
            self.look_again(turn, asked.id, key);
        }
    }

    /// Room for one more request of so many bytes.
    fn room_for(&self, bytes: usize) -> Option<Held> {
        let bytes = u32::try_from(bytes).ok()?;
        let has_room = self.entries.len() < limits::TRANSACTIONS
            && self.request_bytes.get().saturating_add(bytes) <= limits::TRANSACTION_BYTES;
        has_room.then(|| self.request_bytes.hold_many(bytes))
    }

    /// The flow may have come back between the look and the wait.
    fn look_again(&self, turn: &mut Turn<'_>, id: EntryId, key: Digest) {
        let waits =
            self.entries.get(&id.0).and_then(|setup| Some((setup.awaited_peer()?, setup.dialog_key())));
        let Some((peer, dialog)) = waits else { return };
        if let Reach::Flow(flow) = self.reach(&peer, dialog, turn.settings, turn.now) {
            self.directory.stop_waiting(key, id);
            self.step(turn, id, |setup, step| setup.resume(key, flow, step));
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
                let listener = ListenerTag(0);
                Peer { listener, port: 0, address: PeerAddress::Binding, binding: Some(binding) }
            }
            None => Peer { binding: Some(binding), ..self.peer_of(flow, None, settings) },
        });
        Some(Registers { binding, aor, path, order: self.directory.next_order() })
    }
}

/// An asymmetric carrier is followed: its Route or Contact, as long as that is inside its networks. Only
/// the pool's Route counts: it is the carrier's own, come back.
pub(super) fn trunk_hop(flow: Flow, asked: &Asked<'_>, target: Option<&[u8]>, settings: &Settings) -> Flow {
    let listener = settings.listener(flow.listener);
    let Some(listener) = listener.filter(|one| one.zone == Zone::Trunk && !one.symmetric) else {
        return flow;
    };
    let message = asked.incoming.message;
    let mut routes = message.all(HeaderName::Route).flat_map(|header| split(header.value));
    let route = routes.nth(asked.top.values).filter(|_| asked.incoming.upstream.zone == Zone::Pool);
    let next = route.map_or(target.unwrap_or(message.request_uri()), |item| item.text);
    let uri = NameAddr::parse(next).map_or(next, |address| address.uri);
    let address = Uri::parse(uri).ok().and_then(|uri| uri.socket_address());
    match address.filter(|address| listener.networks.iter().any(|network| network.contains(&address.ip()))) {
        Some(remote) => Flow { remote, ..flow },
        None => flow,
    }
}
