//! What the rules decide about a request outside dialogs, and what comes with the decision.

use std::fmt::Write as _;
use std::sync::Arc;

use routing_rules::{Action, Changes, Decision, Rules, Scratch, ToPool};

use crate::config::Balance;
use crate::count::Count;
use crate::flow::Zone;
use crate::limiting::Permit;
use crate::pool::{Places, PoolState};
use crate::proxy::core::Core;
use crate::proxy::hop::{Answer, Route, is_served};
use crate::proxy::incoming::Incoming;
use crate::proxy::question::{Asker, Surroundings, ask, changed};
use crate::proxy::settings::{Settings, strip_brackets};
use crate::proxy::setup::Bound;
use crate::proxy::turn::{Asked, Turn};
use crate::sip::Method;
use crate::time::Time;
use crate::wire::Uri;

/// What the rules say about a request that goes on, beside where.
#[derive(Debug, Default)]
pub(crate) struct Ruled {
    /// How it leaves; `None`: as the edge itself would send it.
    pub(crate) changes: Option<Box<Changes>>,
    /// Its places among the calls of rules with a limit.
    pub(crate) permits: Vec<Permit>,
}

/// The pools of a route, as they are now.
pub(crate) struct Pooled {
    pub(crate) first: Target,
    /// Instead of each pool's own.
    pub(crate) balance: Option<Balance>,
    /// Where to go on; the next one is the last of the list.
    pub(crate) fallback: Vec<Target>,
}

/// A pool, and which of its members a route means.
pub(crate) struct Target {
    pub(crate) pool: Arc<PoolState>,
    pub(crate) among: Places,
    /// Instead of those near to this node.
    pub(crate) near: Option<Places>,
}

impl Pooled {
    fn of(to: &ToPool<'_>, settings: &Settings) -> Option<Self> {
        let target = |place: &usize, tag: Option<&str>| {
            let pool = Arc::clone(settings.pools.get(*place)?);
            let near = to.region.map(|region| pool.near_to(region));
            Some(Target { among: pool.tagged(tag), near, pool })
        };
        let fallback = to.fallback.iter().rev().filter_map(|place| target(place, None)).collect();
        Some(Self { first: target(&to.pool, to.tag)?, balance: to.balance, fallback })
    }
}

impl Core {
    /// Ask the rules.
    pub(super) fn route_by_rule(&self, asked: &Asked<'_>, turn: &mut Turn<'_>) -> Route {
        let incoming = &asked.incoming;
        let settings = turn.settings;
        let Ok(uri) = Uri::parse(incoming.message.request_uri()) else {
            return Answer::refuse(400, Count::BadUri);
        };
        if wants_relay(incoming, &uri, settings) {
            return Answer::refuse(404, Count::NotServed);
        }
        if let Err(answer) = self.asks_within_ticket(incoming, &uri, settings) {
            return Route::Answer(answer);
        }
        let mut scratch = std::mem::take(&mut turn.worker.rules);
        let route = self.with_question(asked, &uri, settings, turn.now, |query| {
            self.decide(asked, turn, &uri, query, &mut scratch)
        });
        turn.worker.rules = scratch;
        route
    }

    /// Put the question about a request to whoever answers it.
    pub(super) fn with_question<R>(
        &self,
        asked: &Asked<'_>,
        uri: &Uri<'_>,
        settings: &Settings,
        now: Time,
        answer: impl FnOnce(&routing_rules::Query<'_>) -> R,
    ) -> R {
        let incoming = &asked.incoming;
        let around = Surroundings { core: self, settings, message: &incoming.message, uri, now };
        let asker = Asker {
            listener: incoming.upstream.flow.listener,
            source: incoming.upstream.source.ip(),
            message: &incoming.message,
            call_id: incoming.call_id,
            new_from: &asked.new_from,
            unix_time: self.unix_time(now),
        };
        answer(&ask(&asker, uri, settings, &around))
    }

    fn decide(
        &self,
        asked: &Asked<'_>,
        turn: &Turn<'_>,
        uri: &Uri<'_>,
        query: &routing_rules::Query<'_>,
        scratch: &mut Scratch,
    ) -> Route {
        let rules = &turn.settings.config.rules;
        let decision = rules.evaluate(query, scratch);
        if !asked.was_counted {
            self.tag(rules, &decision, asked);
        }
        match decision.action {
            Action::Pool(to) => {
                let Some(to) = Pooled::of(&to, turn.settings) else {
                    return Answer::refuse(500, Count::NoTarget);
                };
                self.within_limits(&decision, asked, turn)
                    .map_or_else(Route::Answer, |ruled| Route::Pool(to, ruled))
            }
            Action::Bindings { fork } => {
                self.within_limits(&decision, asked, turn).map_or_else(Route::Answer, |ruled| {
                    let aor = turn.settings.aor(&changed(uri, ruled.changes.as_deref()));
                    let mut left = self.directory.of_aor(aor, turn.now);
                    left.reverse();
                    Route::Bindings(Bound { left, fork, asked: None }, ruled)
                })
            }
            Action::Reject { status, reason, retry_after } => Route::Answer(Answer {
                status,
                reason: (!reason.is_empty()).then(|| reason.to_owned()),
                retry_after,
                count: Some(Count::RuleReject),
            }),
            Action::Redirect { status, contacts } => Route::Redirect { status, contacts: lines_of(contacts) },
            Action::NoMatch => Answer::refuse(404, Count::NoRule),
        }
    }

    /// Take the places that the limits of the rules ask for; an error is the answer when there are none.
    fn within_limits(
        &self,
        decision: &Decision<'_>,
        asked: &Asked<'_>,
        turn: &Turn<'_>,
    ) -> Result<Ruled, Answer> {
        let changes = (!decision.changes.is_empty()).then(|| Box::new(decision.changes.clone()));
        if asked.was_counted {
            return Ok(Ruled { changes, permits: Vec::new() });
        }
        let rules = &turn.settings.config.rules;
        let is_call = asked.incoming.method == Some(Method::Invite);
        let mut permits = self.permits_of_caller(asked, turn)?;
        for id in decision.held {
            let Some(limit) = rules.limit(*id) else { continue };
            let name = rules.name(*id).unwrap_or_default();
            match self.gates.pass(&self.hash, name, limit, is_call, turn.now) {
                Ok(permit) => permits.extend(permit),
                Err(over) => {
                    tracing::debug!(rule = name, ?over, "over the limit of a rule");
                    permits.iter_mut().for_each(|permit| permit.give_back(turn.now));
                    return Err(Answer {
                        status: limit.status,
                        reason: None,
                        retry_after: limit.retry_after,
                        count: Some(Count::RuleLimit),
                    });
                }
            }
        }
        Ok(Ruled { changes, permits })
    }

    /// Tags go into the log and are counted, once for each request.
    fn tag(&self, rules: &Rules, decision: &Decision<'_>, asked: &Asked<'_>) {
        for tag in decision.held.iter().flat_map(|id| rules.tags(*id)) {
            self.tags.add(tag);
            tracing::info!(
                tag,
                rule = decision.rule.unwrap_or(""),
                call_id = %String::from_utf8_lossy(asked.incoming.call_id),
                "a rule tags a request"
            );
        }
    }
}

/// Whether a stranger asks for a domain that is not served. A number (RFC 3966) is of no domain: rules know it.
pub(super) fn wants_relay(incoming: &Incoming<'_>, uri: &Uri<'_>, settings: &Settings) -> bool {
    let served = &settings.config.admission.domains;
    let domain = std::str::from_utf8(strip_brackets(uri.host)).unwrap_or("");
    let may_ask_for_any = incoming.upstream.zone != Zone::Public || served.is_empty() || !uri.is_sip();
    !may_ask_for_any && !is_served(served, domain, uri, settings)
}

/// RFC 3261 §20.10: the first one is preferred.
fn lines_of(contacts: &[String]) -> String {
    let mut lines = String::new();
    for (at, contact) in contacts.iter().enumerate() {
        // RFC 3261 §20.10: q from 1.0 downwards.
        let q = 10_usize.saturating_sub(at);
        // Writing to a String cannot fail.
        let _ = match (contacts.len(), q) {
            (1, _) => write!(lines, "Contact: <{contact}>\r\n"),
            (_, 10) => write!(lines, "Contact: <{contact}>;q=1.0\r\n"),
            _ => write!(lines, "Contact: <{contact}>;q=0.{q}\r\n"),
        };
    }
    lines
}
