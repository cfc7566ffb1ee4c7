//! What the rules decide about a request outside dialogs, and what comes with the decision.

use std::fmt::Write as _;
use std::sync::Arc;

use routing_rules::{Action, Changes, Decision, Rules, Scratch, ToPool};

use crate::config::Balance;
use crate::count::Count;
use crate::flow::Zone;
use crate::limiting::Permit;
use crate::pool::PoolState;
use crate::proxy::core::Core;
use crate::proxy::hop::{Answer, Route, is_served};
use crate::proxy::question::{Asker, Surroundings, ask, changed};
use crate::proxy::settings::{Settings, strip_brackets};
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
    pub(crate) pool: Arc<PoolState>,
    /// Instead of each pool's own.
    pub(crate) balance: Option<Balance>,
    /// Where to go on; the next one is the last of the list.
    pub(crate) fallback: Vec<Arc<PoolState>>,
}

impl Pooled {
    fn of(to: &ToPool<'_>, settings: &Settings) -> Option<Self> {
        let pool = |place: &usize| settings.pools.get(*place).map(Arc::clone);
        let fallback = to.fallback.iter().rev().filter_map(pool).collect();
        Some(Self { pool: pool(&to.pool)?, balance: to.balance, fallback })
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
        let served = &settings.config.admission.domains;
        let domain = std::str::from_utf8(strip_brackets(uri.host)).unwrap_or("");
        if incoming.upstream.zone == Zone::Public
            && !served.is_empty()
            && !is_served(served, domain, &uri, settings)
        {
            return Answer::refuse(404, Count::NotServed);
        }
        let around =
            Surroundings { core: self, settings, message: &incoming.message, uri: &uri, now: turn.now };
        let asker = Asker {
            listener: incoming.upstream.flow.listener,
            source: incoming.upstream.source.ip(),
            message: &incoming.message,
            call_id: incoming.call_id,
            new_from: &asked.new_from,
            unix_time: self.unix_time(turn.now),
        };
        let query = ask(&asker, &uri, settings, &around);
        let mut scratch = std::mem::take(&mut turn.worker.rules);
        let route = self.decide(asked, turn, &uri, &query, &mut scratch);
        turn.worker.rules = scratch;
        route
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
        self.tag(rules, &decision, asked);
        match decision.action {
            Action::Pool(to) => {
                let Some(to) = Pooled::of(&to, turn.settings) else {
                    return Answer::refuse(500, Count::NoTarget);
                };
                self.within_limits(rules, &decision, asked, turn.now)
                    .map_or_else(Route::Answer, |ruled| Route::Pool(to, ruled))
            }
            Action::Bindings => {
                self.within_limits(rules, &decision, asked, turn.now).map_or_else(Route::Answer, |ruled| {
                    let aor = turn.settings.aor(&changed(uri, ruled.changes.as_deref()));
                    Route::Bindings(self.directory.of_aor(aor, turn.now), ruled)
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
        rules: &Rules,
        decision: &Decision<'_>,
        asked: &Asked<'_>,
        now: Time,
    ) -> Result<Ruled, Answer> {
        let is_call = asked.incoming.method == Some(Method::Invite);
        let mut permits = Vec::new();
        for id in decision.held {
            let Some(limit) = rules.limit(*id) else { continue };
            let name = rules.name(*id).unwrap_or_default();
            match self.gates.pass(&self.hash, name, limit, is_call, now) {
                Ok(permit) => permits.extend(permit),
                Err(over) => {
                    tracing::debug!(rule = name, ?over, "over the limit of a rule");
                    return Err(Answer {
                        status: limit.status,
                        reason: None,
                        retry_after: limit.retry_after,
                        count: Some(Count::RuleLimit),
                    });
                }
            }
        }
        let changes = (!decision.changes.is_empty()).then(|| Box::new(decision.changes.clone()));
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
