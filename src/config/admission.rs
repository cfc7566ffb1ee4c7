//! `[admission]`: what is let in, how much of it, and what gets a source banned.

use std::ops::RangeInclusive;
use std::time::Duration;

use ipnet::IpNet;
use sbc_core::config::{Admission, BanPolicy, CallerIdentity, Signature, SourceRates};
use sbc_core::rate::Rate;

use super::document::{Keys, Section, Value};
use super::{listener, service, units};

/// A datagram carries at most 65,507 bytes; what a browser may send is bounded alike.
const MAX_MESSAGE: RangeInclusive<usize> = 4096..=65_536;
const MOST_DOMAINS: usize = 10_000;
const MOST_NETWORKS: usize = 100_000;
const MOST_SIGNATURES: usize = 100;
const CALLS: RangeInclusive<u32> = 1..=1_000_000;
const RATE: &str = "a rate as \"100/s\" or \"600/m\"";
const BURST: RangeInclusive<u32> = 1..=1_000_000;
const SCORE: RangeInclusive<u32> = 1..=10_000;
const WINDOW: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);
const BAN: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(7 * 24 * 3600);

const ADMISSION_KEYS: Keys = Keys {
    known: &[
        "max_message",
        "domains",
        "caller_identity",
        "allow",
        "deny",
        "per_source",
        "per_user",
        "strangers",
        "ban",
        "scanners",
        "max_calls_per_user",
        "max_calls_per_source",
        "call_rate_per_user",
        "call_rate_per_source",
    ],
    later: &[],
};
const PER_SOURCE_KEYS: Keys = Keys { known: &["requests", "burst", "invites", "registers"], later: &[] };
const RATE_KEYS: Keys = Keys { known: &["requests", "burst"], later: &[] };
const CALL_RATE_KEYS: Keys = Keys { known: &["calls", "burst"], later: &[] };
const BAN_KEYS: Keys = Keys { known: &["score", "window", "time", "dry_run"], later: &[] };
const SCANNER_KEYS: Keys = Keys { known: &["header", "contains"], later: &[] };

const IDENTITIES: [(&str, CallerIdentity); 3] = [
    ("as-is", CallerIdentity::AsIs),
    ("registered", CallerIdentity::Registered),
    ("replace", CallerIdentity::Replace),
];

pub(super) fn read(root: &Section<'_, '_>) -> Option<Admission> {
    let default = Admission::default();
    root.or("admission", default.clone(), |value| {
        let section = value.section(ADMISSION_KEYS)?;
        let max_message = section.or("max_message", default.max_message, |value| value.size(MAX_MESSAGE));
        let domains = section.or("domains", default.domains, |value| {
            value.list_of(MOST_DOMAINS, "a list of domains as [\"example.com\"]", domain)
        });
        let caller_identity =
            section.or("caller_identity", default.caller_identity, |value| value.word(&IDENTITIES, &[]));
        let (allow, deny) = (networks(&section, "allow"), networks(&section, "deny"));
        let per_source =
            section.or("per_source", default.per_source, |value| source_rates(value, default.per_source));
        let per_user = section.or("per_user", default.per_user, |value| rate(value, default.per_user));
        let strangers = section.or("strangers", default.strangers, |value| rate(value, default.strangers));
        let most_calls = |name| section.or(name, None, |value| value.integer(CALLS).map(Some));
        let (per_user_calls, per_source_calls) =
            (most_calls("max_calls_per_user"), most_calls("max_calls_per_source"));
        let (user_call_rate, source_call_rate) = (
            section.or("call_rate_per_user", None, |value| call_rate(value).map(Some)),
            section.or("call_rate_per_source", None, |value| call_rate(value).map(Some)),
        );
        let ban = section.or("ban", default.ban, ban);
        let scanners = section.or("scanners", Vec::new(), |value| {
            const EXPECTED: &str = "a list as [{ header = \"User-Agent\", contains = \"scan\" }]";
            value.list_of(MOST_SIGNATURES, EXPECTED, signature)
        });
        Some(Admission {
            max_message: max_message?,
            domains: domains?,
            caller_identity: caller_identity?,
            allow: allow?,
            deny: deny?,
            per_source: per_source?,
            per_user: per_user?,
            strangers: strangers?,
            max_calls_per_user: per_user_calls?,
            max_calls_per_source: per_source_calls?,
            call_rate_per_user: user_call_rate?,
            call_rate_per_source: source_call_rate?,
            ban: ban?,
            scanners: scanners?,
        })
    })
}

/// A name or an IP address, in lower case.
fn domain(value: &Value<'_, '_>) -> Option<Box<str>> {
    let parse = |text: &str| {
        let known = units::host_name(text) || text.parse::<std::net::IpAddr>().is_ok();
        known.then(|| text.to_ascii_lowercase().into())
    };
    value.parsed("a domain as \"example.com\" or an IP address", parse)
}

fn networks(section: &Section<'_, '_>, name: &str) -> Option<Vec<IpNet>> {
    const EXPECTED: &str = "a list of networks as [\"192.0.2.0/24\"]";
    section.or(name, Vec::new(), |value| value.list_of(MOST_NETWORKS, EXPECTED, listener::network))
}

/// `{ requests = "100/s", burst = 200, invites = "20/s", registers = "20/s" }`; the burst is one for all, and twice
/// a rate where it is not said.
fn source_rates(value: &Value<'_, '_>, default: SourceRates) -> Option<SourceRates> {
    let section = value.section(PER_SOURCE_KEYS)?;
    let requests = section.or("requests", default.requests, per_second);
    let invites = section.or("invites", default.invites, per_second);
    let registers = section.or("registers", default.registers, per_second);
    let burst = section.or("burst", None, |value| value.integer(BURST).map(Some))?;
    let with = |rate: Rate| burst.map_or(rate, |burst| rate.with_burst(burst));
    Some(SourceRates { requests: with(requests?), invites: with(invites?), registers: with(registers?) })
}

fn rate(value: &Value<'_, '_>, default: Rate) -> Option<Rate> {
    let section = value.section(RATE_KEYS)?;
    let requests = section.or("requests", default, per_second);
    with_own_burst(&section, requests)
}

/// `{ calls = "2/s", burst = 4 }`.
fn call_rate(value: &Value<'_, '_>) -> Option<Rate> {
    let section = value.section(CALL_RATE_KEYS)?;
    let calls = section.require("calls", RATE).and_then(|value| per_second(&value));
    with_own_burst(&section, calls)
}

fn with_own_burst(section: &Section<'_, '_>, rate: Option<Rate>) -> Option<Rate> {
    let burst = section.or("burst", None, |value| value.integer(BURST).map(Some));
    let (rate, burst) = (rate?, burst?);
    Some(burst.map_or(rate, |burst| rate.with_burst(burst)))
}

fn per_second(value: &Value<'_, '_>) -> Option<Rate> {
    value.parsed(RATE, units::rate)
}

/// `false` bans nobody.
fn ban(value: &Value<'_, '_>) -> Option<Option<BanPolicy>> {
    if value.is_false() {
        return Some(None);
    }
    let section = value.section(BAN_KEYS)?;
    let default = BanPolicy::default();
    let score = section.or("score", default.score, |value| value.integer(SCORE));
    let window = section.or("window", default.window, |value| value.duration(WINDOW));
    let time = section.or("time", default.time, |value| value.duration(BAN));
    let dry_run = section.or("dry_run", default.dry_run, Value::boolean);
    Some(Some(BanPolicy { score: score?, window: window?, time: time?, dry_run: dry_run? }))
}

fn signature(value: &Value<'_, '_>) -> Option<Signature> {
    let section = value.section(SCANNER_KEYS)?;
    let header = section.require("header", "a header name, or \"*\" for any").and_then(|value| {
        let any = value.text("a header name, or \"*\" for any")? == "*";
        if any { Some(None) } else { service::header_name(&value).map(Some) }
    });
    let contains = section
        .require("contains", "the text to look for")
        .and_then(|value| value.text("the text to look for").map(Box::from));
    Some(Signature { header: header?, contains: contains? })
}
