//! Where a request may still be tried.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::Balance;
use crate::flow::{AddressText, Flow, ListenerId, Zone};
use crate::hash::Digest;
use crate::pool::{Places, PoolState, Seat, Standing, Wish};
use crate::proxy::core::Core;
use crate::proxy::settings::Settings;
use crate::registration::Reached;
use crate::seal::{Peer, PeerAddress};
use crate::time::Time;

/// The targets of a request, in the order they are tried.
pub(crate) enum Plan {
    /// One sealed peer, over this flow once it is known.
    Peer { peer: Peer, flow: Option<Flow>, target: Option<Vec<u8>> },
    /// Members of a pool; `first` is the one that made the challenge being answered, or has the registration.
    Pool {
        /// As it was when the request came.
        pool: Arc<PoolState>,
        wish: Wish,
        tried: Places,
        first: Option<usize>,
        /// The pace of the first one has counted this call before.
        is_paid: bool,
        /// The first member can answer what another would only challenge again, or not know.
        answers: bool,
        left: u8,
        /// Pools to go on with; the preferred one is the last of the list.
        then: Vec<Fallback>,
    },
    /// Bindings of a user.
    Bindings(Bound),
}

/// Bindings of a user, and how they are asked.
#[derive(Default)]
pub(crate) struct Bound {
    /// The next one is the last of the list.
    pub(crate) left: Vec<Reached>,
    /// Those of one q are asked at once, not one after the other.
    pub(crate) fork: bool,
    /// The q of those that were asked last.
    pub(crate) asked: Option<u16>,
}

/// A pool that is asked when those before it have nobody who stands as well.
pub(crate) struct Fallback {
    pub(crate) pool: Arc<PoolState>,
    pub(crate) wish: Wish,
    /// Who was asked there already.
    pub(crate) tried: Places,
    /// How many may still be.
    pub(crate) left: u8,
}

impl Fallback {
    pub(crate) fn new(pool: Arc<PoolState>, wish: Wish) -> Self {
        let left = pool.config.failover.attempts.max(1);
        Self { pool, wish, tried: Places::default(), left }
    }

    /// How the best one stands that may still be asked.
    fn standing(&self, now: Time) -> Option<Standing> {
        (self.left > 0).then(|| self.pool.standing(&self.wish, self.tried, now)).flatten()
    }

    /// How many targets are left in it.
    fn targets(&self) -> u32 {
        self.wish.among.without(self.tried).count().min(u32::from(self.left))
    }
}

/// The next target.
#[derive(Clone)]
pub(crate) struct Next {
    pub(crate) flow: Flow,
    pub(crate) zone: Zone,
    pub(crate) peer: Peer,
    pub(crate) target: Option<Vec<u8>>,
    pub(crate) member: Option<Seat>,
    pub(crate) address: Option<SocketAddr>,
    /// Tells the branches of one request apart, the same after a restart.
    pub(crate) leg: u32,
    /// The member's pace has counted this call before.
    pub(crate) is_paid: bool,
}

impl Next {
    /// The same target, asked over a connection from `listener`.
    pub(crate) fn by_connection(self, listener: ListenerId, settings: &Settings) -> Self {
        let member = self.member.or_else(|| settings.member_at(self.flow.listener, self.flow.remote));
        let flow = Flow::to(listener, self.flow.remote);
        // Both ways may be tried one after the other: their branches must not be the same.
        Self { flow, member, leg: !self.leg, ..self }
    }
}

impl Plan {
    /// Take the next target.
    pub(crate) fn next(
        &mut self,
        call_id: &[u8],
        now: Time,
        core: &Core,
        settings: &Settings,
    ) -> Option<Next> {
        self.fall_back(now);
        match self {
            Self::Peer { peer, flow, target } => {
                let flow = towards(flow.take()?, call_id, settings)?;
                let zone = settings.listener(flow.listener)?.zone;
                let member = settings.member_at(flow.listener, flow.remote).filter(|_| zone == Zone::Pool);
                let target = target.take();
                Some(Next {
                    flow,
                    zone,
                    peer: *peer,
                    target,
                    member,
                    address: None,
                    leg: leg_of(peer, settings),
                    is_paid: false,
                })
            }
            Self::Pool { pool, wish, tried, first, is_paid, left, .. } => {
                *left = left.checked_sub(1)?;
                let paid = std::mem::take(is_paid);
                let known = first.take();
                let is_paid = paid && known.is_some();
                let place = known.or_else(|| pool.choose(wish, *tried, now))?;
                *tried = tried.with(place);
                let member = Seat::of(pool, place)?;
                let address = member.address();
                let listener = member.listener();
                let flow = towards(Flow::to(listener, address), call_id, settings)?;
                let peer = Peer {
                    listener: settings.tag_of(listener),
                    port: 0,
                    address: PeerAddress::At(address),
                    binding: None,
                };
                let leg = leg_of(&peer, settings);
                let zone = pool.config.zone;
                Some(Next {
                    flow,
                    zone,
                    peer,
                    target: None,
                    member: Some(member),
                    address: Some(address),
                    leg,
                    is_paid,
                })
            }
            Self::Bindings(Bound { left, asked, .. }) => {
                let reached = left.pop()?;
                *asked = Some(reached.q);
                let zone = settings.listener(reached.flow.listener)?.zone;
                let peer = core.peer_of(&reached.flow, None, settings);
                let peer = Peer { binding: Some(reached.id), ..peer };
                let target = Some(reached.contact.into_vec());
                let leg = leg_of(&peer, settings);
                Some(Next {
                    flow: reached.flow,
                    zone,
                    peer,
                    target,
                    member: None,
                    address: None,
                    leg,
                    is_paid: false,
                })
            }
        }
    }

    /// Every target that a request may have gone to, where the balance would not choose the same one again.
    pub(crate) fn wherever_it_went(mut self) -> Self {
        if let Self::Pool { wish, left, then, .. } = &mut self {
            // It holds its place already.
            wish.is_new_call = false;
            then.iter_mut().for_each(|next| next.wish.is_new_call = false);
            if !matches!(wish.balance, Balance::HashCallId | Balance::HashAor | Balance::Priority) {
                *left = u8::MAX;
            }
        }
        self
    }

    /// Let a target that was taken be the next one again: it is there, but not the way it was asked.
    pub(crate) fn again(&mut self, member: &Seat) {
        match self {
            Self::Peer { flow, .. } => *flow = Some(Flow::to(member.listener(), member.address())),
            Self::Pool { pool, first, is_paid, left, .. } => {
                *first = pool.at(member.address());
                *is_paid = true;
                *left = left.saturating_add(1);
            }
            Self::Bindings(_) => {}
        }
    }

    /// Nobody of that name is where it was tried: its next target is the member that would have the registration, unless
    /// that was asked already. True where there is one.
    pub(crate) fn turn_home(&mut self, now: Time) -> bool {
        let Self::Pool { pool, wish, tried, first, left, .. } = self else { return false };
        let Some(key) = wish.wanted.take() else { return false };
        let home = Wish { balance: Balance::HashAor, key, ..*wish };
        let home = pool.choose(&home, Places::default(), now).filter(|home| !tried.has(*home));
        if home.is_some() {
            *left = (*left).max(1);
            *first = home;
        }
        home.is_some()
    }

    /// Keep the target that was tried, where it may be tried again; else it comes back.
    pub(crate) fn keep(&mut self, tried: Vec<u8>) -> Option<Vec<u8>> {
        match self {
            Self::Peer { target, .. } => target.replace(tried),
            Self::Pool { .. } | Self::Bindings(_) => Some(tried),
        }
    }

    /// The buffer in it.
    pub(super) fn take_buffer(&mut self) -> Option<Vec<u8>> {
        match self {
            Self::Peer { target, .. } => target.take(),
            Self::Pool { .. } | Self::Bindings(_) => None,
        }
    }

    /// Go on with the pool whose best member stands best: somebody who is full for a moment goes before somebody
    /// who is dead. Of several alike this one stays, and then the order of the list counts.
    fn fall_back(&mut self, now: Time) {
        let Self::Pool { pool, wish, tried, first, is_paid, answers, left, then, .. } = self else { return };
        // Who challenged goes first, as long as there is room for the call.
        *first = first.filter(|place| !wish.is_new_call || pool.has_room(*place, *is_paid, now));
        if first.is_some() || then.is_empty() {
            return;
        }
        // Nobody at all comes after everybody.
        let rank = |standing: Option<Standing>| (standing.is_none(), standing);
        let here = if *left > 0 { pool.standing(wish, *tried, now) } else { None };
        if here == Some(Standing::Ready) {
            return;
        }
        let ranked = then.iter().enumerate().rev().map(|(at, next)| (rank(next.standing(now)), at));
        let Some((best, at)) = ranked.min_by_key(|(rank, _)| *rank) else { return };
        if best >= rank(here) {
            return;
        }
        let next = then.remove(at);
        let skipped = Fallback {
            pool: std::mem::replace(pool, next.pool),
            wish: std::mem::replace(wish, next.wish),
            tried: std::mem::replace(tried, next.tried),
            left: std::mem::replace(left, next.left),
        };
        *answers = false;
        if skipped.targets() > 0 {
            then.push(skipped);
        }
    }

    /// Whether anything is left to try, now or later.
    pub(crate) fn has_more(&self) -> bool {
        self.left() > 0
    }

    /// Whether [`Self::next`] has a target now: a member may be drained, or have as many calls as it takes.
    pub(crate) fn has_next(&self, now: Time) -> bool {
        let Self::Pool { pool, wish, tried, first, left, then, .. } = self else { return self.has_more() };
        let here = *left > 0 && (first.is_some() || pool.standing(wish, *tried, now).is_some());
        here || then.iter().any(|next| next.standing(now).is_some())
    }

    /// Whether several targets are asked at once (RFC 3261 §16.6: in parallel).
    pub(crate) const fn forks(&self) -> bool {
        matches!(self, Self::Bindings(Bound { fork: true, .. }))
    }

    /// Whether the next target is to be asked together with the one before it.
    pub(crate) fn goes_together(&self) -> bool {
        let Self::Bindings(Bound { left, fork: true, asked }) = self else { return false };
        left.last().is_some_and(|next| *asked == Some(next.q))
    }

    /// Nobody else is tried.
    pub(crate) fn give_up(&mut self) {
        if let Self::Bindings(Bound { left, .. }) = self {
            left.clear();
        }
    }

    /// How many targets are left to try.
    pub(crate) fn left(&self) -> u32 {
        match self {
            Self::Peer { flow, .. } => u32::from(flow.is_some()),
            Self::Pool { wish, tried, first, left, then, .. } => {
                let again = u32::from(first.is_some_and(|first| tried.has(first)));
                let untried = wish.among.without(*tried).count();
                let here = (untried + again).min(u32::from(*left));
                here + then.iter().map(Fallback::targets).sum::<u32>()
            }
            Self::Bindings(bound) => u32::try_from(bound.left.len()).unwrap_or(0),
        }
    }
}

/// Towards the pool, the call's own local port.
pub(crate) fn towards(flow: Flow, call_id: &[u8], settings: &Settings) -> Option<Flow> {
    let listener = settings.listener(flow.listener)?;
    if listener.zone == Zone::Pool && flow.connection.is_none() {
        return Some(Flow { port: settings.local_port(listener, call_id), ..flow });
    }
    Some(flow)
}

/// A binding where there is one: its flow may be another after a restart, the branch must not be.
fn leg_of(peer: &Peer, settings: &Settings) -> u32 {
    let digest = match (peer.binding, peer.address) {
        (Some(binding), _) => binding.0,
        (None, PeerAddress::At(address)) => {
            settings.stable.of(&[b"leg", AddressText::of(address).as_bytes()])
        }
        (None, PeerAddress::Connection { boot, number }) => Digest::from(boot ^ number),
        (None, PeerAddress::Binding) => 0,
    };
    digest as u32
}
