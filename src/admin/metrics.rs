//! `/metrics`: what is asked for at each scrape, beside the counters that count by themselves.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use sbc_core::count::TOLERATED;
use sbc_udp::{Socket, Unread};

use super::{Facts, Report};
use crate::metrics::{self as names, Counters};

/// The UDP sockets of each listener, to add up what they counted.
#[derive(Debug, Default)]
pub(crate) struct UdpTotals(pub Vec<(Box<str>, Vec<Arc<Socket>>)>);

/// Everything that `/metrics` shows.
pub(crate) fn registry<F: Facts>(facts: &Arc<F>, counters: &Counters, udp: UdpTotals) -> Registry {
    let mut registry = Registry::default();
    counters.register(&mut registry);
    registry.register_collector(Box::new(OfFacts(Arc::clone(facts))));
    registry.register_collector(Box::new(udp));
    registry
}

struct OfFacts<F>(Arc<F>);

impl<F> fmt::Debug for OfFacts<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OfFacts")
    }
}

impl<F: Facts> Collector for OfFacts<F> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let status = self.0.status();
        let gauges = [
            (names::WS_OPEN, "WebSocket connections open now", status.connections),
            (names::REGISTRATIONS, "Bindings known now", status.core.registrations),
            (names::CALLS, "Calls up or being set up", status.core.calls),
            (names::TRANSACTIONS, "Transactions alive", status.core.transactions),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        encode_load(&mut encoder, &status.core)?;
        encode_members(&mut encoder, &status.core)?;
        encode_tolerated(&mut encoder, &status.core)?;
        encode_tags(&mut encoder, &status.core)?;
        encode_core(&mut encoder, &status.core)
    }
}

fn encode_load(encoder: &mut DescriptorEncoder<'_>, report: &Report) -> fmt::Result {
    let help = "How long inputs stand in the queues of the worst worker, in seconds";
    let delay = ConstGauge::new(report.load.delay_micros as f64 / 1e6);
    delay.encode(encoder.encode_descriptor(names::OVERLOAD_DELAY, help, None, MetricType::Gauge)?)?;
    let help = "New work that the worst worker turns away, in percent, by class";
    let mut family = encoder.encode_descriptor(names::OVERLOAD_SHED, help, None, MetricType::Gauge)?;
    for (class, percent) in &report.load.shed_percent {
        ConstGauge::new(i64::from(*percent)).encode(family.encode_family(&[("class", &**class)])?)?;
    }
    let help = "New requests that the worst worker has dropped unread, in percent, by class";
    let name = names::OVERLOAD_UNREAD_PERCENT;
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (class, percent) in &report.load.unread_percent {
        ConstGauge::new(i64::from(*percent)).encode(family.encode_family(&[("class", &**class)])?)?;
    }
    Ok(())
}

fn encode_members(encoder: &mut DescriptorEncoder<'_>, report: &Report) -> fmt::Result {
    let help = "Members of pools: 1 for the state that a member has";
    let mut family = encoder.encode_descriptor(names::POOL_MEMBER, help, None, MetricType::Gauge)?;
    for pool in &report.pools {
        for member in &pool.members {
            let labels = [("pool", &*pool.name), ("member", &*member.address), ("state", &*member.state)];
            ConstGauge::new(1_i64).encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

fn encode_tolerated(encoder: &mut DescriptorEncoder<'_>, report: &Report) -> fmt::Result {
    // The encoder puts `_total` behind the name of every counter.
    let name = TOLERATED.strip_suffix("_total").unwrap_or(TOLERATED);
    let help = "Faults of messages that were let pass, by reason";
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (fault, times) in &report.tolerated {
        let labels = [("reason", fault.reason())];
        ConstCounter::new(*times).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

fn encode_tags(encoder: &mut DescriptorEncoder<'_>, report: &Report) -> fmt::Result {
    let help = "Requests that rules gave a tag";
    let mut family = encoder.encode_descriptor(names::RULES_TAGGED, help, None, MetricType::Counter)?;
    for (tag, count) in &report.tags {
        ConstCounter::new(*count).encode(family.encode_family(&[("tag", &**tag)])?)?;
    }
    Ok(())
}

/// The core's counters come one by one; those of one name are shown together.
fn encode_core(encoder: &mut DescriptorEncoder<'_>, report: &Report) -> fmt::Result {
    let mut counts = report.counters.clone();
    counts.sort_by_key(|(count, _)| (count.metric(), count.reason()));
    for counts in counts.chunk_by(|(one, _), (other, _)| one.metric() == other.metric()) {
        let Some((first, _)) = counts.first() else { continue };
        // The encoder puts `_total` behind the name of every counter.
        let name = first.metric().strip_suffix("_total").unwrap_or(first.metric());
        let help = if first.reason().is_empty() { first.help() } else { "Refused or dropped, by reason" };
        let mut family =
            encoder.encode_descriptor(name, help.trim().trim_end_matches('.'), None, MetricType::Counter)?;
        if let [(count, value)] = counts
            && count.reason().is_empty()
        {
            ConstCounter::new(*value).encode(family)?;
            continue;
        }
        for (count, value) in counts {
            let labels = [("reason", count.reason())];
            ConstCounter::new(*value).encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

impl Collector for UdpTotals {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        type Read = fn(&sbc_udp::Counters) -> u64;
        let columns: [(&str, &str, Read); 5] = [
            (names::UDP_RECEIVED, "Datagrams received", |counters| counters.received),
            (names::UDP_SENT, "Datagrams sent", |counters| counters.sent),
            (names::UDP_SEND_DROPPED, "Datagrams dropped: send buffer full", |counters| {
                counters.send_dropped
            }),
            (names::UDP_SEND_FAILED, "Datagrams that the kernel refused to send", |counters| {
                counters.send_failed
            }),
            (names::UDP_UNREACHABLE, "ICMP notices of unreachable peers", |counters| counters.unreachable),
        ];
        for (name, help, read) in columns {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (listener, sockets) in &self.0 {
                let total: u64 = sockets.iter().map(|socket| read(&socket.counters())).sum();
                ConstCounter::new(total).encode(family.encode_family(&[("listener", &**listener)])?)?;
            }
        }
        let help =
            "Datagrams dropped before they were read: what overload leaves out, and what finds no room";
        let mut family =
            encoder.encode_descriptor(names::OVERLOAD_UNREAD, help, None, MetricType::Counter)?;
        let unread = Unread::look();
        for (listener, sockets) in &self.0 {
            let total: u64 = sockets.iter().map(|socket| unread.of(socket)).sum();
            ConstCounter::new(total).encode(family.encode_family(&[("listener", &**listener)])?)?;
        }
        Ok(())
    }
}
