//! The small sections: `[headers]`, `[timers]`, `[overload]`, `[admin]`, `[log]`, `[echo]`.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use sbc_core::config::{Headers, Overload, Timers};
use sbc_core::wire::HeaderPattern;

use super::document::{At, Keys, Section, Value};
use super::{listener, units};

const MOST_PATTERNS: usize = 100;
const MOST_ADDRESSES: usize = 256;
const T1: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(4);
/// RFC 3261 §16.6 step 11: Timer C is larger than three minutes; tests and impatient sites may go below.
const RING: RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_secs(900);
/// Shorter than session timers (RFC 4028 §4: 90 s) nothing is heard of a living call; longer is a leak.
const CALL: RangeInclusive<Duration> = Duration::from_secs(120)..=Duration::from_secs(7 * 24 * 3600);
/// Below, a busy system's own pauses are taken for overload; above, callers repeat themselves (T1).
const DELAY: RangeInclusive<Duration> = Duration::from_millis(5)..=Duration::from_millis(500);
const CPU: RangeInclusive<u32> = 10..=100;
const DEFAULT_ADMIN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9090);
/// Two ports a call for 500 calls.
const DEFAULT_RTP_PORTS: RangeInclusive<u16> = 20_000..=20_999;

const HEADER_KEYS: Keys = Keys { known: &["strip", "hide"], later: &[] };
const TIMER_KEYS: Keys = Keys { known: &["t1", "ring", "call"], later: &[] };
const OVERLOAD_KEYS: Keys = Keys { known: &["delay", "cpu"], later: &[] };
const ADMIN_KEYS: Keys = Keys { known: &["bind"], later: &[] };
const LOG_KEYS: Keys = Keys { known: &["format", "level"], later: &[] };
const ECHO_KEYS: Keys = Keys { known: &["bind", "rtp_ports"], later: &[] };

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// Text on a terminal, else JSON.
    Auto,
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// `[log]`, checked.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    pub format: LogFormat,
    pub level: tracing::Level,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Auto, level: tracing::Level::INFO }
    }
}

/// `[echo]`: the built-in peer that answers calls with what it hears.
#[derive(Debug, Clone)]
pub(crate) struct Echo {
    /// Where it answers SIP.
    pub bind: At<SocketAddr>,
    /// Where it takes RTP.
    pub rtp_ports: RangeInclusive<u16>,
}

pub(super) fn headers(root: &Section<'_, '_>) -> Option<Headers> {
    root.or("headers", Headers::default(), |value| {
        let section = value.section(HEADER_KEYS)?;
        let strip = section.or("strip", Vec::new(), |value| {
            value.list_of(MOST_PATTERNS, "a list of header names as [\"X-Internal-*\"]", header_pattern)
        });
        let hide = section.or("hide", Vec::new(), |value| {
            value.list_of(MOST_ADDRESSES, "a list of addresses as [\"10.0.1.11\"]", |value| {
                value.parsed("an IP address", |text| text.parse::<IpAddr>().ok())
            })
        });
        Some(Headers { strip: strip?, hide: hide? })
    })
}

fn header_pattern(value: &Value<'_, '_>) -> Option<HeaderPattern> {
    let pattern = header_name(value)?;
    if pattern.is_needed() { value.wrong("a header that calls work without") } else { Some(pattern) }
}

/// One header, or all that begin alike.
pub(super) fn header_name(value: &Value<'_, '_>) -> Option<HeaderPattern> {
    const EXPECTED: &str = "a header name as \"X-Internal\", or the begin of names as \"X-Internal-*\"";
    value.parsed(EXPECTED, HeaderPattern::parse)
}

pub(super) fn timers(root: &Section<'_, '_>) -> Option<Timers> {
    root.or("timers", Timers::default(), |value| {
        let section = value.section(TIMER_KEYS)?;
        let t1 = section.or("t1", Timers::default().t1, |value| value.duration(T1));
        let ring = section.or("ring", Timers::default().ring, |value| value.duration(RING));
        let call = section.or("call", Timers::default().call, |value| value.duration(CALL));
        Some(Timers { t1: t1?, ring: ring?, call: call?, ..Timers::default() })
    })
}

/// `false`: whatever comes is tried.
pub(super) fn overload(root: &Section<'_, '_>) -> Option<Option<Overload>> {
    let default = Overload::default();
    root.or("overload", Some(default), |value| {
        if value.is_false() {
            return Some(None);
        }
        let section = value.section(OVERLOAD_KEYS)?;
        let delay = section.or("delay", default.delay, |value| value.duration(DELAY));
        let cpu = section.or("cpu", default.cpu, |value| {
            value.integer(CPU).and_then(|percent| u8::try_from(percent).ok()).map(Some)
        });
        Some(Some(Overload { delay: delay?, cpu: cpu? }))
    })
}

/// Loopback, unless the operator says that others may ask.
pub(super) fn admin(root: &Section<'_, '_>) -> Option<At<SocketAddr>> {
    let default = At { value: DEFAULT_ADMIN, place: root.place("admin.bind") };
    root.or("admin", default.clone(), |value| {
        let section = value.section(ADMIN_KEYS)?;
        section.or("bind", default, listener::bind)
    })
}

pub(super) fn log(root: &Section<'_, '_>) -> Option<Log> {
    use tracing::Level;
    root.or("log", Log::default(), |value| {
        let section = value.section(LOG_KEYS)?;
        let formats = [("auto", LogFormat::Auto), ("text", LogFormat::Text), ("json", LogFormat::Json)];
        let levels = [
            ("error", Level::ERROR),
            ("warn", Level::WARN),
            ("info", Level::INFO),
            ("debug", Level::DEBUG),
            ("trace", Level::TRACE),
        ];
        let format = section.or("format", LogFormat::Auto, |value| value.word(&formats, &[]));
        let level = section.or("level", Level::INFO, |value| value.word(&levels, &[]));
        Some(Log { format: format?, level: level? })
    })
}

pub(super) fn echo(root: &Section<'_, '_>) -> Option<Option<Echo>> {
    root.or("echo", None, |value| {
        let section = value.section(ECHO_KEYS)?;
        let bind = section.require("bind", "the address of the echo peer, as \"127.0.0.1:5090\"");
        let bind = bind.and_then(|value| {
            let bind = listener::bind(&value)?;
            // Callers are told this address: it must be one.
            if bind.value.ip().is_unspecified() {
                value.wrong("one address of this machine")
            } else {
                Some(bind)
            }
        });
        let rtp_ports = section.or("rtp_ports", DEFAULT_RTP_PORTS, |value| {
            value.parsed("a range of ports as \"20000-20999\"", units::port_range)
        });
        Some(Some(Echo { bind: bind?, rtp_ports: rtp_ports? }))
    })
}
