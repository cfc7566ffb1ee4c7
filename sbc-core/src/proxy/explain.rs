//! What would become of a message, and why.
//!
//! Each check is asked by the function that asks it for live traffic, one after the other, and so are the rules. What
//! would leave is no guess either: the message goes through [`Core::handle`], and the outbox is what would be sent.

use std::net::SocketAddr;

use crate::admission::{self, CHECKS, Check, Judged, Outcome, RESPONSE_CHECKS, Refusal, examine};
use crate::count::Count;
use crate::flow::{Flow, ListenerId, WorkerId};
use crate::io::{Input, Transmit};
use crate::proxy::core::{Core, framing_of, is_response};
use crate::proxy::gate::evidence_in;
use crate::proxy::hop::{Answer, Route, asks_us, is_out_of_hops_ping, top_of_route};
use crate::proxy::incoming::Incoming;
use crate::proxy::ruled::wants_relay;
use crate::proxy::turn::{Asked, Turn};
use crate::proxy::worker::Worker;
use crate::sip::Method;
use crate::time::Time;
use crate::transaction::key::server_key;
use crate::wire::{HeaderName, Index, Limits, Message, NameAddr, Uri};
use routing_rules::{Action, Scratch};

/// The way of one message.
#[derive(Debug, Default)]
pub struct Account {
    /// What judged it, in order, up to the first refusal.
    pub checks: Vec<Checked>,
    /// The sealed address that leads on, where there is one: where it lies.
    pub sealed: Option<String>,
    /// What the rules say, where they are asked.
    pub ruling: Option<Ruling>,
    /// What would be sent at once, in order.
    pub sent: Vec<Leaving>,
    /// What would be counted.
    pub counted: Vec<Count>,
    /// It waits for whom it is meant for to come back.
    pub waits: bool,
}

/// One check and its verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Its name, as in the source.
    pub name: &'static str,
    /// How it ended.
    pub outcome: Outcome,
}

/// What the rules say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    /// The rules that were tried: name, line, and the key that failed (`None`: the rule held).
    pub tried: Vec<(String, usize, Option<String>)>,
    /// The rule that decided.
    pub rule: Option<String>,
    /// Its answer in one line, as the manual of the language writes it.
    pub answer: String,
    /// It goes to the bindings that its user has at the time.
    pub to_bindings: bool,
}

/// One message that leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaving {
    /// The listener it leaves by.
    pub listener: ListenerId,
    /// The address it goes to.
    pub remote: SocketAddr,
    /// The pool and the URI of the member it goes to, where that is one.
    pub member: Option<(String, String)>,
    /// All of it.
    pub bytes: Vec<u8>,
}

impl Leaving {
    /// The status code of an answer; `None`: a request.
    pub fn status(&self) -> Option<u16> {
        let code = self.bytes.strip_prefix(b"SIP/2.0 ")?.get(..3)?;
        std::str::from_utf8(code).ok()?.parse().ok()
    }
}

impl Account {
    /// Whether the message would be let in and lead somewhere: another hop, bindings, or an answer that is no refusal.
    pub fn goes_on(&self) -> bool {
        let refused = |checked: &Checked| matches!(checked.outcome, Outcome::Refused(_));
        if self.checks.iter().any(refused) {
            return false;
        }
        let leads_on = |one: &Leaving| one.status().is_none_or(|status| status < 400);
        let to_bindings = self.ruling.as_ref().is_some_and(|ruling| ruling.to_bindings);
        self.waits || to_bindings || self.sent.iter().any(leads_on)
    }

    fn check(&mut self, name: &'static str, verdict: Result<(), Refusal>) -> Option<()> {
        let outcome = verdict.map_or_else(Outcome::Refused, |()| Outcome::Passed);
        self.checks.push(Checked { name, outcome });
        verdict.ok()
    }

    fn examine(&mut self, checks: &'static [Check], judged: &Judged<'_>) -> Option<()> {
        let ran = examine(checks, judged).map(|(check, outcome)| Checked { name: check.name, outcome });
        self.checks.extend(ran);
        let refused = self.checks.last().is_some_and(|last| matches!(last.outcome, Outcome::Refused(_)));
        (!refused).then_some(())
    }
}

impl Core {
    /// Take a message, and say what became of it and why.
    ///
    /// It is handled like any other: it is counted, charged and remembered. So this is for a core of its own, which has
    /// seen no other message and sends nothing; bans, rates and bindings are those of such a core.
    pub fn explain(&self, flow: Flow, source: SocketAddr, bytes: &[u8], now: Time) -> Account {
        let mut account = Account::default();
        self.look(&mut account, flow, source, bytes, now);
        self.play(&mut account, flow, source, bytes, now);
        account
    }

    /// The way of [`Core::handle`], without a trace.
    fn look(
        &self,
        account: &mut Account,
        flow: Flow,
        source: SocketAddr,
        bytes: &[u8],
        now: Time,
    ) -> Option<()> {
        let settings = &**self.settings.load();
        let listener = settings.listener(flow.listener)?;
        let is_peer = admission::is_peer(listener, source.ip().to_canonical(), &settings.members);
        account.check("peer", unless(!is_peer, Refusal::silence(Count::NotAPeer)))?;
        let knock = self.knock(settings, listener.zone, &flow, source, is_response(bytes), now);
        account.check("access", knock.map(|_| ()).map_err(Refusal::silence))?;
        let mut index = Index::new();
        let parsed = index.parse(bytes, framing_of(listener.transport), &Limits::default());
        account.check("syntax", parsed.map_err(admission::syntax))?;
        let message = Message::new(bytes, &index);
        let judged = Judged { message, listener, source, admission: &settings.config.admission };
        if !message.is_request() {
            return account.examine(RESPONSE_CHECKS, &judged);
        }
        let knock = knock.ok().flatten();
        let mut turn = Turn { worker: &mut Worker::new(WorkerId(0), now), now, settings, knock };
        account.check("scanner", self.scanner(&turn, &message).map_or(Ok(()), Err))?;
        account.examine(CHECKS, &judged)?;
        let incoming = Incoming::read(message, listener, flow, source)?;
        if matches!(incoming.method, Some(Method::Ack | Method::Cancel)) {
            return None;
        }
        self.look_further(account, incoming, &mut turn)
    }

    /// The same, for a request that was read.
    fn look_further(&self, account: &mut Account, incoming: Incoming<'_>, turn: &mut Turn<'_>) -> Option<()> {
        let settings = turn.settings;
        account.check(
            "loop",
            self.circles(&incoming, settings).map_or(Ok(()), |answer| Err(refusal(&answer))),
        )?;
        account
            .check("ticket", self.within_ticket(&incoming, settings).map_err(|answer| refusal(&answer)))?;
        let new_from = self.caller_identity(&incoming, settings);
        account.check("caller_identity", new_from.as_ref().map(|_| ()).map_err(refusal))?;
        let id = server_key(&self.hash, &incoming.message, &incoming.via);
        let top = top_of_route(&incoming, settings);
        let asked = Asked { incoming, id, top, new_from: new_from.ok()?, was_counted: false };
        if is_out_of_hops_ping(&asked.incoming) {
            return None;
        }
        match self.route_by_token(turn, &asked) {
            Some(Route::Answer(answer)) => return account.check("sealed_address", Err(refusal(&answer))),
            Some(_) => {
                account.sealed = Some(holder_of_token(&asked));
                return account.check("sealed_address", Ok(()));
            }
            None if asks_us(&asked.incoming, settings) => return None,
            None => {}
        }
        let uri = Uri::parse(asked.incoming.message.request_uri()).ok()?;
        let relay = wants_relay(&asked.incoming, &uri, settings);
        let not_served = Refusal { status: Some(404), ..Refusal::silence(Count::NotServed) }
            .weighing(evidence_in(Count::NotServed));
        account.check("served_domain", unless(relay, not_served))?;
        let asks = self.asks_within_ticket(&asked.incoming, &uri, settings);
        account.check("ticket_destination", asks.map_err(|answer| refusal(&answer)))?;
        self.ask_rules(account, &asked, &uri, turn);
        Some(())
    }

    fn ask_rules(&self, account: &mut Account, asked: &Asked<'_>, uri: &Uri<'_>, turn: &Turn<'_>) {
        let config = &turn.settings.config;
        let pools: Vec<&str> = config.pools.iter().map(|pool| &*pool.name).collect();
        let mut scratch = Scratch::default();
        account.ruling = self.with_question(asked, uri, turn.settings, turn.now, |query| {
            let told = config.rules.explain(query, &mut scratch);
            let tried = told.tried.iter();
            Some(Ruling {
                tried: tried.map(|one| (one.rule.to_owned(), one.line, one.failed.clone())).collect(),
                rule: told.decision.rule.map(str::to_owned),
                answer: config.rules.describe(&told.decision, &pools),
                to_bindings: matches!(told.decision.action, Action::Bindings { .. }),
            })
        });
    }

    fn play(&self, account: &mut Account, flow: Flow, source: SocketAddr, bytes: &[u8], now: Time) {
        let counts = || Count::ALL.iter().map(|count| self.counters.get(*count));
        let before: Vec<u64> = counts().collect();
        let mut worker = Worker::new(WorkerId(0), now);
        if flow.connection.is_some() {
            self.handle(&mut worker, now, Input::Opened(flow));
        }
        // The first input of a worker asks the members how they are; that is no part of the answer.
        self.start(&mut worker, now);
        worker.outbox.clear();
        self.handle(&mut worker, now, Input::Received { flow, source, bytes });
        let grown = Count::ALL.iter().zip(before.iter().zip(counts())).filter(|(_, (old, new))| *old < new);
        account.counted = grown.map(|(count, _)| *count).collect();
        account.waits = self.status().waiting > 0;
        let sent = worker.outbox.transmits().iter();
        account.sent = sent.map(|one| self.leaving(one, worker.outbox.bytes(&one.range))).collect();
    }

    fn leaving(&self, transmit: &Transmit, bytes: &[u8]) -> Leaving {
        let (settings, flow) = (self.settings.load(), transmit.flow);
        let member = settings.pools.iter().find_map(|pool| {
            let member = pool.members.get(pool.at(flow.remote)?)?;
            Some((pool.config.name.to_string(), member.uri.to_string()))
        });
        Leaving { listener: flow.listener, remote: flow.remote, member, bytes: bytes.to_vec() }
    }
}

fn unless(wrong: bool, refusal: Refusal) -> Result<(), Refusal> {
    if wrong { Err(refusal) } else { Ok(()) }
}

/// What an answer of ours says, in the words of the checks.
fn refusal(answer: &Answer) -> Refusal {
    let count = answer.count.unwrap_or(Count::NoTarget);
    Refusal { status: Some(answer.status), ..Refusal::silence(count) }.weighing(evidence_in(count))
}

/// Which header the token was in.
fn holder_of_token(asked: &Asked<'_>) -> String {
    let message = &asked.incoming.message;
    if asked.top.peer.is_some() {
        let route = message.value(HeaderName::Route);
        let uri = NameAddr::parse(route).map_or(route, |address| address.uri);
        return format!("Route {}", String::from_utf8_lossy(uri));
    }
    format!("Request-URI {}", String::from_utf8_lossy(message.request_uri()))
}
