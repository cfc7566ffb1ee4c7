//! `[pool.NAME]`: one by one; whether its members can be reached is checked in `check`.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use sbc_core::config::{Balance, Failover, Probe, Registrations, Share};
use sbc_core::flow::{Transport, Zone};
use sbc_core::limits;
use sbc_tls::ServerName;

use super::discover::{self, Source};
use super::document::{At, Keys, Section, Value};
use super::error::Place;
use super::{listener, share, units};

/// Most pools of one node.
pub(super) const MOST_POOLS: usize = 64;
/// Most members of one pool.
const MOST_MEMBERS: usize = limits::MEMBERS_PER_POOL;
const PROBE_INTERVAL: RangeInclusive<Duration> = Duration::from_millis(500)..=Duration::from_secs(600);
const PROBE_TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(30);
/// Shorter than this, a restart or a lost cable would look like a death.
const RELEASE: RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_secs(24 * 3600);
/// When FreeSWITCH itself would have given up every call with a session timer (1800 s, refreshed at half of it).
const DEFAULT_RELEASE: Duration = Duration::from_secs(900);
/// Timer B is 32 s: later than that no caller waits.
const FAILOVER_AFTER: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(30);

const KEYS: Keys = Keys {
    known: &[
        "members",
        "discover",
        "discovered",
        "zone",
        "listener",
        "balance",
        "registrations",
        "probe",
        "failover",
        "large",
        "release",
    ],
    later: &[],
};
const MEMBER_KEYS: Keys = Keys {
    known: &["uri", "server_name", "weight", "priority", "region", "tags", "max_calls", "max_cps"],
    later: &[],
};
const PROBE_KEYS: Keys = Keys { known: &["interval", "timeout", "fall", "rise"], later: &[] };
const FAILOVER_KEYS: Keys = Keys { known: &["invite_after", "other_after", "attempts"], later: &[] };

const LARGE: [(&str, RawLarge); 4] = [
    ("never", RawLarge::Never),
    ("auto", RawLarge::Auto),
    ("always", RawLarge::Always),
    ("refuse", RawLarge::Refuse),
];

const DEFAULT_PROBE: Probe =
    Probe { interval: Duration::from_secs(5), timeout: Duration::from_secs(1), fall: 2, rise: 2 };
const DEFAULT_FAILOVER: Failover =
    Failover { invite_after: Duration::from_secs(2), other_after: Duration::from_secs(6), attempts: 3 };

/// A pool as written, each part right by itself.
pub(super) struct RawPool {
    pub name: String,
    pub zone: Zone,
    pub listener: Option<At<String>>,
    pub members: Vec<At<RawMember>>,
    /// Where others are listed.
    pub discover: Option<At<Source>>,
    /// What each of those takes.
    pub discovered: Share,
    pub balance: Balance,
    pub registrations: Registrations,
    pub probe: Option<Probe>,
    pub failover: Failover,
    pub large: Option<At<RawLarge>>,
    /// When the calls of a dead member are ended.
    pub release: Option<Duration>,
    /// Where the pool begins.
    pub place: Place,
}

/// A member as written.
pub(super) struct RawMember {
    pub uri: Box<str>,
    pub address: SocketAddr,
    pub transport: Transport,
    /// Whom its certificate must name, where that is not its address.
    pub server_name: Option<ServerName<'static>>,
    pub share: Share,
}

/// What the operator wants done with requests that are too large for a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RawLarge {
    Never,
    Auto,
    Always,
    Refuse,
}

/// Reads one `[pool.NAME]`; `None` when something in it is wrong.
pub(super) fn read(name: &str, place: Place, value: &Value<'_, '_>) -> Option<RawPool> {
    let section = value.section(KEYS)?;
    let named = units::label(name);
    if !named {
        let expected = "a pool name of 1 to 40 letters, digits, `-`, `_` or `.`";
        section.document().report(place.clone(), format!("{name:?}"), expected);
    }
    let zone = section
        .or("zone", Zone::Pool, |value| value.word(&[("pool", Zone::Pool), ("trunk", Zone::Trunk)], &[]));
    let listener = section.maybe("listener", |value| listener::name_of(value).map(|name| name.value));
    let discover = section.or("discover", None, |value| discover::read(value).map(Some));
    let discovered = share::discovered(&section, discover.as_ref().map(Option::as_ref));
    let members = match section.get("members") {
        Some(value) => members(&value),
        None if section.get("discover").is_some() => Some(Vec::new()),
        None => {
            section.require("members", "a list as [{ uri = \"sip:10.0.2.10:5080\" }], or `discover`");
            None
        }
    };
    let balance = section.or("balance", Balance::HashCallId, balance);
    let words = [("shared", Registrations::Shared), ("by-aor", Registrations::ByAor)];
    let registrations = section.maybe("registrations", |value| value.word(&words, &[]));
    let probe = section.or("probe", Some(DEFAULT_PROBE), |value| match value.is_false() {
        true => Some(None),
        false => probe(value).map(Some),
    });
    let failover = section.or("failover", DEFAULT_FAILOVER, failover);
    let (zone, members, registrations, discover) = (zone?, members?, registrations?, discover?);
    if zone == Zone::Pool && (members.len() > 1 || discover.is_some()) && registrations.is_none() {
        let what = "several members and no `registrations`: say \"shared\" where they share one database, or \
                    \"by-aor\" so that each user lives on one of them; else users of different members do not meet";
        section.document().warn(&place, what);
    }
    let large = section.maybe("large", |value| value.word(&LARGE, &[]));
    let release = release(&section, zone, probe.as_ref().is_some_and(Option::is_some));
    let pool = RawPool {
        name: name.to_owned(),
        zone,
        listener: listener?,
        members,
        discover,
        discovered: discovered?,
        balance: balance?,
        registrations: registrations.map_or(Registrations::Shared, |at| at.value),
        probe: probe?,
        failover: failover?,
        large: large?,
        release: release?,
        place,
    };
    named.then_some(pool)
}

/// Only FreeSWITCH has the other half of a call, and only probes find out that it is dead.
fn release(section: &Section<'_, '_>, zone: Zone, has_probes: bool) -> Option<Option<Duration>> {
    let release = section.maybe("release", |value| match value.is_false() {
        true => Some(None),
        false => value.duration(RELEASE).map(Some),
    })?;
    let can_be = zone == Zone::Pool && has_probes;
    match release {
        None => Some(can_be.then_some(DEFAULT_RELEASE)),
        Some(At { value: Some(_), place }) if !can_be => {
            let expected = "no `release`: only members of zone \"pool\" that are probed can be found dead";
            section.document().report(place, "a key without effect here", expected);
            None
        }
        Some(At { value, .. }) => Some(value),
    }
}

fn balance(value: &Value<'_, '_>) -> Option<Balance> {
    let words = Balance::ALL.map(|balance| (balance.as_str(), balance));
    value.word(&words, &[])
}

fn members(value: &Value<'_, '_>) -> Option<Vec<At<RawMember>>> {
    let expected = "a list of 1 or more members as [{ uri = \"sip:10.0.2.10:5080\" }]";
    let items = value.list(MOST_MEMBERS, expected)?;
    if items.is_empty() {
        return value.wrong(expected);
    }
    let members: Vec<_> = items.iter().map(member).collect();
    members.into_iter().collect()
}

fn member(value: &Value<'_, '_>) -> Option<At<RawMember>> {
    let section = value.section(MEMBER_KEYS)?;
    let uri = section.require("uri", "a URI as \"sip:10.0.2.10:5080\"")?;
    let text = uri.text("a URI as \"sip:10.0.2.10:5080\"")?;
    let address = member_address(&uri, text);
    let server_name = section.maybe("server_name", server_name);
    let share = share::share(&section)?;
    let (address, transport) = address?;
    let server_name = server_name?;
    if let Some(name) = server_name.as_ref().filter(|_| transport != Transport::Tls) {
        let expected = "no `server_name`, or `;transport=tls` in the member's uri";
        section.document().report(name.place.clone(), "a key without effect here", expected);
        return None;
    }
    let server_name = server_name.map(|name| name.value);
    let member = RawMember { uri: text.into(), address, transport, server_name, share };
    Some(At { value: member, place: uri.place() })
}

/// A certificate may name an address, too, such as another than the one we know.
fn server_name(value: &Value<'_, '_>) -> Option<ServerName<'static>> {
    value.parsed("the name in its certificate as \"sip.example.com\"", |text| {
        ServerName::try_from(text.to_owned()).ok()
    })
}

/// `sip:IP:PORT`, with the transport or nothing behind.
fn member_address(value: &Value<'_, '_>, text: &str) -> Option<(SocketAddr, Transport)> {
    const EXPECTED: &str = "\"sip:IP:PORT\"";
    let Some(rest) = text.strip_prefix("sip:") else {
        return value.wrong(EXPECTED);
    };
    let (host, parameters) = rest.split_once(';').unwrap_or((rest, ""));
    let transport = match parameters {
        "" | "transport=udp" => Transport::Udp,
        "transport=tcp" => Transport::Tcp,
        "transport=tls" => Transport::Tls,
        other => return value.wrong(format!("{EXPECTED} without `;{other}`")),
    };
    if let Some(address) = units::address(host) {
        let is_one = !address.ip().is_unspecified();
        return if is_one { Some((address, transport)) } else { value.wrong(EXPECTED) };
    }
    if host.parse::<std::net::IpAddr>().is_ok() || !host.contains(':') {
        return value.wrong(format!("{EXPECTED}, the port written out"));
    }
    match units::host_port(host) {
        Some(_) => value.wrong(format!("{EXPECTED}: use an IP address; names are looked up by `discover`")),
        None => value.wrong(EXPECTED),
    }
}

fn probe(value: &Value<'_, '_>) -> Option<Probe> {
    let section = value.section(PROBE_KEYS)?;
    let interval = section.or("interval", DEFAULT_PROBE.interval, |value| value.duration(PROBE_INTERVAL));
    let timeout = section.or("timeout", DEFAULT_PROBE.timeout, |value| value.duration(PROBE_TIMEOUT));
    let fall = section.or("fall", DEFAULT_PROBE.fall, small_count);
    let rise = section.or("rise", DEFAULT_PROBE.rise, small_count);
    let probe = Probe { interval: interval?, timeout: timeout?, fall: fall?, rise: rise? };
    if probe.timeout > probe.interval {
        return wrong_at(&section, "timeout", "a timeout no longer than the interval");
    }
    Some(probe)
}

fn failover(value: &Value<'_, '_>) -> Option<Failover> {
    let section = value.section(FAILOVER_KEYS)?;
    let invite =
        section.or("invite_after", DEFAULT_FAILOVER.invite_after, |value| value.duration(FAILOVER_AFTER));
    let other =
        section.or("other_after", DEFAULT_FAILOVER.other_after, |value| value.duration(FAILOVER_AFTER));
    let attempts = section.or("attempts", DEFAULT_FAILOVER.attempts, small_count);
    Some(Failover { invite_after: invite?, other_after: other?, attempts: attempts? })
}

fn small_count(value: &Value<'_, '_>) -> Option<u8> {
    value.integer(1..=20).and_then(|number| u8::try_from(number).ok())
}

/// Reports at `name`, or at the section where the default of `name` was the trouble.
fn wrong_at<T>(section: &Section<'_, '_>, name: &str, expected: &str) -> Option<T> {
    match section.get(name) {
        Some(value) => value.wrong(expected),
        None => {
            section.document().report(section.place(name), "nothing", expected);
            None
        }
    }
}
