//! One record for each dialog that has been heard of.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::flow::Flow;
use crate::gauge::Held;
use crate::hash::Digest;
use crate::limiting::Permit;
use crate::limits;
use crate::seal::Peer;
use crate::table::DigestMap;
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

#[derive(Debug)]
struct Record {
    /// Where the outside party last sent a valid request of this dialog from.
    heard: Option<Flow>,
    last: Time,
    is_call: bool,
    /// Its timer carries the same number; a timer of an earlier life says nothing.
    generation: u32,
    inside: Option<Box<Inside>>,
    /// The pool member that has the other side of it.
    member: Option<SocketAddr>,
    /// Its places among the calls of rules with a limit.
    permits: Vec<Permit>,
    /// That member took the dialog over after it had begun.
    is_taken: bool,
    /// Its places among the calls of members: given back when the record goes.
    holds: [Option<Held>; 2],
}

impl Record {
    const fn new(last: Time, generation: u32) -> Self {
        Self {
            heard: None,
            last,
            is_call: false,
            generation,
            inside: None,
            member: None,
            is_taken: false,
            holds: [None, None],
            permits: Vec::new(),
        }
    }
}

/// What a note did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Noted {
    /// Set where the record is new: its timer is to carry this number.
    pub new: Option<u32>,
    /// A call that counts now, or a party that moved.
    pub changed: bool,
}

/// The records of this node.
#[derive(Default)]
pub struct Records {
    generations: AtomicU32,
    records: DigestMap<Record>,
}

impl Records {
    /// A call with `member` was answered.
    pub fn answered(
        &self,
        key: DialogKey,
        member: Option<SocketAddr>,
        inside: Option<Box<Inside>>,
        holds: [Option<Held>; 2],
        now: Time,
    ) -> Noted {
        self.note(key, now, |record| {
            record.holds = holds;
            record.member = member;
            record.inside = inside;
            !std::mem::replace(&mut record.is_call, true)
        })
    }

    /// Keep the places of a call until its record goes. Without a record they are free at once.
    pub fn hold(&self, key: DialogKey, permits: Vec<Permit>) {
        if let Some(mut record) = self.records.get_mut(&key.0) {
            record.permits = permits;
        }
    }

    /// `member` granted a request that the outside party sent from `flow`: that is where the party is.
    pub fn heard(&self, key: DialogKey, member: Option<SocketAddr>, flow: Flow, now: Time) -> Noted {
        self.note(key, now, |record| {
            record.member = member;
            record.heard.replace(flow) != Some(flow)
        })
    }

    /// `member` sent a request of its own that the outside party granted: the dialog is there now, whoever had it
    /// before (FreeSWITCH's `sofia recover`). `peer` and `target` are where callers are led that ignore Contact.
    pub fn taken(&self, key: DialogKey, member: SocketAddr, peer: Peer, target: &[u8], now: Time) -> Noted {
        self.note(key, now, |record| {
            record.is_taken = true;
            if let Some(inside) = &mut record.inside {
                inside.peer = peer;
                inside.target = target.into();
            }
            record.member.replace(member) != Some(member)
        })
    }

    /// The member that took the dialog over after it had begun.
    pub fn taken_by(&self, key: DialogKey) -> Option<SocketAddr> {
        self.records.get(&key.0).filter(|record| record.is_taken)?.member
    }

    fn note(&self, key: DialogKey, now: Time, change: impl FnOnce(&mut Record) -> bool) -> Noted {
        if self.is_full(key) {
            return Noted::default();
        }
        let mut new = None;
        let mut record = self.records.entry(key.0).or_insert_with(|| {
            let generation = self.generations.fetch_add(1, Ordering::Relaxed);
            new = Some(generation);
            Record::new(now, generation)
        });
        record.last = now;
        let changed = change(&mut record);
        Noted { new, changed }
    }

    fn is_full(&self, key: DialogKey) -> bool {
        self.records.len() >= limits::DIALOGS && !self.records.contains_key(&key.0)
    }

    /// Where the outside party was last heard, and when.
    pub fn last_flow(&self, key: DialogKey) -> Option<(Flow, Time)> {
        let record = self.records.get(&key.0)?;
        Some((record.heard?, record.last))
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
    pub fn expire(&self, key: DialogKey, generation: u32, now: Time) -> Option<Time> {
        let last = self.records.get(&key.0).filter(|record| record.generation == generation)?.last;
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
    use crate::seal::{ListenerTag, PeerAddress};

    fn flow(port: u16) -> Flow {
        Flow::to(ListenerId(0), ([192, 0, 2, 1], port).into())
    }

    #[test]
    fn a_dialog_moves_with_its_party() {
        let records = Records::default();
        let key = DialogKey(1);
        assert!(records.heard(key, None, flow(1), Time::ZERO).changed);
        assert!(!records.heard(key, None, flow(1), Time::ZERO).changed);
        assert!(records.heard(key, None, flow(2), Time::ZERO).changed);
        assert_eq!(records.last_flow(key), Some((flow(2), Time::ZERO)));
    }

    #[test]
    fn a_call_counts_once_and_ends() {
        let records = Records::default();
        let key = DialogKey(1);
        assert!(records.answered(key, None, None, [None, None], Time::ZERO).changed);
        assert!(!records.answered(key, None, None, [None, None], Time::ZERO).changed);
        assert_eq!(records.calls(), 1);
        assert!(records.ended(key));
        assert!(!records.ended(key));
        assert_eq!(records.calls(), 0);
    }

    #[test]
    fn a_dialog_is_where_its_pool_side_was_last_heard() {
        let records = Records::default();
        let (key, peer) = (
            DialogKey(1),
            Peer { listener: ListenerTag(1), port: 0, address: PeerAddress::Binding, binding: None },
        );
        let members = ["10.0.0.1:5080", "10.0.0.2:5080"].map(|member| member.parse().unwrap());
        records.answered(key, Some(members[0]), None, [None, None], Time::ZERO);
        assert_eq!((records.member(key), records.taken_by(key)), (Some(members[0]), None));
        assert!(records.taken(key, members[1], peer, b"sip:b@10.0.0.2:5080", Time::ZERO).changed);
        assert_eq!((records.member(key), records.taken_by(key)), (Some(members[1]), Some(members[1])));
    }

    #[test]
    fn a_forgotten_dialog_is_forgotten() {
        let records = Records::default();
        let key = DialogKey(1);
        records.answered(key, None, None, [None, None], Time::ZERO);
        let due = records.expire(key, 0, Time::from_millis(1)).unwrap();
        assert_eq!(records.expire(key, 0, due), None);
        assert_eq!(records.calls(), 0);
    }
}
