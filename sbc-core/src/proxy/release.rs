//! The calls of a dead member are ended for it, a few at a time: those that ring, and those that are up, as far as there
//! are records of them.
//!
//! Dead is a member that has been down and gave no other sign of life for the pool's `release`. FreeSWITCH is a
//! back-to-back user agent: each leg of its calls is a dialog of its own, so each is ended towards its own party. The BYE
//! is written as the member would write it and takes the way of everything that members send. Whatever another member
//! has taken over, or is just asking for, goes on.

use std::net::SocketAddr;

use crate::count::Count;
use crate::dialog::{Asked as PoolAsks, DialogKey, Farewell};
use crate::flow::{Flow, Zone, is_stream};
use crate::hash::Digest;
use crate::limits;
use crate::pool::{Health, MemberState, PoolState};
use crate::proxy::core::Core;
use crate::proxy::farewell::{Cause, Ghost};
use crate::proxy::hop::{Answer, Route, top_of_route};
use crate::proxy::incoming::Incoming;
use crate::proxy::settings::Settings;
use crate::proxy::turn::{Asked, Turn};
use crate::proxy::worker::{ProbeTimer, Timer};
use crate::sip::Method;
use crate::table::keys_where;
use crate::time::Time;
use crate::transaction::EntryId;
use crate::transaction::key::server_key;
use crate::wire::{CSeq, Framing, HeaderName, Index, Limits, Message};

/// Where the ending of a member's calls goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReleaseTimer {
    pub(crate) member: ProbeTimer,
    /// The next shard of the table of dialogs.
    pub(crate) shard: u16,
}

impl Core {
    /// After each look at a member by its probes: whether it has been silent for long enough.
    pub(super) fn watch_silence(&self, turn: &mut Turn<'_>, state: &PoolState, timer: ProbeTimer) {
        let Some(member) = state.members.get(usize::from(timer.member)) else { return };
        if member.health() != Health::Down {
            member.silence.is_over();
            return;
        }
        member.silence.goes_on(&self.listened_for, turn.now);
        if is_dead(state, member, usize::from(timer.member), turn.now)
            && member.silence.begin_ending(turn.settings.version)
        {
            turn.worker.wheel.schedule(turn.now, Timer::Release(ReleaseTimer { member: timer, shard: 0 }));
        }
    }

    /// A message came in from the pool: whoever sent it is not dead.
    pub(super) fn note_life(&self, flow: &Flow, settings: &Settings, now: Time) {
        if self.listened_for.get() == 0 {
            return;
        }
        let is_any_port = settings.listener(flow.listener).is_some_and(|one| is_stream(one.transport));
        let is_it = |member: &MemberState| {
            member.address == flow.remote || (is_any_port && member.address.ip() == flow.remote.ip())
        };
        for member in settings.pools.iter().flat_map(|pool| &pool.members).filter(|member| is_it(member)) {
            member.silence.is_broken(now);
        }
    }

    /// End some calls of a dead member.
    pub(super) fn release(&self, turn: &mut Turn<'_>, timer: ReleaseTimer) {
        let settings = turn.settings;
        if timer.member.settings != settings.version {
            return;
        }
        let place = usize::from(timer.member.member);
        let Some(state) = settings.pools.get(usize::from(timer.member.pool)) else { return };
        let Some(member) = state.members.get(place) else { return };
        let goes_on = is_dead(state, member, place, turn.now)
            .then(|| self.release_some(turn, member, usize::from(timer.shard)))
            .flatten();
        if let Some(shard) = goes_on.and_then(|shard| u16::try_from(shard).ok()) {
            let next = Timer::Release(ReleaseTimer { shard, ..timer });
            turn.worker.wheel.schedule(turn.now + limits::RELEASE_EVERY, next);
            return;
        }
        let calls = member.silence.stop_ending();
        if calls > 0 {
            let (pool, member) = (&*state.config.name, &*member.uri);
            tracing::warn!(pool, member, calls, "the member is dead: its calls were ended");
        }
    }

    /// Where to go on; `None` when all have been looked at.
    fn release_some(&self, turn: &mut Turn<'_>, member: &MemberState, mut shard: usize) -> Option<usize> {
        let mut left = limits::RELEASED_AT_ONCE;
        if shard == 0 {
            left -= self.release_ringing(turn, member, left);
        }
        for _ in 0..limits::RELEASE_SHARDS {
            if left == 0 || shard >= limits::DIALOG_SHARDS {
                break;
            }
            let due = self.dialogs.of_member(shard, member.address, left, turn.now);
            due.iter().for_each(|key| self.release_dialog(turn, member, *key));
            left -= due.len();
            // Where all that may be ended now is, the shard has perhaps more.
            shard += usize::from(left > 0);
        }
        (shard < limits::DIALOG_SHARDS).then_some(shard)
    }

    /// What rings at the member or for it. How many there were.
    fn release_ringing(&self, turn: &mut Turn<'_>, member: &MemberState, most: usize) -> usize {
        let ringing = keys_where(&self.entries, most, |setup| setup.rings_at(member.address));
        for id in &ringing {
            let ended =
                self.step(turn, EntryId(*id), |setup, step| setup.on_member_dead(member.address, step));
            if ended.is_some() {
                self.counters.add(Count::ReleasedRinging);
                member.silence.ended(1);
            }
        }
        ringing.len()
    }

    fn release_dialog(&self, turn: &mut Turn<'_>, member: &MemberState, key: DialogKey) {
        // Since it was looked for, another member may have taken it over.
        if let Some(farewell) = self.dialogs.release(key, member.address, turn.now) {
            self.counters.add(Count::Released);
            member.silence.ended(1);
            self.say_farewell(turn, key, (member.address, &farewell), Cause::Gone);
        }
    }

    /// A member says that it does not know a dialog in which it was asked: it restarted, or ended it unheard. Whoever
    /// asked is told so; who does not hang up then shall not stay in a call with nobody.
    pub(super) fn release_lost(&self, turn: &mut Turn<'_>, key: DialogKey, tag: Digest) {
        if let Some((member, farewell)) = self.dialogs.lost(key, tag) {
            self.counters.add(Count::ReleasedLost);
            tracing::debug!(%member, "the member does not know a call that it had: it is ended");
            self.say_farewell(turn, key, (member, &farewell), Cause::Unknown);
        }
    }

    fn say_farewell(
        &self,
        turn: &mut Turn<'_>,
        key: DialogKey,
        (member, farewell): (SocketAddr, &Farewell),
        cause: Cause,
    ) {
        let settings = turn.settings;
        let seat = settings.pool_member(member);
        let listener = seat.as_ref().and_then(|seat| settings.listener(seat.listener()));
        if let (Some(seat), Some(listener)) = (seat, listener) {
            let flow = Flow::to(seat.listener(), member);
            let branch_of = |what: &[u8]| {
                let digest = self.hash.of(&[what, &key.0.to_be_bytes(), &farewell.number.to_be_bytes()]);
                format!("z9hG4bK.release.{digest:032x}")
            };
            let mut bytes = turn.worker.spare.take();
            if let Some(number) = farewell.unacknowledged {
                let branch = &branch_of(b"ack");
                Ghost { farewell, member, listener, branch }.write_ack(number, &mut bytes);
                self.ask_as_member(turn, flow, &bytes);
                bytes.clear();
            }
            let branch = &branch_of(b"bye");
            Ghost { farewell, member, listener, branch }.write_bye(cause, &mut bytes);
            let is_on_its_way = self.ask_as_member(turn, flow, &bytes);
            turn.worker.spare.give(bytes);
            if is_on_its_way {
                return;
            }
        }
        if self.dialogs.over(key, turn.now) {
            self.counters.add(Count::Ended);
        }
    }

    /// Let a request take the way of what the member at `flow` sends. True where its end is waited for.
    fn ask_as_member(&self, turn: &mut Turn<'_>, flow: Flow, bytes: &[u8]) -> bool {
        let settings = turn.settings;
        let mut index = Index::new();
        let Some(listener) = settings.listener(flow.listener) else { return false };
        if index.parse(bytes, Framing::Datagram, &Limits::default()).is_err() {
            return false;
        }
        let message = Message::new(bytes, &index);
        let Some(mut incoming) = Incoming::read(message, listener, flow, flow.remote) else { return false };
        incoming.upstream.is_own = true;
        let id = server_key(&self.hash, &message, &incoming.via);
        let top = top_of_route(&incoming, settings);
        let asked = Asked { incoming, id, top, new_from: None, was_counted: true };
        if asked.incoming.method == Some(Method::Ack) {
            self.ack(turn, &asked);
            return false;
        }
        if let Route::Peer { peer, target } = self.route(&asked, turn) {
            self.forward_to_peer(turn, &asked, peer, target);
        }
        self.entries.contains_key(&id.0)
    }

    /// The answer to whoever asks something inside a dialog that is just being ended.
    pub(super) fn answer_released(&self, incoming: &Incoming<'_>) -> Option<Answer> {
        let is_it = incoming.is_in_dialog() && self.dialogs.is_released(incoming.dialog(&self.hash));
        let status = if incoming.method == Some(Method::Bye) { 200 } else { 481 };
        is_it.then_some(Answer { status, reason: None, retry_after: None, count: None })
    }

    /// The pool's side asks something inside a dialog: its record has to know, should the dialog be ended for it.
    pub(super) fn note_asked(&self, incoming: &Incoming<'_>, now: Time) {
        if incoming.upstream.zone != Zone::Pool || !incoming.is_in_dialog() {
            return;
        }
        let Ok(cseq) = CSeq::parse(incoming.message.value(HeaderName::CSeq)) else { return };
        let key = incoming.dialog(&self.hash);
        if incoming.method == Some(Method::Ack) {
            self.dialogs.acknowledged(key, cseq.number);
            return;
        }
        let asked = PoolAsks {
            member: incoming.upstream.address(),
            number: cseq.number,
            is_invite: incoming.method == Some(Method::Invite),
            takes_over: matches!(incoming.method, Some(Method::Invite | Method::Update)),
        };
        self.dialogs.asked(key, &asked, now);
    }
}

/// Whether a member has been down and silent for as long as its pool waits for it.
fn is_dead(state: &PoolState, member: &MemberState, place: usize, now: Time) -> bool {
    let (release, silent) = (state.config.release, member.silence.lasted(now));
    let is_long = release.zip(silent).is_some_and(|(release, silent)| silent >= release);
    is_long && member.health() == Health::Down && state.is_silence_its_own(place)
}
