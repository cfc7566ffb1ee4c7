//! What DNS has listed so far, for each pool that asks.

use std::sync::{Mutex, MutexGuard, PoisonError};

use sbc_core::config::{Config, Member, Pool, Share};
use sbc_core::limits;

use super::lookup::Failure;
use crate::config::Discovery;

/// The last good answers.
#[derive(Default)]
pub(in crate::run) struct Found(Mutex<Vec<Known>>);

struct Known {
    discovery: Discovery,
    state: State,
}

/// What is known of one source.
#[derive(Debug, Clone, Default)]
pub(in crate::run) struct State {
    /// Who was listed when it last answered.
    pub members: Vec<Member>,
    /// Why there is nothing newer, since the first question that failed.
    pub failing: Option<Failure>,
    /// The core did not take them.
    pub refused: bool,
}

/// What an answer changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::run) enum News {
    /// Other members than before.
    Members,
    /// The first failure after good answers, or from the start.
    Fails,
    /// It answers again, as before.
    Returns,
    /// Nothing.
    Nothing,
}

impl Found {
    fn lock(&self) -> MutexGuard<'_, Vec<Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remember an answer, or that there was none.
    pub(in crate::run) fn note(&self, discovery: &Discovery, answer: Result<Vec<Member>, Failure>) -> News {
        let mut known = self.lock();
        let index = known.iter().position(|one| one.discovery == *discovery).unwrap_or_else(|| {
            known.push(Known { discovery: discovery.clone(), state: State::default() });
            known.len() - 1
        });
        let Some(Known { state, .. }) = known.get_mut(index) else { return News::Nothing };
        match answer {
            Ok(members) => {
                let returns = state.failing.take().is_some();
                if std::mem::take(&mut state.refused) || members != state.members {
                    state.members = members;
                    return News::Members;
                }
                if returns { News::Returns } else { News::Nothing }
            }
            Err(failure) => match state.failing.replace(failure) {
                None => News::Fails,
                Some(_) => News::Nothing,
            },
        }
    }

    /// Another source for a pool begins with what the one before had listed, until it has an answer of its own: a
    /// name that is wrong, or a server that is down, empties no pool.
    pub(in crate::run) fn inherit(&self, running: &[Discovery], new: &[Discovery]) {
        let mut known = self.lock();
        for discovery in new {
            if known.iter().any(|one| one.discovery == *discovery) {
                continue;
            }
            let stands_for = |before: &&Discovery| {
                (&before.pool, before.listener, before.ipv6)
                    == (&discovery.pool, discovery.listener, discovery.ipv6)
            };
            let before = running.iter().find(stands_for);
            let before = before.and_then(|before| known.iter().find(|one| one.discovery == *before));
            if let Some(members) = before.map(|before| before.state.members.clone()) {
                known.push(Known {
                    discovery: discovery.clone(),
                    state: State { members, ..State::default() },
                });
            }
        }
    }

    /// The core did not take what was listed: it is news once more.
    pub(in crate::run) fn refused(&self, discovery: &Discovery) {
        let mut known = self.lock();
        if let Some(one) = known.iter_mut().find(|one| one.discovery == *discovery) {
            one.state.refused = true;
        }
    }

    /// Forget all sources but those that are asked now or may be asked again.
    pub(in crate::run) fn keep(&self, asked: &[Discovery], before: &[Discovery]) {
        let is_kept = |one: &Discovery| asked.contains(one) || before.contains(one);
        self.lock().retain(|known| is_kept(&known.discovery));
    }

    /// What is known of a source.
    pub(in crate::run) fn state(&self, discovery: &Discovery) -> State {
        let known = self.lock();
        let found = known.iter().find(|known| known.discovery == *discovery);
        found.map(|known| known.state.clone()).unwrap_or_default()
    }

    /// Put the members that DNS lists behind those of the file; each takes what is said of all that one source lists.
    /// What was listed stays the same whatever that is.
    pub(in crate::run) fn add_to(&self, config: &mut Config, asked: &[Discovery], shares: &[Share]) {
        for (discovery, share) in asked.iter().zip(shares) {
            let Some(pool) = config.pools.iter_mut().find(|pool| pool.name == discovery.pool) else {
                continue;
            };
            add(pool, &self.state(discovery).members, discovery, share);
        }
    }
}

fn add(pool: &mut Pool, listed: &[Member], discovery: &Discovery, share: &Share) {
    for member in listed {
        let is_new = pool.members.iter().all(|known| known.address != member.address);
        if is_new && pool.members.len() < limits::MEMBERS_PER_POOL {
            let share = discovery.share_of(member, share);
            pool.members.push(Member { share, ..member.clone() });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sbc_core::config::{Balance, Failover, Large, Registrations};
    use sbc_core::flow::{ListenerId, Transport, Zone};

    use super::*;
    use crate::config::Source;

    fn discovery(name: &str) -> Discovery {
        let transport = Transport::Udp;
        let source = Source { text: name.into(), name: name.into(), port: None, transport };
        Discovery { pool: "freeswitch".into(), source, listener: ListenerId(0), ipv6: false }
    }

    fn member(address: &str) -> Member {
        let (address, share) = (address.parse().expect("an address"), Share::default());
        Member { uri: format!("sip:{address}").into(), address, listener: ListenerId(0), share }
    }

    #[test]
    fn a_good_answer_is_kept_while_there_is_no_other() {
        let (found, asked) = (Found::default(), discovery("a"));
        assert_eq!(found.note(&asked, Err(Failure::Empty)), News::Fails);
        let members = vec![member("10.0.2.10:5080")];
        assert_eq!(found.note(&asked, Ok(members.clone())), News::Members);
        assert_eq!(found.note(&asked, Ok(members.clone())), News::Nothing);
        assert_eq!(found.note(&asked, Err(Failure::Empty)), News::Fails);
        assert_eq!(found.note(&asked, Err(Failure::Unanswered("no".into()))), News::Nothing);
        let state = found.state(&asked);
        assert_eq!((state.members, state.failing), (members.clone(), Some(Failure::Unanswered("no".into()))));
        assert_eq!(found.note(&asked, Ok(members)), News::Returns);
    }

    #[test]
    fn what_was_not_taken_over_is_news_again() {
        let (found, asked) = (Found::default(), discovery("a"));
        let members = vec![member("10.0.2.10:5080")];
        assert_eq!(found.note(&asked, Ok(members.clone())), News::Members);
        found.refused(&asked);
        assert_eq!(found.note(&asked, Ok(members.clone())), News::Members);
        assert_eq!(found.note(&asked, Ok(members)), News::Nothing);
    }

    #[test]
    fn what_is_asked_no_more_is_forgotten() {
        let found = Found::default();
        let (one, other) = (discovery("a"), discovery("b"));
        for asked in [&one, &other] {
            found.note(asked, Ok(vec![member("10.0.2.10:5080")]));
        }
        found.keep(std::slice::from_ref(&other), std::slice::from_ref(&one));
        assert_eq!(found.state(&one).members.len(), 1, "there is a way back");
        found.keep(std::slice::from_ref(&other), &[]);
        assert!(found.state(&one).members.is_empty());
        assert_eq!(found.state(&other).members.len(), 1);
    }

    #[test]
    fn another_source_empties_no_pool() {
        let found = Found::default();
        let (before, typo) = (discovery("a"), discovery("b"));
        let members = vec![member("10.0.2.10:5080")];
        found.note(&before, Ok(members.clone()));
        let elsewhere = Discovery { listener: ListenerId(1), ..discovery("c") };
        found.inherit(std::slice::from_ref(&before), &[typo.clone(), elsewhere.clone()]);
        assert_eq!(found.state(&typo).members, members);
        assert!(found.state(&elsewhere).members.is_empty(), "they are reached by another listener");
        assert_eq!(found.note(&typo, Err(Failure::Empty)), News::Fails);
        assert_eq!(found.state(&typo).members, members);
        assert_eq!(found.note(&typo, Ok(vec![member("10.0.2.11:5080")])), News::Members);
    }

    /// What the members of a pool take, where this is said of those that DNS lists.
    fn shares(found: &Found, asked: &Discovery, share: &Share) -> Vec<Share> {
        let mut pool = Pool {
            name: "freeswitch".into(),
            zone: Zone::Pool,
            listener: ListenerId(0),
            members: vec![member("10.0.2.9:5080")],
            balance: Balance::HashCallId,
            registrations: Registrations::Shared,
            probe: None,
            failover: Failover {
                invite_after: Duration::from_secs(2),
                other_after: Duration::from_secs(6),
                attempts: 3,
            },
            large: Large::Never,
            release: None,
        };
        add(&mut pool, &found.state(asked).members, asked, share);
        pool.members.into_iter().map(|member| member.share).collect()
    }

    #[test]
    fn what_members_take_is_said_anew_and_they_stay() {
        let (found, srv) = (Found::default(), discovery("a"));
        let host = Discovery { source: Source { port: Some(5080), ..srv.source.clone() }, ..srv.clone() };
        let mut heavy = member("10.0.2.10:5080");
        heavy.share = Share { weight: 7, priority: 2, ..Share::default() };
        for asked in [&srv, &host] {
            found.note(asked, Ok(vec![heavy.clone()]));
        }
        let small =
            Share { weight: 3, max_calls: Some(300), tags: ["new".into()].into(), ..Share::default() };
        let own = Share::default();
        // SRV records say weights and priorities, and all else is said by the file; addresses say nothing.
        let by_srv = Share { weight: 7, priority: 2, ..small.clone() };
        assert_eq!(shares(&found, &srv, &small), [own.clone(), by_srv.clone()]);
        assert_eq!(shares(&found, &host, &small), [own.clone(), small.clone()]);
        // Another configuration is nothing that DNS would have to be asked for.
        let large = Share { max_calls: Some(900), ..small };
        let by_srv = Share { max_calls: Some(900), ..by_srv };
        assert_eq!(shares(&found, &srv, &large), [own.clone(), by_srv]);
        assert_eq!(shares(&found, &host, &large), [own, large]);
    }
}
