//! Every metric of the program by its one name, and what the workers count.
//!
//! Names are `sbc_<room>_<what>`; counters get `_total` behind it when they are shown. Labels are words of ours:
//! never a user, a Call-ID or an address of a peer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use sbc_core::flow::WorkerId;
use sbc_core::time::Time;

/// WebSocket connections accepted.
const WS_OPENED: &str = "sbc_ws_opened";
/// WebSocket connections that ended, by reason.
const WS_CLOSED: &str = "sbc_ws_closed";
/// Clients that got no WebSocket connection, by reason.
const WS_REFUSED: &str = "sbc_ws_refused";
/// Messages that a connection did not take: it is gone, or does not read.
const WS_EGRESS_REFUSED: &str = "sbc_ws_egress_refused";
/// WebSocket connections open now.
pub(crate) const WS_OPEN: &str = "sbc_ws_open";
/// Datagrams received, by listener.
pub(crate) const UDP_RECEIVED: &str = "sbc_udp_received";
/// Datagrams sent, by listener.
pub(crate) const UDP_SENT: &str = "sbc_udp_sent";
/// Datagrams not sent since the send buffer was full, by listener.
pub(crate) const UDP_SEND_DROPPED: &str = "sbc_udp_send_dropped";
/// Datagrams that the kernel refused to send, by listener.
pub(crate) const UDP_SEND_FAILED: &str = "sbc_udp_send_failed";
/// ICMP notices that a peer cannot be reached, by listener.
pub(crate) const UDP_UNREACHABLE: &str = "sbc_udp_unreachable";
/// Datagrams dropped for being longer than a datagram can be.
const UDP_TRUNCATED: &str = "sbc_udp_truncated";
/// Messages for a socket that does not exist; not 0 is a bug.
const UDP_NO_SOCKET: &str = "sbc_udp_no_socket";
/// STUN and CRLF keepalives over UDP.
const UDP_KEEPALIVES: &str = "sbc_udp_keepalives";
/// Datagrams that another worker handled.
const HANDED_OVER: &str = "sbc_worker_handed_over";
/// Datagrams dropped since the worker they belong to was too far behind.
const HANDOVER_DROPPED: &str = "sbc_worker_handover_dropped";
/// Members of pools, by pool, address and state: 1 for the state that a member has.
pub(crate) const POOL_MEMBER: &str = "sbc_pool_member";
/// Requests that rules gave a tag, by tag: a word of the operator's.
pub(crate) const RULES_TAGGED: &str = "sbc_rules_tagged";
/// Bindings known now.
pub(crate) const REGISTRATIONS: &str = "sbc_registration_bindings";
/// Calls up or being set up.
pub(crate) const CALLS: &str = "sbc_dialog_calls";
/// Transactions alive.
pub(crate) const TRANSACTIONS: &str = "sbc_transaction_alive";

/// Questions to DNS about the members of pools, by what came of them.
const DISCOVERY: &str = "sbc_discovery_lookups";
/// How long inputs stand in the queues of the worst worker.
pub(crate) const OVERLOAD_DELAY: &str = "sbc_overload_delay_seconds";
/// What that worker turns away of each class, in percent.
pub(crate) const OVERLOAD_SHED: &str = "sbc_overload_shedding_percent";
/// What that worker has dropped unread of new requests by UDP, in percent.
pub(crate) const OVERLOAD_UNREAD_PERCENT: &str = "sbc_overload_unread_percent";
/// Datagrams that the kernel dropped before they were read, by listener.
pub(crate) const OVERLOAD_UNREAD: &str = "sbc_overload_unread";
/// TCP connections that were opened, by who opened them.
const TCP_OPENED: &str = "sbc_tcp_opened";
/// TCP connections that ended, by reason.
const TCP_CLOSED: &str = "sbc_tcp_closed";
/// Peers that got no TCP connection, by reason.
const TCP_REFUSED: &str = "sbc_tcp_refused";
/// Servers that accepted no TCP connection, or could not be trusted, by reason.
const TCP_UNREACHABLE: &str = "sbc_tcp_unreachable";
/// TCP connections open now.
const TCP_OPEN: &str = "sbc_tcp_open";

type ByReason = Family<[(&'static str, &'static str); 1], Counter>;

/// What the workers count outside of the core.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub opened: Counter,
    closed: ByReason,
    refused: ByReason,
    pub egress_refused: Counter,
    pub truncated: Counter,
    pub no_socket: Counter,
    pub keepalives: Counter,
    pub handed_over: Counter,
    pub handover_dropped: Counter,
    pub tcp: TcpCounters,
    discovery: ByReason,
}

impl Counters {
    /// One connection ended.
    pub(crate) fn closed(&self, reason: &'static str) {
        self.closed.get_or_create(&[("reason", reason)]).inc();
    }

    /// One client got no connection.
    pub(crate) fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&[("reason", reason)]).inc();
    }

    /// DNS was asked for members.
    pub(crate) fn discovered(&self, result: &'static str) {
        self.discovery.get_or_create(&[("result", result)]).inc();
    }

    /// Shows them in `registry`.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let asked = "Questions to DNS about members of pools, by result";
        registry.register(DISCOVERY, asked, self.discovery.clone());
        registry.register(WS_OPENED, "WebSocket connections accepted", self.opened.clone());
        registry.register(WS_CLOSED, "WebSocket connections ended, by reason", self.closed.clone());
        registry.register(
            WS_REFUSED,
            "Clients that got no WebSocket connection, by reason",
            self.refused.clone(),
        );
        registry.register(
            WS_EGRESS_REFUSED,
            "Messages that a connection did not take",
            self.egress_refused.clone(),
        );
        registry.register(UDP_TRUNCATED, "Datagrams dropped for their length", self.truncated.clone());
        registry.register(UDP_NO_SOCKET, "Messages for a socket that does not exist", self.no_socket.clone());
        registry.register(UDP_KEEPALIVES, "STUN and CRLF keepalives", self.keepalives.clone());
        registry.register(HANDED_OVER, "Datagrams that another worker handled", self.handed_over.clone());
        registry.register(
            HANDOVER_DROPPED,
            "Datagrams dropped on the way to another worker",
            self.handover_dropped.clone(),
        );
        self.tcp.register(registry);
    }
}

/// What the workers count of SIP over TCP and TLS.
#[derive(Debug, Default)]
pub(crate) struct TcpCounters {
    opened: ByReason,
    closed: ByReason,
    refused: ByReason,
    open: Gauge,
    unreachable: ByReason,
}

impl TcpCounters {
    /// One more is open.
    pub(crate) fn opened(&self, dialled: bool) {
        let by = if dialled { "us" } else { "peer" };
        self.opened.get_or_create(&[("by", by)]).inc();
        self.open.inc();
    }

    /// One connection ended.
    pub(crate) fn closed(&self, reason: &'static str) {
        self.closed.get_or_create(&[("reason", reason)]).inc();
        self.open.dec();
    }

    /// One peer got no connection.
    pub(crate) fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&[("reason", reason)]).inc();
    }

    /// One server that we wanted to connect to is not there.
    pub(crate) fn unreachable(&self, reason: &'static str) {
        self.unreachable.get_or_create(&[("reason", reason)]).inc();
    }

    /// How many are open.
    pub(crate) fn open(&self) -> u64 {
        u64::try_from(self.open.get()).unwrap_or(0)
    }

    fn register(&self, registry: &mut Registry) {
        registry.register(TCP_OPENED, "TCP connections opened, by whom", self.opened.clone());
        registry.register(TCP_CLOSED, "TCP connections ended, by reason", self.closed.clone());
        registry.register(TCP_REFUSED, "Peers that got no TCP connection, by reason", self.refused.clone());
        registry.register(
            TCP_UNREACHABLE,
            "Servers that accepted no TCP connection or could not be trusted, by reason",
            self.unreachable.clone(),
        );
        registry.register(TCP_OPEN, "TCP connections open now", self.open.clone());
    }
}

/// When each worker last said that it is alive.
#[derive(Debug)]
pub(crate) struct Heartbeats(Vec<AtomicU64>);

impl Heartbeats {
    /// Workers silent for longer are stuck: no input takes a core more than milliseconds.
    const PATIENCE: Duration = Duration::from_secs(10);

    /// All of `workers` alive at `now`.
    pub(crate) fn new(workers: u8, now: Time) -> Self {
        Self((0..workers).map(|_| AtomicU64::new(now.as_micros())).collect())
    }

    /// How many workers there are.
    pub(crate) fn workers(&self) -> u8 {
        u8::try_from(self.0.len()).unwrap_or(u8::MAX)
    }

    /// Worker `id` is alive.
    pub(crate) fn beat(&self, id: WorkerId, now: Time) {
        if let Some(last) = self.0.get(usize::from(id.0)) {
            last.store(now.as_micros(), Ordering::Relaxed);
        }
    }

    /// True when no worker is stuck.
    pub(crate) fn all_alive(&self, now: Time) -> bool {
        let silent = |last: &AtomicU64| now.since(Time::from_micros(last.load(Ordering::Relaxed)));
        self.0.iter().all(|last| silent(last) < Self::PATIENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_stuck_worker_is_enough_to_be_noticed() {
        let beats = Heartbeats::new(2, Time::ZERO);
        let later = Time::ZERO + Heartbeats::PATIENCE;
        beats.beat(WorkerId(0), later);
        assert!(!beats.all_alive(later));
        beats.beat(WorkerId(1), later);
        assert!(beats.all_alive(later));
    }
}
