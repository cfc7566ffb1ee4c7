//! What a `[[listener]]` says about SIP over WebSocket: who may connect, how it is kept alive.

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sbc_ws::{OriginPattern, TicketPlace, Tickets};

use super::document::{Section, Value};
use super::listener::MOST_ITEMS;
use super::ticket;

const PING_INTERVAL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(300);
const PONG_TIMEOUT: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(120);
/// Global Accelerator and load balancers forget an idle connection after 60 s; a third leaves room for two losses.
const DEFAULT_PING_INTERVAL: Duration = Duration::from_secs(20);
const DEFAULT_PONG_TIMEOUT: Duration = Duration::from_secs(10);
const FIRST_MESSAGE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);
/// Longest path, in bytes.
const LONGEST_PATH: usize = 256;

/// What SIP over WebSocket needs beside the core's view of a listener.
#[derive(Debug, Clone)]
pub(crate) struct WebSocket {
    /// The only path that opens a connection; `None`: any.
    pub path: Option<Box<str>>,
    /// `Origin` values let in; empty: any.
    pub origins: Vec<OriginPattern>,
    /// How tickets are judged; `None`: nobody needs one.
    pub tickets: Option<Arc<Tickets>>,
    /// From one ping to the next.
    pub ping_interval: Duration,
    /// Silence after a ping that closes the connection.
    pub pong_timeout: Duration,
    /// How long a connection may be without a message; `None`: as long as it answers pings.
    pub first_message: Option<Duration>,
}

/// Reads the keys of a WebSocket listener; those of another one are left for its own complaint.
pub(super) fn read(section: &Section<'_, '_>, directory: &Path) -> Option<WebSocket> {
    let path = section.or("path", None, |value| path(value).map(Some));
    let origins = section.or("origins", Vec::new(), |value| {
        value.list_of(MOST_ITEMS, "a list of origins as [\"https://*.example.com\"]", origin)
    });
    let tickets = section.maybe("ticket", |value| ticket::read(value, directory));
    let ping = section.or("ping_interval", DEFAULT_PING_INTERVAL, |value| value.duration(PING_INTERVAL));
    let pong = section.or("pong_timeout", DEFAULT_PONG_TIMEOUT, |value| value.duration(PONG_TIMEOUT));
    let first_message = section.or("first_message", None, first_message);
    let (origins, tickets) = (origins?, tickets?);
    if let Some(tickets) = &tickets
        && tickets.value.place() == TicketPlace::Cookie
        && origins.is_empty()
    {
        // A browser sends its cookies for any page that asks it to connect.
        let expected = "origins beside it: a cookie comes along whichever page connects";
        section.document().report(tickets.place.clone(), "a ticket in a cookie for every page", expected);
        return None;
    }
    Some(WebSocket {
        path: path?,
        origins,
        tickets: tickets.map(|tickets| tickets.value),
        ping_interval: ping?,
        pong_timeout: pong?,
        first_message: first_message?,
    })
}

/// `scheme://host[:port]`; the first label of the host may be `*`.
fn origin(value: &Value<'_, '_>) -> Option<OriginPattern> {
    let expected = "an origin as \"https://www.example.com\" or \"https://*.example.com\"";
    value.parsed(expected, |text| text.parse().ok())
}

fn path(value: &Value<'_, '_>) -> Option<Box<str>> {
    let is_path = |text: &str| {
        text.len() <= LONGEST_PATH
            && text.starts_with('/')
            && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte))
    };
    value.parsed("a path as \"/ws\", without a query", |text| is_path(text).then(|| text.into()))
}

/// A duration, or `false` for as long as the client likes.
fn first_message(value: &Value<'_, '_>) -> Option<Option<Duration>> {
    if value.is_false() { Some(None) } else { value.duration(FIRST_MESSAGE).map(Some) }
}
