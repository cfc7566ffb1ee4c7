//! Whether a worker is behind, and what it turns away until it has caught up.
//!
//! What counts is how long inputs *stand* in the worker's queues: the least wait of a window, as CoDel (RFC 8289) has
//! it, so that a burst that is worked off is no overload. Two windows in a row above the limit begin it. From then on
//! each window moves one share, the part of the least worthy class that still passes: down in proportion to the
//! delay; up while less than half of the allowed delay stands, quickly to what went well on average, slowly beyond;
//! not at all between the two. Calls that were let in go on to make work, so that what is decided shows late: the
//! average is what keeps the shares from swinging, and with them the worker from idling and drowning in turn.
//!
//! Each worker judges its own queues and sheds its own work; nothing is shared, nothing is locked.

use std::time::Duration;

use crate::config::Overload as Limits;
use crate::count::Count;
use crate::hash::Digest;
use crate::io::Backlog;
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
const LEAST: u32 = WHOLE / 64;
/// What is tried of each class however far the worker is behind. Refusing costs something, too: where even that is more
/// than it can do, a worker that refused all would do nothing else, and the kernel loses what is too much anyway.
const FLOORS: [u32; Class::ALL.len()] = [0, WHOLE / 16, WHOLE / 16, WHOLE / 2];
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
    asked: [u32; Class::ALL.len()],
    passes: [u32; Class::ALL.len()],
    /// Windows above the limit, and calm ones, in a row.
    over: u32,
    calm: u32,
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
            asked: [0; Class::ALL.len()],
            passes: [WHOLE; Class::ALL.len()],
            over: 0,
            calm: 0,
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
        self.advance(limits, now);
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
        self.advance(limits, now);
        if let Some(most) = limits.and_then(|limits| limits.cpu).filter(|most| percent > *most) {
            self.shed_more((f64::from(most) / f64::from(percent)).clamp(LEAST_KEPT, MOST_KEPT));
        }
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

    /// Whether a request that is new goes no further. One that was refused stays so, however often it is repeated: its
    /// sender has its answer.
    pub fn refuses(&mut self, class: Class, id: Digest) -> Option<Count> {
        if let Some(asked) = self.asked.get_mut(class as usize) {
            *asked = asked.saturating_add(1);
        }
        let fits = (id as u32) % WHOLE < self.passes.get(class as usize).copied().unwrap_or(WHOLE);
        let is_new = matches!(class, Class::Stranger | Class::Call);
        let count = match fits {
            _ if is_new && self.is_hopeless() => Count::ShedLate,
            true if !self.was_refused(id) => return None,
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

    /// Close the window that is over, and those that nobody looked at.
    fn advance(&mut self, limits: Option<&Limits>, now: Time) {
        let Some(limits) = limits else {
            *self = Self { age: self.age, ..Self::new(now) };
            return;
        };
        let passed = now.since(self.window).as_micros() / WINDOW.as_micros();
        let missed = u32::try_from(passed).unwrap_or(u32::MAX).min(MOST_MISSED);
        for _ in 0..missed {
            self.close(limits, now);
        }
        if missed > 0 {
            self.window = now;
        }
    }

    fn close(&mut self, limits: &Limits, now: Time) {
        let allowed = limits.delay;
        let seen = self.queues.iter().filter_map(|queue| queue.excess(allowed));
        let seen = seen.filter(|_| self.messages >= FEWEST_MESSAGES);
        let worst = seen.max_by(|one, other| one.ratio().total_cmp(&other.ratio())).unwrap_or(Excess::NONE);
        self.stood = worst.stood;
        self.decide(worst.ratio(), self.is_hot(limits, now));
        self.queues = [Queue::UNSEEN; limits::QUEUES];
        self.asked = [0; Class::ALL.len()];
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
        if ratio > 1.0 {
            self.over = self.over.saturating_add(1);
            self.calm = 0;
            // What was turned away a window ago shows in the queue only now: where it falls it is left to fall.
            if self.over >= PATIENT_WINDOWS && !(self.is_shedding() && falls) {
                self.shed_more((1.0 / ratio).clamp(LEAST_KEPT, MOST_KEPT));
            }
        } else if ratio < 0.5 && !is_hot {
            self.over = 0;
            self.calm = self.calm.saturating_add(1);
            self.let_more_pass(self.average - passed);
        } else {
            self.over = 0;
            self.calm = 0;
        }
    }

    /// The first class that anything comes of yields. What comes is known from the moment on that anything is shed.
    fn shed_more(&mut self, factor: f64) {
        let begins = !self.is_shedding();
        for ((share, asked), floor) in self.passes.iter_mut().zip(self.asked).zip(FLOORS) {
            if *share <= floor {
                continue;
            }
            let part = (f64::from(*share) * factor) as u32;
            let yields = begins || asked > 0;
            *share = if yields && part >= floor.max(LEAST) { part } else { floor };
            if yields {
                return;
            }
        }
    }

    /// The last class that is not whole gets more; `below` is how far all are below what they were on average.
    fn let_more_pass(&mut self, below: f64) {
        let Some(share) = self.passes.iter_mut().rev().find(|share| **share < WHOLE) else { return };
        let own = f64::from(*share);
        let grown = if self.calm >= CALM { own * TRY_MORE } else { (own * TRY).max(below * RETURN) };
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

#[cfg(test)]
mod tests;
