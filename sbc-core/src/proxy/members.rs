//! Which members a request to a pool is tried at, which one first, and what their answers say of them.

use std::sync::Arc;
use std::time::Duration;

use routing_rules::Changes;

use crate::config::{Balance, Registrations};
use crate::count::Count;
use crate::limits;
use crate::pool::{Health, Order, PoolState, Seat, Wish};
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
        let balance_of = |pool: &PoolState| match self.lives_on_one_member(turn, incoming, changes, pool) {
            true => Balance::HashAor,
            false => to.balance.unwrap_or(pool.config.balance),
        };
        let is_new_call = incoming.method == Some(Method::Invite) && !incoming.is_in_dialog();
        let fallback = |to: &Target| {
            let balance = balance_of(&to.pool);
            let wish = Wish { balance, key: key(balance), is_new_call, among: to.among, near: to.near };
            Fallback::new(Arc::clone(&to.pool), wish)
        };
        let then = to.fallback.iter().map(fallback).collect();
        let Fallback { pool, wish, tried, left } = fallback(&to.first);
        let challenger = self.challenger(turn, incoming, &pool, wish.balance);
        let first = challenger.filter(|member| wish.among.has(*member));
        Plan::Pool { pool, wish, tried, first, answers: first.is_some(), left, then }
    }

    /// Whether a request has to meet the registration of one user, where each lives on one member: it makes or
    /// asks for that registration, or wants a user who has one. Shortly after the start, anybody may have one.
    fn lives_on_one_member(
        &self,
        turn: &Turn<'_>,
        incoming: &Incoming<'_>,
        changes: Option<&Changes>,
        pool: &PoolState,
    ) -> bool {
        if pool.config.registrations != Registrations::ByAor {
            return false;
        }
        let is_relearning = turn.now.since(self.started) < limits::RELEARNING;
        let called = || called_aor(incoming, changes, turn.settings);
        let is_registered = || self.directory.is_registered(called(), turn.now);
        incoming.method == Some(Method::Register) || is_relearning || is_registered()
    }

    /// The member whose challenge a request answers: by the `opaque` we added, else by its Call-ID.
    ///
    /// A registration under `hash:aor` has a home. It leaves it for a challenger only while it answers the
    /// challenge; a phone that uses an old nonce again would stay away for ever.
    fn challenger(
        &self,
        turn: &Turn<'_>,
        incoming: &Incoming<'_>,
        state: &PoolState,
        balance: Balance,
    ) -> Option<usize> {
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
            return state.at(member);
        }
        if incoming.method == Some(Method::Register) && balance == Balance::HashAor {
            return None;
        }
        let older = named.and_then(Result::ok).or(recent.map(|(member, _)| member))?;
        let alive = |member: &usize| {
            state
                .members
                .get(*member)
                .is_some_and(|member| member.health() != Health::Down && member.order() == Order::Enabled)
        };
        state.at(older).filter(alive)
    }
}

/// What an answer says of the member that gave it: it is there; and where it says 503 and no Reason, that it
/// is full. With a Reason the same 503 speaks of the call beyond it.
pub(super) fn note_answer(member: &Seat, response: &Message<'_>, now: Time) {
    member.answered();
    if response.status() == 503 && response.first(HeaderName::Reason).is_none() {
        member.full(retry_after(response), now);
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
