//! Whether a worker is behind, and what it turns away until it has caught up.
//!
//! What counts is how long inputs *stand* in the worker's queues: the least wait of a window, as CoDel (RFC 8289) has
//! it, so that a burst that is worked off is no overload. Two windows in a row above the limit begin it. From then on
//! each window moves one share, the part of the least worthy class that still passes: down in proportion to the
//! delay; up while less than half of the allowed delay stands, quickly to what went well on average, slowly beyond;
//! not at all between the two. Calls that were let in go on to make work, so that what is decided shows late: the
//! average is what keeps the shares from swinging, and with them the worker from idling and drowning in turn.
//!
//! Where the driver can have datagrams dropped unread it is told how many ([`Overload::sieve`]); the shares are always
//! parts of what was sent, read or not.
//!
//! Each worker judges its own queues and sheds its own work; nothing is shared, nothing is locked.

use std::time::Duration;

use crate::config::Overload as Limits;
use crate::count::Count;
use crate::hash::Digest;
use crate::io::{Backlog, Sieve};
use crate::limits;
use crate::time::Time;

/// Requests in the order in which they are turned away. ACK, BYE, CANCEL and responses are in no class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Whatever begins something, of a source that the pool has accepted nothing from.
    Stranger,
    /// What begins a call or brings a message.
    Call,
    /// What begins anything else that stays: registrations, subscriptions, and the probes of peers.
    Registration,
    /// Requests inside a dialog that do not end it.
    Dialog,
}

impl Class {
    /// All of them, the first to go first.
    pub const ALL: [Self; 4] = [Self::Stranger, Self::Call, Self::Registration, Self::Dialog];

    /// As metrics call it.
    pub const fn as_str(self) -> &'static str {
        self.count().reason()
    }

    /// What its refusals are counted as.
    pub const fn count(self) -> Count {
        match self {
            Self::Stranger => Count::ShedStranger,
            Self::Call => Count::ShedCall,
            Self::Registration => Count::ShedRegistration,
            Self::Dialog => Count::ShedDialog,
        }
    }
}

/// The whole of a class; shares are parts of it.
pub const WHOLE: u32 = 1 << 16;
/// A share below this is nothing, or its floor, and the next class begins to yield.
const LEAST: u32 = WHOLE / 256;
type Shares = [u32; Class::ALL.len()];
/// What is tried of each class however far the worker is behind. Refusing costs something, too: where even that is more
/// than it can do, a worker that refused all would do nothing else, and the kernel loses what is too much anyway.
const FLOORS: Shares = [0, WHOLE / 16, WHOLE / 16, WHOLE / 2];
/// The same where nobody reads what is too much.
const UNREAD_FLOORS: Shares = [0, WHOLE / 256, WHOLE / 64, WHOLE / 2];
/// How long the waits of one window are looked at.
const WINDOW: Duration = Duration::from_millis(100);
/// So many windows above the limit begin the shedding.
const PATIENT_WINDOWS: u32 = 2;
/// A window with fewer messages says nothing: a worker that is not let work has no use for shedding.
const FEWEST_MESSAGES: u32 = 8;
/// What is left of a share by one step, at least and at most.
const LEAST_KEPT: f64 = 0.5;
const MOST_KEPT: f64 = 0.9;
/// The part of a window in the average, and of the way back to it that one window makes.
const REMEMBER: f64 = 0.1;
const RETURN: f64 = 0.6;
/// What a share grows by, of itself, where nobody knows what more it takes.
const TRY: f64 = 1.0 / 64.0;
/// The same once so many windows, one after the other, were calm: the load is gone.
const TRY_MORE: f64 = 0.5;
const CALM: u32 = 20;
/// What it grows by once no more comes than was let in before, and after how many such windows.
const TRY_MOST: f64 = 1.0;
const GONE: u32 = 3;
/// The part of a window in the average of what a class was let in.
const REMEMBER_CLASS: f64 = 0.3;
/// Windows without any news that are made up for; after so many everything passes again.
const MOST_MISSED: u32 = 100;
/// How long the driver's word about its processor counts.
const BUSY_COUNTS: Duration = Duration::from_secs(3);
/// Requests that were refused and stay so when they are repeated.
const REMEMBERED: usize = 4096;

/// What stood in one queue during a window.
#[derive(Debug, Clone, Copy)]
struct Queue {
    least: Duration,
    taken: u32,
    room: u32,
}

impl Queue {
    const UNSEEN: Self = Self { least: Duration::MAX, taken: 0, room: u32::MAX };

    /// How long the queue stood, as a part of what is allowed; `None`: nobody looked.
    fn excess(&self, allowed: Duration) -> Option<Excess> {
        (self.taken > 0).then(|| Excess { stood: self.least, allowed: allowed.min(self.half_full()) })
    }

    /// The wait in this queue when half of its room is taken. Above that the kernel soon drops what comes.
    fn half_full(&self) -> Duration {
        WINDOW.saturating_mul(self.room) / self.taken.max(1) / 2
    }
}

#[derive(Debug, Clone, Copy)]
struct Excess {
    stood: Duration,
    allowed: Duration,
}

impl Excess {
    const NONE: Self = Self { stood: Duration::ZERO, allowed: Duration::MAX };

    fn ratio(self) -> f64 {
        self.stood.as_secs_f64() / self.allowed.as_secs_f64().max(1e-6)
    }
}

/// What one worker knows of its own load.
pub struct Overload {
    window: Time,
    queues: [Queue; limits::QUEUES],
    messages: u32,
    /// What came of each class in this window, read or not, and what of it was let in.
    offered: [f64; Class::ALL.len()],
    let_in: [f64; Class::ALL.len()],
    /// What was let in of each class in a window, on average, while more came.
    managed: [f64; Class::ALL.len()],
    passes: Shares,
    /// Whether the driver can have datagrams dropped unread, and what it shall let pass.
    sifts: bool,
    sieve: Sieve,
    /// Windows above the limit, calm ones, and calm ones in which little came, in a row.
    over: u32,
    calm: u32,
    gone: u32,
    last: f64,
    /// What passed of all classes together, on average.
    average: f64,
    stood: Duration,
    busy: (u8, Time),
    /// How old what is worked on now was when it was taken from its queue, and how many messages that is true of.
    age: (Duration, u32),
    refused: Vec<u64>,
}

impl Overload {
    /// Nothing is behind.
    pub fn new(now: Time) -> Self {
        Self {
            window: now,
            queues: [Queue::UNSEEN; limits::QUEUES],
            messages: 0,
            offered: [0.0; Class::ALL.len()],
            let_in: [0.0; Class::ALL.len()],
            managed: [0.0; Class::ALL.len()],
            passes: [WHOLE; Class::ALL.len()],
            sifts: false,
            sieve: Sieve { calls: WHOLE, others: WHOLE },
            over: 0,
            calm: 0,
            gone: 0,
            last: 0.0,
            average: f64::from(WHOLE) * Class::ALL.len() as f64,
            stood: Duration::ZERO,
            busy: (0, now),
            age: (Duration::ZERO, 0),
            refused: Vec::new(),
        }
    }

    /// The driver takes messages from a queue.
    pub fn taken(&mut self, limits: Option<&Limits>, backlog: &Backlog, now: Time) {
        self.advance(limits, now, backlog.waited);
        self.age = (backlog.waited, backlog.messages);
        let last = self.queues.len() - 1;
        if let Some(queue) = self.queues.get_mut(usize::from(backlog.queue).min(last)) {
            queue.least = queue.least.min(backlog.waited);
            queue.taken = queue.taken.saturating_add(backlog.messages);
            queue.room = queue.room.min(backlog.room);
        }
    }

    /// The driver says how busy its processor is, in percent: once a second, so that one step is made for it.
    pub fn busy(&mut self, limits: Option<&Limits>, percent: u8, now: Time) {
        self.busy = (percent, now);
        self.advance(limits, now, Duration::ZERO);
        if let Some(most) = limits.and_then(|limits| limits.cpu).filter(|most| percent > *most) {
            self.shed_more((f64::from(most) / f64::from(percent)).clamp(LEAST_KEPT, MOST_KEPT));
            self.sift();
        }
    }

    /// Whether the driver can have datagrams dropped before it reads them; not, if it does not say.
    pub fn set_sifts(&mut self, sifts: bool) {
        self.sifts = sifts;
        self.sift();
    }

    /// What shall pass of datagrams that nobody has read.
    pub fn sieve(&self) -> Sieve {
        self.sieve
    }

    /// A message is at work.
    pub fn count_message(&mut self) {
        self.messages = self.messages.saturating_add(1);
        match &mut self.age {
            (_, left @ 1..) => *left -= 1,
            over => *over = (Duration::ZERO, 0),
        }
    }

    /// True while anything is turned away.
    pub fn is_shedding(&self) -> bool {
        self.passes.iter().any(|share| *share < WHOLE)
    }

    /// Whether the sender of what is worked on has given up by now.
    pub fn is_hopeless(&self) -> bool {
        self.age.0 > limits::CALLER_PATIENCE
    }

    /// Whether a request that is new goes no further; it is one of so many, of [`WHOLE`], that are read at all. One that
    /// was refused stays so, however often it is repeated: its sender has its answer.
    pub fn refuses(&mut self, class: Class, id: Digest, read: u32) -> Option<Count> {
        let read = u64::from(read.clamp(1, WHOLE));
        if let Some(offered) = self.offered.get_mut(class as usize) {
            *offered += f64::from(WHOLE) / read as f64;
        }
        let passes = u64::from(self.passes(class)) * u64::from(WHOLE) / read;
        let fits = u64::from(id as u32 % WHOLE) < passes;
        let is_new = matches!(class, Class::Stranger | Class::Call);
        let count = match fits {
            _ if is_new && self.is_hopeless() => Count::ShedLate,
            true if !self.was_refused(id) => {
                if let Some(let_in) = self.let_in.get_mut(class as usize) {
                    *let_in += 1.0;
                }
                return None;
            }
            _ => class.count(),
        };
        self.remember(id);
        Some(count)
    }

    fn was_refused(&self, id: Digest) -> bool {
        self.refused.get(slot_of(id)).is_some_and(|known| *known == name_of(id))
    }

    fn remember(&mut self, id: Digest) {
        // Most workers never refuse anything, and need no memory for it.
        self.refused.resize(REMEMBERED, 0);
        if let Some(slot) = self.refused.get_mut(slot_of(id)) {
            *slot = name_of(id);
        }
    }

    /// The part of a class that passes, of [`WHOLE`].
    pub fn passes(&self, class: Class) -> u32 {
        self.passes.get(class as usize).copied().unwrap_or(WHOLE)
    }

    /// How long inputs stood in the worst queue during the last window.
    pub fn stood(&self) -> Duration {
        self.stood
    }

    /// Close the window that is over, and those in which nothing came. While something waited nobody looked: that says
    /// nothing.
    fn advance(&mut self, limits: Option<&Limits>, now: Time, waited: Duration) {
        let Some(limits) = limits else {
            *self = Self { age: self.age, sifts: self.sifts, ..Self::new(now) };
            return;
        };
        let windows =
            |time: Duration| u32::try_from(time.as_micros() / WINDOW.as_micros()).unwrap_or(u32::MAX);
        let passed = windows(now.since(self.window));
        if passed == 0 {
            return;
        }
        let looked = self.queues.iter().any(|queue| queue.taken > 0);
        let quiet = passed.saturating_sub(windows(waited)).min(MOST_MISSED);
        for _ in 0..quiet.max(looked.into()) {
            self.close(limits, now);
        }
        self.window = now;
        self.sift();
    }

    fn sift(&mut self) {
        let [_, calls, others, _] = if self.sifts { self.passes } else { [WHOLE; Class::ALL.len()] };
        self.sieve.calls = sieve::follow(self.sieve.calls, calls);
        self.sieve.others = sieve::follow(self.sieve.others, others);
    }

    fn close(&mut self, limits: &Limits, now: Time) {
        let allowed = limits.delay;
        let seen = self.queues.iter().filter_map(|queue| queue.excess(allowed));
        let seen = seen.filter(|_| self.messages >= FEWEST_MESSAGES);
        let worst = seen.max_by(|one, other| one.ratio().total_cmp(&other.ratio())).unwrap_or(Excess::NONE);
        self.stood = worst.stood;
        self.decide(worst.ratio(), self.is_hot(limits, now));
        self.queues = [Queue::UNSEEN; limits::QUEUES];
        self.offered = [0.0; Class::ALL.len()];
        self.let_in = [0.0; Class::ALL.len()];
        self.messages = 0;
    }

    /// Close to its limit the processor is where it shall stay: nothing more passes then.
    fn is_hot(&self, limits: &Limits, now: Time) -> bool {
        let (percent, since) = self.busy;
        let near = |most: u8| u32::from(percent) * 10 > u32::from(most) * 9;
        now.since(since) < BUSY_COUNTS && limits.cpu.is_some_and(near)
    }

    /// One step; `ratio` is what stood, as a part of what is allowed.
    fn decide(&mut self, ratio: f64, is_hot: bool) {
        let falls = ratio < self.last * 0.95;
        self.last = ratio;
        let passed: f64 = self.passes.iter().map(|share| f64::from(*share)).sum();
        self.average += (passed - self.average) * if self.is_shedding() { REMEMBER } else { 1.0 };
        self.remember_let_in();
        if ratio > 1.0 {
            self.over = self.over.saturating_add(1);
            (self.calm, self.gone) = (0, 0);
            // What was turned away a window ago shows in the queue only now: where it falls it is left to fall.
            if self.over >= PATIENT_WINDOWS && !(self.is_shedding() && falls) {
                self.shed_more((1.0 / ratio).clamp(LEAST_KEPT, MOST_KEPT));
            }
        } else if ratio < 0.5 && !is_hot {
            self.over = 0;
            self.calm = self.calm.saturating_add(1);
            self.let_more_pass(self.average - passed);
        } else {
            (self.over, self.calm, self.gone) = (0, 0, 0);
        }
    }

    /// What a class was let in while there was more of it is what the worker can do of it.
    fn remember_let_in(&mut self) {
        let windows = self.offered.iter().zip(self.let_in).zip(self.passes);
        for (managed, ((offered, let_in), share)) in self.managed.iter_mut().zip(windows) {
            if share == WHOLE {
                *managed = let_in;
            } else if *offered > *managed {
                *managed += (let_in - *managed) * REMEMBER_CLASS;
            }
        }
    }

    /// The first class that anything comes of yields. What comes is known from the moment on that anything is shed.
    fn shed_more(&mut self, factor: f64) {
        let begins = !self.is_shedding();
        let floors = if self.sifts { UNREAD_FLOORS } else { FLOORS };
        for ((share, offered), floor) in self.passes.iter_mut().zip(self.offered).zip(floors) {
            if *share <= floor {
                continue;
            }
            let part = (f64::from(*share) * factor) as u32;
            let yields = begins || offered > 0.0;
            *share = if yields && part >= floor.max(LEAST) { part } else { floor };
            if yields {
                return;
            }
        }
    }

    /// The last class that is not whole gets more; `below` is how far all are below what they were on average.
    fn let_more_pass(&mut self, below: f64) {
        let classes = self.passes.iter_mut().zip(self.offered).zip(self.managed);
        let Some(((share, offered), managed)) = classes.rev().find(|((share, _), _)| **share < WHOLE) else {
            return;
        };
        self.gone = if offered <= managed { self.gone.saturating_add(1) } else { 0 };
        let own = f64::from(*share);
        let grown = match (self.gone, self.calm) {
            (GONE.., _) => own * TRY_MOST,
            (_, CALM..) => own * TRY_MORE,
            _ => (own * TRY).max(below * RETURN),
        };
        *share = ((own + grown) as u32).clamp(LEAST, WHOLE);
    }
}

const fn slot_of(id: Digest) -> usize {
    (id >> 64) as usize % REMEMBERED
}

/// Zero stands for nobody.
const fn name_of(id: Digest) -> u64 {
    (id >> 32) as u64 | 1
}

mod sieve;
#[cfg(test)]
mod tests;
