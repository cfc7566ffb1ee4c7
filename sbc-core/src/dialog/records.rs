//! One record for each dialog that has been heard of.

use std::net::SocketAddr;

use crate::flow::Flow;
use crate::hash::{Digest, DigestMap};
use crate::limits;
use crate::seal::Peer;
use crate::time::Time;

/// Call-ID and the tag of the party outside the pool, hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DialogKey(pub Digest);

/// What the pool said when it answered: enough for a party that ignores our Contact.
#[derive(Debug, Clone)]
pub struct Inside {
    /// The flow of the party outside.
    pub outside: Flow,
    /// The tag of the party inside, hashed.
    pub tag: Digest,
    /// Who answered.
    pub peer: Peer,
    /// Its Contact URI.
    pub target: Box<[u8]>,
}

#[derive(Debug, Clone)]
struct Record {
    /// Where the outside party last sent a valid request of this dialog from.
    heard: Option<Flow>,
    last: Time,
    is_call: bool,
    inside: Option<Box<Inside>>,
    /// The pool member that has the other side of it.
    member: Option<SocketAddr>,
}

impl Record {
    const fn new(last: Time) -> Self {
        Self { heard: None, last, is_call: false, inside: None, member: None }
    }
}

/// The records of this node.
#[derive(Default)]
pub struct Records {
    records: DigestMap<Record>,
}

impl Records {
    /// A call with `member` was answered. True the first time.
    pub fn answered(
        &self,
        key: DialogKey,
        member: Option<SocketAddr>,
        inside: Option<Box<Inside>>,
        now: Time,
    ) -> bool {
        if self.is_full(key) {
            return false;
        }
        let mut record = self.records.entry(key.0).or_insert(Record::new(now));
        record.last = now;
        record.inside = inside;
        record.member = member;
        !std::mem::replace(&mut record.is_call, true)
    }

    /// The outside party sent `member` a valid request from `flow`. True where it moved there since the last one.
    pub fn heard(&self, key: DialogKey, member: Option<SocketAddr>, flow: Flow, now: Time) -> bool {
        if self.is_full(key) {
            return false;
        }
        let mut record = self.records.entry(key.0).or_insert(Record::new(now));
        record.last = now;
        record.member = member;
        record.heard.replace(flow) != Some(flow)
    }

    fn is_full(&self, key: DialogKey) -> bool {
        self.records.len() >= limits::DIALOGS && !self.records.contains_key(&key.0)
    }

    /// Where the outside party was last heard.
    pub fn last_flow(&self, key: DialogKey) -> Option<Flow> {
        self.records.get(&key.0)?.heard
    }

    /// The pool member that has the other side of the dialog.
    pub fn member(&self, key: DialogKey) -> Option<SocketAddr> {
        self.records.get(&key.0)?.member
    }

    /// Where a request of the outside party goes that carries none of our addresses (some do not follow
    /// Contact): to whoever answered it, if it comes from where the call came from.
    pub fn inside(&self, key: DialogKey, outside: &Flow, tag: Digest) -> Option<(Peer, Vec<u8>)> {
        let record = self.records.get(&key.0)?;
        let inside =
            record.inside.as_ref().filter(|inside| inside.outside == *outside && inside.tag == tag)?;
        Some((inside.peer, inside.target.to_vec()))
    }

    /// The dialog ended. True where it was a call.
    pub fn ended(&self, key: DialogKey) -> bool {
        self.records.remove(&key.0).is_some_and(|(_, record)| record.is_call)
    }

    /// Forget a dialog that nothing was heard of for long; otherwise say when to ask again.
    pub fn expire(&self, key: DialogKey, now: Time) -> Option<Time> {
        let last = self.records.get(&key.0)?.last;
        let due = last + limits::DIALOG_IDLE;
        if due > now {
            return Some(due);
        }
        self.records.remove(&key.0);
        None
    }

    /// Calls that are up, as far as this process knows.
    pub fn calls(&self) -> usize {
        self.records.iter().filter(|record| record.is_call).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::ListenerId;

    fn flow(port: u16) -> Flow {
        Flow::udp(ListenerId(0), ([192, 0, 2, 1], port).into())
    }

    #[test]
    fn a_dialog_moves_with_its_party() {
        let records = Records::default();
        let key = DialogKey(1);
        assert!(records.heard(key, None, flow(1), Time::ZERO));
        assert!(!records.heard(key, None, flow(1), Time::ZERO));
        assert!(records.heard(key, None, flow(2), Time::ZERO));
        assert_eq!(records.last_flow(key), Some(flow(2)));
    }

    #[test]
    fn a_call_counts_once_and_ends() {
        let records = Records::default();
        let key = DialogKey(1);
        assert!(records.answered(key, None, None, Time::ZERO));
        assert!(!records.answered(key, None, None, Time::ZERO));
        assert_eq!(records.calls(), 1);
        assert!(records.ended(key));
        assert!(!records.ended(key));
        assert_eq!(records.calls(), 0);
    }

    #[test]
    fn a_forgotten_dialog_is_forgotten() {
        let records = Records::default();
        let key = DialogKey(1);
        records.answered(key, None, None, Time::ZERO);
        let due = records.expire(key, Time::from_millis(1)).unwrap();
        assert_eq!(records.expire(key, due), None);
        assert_eq!(records.calls(), 0);
    }
}
