//! Which requests went out over a connection, or to a server, and have no answer yet: whom it concerns when that way is
//! gone.

use std::sync::atomic::Ordering;

use super::{Directory, datagram_key, flow_key};
use crate::flow::Flow;
use crate::limits;
use crate::table::Entry;
use crate::transaction::EntryId;

/// The newest requests of one way that have no answer.
#[derive(Debug, Default)]
pub(super) struct Unanswered(Vec<EntryId>);

impl Unanswered {
    fn add(&mut self, entry: EntryId) {
        if self.0.len() >= limits::UNANSWERED_PER_FLOW {
            self.0.remove(0);
        }
        self.0.push(entry);
    }

    /// True where none is left.
    fn take_out(&mut self, entry: EntryId) -> bool {
        if let Some(at) = self.0.iter().rposition(|other| *other == entry) {
            self.0.remove(at);
        }
        self.0.is_empty()
    }

    pub(super) fn into_entries(self) -> Vec<EntryId> {
        self.0
    }
}

impl Directory {
    /// A request went out. False where its connection is gone.
    pub fn sent(&self, flow: &Flow, entry: EntryId) -> bool {
        if flow.connection.is_some() {
            let mut connected = self.flows.get_mut(&flow_key(flow));
            return connected.as_mut().map(|connected| connected.unanswered.add(entry)).is_some();
        }
        let key = datagram_key(flow);
        if let Some(mut known) = self.servers.get_mut(&key) {
            known.add(entry);
        } else if self.known_servers.load(Ordering::Relaxed) < limits::SERVERS {
            match self.servers.entry(key) {
                Entry::Occupied(known) => known.into_ref().add(entry),
                Entry::Vacant(vacant) => {
                    self.known_servers.fetch_add(1, Ordering::Relaxed);
                    vacant.insert(Unanswered::default()).add(entry);
                }
            }
        }
        true
    }

    /// A request has its answer, or waits for none.
    pub fn answered(&self, flow: &Flow, entry: EntryId) {
        if flow.connection.is_some() {
            if let Some(mut connected) = self.flows.get_mut(&flow_key(flow)) {
                connected.unanswered.take_out(entry);
            }
            return;
        }
        let key = datagram_key(flow);
        let is_empty = self.servers.get_mut(&key).is_some_and(|mut known| known.take_out(entry));
        // A few are kept, so that the lists of those that are asked all day are not made anew each time.
        if is_empty
            && self.known_servers.load(Ordering::Relaxed) > limits::SERVERS_AT_REST
            && self.servers.remove_if(&key, |_, known| known.0.is_empty()).is_some()
        {
            self.known_servers.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The requests over a connection, or to a server, that have no answer, as far as they are known.
    pub fn unanswered(&self, flow: &Flow) -> Vec<EntryId> {
        if flow.connection.is_some() {
            return self
                .flows
                .get(&flow_key(flow))
                .map(|known| known.unanswered.0.clone())
                .unwrap_or_default();
        }
        self.servers.get(&datagram_key(flow)).map(|known| known.0.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;
    use crate::flow::{ConnectionId, ListenerId};
    use crate::time::Time;

    fn server(port: usize) -> Flow {
        let high = u8::try_from(port / 60_000).unwrap();
        let remote = ([192, 0, 2, high], u16::try_from(port % 60_000).unwrap()).into();
        Flow::to(ListenerId(1), remote)
    }

    #[test]
    fn what_a_server_owes_is_known_until_it_answers() {
        let directory = Directory::default();
        for entry in 0..3 {
            assert!(directory.sent(&server(1), EntryId(entry)));
        }
        directory.answered(&server(1), EntryId(1));
        directory.answered(&server(2), EntryId(0));
        assert_eq!(directory.unanswered(&server(1)), [EntryId(0), EntryId(2)]);
        assert_eq!(directory.unanswered(&Flow { listener: ListenerId(2), ..server(1) }), []);
    }

    #[test]
    fn a_closed_connection_hands_over_what_it_owes_and_takes_no_more() {
        let directory = Directory::default();
        let connection = ConnectionId(NonZeroU64::MIN);
        let flow = Flow { connection: Some(connection), ..server(1) };
        assert!(!directory.sent(&flow, EntryId(1)), "it is not open");
        directory.connected(flow);
        assert!(directory.sent(&flow, EntryId(1)) && directory.sent(&flow, EntryId(2)));
        directory.answered(&flow, EntryId(1));
        assert_eq!(directory.closed(connection, Time::ZERO), [EntryId(2)]);
        assert!(!directory.sent(&flow, EntryId(3)));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let directory = Directory::default();
        for entry in 0..limits::UNANSWERED_PER_FLOW as u128 + 5 {
            directory.sent(&server(0), EntryId(entry));
        }
        let owed = directory.unanswered(&server(0));
        assert_eq!((owed.len(), owed[0]), (limits::UNANSWERED_PER_FLOW, EntryId(5)), "the newest");
        for port in 0..limits::SERVERS + 5 {
            directory.sent(&server(port), EntryId(0));
        }
        assert_eq!(directory.servers.len(), limits::SERVERS);
        for port in 1..limits::SERVERS {
            directory.answered(&server(port), EntryId(0));
        }
        assert_eq!(directory.servers.len(), limits::SERVERS_AT_REST);
    }
}
