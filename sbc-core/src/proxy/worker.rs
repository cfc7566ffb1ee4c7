//! What one worker thread owns: its outbox, its timers, and memory it uses again and again.

use std::net::SocketAddr;

use routing_rules::Scratch;

use crate::admission::Overload;
use crate::dialog::{Answered, DialogKey, Farewell};
use crate::flow::WorkerId;
use crate::gauge::Held;
use crate::io::{Outbox, Sieve};
use crate::limiting::Permit;
use crate::limits;
use crate::proxy::release::ReleaseTimer;
use crate::proxy::setup::SpareEntries;
use crate::registration::Binding;
use crate::seal::BindingId;
use crate::time::Time;
use crate::transaction::{EntryId, Wheel};
use crate::wire::{Edits, Index};

/// One per thread; handed to [`Core::handle`](crate::Core::handle) with every input.
pub struct Worker {
    /// What to do after the last input.
    pub outbox: Outbox,
    pub(crate) id: WorkerId,
    /// The version of the settings that it has seen.
    pub(crate) settings: u64,
    pub(crate) wheel: Wheel<Timer>,
    pub(crate) index: Index,
    pub(crate) inner_index: Index,
    pub(crate) edits: Edits,
    pub(crate) after: Vec<After>,
    pub(crate) spare: Spare,
    pub(crate) entries: SpareEntries,
    /// What the rules think with.
    pub(crate) rules: Scratch,
    /// How far it is behind.
    pub(crate) overload: Overload,
}

/// A time somebody asked to be woken at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timer {
    Entry(EntryId, u32),
    Binding(BindingId, u32),
    /// A binding that was removed is forgotten.
    Left(BindingId),
    Probe(ProbeTimer),
    /// The same out of turn, until it is answered or missed.
    Look(ProbeTimer),
    /// Some calls of a dead member are to be ended.
    Release(ReleaseTimer),
    /// One shard of the table of sources.
    Sweep,
    /// One shard of the table of dialogs.
    SweepDialogs,
}

/// Which member is to be asked, and under which settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProbeTimer {
    pub(crate) settings: u64,
    pub(crate) pool: u16,
    pub(crate) member: u16,
}

/// What a step leaves to be done when the entry is no longer locked.
#[derive(Debug)]
pub(crate) enum After {
    /// A branch leads to the entry.
    Link(crate::hash::Digest),
    /// A branch leads nowhere any more.
    Unlink(crate::hash::Digest),
    /// The entry is over.
    Remove,
    /// Its INVITE may come again by another way.
    Unmerge(crate::hash::Digest),
    /// The registrar confirmed a binding.
    Registered { id: BindingId, binding: Box<Binding> },
    /// The registrar removed a binding, at the word of the REGISTER with this order.
    Unregistered { id: BindingId, order: u64 },
    /// A call was answered.
    Answered { key: DialogKey, call: Answered },
    /// A call that was answered keeps its places among the calls of rules.
    Hold { key: DialogKey, permits: Vec<Permit> },
    /// The pool granted a request of a dialog that its outside party sent from here.
    Heard { key: DialogKey, member: Option<SocketAddr>, flow: crate::flow::Flow },
    /// A member's own request inside a dialog that it had not been known to have was granted.
    Taken {
        key: DialogKey,
        member: SocketAddr,
        peer: crate::seal::Peer,
        target: Box<[u8]>,
        hold: Option<Held>,
        farewell: Option<Box<Farewell>>,
    },
    /// The member that has a dialog refreshed it, and nothing was known of how it would end.
    Refreshed { key: DialogKey, farewell: Box<crate::dialog::Farewell> },
    /// The outside party of a dialog is reached by another URI.
    Retargeted { key: DialogKey, target: Box<[u8]> },
    /// The member that has a dialog does not know it; `tag` is its own tag there, hashed.
    Lost { key: DialogKey, tag: crate::hash::Digest },
    /// A dialog ended.
    Ended(DialogKey),
    /// A connection that something was just sent over is gone.
    Closed(crate::flow::ConnectionId),
    /// The entry waits for this no longer.
    StopWaiting(crate::hash::Digest),
}

impl Worker {
    /// The worker with this number.
    pub fn new(id: WorkerId, now: Time) -> Self {
        Self {
            outbox: Outbox::new(),
            id,
            settings: 0,
            wheel: Wheel::new(now),
            index: Index::new(),
            inner_index: Index::new(),
            edits: Edits::new(),
            after: Vec::new(),
            spare: Spare::default(),
            entries: SpareEntries::default(),
            rules: Scratch::default(),
            overload: Overload::new(now),
        }
    }

    /// Say whether the driver can have datagrams dropped unread. Until it is said it cannot.
    pub fn set_sifts(&mut self, sifts: bool) {
        self.overload.set_sifts(sifts);
    }

    /// What shall pass, from now on, of datagrams that come to UDP listeners [`Core::sifts`](crate::Core::sifts) names
    /// and that nobody has read. It changes some times a second at most.
    pub fn sieve(&self) -> Sieve {
        self.overload.sieve()
    }
}

/// Buffers that messages were kept in, to be used again.
#[derive(Default)]
pub(crate) struct Spare {
    buffers: Vec<Vec<u8>>,
}

impl Spare {
    /// An empty buffer.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.buffers.pop().unwrap_or_default()
    }

    /// A buffer that holds a copy of `bytes`.
    pub(crate) fn copy(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut buffer = self.take();
        buffer.extend_from_slice(bytes);
        buffer
    }

    /// Hand one back.
    pub(crate) fn give(&mut self, mut buffer: Vec<u8>) {
        let fits = (1..=limits::SPARE_BUFFER_BYTES).contains(&buffer.capacity());
        if fits && self.buffers.len() < limits::SPARE_BUFFERS {
            buffer.clear();
            self.buffers.push(buffer);
        }
    }
}
