//! One record for each dialog that has been heard of.

mod release;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::BuildHasherDefault;
use std::net::SocketAddr;
use std::sync::MutexGuard;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::ended::Ended;
use super::farewell::{Ending, Farewell};
use crate::flow::Flow;
use crate::gauge::Held;
use crate::hash::{AlreadyHashed, Digest};
use crate::limiting::Permit;
use crate::limits;
use crate::lock::Lock;
use crate::seal::Peer;
use crate::time::Time;

/// Call-ID and both tags, hashed (RFC 3261 §12).
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
    /// Where the outside party last sent a valid request of this dialog from, and when.
    heard: Option<(Flow, Time)>,
    last: Time,
    is_call: bool,
    inside: Option<Box<Inside>>,
    /// The pool member that has the other side of it.
    member: Option<SocketAddr>,
    /// Its places among the calls of rules with a limit.
    permits: Vec<Permit>,
    /// That member took the dialog over after it had begun.
    is_taken: bool,
    /// Its places among the calls of members, the pool's side first: given back when the record goes.
    holds: [Option<Held>; 2],
    /// How it is ended when its member is dead.
    ending: Ending,
}

impl Record {
    fn new(last: Time) -> Self {
        Self {
            heard: None,
            last,
            is_call: false,
            inside: None,
            member: None,
            is_taken: false,
            holds: [None, None],
            permits: Vec::new(),
            ending: Ending::default(),
        }
    }
}

type Shard = HashMap<Digest, Record, BuildHasherDefault<AlreadyHashed>>;

/// The records of this node.
pub struct Records {
    shards: Box<[Lock<Shard>]>,
    known: AtomicUsize,
    /// Those that are being ended for their members.
    released: AtomicUsize,
    lately: Ended,
    sweeping: AtomicBool,
    next_sweep: AtomicUsize,
}

impl Default for Records {
    fn default() -> Self {
        Self {
            shards: (0..limits::DIALOG_SHARDS).map(|_| Lock::default()).collect(),
            known: AtomicUsize::new(0),
            released: AtomicUsize::new(0),
            lately: Ended::default(),
            sweeping: AtomicBool::new(false),
            next_sweep: AtomicUsize::new(0),
        }
    }
}

/// What is known of a call when it is answered.
#[derive(Debug, Default)]
pub struct Answered {
    /// The member that has it.
    pub member: Option<SocketAddr>,
    /// For a caller that ignores our Contact.
    pub inside: Option<Box<Inside>>,
    /// How it is ended when that member is dead.
    pub farewell: Option<Box<Farewell>>,
    /// Its places among the calls of members.
    pub holds: [Option<Held>; 2],
}

impl Records {
    /// A call was answered. True where it counts from now on.
    pub fn answered(&self, key: DialogKey, call: Answered, now: Time) -> bool {
        self.note(key, now, |record| {
            record.holds = call.holds;
            record.member = call.member;
            record.inside = call.inside;
            record.ending.set(call.farewell);
            !std::mem::replace(&mut record.is_call, true)
        })
    }

    /// Keep the places of a call until its record goes. Without a record they are free at once.
    pub fn hold(&self, key: DialogKey, permits: Vec<Permit>) {
        if let Some(record) = self.shard(key).get_mut(&key.0) {
            record.permits = permits;
        }
    }

    /// `member` granted a request that the outside party sent from `flow`: that is where the party is. True
    /// where it has moved.
    pub fn heard(&self, key: DialogKey, member: Option<SocketAddr>, flow: Flow, now: Time) -> bool {
        self.note(key, now, |record| {
            record.member = member;
            record.heard.replace((flow, now)).map(|(before, _)| before) != Some(flow)
        })
    }

    /// `member` sent a request of its own that the outside party granted: the dialog is there now, whoever had it
    /// before (FreeSWITCH's `sofia recover`). `peer` and `target` are where callers are led that ignore Contact.
    /// `farewell` is how it ends from now on, and a call counts among its calls by `hold`. True where it was another member's.
    pub fn taken(
        &self,
        key: DialogKey,
        member: SocketAddr,
        (peer, target): (Peer, &[u8]),
        hold: Option<Held>,
        farewell: Option<Box<Farewell>>,
        now: Time,
    ) -> bool {
        self.note(key, now, |record| {
            record.is_taken = true;
            record.ending.set(farewell);
            if record.is_call {
                record.holds[0] = hold;
            }
            if let Some(inside) = &mut record.inside {
                inside.peer = peer;
                inside.target = target.into();
            }
            record.member.replace(member) != Some(member)
        })
    }

    /// The member that took the dialog over after it had begun.
    pub fn taken_by(&self, key: DialogKey) -> Option<SocketAddr> {
        self.shard(key).get(&key.0).filter(|record| record.is_taken)?.member
    }

    fn note(&self, key: DialogKey, now: Time, change: impl FnOnce(&mut Record) -> bool) -> bool {
        let mut shard = self.shard(key);
        let record = match shard.entry(key.0) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(_) if self.known() >= limits::DIALOGS || self.lately.has(key, now) => return false,
            Entry::Vacant(vacant) => {
                self.known.fetch_add(1, Ordering::Relaxed);
                vacant.insert(Record::new(now))
            }
        };
        record.last = now;
        change(record)
    }

    fn shard(&self, key: DialogKey) -> MutexGuard<'_, Shard> {
        // The table inside goes by the low half.
        let at = (key.0 >> 64) as usize % self.shards.len();
        self.shards[at].lock()
    }

    /// How many there are.
    pub fn known(&self) -> usize {
        self.known.load(Ordering::Relaxed)
    }

    /// Where the outside party was last heard, and when.
    pub fn last_flow(&self, key: DialogKey) -> Option<(Flow, Time)> {
        self.shard(key).get(&key.0)?.heard
    }

    /// The pool member that has the other side of the dialog.
    pub fn member(&self, key: DialogKey) -> Option<SocketAddr> {
        self.shard(key).get(&key.0)?.member
    }

    /// Where a request of the outside party goes that carries none of our addresses (some do not follow
    /// Contact): to whoever answered it, if it comes from where the call came from.
    pub fn inside(&self, key: DialogKey, outside: &Flow, tag: Digest) -> Option<(Peer, Vec<u8>)> {
        let shard = self.shard(key);
        let record = shard.get(&key.0)?;
        let inside =
            record.inside.as_ref().filter(|inside| inside.outside == *outside && inside.tag == tag)?;
        Some((inside.peer, inside.target.to_vec()))
    }

    /// The dialog ended, and what comes late of it does not bring it back. True where it was a call.
    pub fn over(&self, key: DialogKey, now: Time) -> bool {
        self.lately.add(key, now);
        self.ended(key)
    }

    /// The dialog ended. True where it was a call.
    pub fn ended(&self, key: DialogKey) -> bool {
        let ended = self.shard(key).remove(&key.0);
        ended.is_some_and(|record| {
            self.known.fetch_sub(1, Ordering::Relaxed);
            self.released.fetch_sub(usize::from(record.ending.is_said), Ordering::Relaxed);
            record.is_call
        })
    }

    /// Forget the dialogs of one shard that nothing was heard of for `idle`, and give the memory of all that ended back.
    /// All are swept in as many calls as there are shards. False: no dialog is left, and sweeping ends.
    pub fn sweep(&self, idle: Duration, now: Time) -> bool {
        let at = self.next_sweep.fetch_add(1, Ordering::Relaxed) % self.shards.len();
        let mut shard = self.shards[at].lock();
        let before = shard.len();
        shard.retain(|_, record| {
            let is_kept = record.last + idle > now;
            self.released.fetch_sub(usize::from(record.ending.is_said && !is_kept), Ordering::Relaxed);
            is_kept
        });
        let kept = shard.len();
        self.known.fetch_sub(before - kept, Ordering::Relaxed);
        if shard.capacity() > 4 * kept.max(16) {
            shard.shrink_to(2 * kept);
        }
        let goes_on = self.known() > 0;
        self.sweeping.store(goes_on, Ordering::Relaxed);
        goes_on
    }

    /// True for the one caller who is to begin sweeping, because there is a dialog to forget again.
    pub fn begin_sweeping(&self) -> bool {
        !self.sweeping.load(Ordering::Relaxed)
            && self.known() > 0
            && !self.sweeping.swap(true, Ordering::Relaxed)
    }

    /// Calls that are up, as far as this process knows.
    pub fn calls(&self) -> usize {
        let calls = |shard: &Lock<Shard>| {
            let shard = shard.lock();
            shard.values().filter(|record| record.is_call).count()
        };
        self.shards.iter().map(calls).sum()
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
        assert!(records.heard(key, None, flow(1), Time::ZERO));
        assert!(!records.heard(key, None, flow(1), Time::ZERO));
        assert!(records.heard(key, None, flow(2), Time::ZERO));
        assert_eq!(records.last_flow(key), Some((flow(2), Time::ZERO)));
    }

    #[test]
    fn only_the_party_itself_says_when_it_was_heard() {
        let records = Records::default();
        let key = DialogKey(1);
        let peer = Peer { listener: ListenerTag(1), port: 0, address: PeerAddress::Binding, binding: None };
        records.heard(key, None, flow(1), Time::from_millis(5));
        records.taken(key, "10.0.0.2:5080".parse().unwrap(), (peer, b""), None, None, Time::from_millis(9));
        assert_eq!(records.last_flow(key), Some((flow(1), Time::from_millis(5))));
    }

    #[test]
    fn a_call_counts_once_and_ends() {
        let records = Records::default();
        let key = DialogKey(1);
        assert!(records.answered(key, Answered::default(), Time::ZERO));
        assert!(!records.answered(key, Answered::default(), Time::ZERO));
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
        records.answered(key, Answered { member: Some(members[0]), ..Answered::default() }, Time::ZERO);
        assert_eq!((records.member(key), records.taken_by(key)), (Some(members[0]), None));
        assert!(records.taken(key, members[1], (peer, b"sip:b@10.0.0.2:5080"), None, None, Time::ZERO));
        assert_eq!((records.member(key), records.taken_by(key)), (Some(members[1]), Some(members[1])));
    }

    #[test]
    fn a_forgotten_dialog_is_forgotten() {
        let records = Records::default();
        records.answered(DialogKey(1), Answered::default(), Time::ZERO);
        assert!(records.begin_sweeping() && !records.begin_sweeping());
        let idle = Duration::from_secs(3600);
        let sweep = |at| (0..limits::DIALOG_SHARDS).map(|_| records.sweep(idle, at)).last();
        let due = Time::ZERO + idle;
        assert_eq!((sweep(Time::from_millis(1)), records.calls()), (Some(true), 1));
        assert_eq!((sweep(due), records.calls(), records.known()), (Some(false), 0, 0));
        assert!(!records.begin_sweeping(), "there is nothing to sweep");
    }
}
