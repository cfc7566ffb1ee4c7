//! The inboxes: one for each worker, each with an account of what every other worker has on its way to it.
//!
//! Its locks and counters come from `super::sync`, so that the model checker runs this very source on its own.

use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use super::call_id::call_id_hash;
use super::sync::{AtomicUsize, Mutex, MutexGuard, Notify};

/// Most datagrams on their way from one worker to one other.
pub const MAX_OUTSTANDING: usize = 1024;

/// Most bytes on their way from one worker to one other.
pub const MAX_OUTSTANDING_BYTES: usize = 4 << 20;

/// Most buffers that a worker's inbox keeps for the next datagrams.
const MAX_SPARE: usize = 256;

/// A buffer that grew beyond this is not kept: one rare large message must not pin its memory.
const MAX_SPARE_BYTES: usize = 8 * 1024;

/// Who handles a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// The worker that received it.
    Here,
    /// This other worker, which has a copy now.
    HandedTo(usize),
    /// Nobody: it belongs to a worker that is too far behind. Count it; the sender will repeat it.
    QueueFull,
}

/// The inboxes of all workers. `M` is what travels with each datagram, such as its flow.
#[derive(Debug)]
pub struct Handover<M> {
    inboxes: Vec<Inbox<M>>,
    // Randomly keyed, so that nobody can choose Call-IDs that all land on one worker.
    key: RandomState,
}

#[derive(Debug)]
struct Inbox<M> {
    queue: Mutex<Queue<M>>,
    arrived: Notify,
    senders: Vec<Sender>,
}

#[derive(Debug)]
struct Queue<M> {
    waiting: VecDeque<Item<M>>,
    spare: Vec<Vec<u8>>,
}

#[derive(Debug)]
struct Item<M> {
    from: usize,
    bytes: Vec<u8>,
    metadata: M,
}

/// What one worker has handed to this inbox and is not handled yet. Only that worker adds.
#[derive(Debug, Default)]
struct Sender {
    outstanding: AtomicUsize,
    outstanding_bytes: AtomicUsize,
}

/// A datagram from another worker. Drop it when, and only when, it has been handled: until then its
/// successors queue up behind it.
#[derive(Debug)]
pub struct Handed<'a, M> {
    inbox: &'a Inbox<M>,
    item: Item<M>,
}

impl<M: Send> Handover<M> {
    /// Inboxes for `workers` workers, numbered from 0. `key` decides which Call-ID belongs to whom.
    pub fn new(workers: usize, key: RandomState) -> Self {
        Self { inboxes: (0..workers).map(|_| Inbox::new(workers)).collect(), key }
    }

    /// Decide who handles a datagram that worker `from` received, and hand it over if that is another.
    ///
    /// Messages without a readable Call-ID stay here. Call it only on the thread of worker `from`: the
    /// order is that of the calls.
    pub fn route(&self, from: usize, datagram: &[u8], metadata: M, under_load: bool) -> Route {
        let others_idle = !under_load && self.inboxes.iter().all(|inbox| inbox.is_done_with(from));
        if others_idle || self.inboxes.len() < 2 {
            return Route::Here;
        }
        let Some(hash) = call_id_hash(datagram, &self.key) else {
            return Route::Here;
        };
        let owner = (hash % self.inboxes.len() as u64) as usize;
        match self.inboxes.get(owner) {
            Some(inbox) if owner != from && (under_load || !inbox.is_done_with(from)) => {
                if inbox.push(from, datagram, metadata) { Route::HandedTo(owner) } else { Route::QueueFull }
            }
            _ => Route::Here,
        }
    }

    /// Wait for the next datagram handed to `worker`. Safe to cancel. One waiter per worker.
    ///
    /// A `worker` that does not exist waits forever.
    pub async fn next(&self, worker: usize) -> Handed<'_, M> {
        loop {
            if let Some(handed) = self.try_next(worker) {
                return handed;
            }
            match self.inboxes.get(worker) {
                Some(inbox) => inbox.arrived.notified().await,
                None => std::future::pending().await,
            }
        }
    }

    /// The next datagram handed to `worker`, if one is waiting.
    pub fn try_next(&self, worker: usize) -> Option<Handed<'_, M>> {
        let inbox = self.inboxes.get(worker)?;
        let item = inbox.lock().waiting.pop_front()?;
        Some(Handed { inbox, item })
    }
}

impl<M> Inbox<M> {
    fn new(workers: usize) -> Self {
        Self {
            queue: Mutex::new(Queue { waiting: VecDeque::new(), spare: Vec::new() }),
            arrived: Notify::new(),
            senders: (0..workers).map(|_| Sender::default()).collect(),
        }
    }

    /// No panic happens under this lock; if one ever did, the queue is still whole.
    fn lock(&self) -> MutexGuard<'_, Queue<M>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True when everything that `from` handed over has been handled, with its effects visible to `from`.
    fn is_done_with(&self, from: usize) -> bool {
        self.senders.get(from).is_none_or(|sender| sender.outstanding.load(Ordering::Acquire) == 0)
    }

    /// False, and nothing is queued, when `from` has too much on its way.
    fn push(&self, from: usize, datagram: &[u8], metadata: M) -> bool {
        let Some(sender) = self.senders.get(from) else {
            return false;
        };
        if !sender.reserve(datagram.len()) {
            return false;
        }
        let was_empty = {
            let mut queue = self.lock();
            let mut bytes = queue.spare.pop().unwrap_or_default();
            bytes.clear();
            bytes.extend_from_slice(datagram);
            queue.waiting.push_back(Item { from, bytes, metadata });
            queue.waiting.len() == 1
        };
        // A reader takes all that is waiting before it waits again, so only the first needs to wake it.
        if was_empty {
            self.arrived.notify_one();
        }
        true
    }

    fn recycle(&self, bytes: Vec<u8>) {
        if bytes.capacity() <= MAX_SPARE_BYTES {
            let mut queue = self.lock();
            if queue.spare.len() < MAX_SPARE {
                queue.spare.push(bytes);
            }
        }
    }
}

impl Sender {
    fn reserve(&self, bytes: usize) -> bool {
        // Only the sending worker adds, so between these loads and the additions the counts can only fall.
        let fits = self.outstanding.load(Ordering::Relaxed) < MAX_OUTSTANDING
            && self.outstanding_bytes.load(Ordering::Relaxed) + bytes <= MAX_OUTSTANDING_BYTES;
        if fits {
            self.outstanding.fetch_add(1, Ordering::Relaxed);
            self.outstanding_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        fits
    }

    fn release(&self, bytes: usize) {
        self.outstanding_bytes.fetch_sub(bytes, Ordering::Relaxed);
        // Release pairs with the Acquire in `is_done_with`: who sees zero also sees what the handling did.
        self.outstanding.fetch_sub(1, Ordering::Release);
    }
}

impl<M> Handed<'_, M> {
    /// The worker that received the datagram.
    pub fn from(&self) -> usize {
        self.item.from
    }

    /// What that worker sent along.
    pub fn metadata(&self) -> &M {
        &self.item.metadata
    }

    /// The datagram.
    pub fn bytes(&self) -> &[u8] {
        &self.item.bytes
    }
}

impl<M> Drop for Handed<'_, M> {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.item.bytes);
        if let Some(sender) = self.inbox.senders.get(self.item.from) {
            sender.release(bytes.len());
        }
        self.inbox.recycle(bytes);
    }
}
