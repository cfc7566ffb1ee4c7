//! Which members a request to a pool is tried at, and which one first.

use std::sync::Arc;

use routing_rules::Changes;

use crate::config::Balance;
use crate::count::Count;
use crate::limits;
use crate::pool::{Health, PoolState, Tried};
use crate::proxy::core::Core;
use crate::proxy::credentials;
use crate::proxy::hop::called_aor;
use crate::proxy::incoming::Incoming;
use crate::proxy::ruled::Pooled;
use crate::proxy::setup::{Fallback, Plan};
use crate::proxy::turn::Turn;
use crate::seal::OpenError;
use crate::sip::Method;

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
            Balance::HashCallId | Balance::RoundRobin => settings.stable.of(&[b"call", incoming.call_id]),
        };
        let fallback = |pool: &Arc<PoolState>| {
            let balance = to.balance.unwrap_or(pool.config.balance);
            Fallback { pool: Arc::clone(pool), balance, key: key(balance) }
        };
        let then = to.fallback.iter().map(fallback).collect();
        let pool = &to.pool;
        let balance = to.balance.unwrap_or(pool.config.balance);
        let first = self.challenger(turn, incoming, pool, balance);
        let left = pool.config.failover.attempts.max(1);
        let (pool, key, answers) = (Arc::clone(pool), key(balance), first.is_some());
        Plan::Pool { pool, balance, key, tried: Tried::default(), first, answers, left, then }
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
        let alive =
            |member: &usize| state.members.get(*member).is_some_and(|member| member.health() != Health::Down);
        state.at(older).filter(alive)
    }
}
