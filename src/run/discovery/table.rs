//! What DNS has listed so far, for each pool that asks.

use std::sync::{Mutex, MutexGuard, PoisonError};

use sbc_core::config::{Config, Member};
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

    /// The core did not take what was listed: it is news once more.
    pub(in crate::run) fn refused(&self, discovery: &Discovery) {
        let mut known = self.lock();
        if let Some(one) = known.iter_mut().find(|one| one.discovery == *discovery) {
            one.state.refused = true;
        }
    }

    /// Forget the sources that are asked no more.
    pub(in crate::run) fn keep(&self, asked: &[Discovery]) {
        self.lock().retain(|known| asked.contains(&known.discovery));
    }

    /// What is known of a source.
    pub(in crate::run) fn state(&self, discovery: &Discovery) -> State {
        let known = self.lock();
        let found = known.iter().find(|known| known.discovery == *discovery);
        found.map(|known| known.state.clone()).unwrap_or_default()
    }

    /// Put the members that DNS lists behind those of the file.
    pub(in crate::run) fn add_to(&self, config: &mut Config, asked: &[Discovery]) {
        for discovery in asked {
            let Some(pool) = config.pools.iter_mut().find(|pool| pool.name == discovery.pool) else {
                continue;
            };
            for member in self.state(discovery).members {
                let is_new = pool.members.iter().all(|known| known.address != member.address);
                if is_new && pool.members.len() < limits::MEMBERS_PER_POOL {
                    pool.members.push(member);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use sbc_core::config::Share;
    use sbc_core::flow::{ListenerId, Transport};

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
        found.keep(std::slice::from_ref(&other));
        assert!(found.state(&one).members.is_empty());
        assert_eq!(found.state(&other).members.len(), 1);
    }
}
