//! Which members a request to a pool is tried at, which one first, and what their answers say of them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use routing_rules::Changes;

use crate::config::{Balance, Registrations};
use crate::count::Count;
use crate::hash::Digest;
use crate::limits;
use crate::pool::{Health, MemberState, Order, PoolState, Seat, Wish};
use crate::proxy::core::Core;
use crate::proxy::credentials;
use crate::proxy::hop::called_aor;
use crate::proxy::incoming::Incoming;
use crate::proxy::ruled::{Pooled, Target};
use crate::proxy::setup::{Fallback, Plan};
use crate::proxy::turn::Turn;
use crate::seal::OpenError;
use crate::sip::Method;
use crate::time::Time;
use crate::wire::{HeaderName, Message};

impl Core {
    /// The members of a pool, in the order that the balance and the request's credentials give.
    pub(super) fn pool_plan(
        &self,
        turn: &Turn<'_>,
        incoming: &Incoming<'_>,
        to: &Pooled,
        changes: Option<&Changes>,
    ) -> Plan {
        let settings = turn.settings;
        let key = |balance: Balance| match balance {
            Balance::HashAor => called_aor(incoming, changes, settings),
            _ => settings.stable.of(&[b"call", incoming.call_id]),
        };
        let is_new_call = incoming.method == Some(Method::Invite) && !incoming.is_in_dialog();
        let balance_of = |pool: &PoolState| to.balance.unwrap_or(pool.config.balance);
        let fallback = |to: &Target| {
            let (balance, wanted) = match self.dwelling(turn, incoming, changes, &to.pool) {
                Dwelling::Anywhere => (balance_of(&to.pool), None),
                Dwelling::OneMember(_) => (Balance::HashAor, None),
                Dwelling::Unknown(aor) => (balance_of(&to.pool), Some(aor)),
            };
            let (among, near) = (to.among, to.near);
            let wish = Wish { balance, key: key(balance), wanted, is_new_call, among, near };
            Fallback::new(Arc::clone(&to.pool), wish)
        };
        let then = to.fallback.iter().map(fallback).collect();
        let Fallback { pool, wish, tried, left } = fallback(&to.first);
        let challenger = self.challenger(turn, incoming, &pool, wish.balance);
        let is_paid = challenger.is_some_and(|(_, lately)| lately);
        let first = challenger.map(|(member, _)| member);
        let first = first.or_else(|| self.granting_member(turn, incoming, changes, &pool));
        let first = first.filter(|member| wish.among.has(*member));
        Plan::Pool { pool, wish, tried, first, is_paid, answers: first.is_some(), left, then }
    }

    /// Where the user lives whom a request to a pool wants. It has to meet his registration where it makes or asks
    /// for it, or where he is known to have one, though he may be away for a moment. Shortly after the start,
    /// anybody may have one.
    fn dwelling(
        &self,
        turn: &Turn<'_>,
        incoming: &Incoming<'_>,
        changes: Option<&Changes>,
        pool: &PoolState,
    ) -> Dwelling {
        if pool.config.registrations != Registrations::ByAor {
            return Dwelling::Anywhere;
        }
        if incoming.method == Some(Method::Register) {
            return Dwelling::OneMember(None);
        }
        let called = called_aor(incoming, changes, turn.settings);
        match self.directory.granted_by(called, turn.now) {
            Some(member) => Dwelling::OneMember(member),
            None if turn.now.since(self.started) < limits::RELEARNING => Dwelling::OneMember(None),
            None => Dwelling::Unknown(called),
        }
    }

    /// The member that has the registration of the user who is wanted, as long as it is there: while it was not, his
    /// home was another one.
    fn granting_member(
        &self,
        turn: &Turn<'_>,
        incoming: &Incoming<'_>,
        changes: Option<&Changes>,
        pool: &PoolState,
    ) -> Option<usize> {
        match self.dwelling(turn, incoming, changes, pool) {
            Dwelling::OneMember(member) => pool.at(member?).filter(|member| takes_requests(pool, *member)),
            Dwelling::Anywhere | Dwelling::Unknown(_) => None,
        }
    }

    /// The member whose challenge a request answers: by the `opaque` we added, else by its Call-ID. With it, whether
    /// that was a moment ago, so that the same call was given to it before.
    ///
    /// A registration under `hash:aor` has a home. It leaves it for a challenger only while it answers the
    /// challenge; a phone that uses an old nonce again would stay away for ever.
    fn challenger(
        &self,
        turn: &Turn<'_>,
        incoming: &Incoming<'_>,
        state: &PoolState,
        balance: Balance,
    ) -> Option<(usize, bool)> {
        if !credentials::present(&incoming.message) {
            return None;
        }
        let named = credentials::challenger(&incoming.message, turn.settings);
        if let Some(Err(OpenError::Forged)) = named {
            self.counters.add(Count::ForgedToken);
        }
        let recent = self.challenges.member(self.hash.of(&[b"challenge", incoming.call_id]));
        let fresh = recent.filter(|(_, at)| turn.now.since(*at) < limits::CHALLENGE_ANSWER);
        // Who challenged a moment ago is there, whatever its probes say.
        if let Some((member, _)) = fresh {
            return state.at(member).map(|member| (member, true));
        }
        if incoming.method == Some(Method::Register) && balance == Balance::HashAor {
            return None;
        }
        let older = named.and_then(Result::ok).or(recent.map(|(member, _)| member))?;
        state.at(older).filter(|member| takes_requests(state, *member)).map(|member| (member, false))
    }
}

/// On which members of a pool a user may be registered.
enum Dwelling {
    /// They share what they know.
    Anywhere,
    /// On his home, or on the member that granted his newest registration.
    OneMember(Option<SocketAddr>),
    /// On one of them if at all: this is who is wanted.
    Unknown(Digest),
}

fn takes_requests(pool: &PoolState, member: usize) -> bool {
    let takes =
        |member: &Arc<MemberState>| member.health() != Health::Down && member.order() == Order::Enabled;
    pool.members.get(member).is_some_and(takes)
}

/// What an answer says of the member that gave it: it is there; and where it says 503 and no Reason, that it
/// is full. With a Reason the same 503 speaks of the call beyond it. So do other failures of servers, and no single one
/// of them tells what a server is like.
pub(super) fn note_answer(member: &Seat, response: &Message<'_>, now: Time) {
    member.answered();
    let speaks_of_itself = || response.first(HeaderName::Reason).is_none();
    match response.status() {
        503 if speaks_of_itself() => member.full(retry_after(response), now),
        500 | 502 | 504 if speaks_of_itself() => member.member().failed(now),
        // A challenge is no work.
        status @ 200.. if !matches!(status, 401 | 407) => member.member().handled(),
        _ => {}
    }
}

/// RFC 3261 §20.33: seconds, then perhaps a comment and parameters.
pub(super) fn retry_after(response: &Message<'_>) -> Option<Duration> {
    let value = response.first(HeaderName::RetryAfter)?.value.trim_ascii_start();
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).take(9);
    let seconds = digits
        .fold(None, |seconds: Option<u64>, digit| Some(seconds.unwrap_or(0) * 10 + u64::from(digit - b'0')));
    seconds.map(Duration::from_secs)
}
