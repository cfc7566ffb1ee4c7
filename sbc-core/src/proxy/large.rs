//! Requests too large for a datagram (RFC 3261 §18.1.1). A WebRTC offer exceeds any MTU, FreeSWITCH never switches by
//! itself, and carriers drop fragments: what is done is the pool's setting, and whatever is done is counted.

use crate::config::Large;
use crate::count::Count;
use crate::flow::{Flow, ListenerId, Transport};
use crate::limits;
use crate::proxy::core::Core;
use crate::proxy::settings::Settings;
use crate::time::Time;

/// How a request leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// By the flow it was meant for.
    Flow,
    /// By a connection from this listener instead; or after all by the flow, where there is none and `falls_back`.
    Connection { listener: ListenerId, falls_back: bool },
    /// Not at all: 513.
    Refuse,
}

impl Core {
    /// The way of a request of `length` bytes that is meant for `flow`.
    pub(crate) fn way_of(&self, flow: &Flow, length: usize, settings: &Settings, now: Time) -> Way {
        if !is_too_large(flow, length, settings) {
            return Way::Flow;
        }
        let member = settings.member_at(flow.listener, flow.remote);
        let way = match member.map(|member| (member.large(), member)) {
            Some((Large::Always(listener), _)) => Way::Connection { listener, falls_back: false },
            Some((Large::Auto(listener), member)) if member.accepts_connections(now) => {
                Way::Connection { listener, falls_back: true }
            }
            Some((Large::Refuse, _)) => Way::Refuse,
            Some((Large::Auto(_) | Large::Never, _)) | None => Way::Flow,
        };
        self.counters.add(match way {
            Way::Flow => Count::LargeByDatagram,
            Way::Connection { .. } => Count::LargeByConnection,
            Way::Refuse => Count::LargeRefused,
        });
        if way == Way::Flow {
            tracing::debug!(remote = %flow.remote, length, "a request too large for one datagram leaves in fragments");
        }
        way
    }

    /// The connections for an ACK of `length` bytes that is meant for `flow`, where it is too large for a datagram.
    /// It cannot be refused, because nobody answers it; without connections it leaves in fragments.
    pub(crate) fn way_of_ack(
        &self,
        flow: &Flow,
        length: usize,
        settings: &Settings,
        now: Time,
    ) -> Option<ListenerId> {
        if !is_too_large(flow, length, settings) {
            return None;
        }
        let listener = self.way_of_large(flow, settings, now);
        self.counters.add(listener.map_or(Count::LargeByDatagram, |_| Count::LargeByConnection));
        listener
    }

    /// The connections that a request for `flow` may have gone by, had it been large.
    pub(crate) fn way_of_large(&self, flow: &Flow, settings: &Settings, now: Time) -> Option<ListenerId> {
        let is_datagram = is_too_large(flow, usize::MAX, settings);
        let member = settings.member_at(flow.listener, flow.remote).filter(|_| is_datagram)?;
        match member.large() {
            Large::Always(listener) => Some(listener),
            Large::Auto(listener) => member.accepts_connections(now).then_some(listener),
            Large::Never | Large::Refuse => None,
        }
    }

    /// An answer has to go where its request came from; what can be done is to say that it is large.
    pub(crate) fn note_large_answer(&self, flow: &Flow, length: usize, settings: &Settings) {
        if is_too_large(flow, length, settings) {
            self.counters.add(Count::LargeByDatagram);
        }
    }
}

fn is_too_large(flow: &Flow, length: usize, settings: &Settings) -> bool {
    length > limits::DATAGRAM
        && settings.listener(flow.listener).is_some_and(|listener| listener.transport == Transport::Udp)
}
