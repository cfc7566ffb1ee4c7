//! The way of a message as `sbc explain --json` writes it: field names are the contract.

use std::net::SocketAddr;

use sbc_core::admission::{Outcome, Refusal};
use sbc_core::count::Count;
use sbc_core::flow::{Flow, Zone};
use sbc_core::{Account, Checked, Leaving, Ruling};
use serde::Serialize;

use crate::config::Settings;

/// All that there is to say about one message.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Its first line.
    pub message: String,
    pub source: SocketAddr,
    pub listener: String,
    pub transport: String,
    pub zone: &'static str,
    /// It is let in, and leads somewhere.
    pub goes_on: bool,
    /// Why, in a few words.
    pub verdict: String,
    pub checks: Vec<Check>,
    /// Where the sealed address lies that leads on.
    pub sealed_address: Option<String>,
    pub rules: Option<Rules>,
    pub leaves: Vec<Message>,
    pub counted: Vec<Counted>,
}

/// One check.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    pub name: &'static str,
    /// `passed`, `tolerated` or `refused`.
    pub verdict: &'static str,
    #[serde(flatten)]
    pub refusal: Option<Fault>,
}

/// What a check found.
#[derive(Debug, Serialize)]
pub(super) struct Fault {
    /// As the `reason` label of the counter.
    pub reason: &'static str,
    /// The answer that is owed; none: silence.
    pub status: Option<u16>,
    /// Its reason phrase, where it says more than the status.
    pub phrase: Option<&'static str>,
    /// How much it weighs against its source.
    pub evidence: u8,
    pub what: &'static str,
}

/// What the rules say.
#[derive(Debug, Serialize)]
pub(super) struct Rules {
    pub tried: Vec<Tried>,
    /// The rule that decides.
    pub rule: Option<String>,
    /// As `sbc check --tests` expects it.
    pub answer: String,
}

/// One rule.
#[derive(Debug, Serialize)]
pub(super) struct Tried {
    pub rule: String,
    pub line: usize,
    /// The key of its `match` that failed.
    pub failed: Option<String>,
}

/// What would be sent.
#[derive(Debug, Serialize)]
pub(super) struct Message {
    /// The listener it leaves by.
    pub listener: String,
    pub to: SocketAddr,
    pub pool: Option<String>,
    pub member: Option<String>,
    /// An answer's status.
    pub status: Option<u16>,
    pub bytes: usize,
    pub text: String,
}

/// One counter that goes up.
#[derive(Debug, Serialize)]
pub(super) struct Counted {
    pub metric: &'static str,
    pub reason: &'static str,
}

impl Report {
    pub(super) fn new(
        settings: &Settings,
        flow: Flow,
        source: SocketAddr,
        message: &[u8],
        account: Account,
    ) -> Self {
        let first = message.split(|byte| matches!(byte, b'\r' | b'\n')).find(|line| !line.is_empty());
        let listener = settings.listeners.get(usize::from(flow.listener.0)).map(|listener| &listener.core);
        Self {
            message: String::from_utf8_lossy(first.unwrap_or_default()).into_owned(),
            source,
            listener: listener.map(|one| one.name.to_string()).unwrap_or_default(),
            transport: listener.map(|one| one.transport.to_string().to_lowercase()).unwrap_or_default(),
            zone: listener.map_or("", |one| zone(one.zone)),
            goes_on: account.goes_on(),
            verdict: verdict(&account),
            checks: account.checks.iter().map(check).collect(),
            sealed_address: account.sealed,
            rules: account.ruling.map(rules),
            leaves: account.sent.into_iter().map(|one| leaving(one, settings)).collect(),
            counted: account.counted.iter().map(|count| counted(*count)).collect(),
        }
    }
}

const fn zone(zone: Zone) -> &'static str {
    match zone {
        Zone::Public => "public",
        Zone::Trunk => "trunk",
        Zone::Pool => "pool",
    }
}

fn verdict(account: &Account) -> String {
    let refused = account.checks.iter().find(|one| matches!(one.outcome, Outcome::Refused(_)));
    if let Some(refused) = refused {
        return format!("refused by {}", refused.name);
    }
    let to_bindings = account.ruling.as_ref().is_some_and(|ruling| ruling.to_bindings);
    match account.sent.last() {
        _ if to_bindings => {
            "let in, and goes to the bindings that its user has; here nobody is registered".to_owned()
        }
        _ if account.waits => "let in, and waits for whom it is meant for to come back".to_owned(),
        Some(Leaving { member: Some((pool, member)), .. }) => {
            format!("let in, and goes to pool {pool}, member {member}")
        }
        Some(sent) => match sent.status() {
            None => format!("let in, and goes to {}", sent.remote),
            Some(status) if status < 400 => format!("let in, and answered with {status}"),
            Some(status) => format!("let in, and refused with {status}"),
        },
        None => "let in, and dropped".to_owned(),
    }
}

fn check(checked: &Checked) -> Check {
    let (verdict, refusal) = match &checked.outcome {
        Outcome::Passed => ("passed", None),
        Outcome::Tolerated(refusal) => ("tolerated", Some(refusal)),
        Outcome::Refused(refusal) => ("refused", Some(refusal)),
    };
    Check { name: checked.name, verdict, refusal: refusal.map(fault) }
}

fn fault(refusal: &Refusal) -> Fault {
    Fault {
        reason: refusal.count.reason(),
        status: refusal.status,
        phrase: refusal.reason,
        evidence: refusal.evidence,
        what: refusal.count.help().trim(),
    }
}

fn rules(ruling: Ruling) -> Rules {
    let tried = ruling.tried.into_iter().map(|(rule, line, failed)| Tried { rule, line, failed });
    Rules { tried: tried.collect(), rule: ruling.rule, answer: ruling.answer }
}

fn leaving(leaving: Leaving, settings: &Settings) -> Message {
    let status = leaving.status();
    let listener = settings.listeners.get(usize::from(leaving.listener.0));
    let (pool, member) = leaving.member.unzip();
    Message {
        listener: listener.map(|listener| listener.core.name.to_string()).unwrap_or_default(),
        to: leaving.remote,
        pool,
        member,
        status,
        bytes: leaving.bytes.len(),
        text: String::from_utf8_lossy(&leaving.bytes).into_owned(),
    }
}

const fn counted(count: Count) -> Counted {
    Counted { metric: count.metric(), reason: count.reason() }
}
