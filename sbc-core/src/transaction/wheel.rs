//! A hierarchical timer wheel: many deadlines, most of which never matter because the transaction ends before.
//!
//! Nothing is ever cancelled: what is scheduled comes out at its time, and its owner sees by its own generation
//! number that it is stale. An item never comes out early, and at most one tick late. A level has 64 slots, each as
//! long as all of the level below; the levels together cover every [`Time`], so no deadline is too far away. Time may
//! jump by any amount: only occupied slots are visited.

use std::mem;

use crate::time::Time;

/// Resolution, in microseconds.
const TICK_MICROS: u64 = 10_000;
/// A level has 2 to this power slots: as many as a `u64` has bits.
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
/// 64^9 ticks are more than `u64::MAX` microseconds.
const LEVELS: usize = 9;
/// The end of a list of entries.
const NIL: usize = usize::MAX;

/// Items that come out at their time. It allocates only to hold more items than ever before; how many there are is
/// limited by the owner's tables.
#[derive(Debug)]
pub struct Wheel<T> {
    /// All ticks up to this one have been emptied into `due`.
    tick: u64,
    levels: [Level; LEVELS],
    /// Time to come out.
    due: List,
    entries: Vec<Entry<T>>,
    /// Unused entries.
    free: List,
    len: usize,
}

#[derive(Clone, Copy, Debug)]
struct Level {
    /// Bit n is set while slot n holds something.
    occupied: u64,
    slots: [List; SLOTS],
}

/// First in, first out, threaded through the entries.
#[derive(Clone, Copy, Debug)]
struct List {
    first: usize,
    last: usize,
}

#[derive(Debug)]
struct Entry<T> {
    tick: u64,
    next: usize,
    item: Option<T>,
}

impl List {
    const EMPTY: Self = Self { first: NIL, last: NIL };
}

impl<T> Wheel<T> {
    /// An empty wheel that stands at `now`.
    pub fn new(now: Time) -> Self {
        Self {
            tick: tick_reached(now),
            levels: [Level { occupied: 0, slots: [List::EMPTY; SLOTS] }; LEVELS],
            due: List::EMPTY,
            entries: Vec::new(),
            free: List::EMPTY,
            len: 0,
        }
    }

    /// Lets `item` come out once `at` is reached; at once when it already is.
    pub fn schedule(&mut self, at: Time, item: T) {
        let entry = Entry { tick: tick_not_before(at), next: NIL, item: Some(item) };
        let index = match self.pop(|wheel| &mut wheel.free) {
            Some(index) => {
                self.entries[index] = entry;
                index
            }
            None => {
                self.entries.push(entry);
                self.entries.len() - 1
            }
        };
        self.place(index);
        self.len += 1;
    }

    /// The earliest time at which anything may come out. It may be too early for what is far away (then
    /// [`pop_due`](Self::pop_due) gives nothing, and this is nearer), never too late.
    pub fn next_deadline(&self) -> Option<Time> {
        if self.due.first != NIL {
            return Some(time_of(self.tick));
        }
        self.next_slot().map(|next| time_of(next.start))
    }

    /// The next item whose time has come: call until `None`. Items of one tick come in the order in which they were
    /// scheduled. `now` never goes back.
    pub fn pop_due(&mut self, now: Time) -> Option<T> {
        loop {
            if let Some(index) = self.pop(|wheel| &mut wheel.due) {
                let item = self.entries[index].item.take();
                self.append(index, |wheel| &mut wheel.free);
                self.len -= 1;
                return item;
            }
            if !self.advance(tick_reached(now)) {
                return None;
            }
        }
    }

    /// How many items are waiting, stale ones included.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when nothing is waiting.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Empties the next occupied slot, into lower levels or into `due`. False when none begins by tick `until`;
    /// then the wheel stands there.
    fn advance(&mut self, until: u64) -> bool {
        let Some(next) = self.next_slot().filter(|next| next.start <= until) else {
            self.tick = self.tick.max(until);
            return false;
        };
        self.tick = next.start;
        let level = &mut self.levels[next.level];
        level.occupied &= !(1 << next.slot);
        let mut index = mem::replace(&mut level.slots[next.slot], List::EMPTY).first;
        while index != NIL {
            let following = self.entries[index].next;
            self.place(index);
            index = following;
        }
        true
    }

    /// Every item of a level is due before any item of the level above, so the first occupied level has it.
    fn next_slot(&self) -> Option<SlotRef> {
        let (level, occupied) = self
            .levels
            .iter()
            .map(|level| level.occupied)
            .enumerate()
            .find(|(_, occupied)| *occupied != 0)?;
        let slot = occupied.trailing_zeros();
        let shift = level_shift(level);
        let above = self.tick >> shift >> SLOT_BITS << SLOT_BITS << shift;
        Some(SlotRef { level, slot: slot as usize, start: above | u64::from(slot) << shift })
    }

    /// Puts an entry where it belongs as seen from the wheel's tick: the level of the highest digit (base 64) in
    /// which its own tick differs. There its slot is ahead of the wheel's, and stays so until it is emptied.
    fn place(&mut self, index: usize) {
        let tick = self.entries[index].tick;
        if tick <= self.tick {
            return self.append(index, |wheel| &mut wheel.due);
        }
        let level = ((tick ^ self.tick).ilog2() / SLOT_BITS) as usize;
        let slot = (tick >> level_shift(level)) as usize % SLOTS;
        self.levels[level].occupied |= 1 << slot;
        self.append(index, |wheel| &mut wheel.levels[level].slots[slot]);
    }

    fn append(&mut self, index: usize, list: impl Fn(&mut Self) -> &mut List) {
        self.entries[index].next = NIL;
        let last = mem::replace(&mut list(self).last, index);
        match self.entries.get_mut(last) {
            Some(last) => last.next = index,
            None => list(self).first = index,
        }
    }

    fn pop(&mut self, list: impl Fn(&mut Self) -> &mut List) -> Option<usize> {
        let index = list(self).first;
        let next = self.entries.get(index)?.next;
        let list = list(self);
        list.first = next;
        if next == NIL {
            list.last = NIL;
        }
        Some(index)
    }
}

/// An occupied slot and the first tick of it.
struct SlotRef {
    level: usize,
    slot: usize,
    start: u64,
}

fn level_shift(level: usize) -> u32 {
    level as u32 * SLOT_BITS
}

/// The last tick that has begun at `now`.
fn tick_reached(now: Time) -> u64 {
    now.as_micros() / TICK_MICROS
}

/// The first tick that does not begin before `at`.
fn tick_not_before(at: Time) -> u64 {
    at.as_micros().div_ceil(TICK_MICROS)
}

fn time_of(tick: u64) -> Time {
    Time::from_micros(tick.saturating_mul(TICK_MICROS))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const HOUR: u64 = 3_600_000;

    fn ms(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    fn drain<T>(wheel: &mut Wheel<T>, now: Time) -> Vec<T> {
        std::iter::from_fn(|| wheel.pop_due(now)).collect()
    }

    /// xorshift64: the same seed gives the same run.
    struct Random(u64);

    impl Random {
        fn below(&mut self, end: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % end
        }

        /// Mostly near, sometimes days away.
        fn gap_micros(&mut self) -> u64 {
            let magnitude = self.below(40);
            self.below(1 << magnitude)
        }
    }

    #[test]
    fn an_empty_wheel_has_no_deadline() {
        let mut wheel = Wheel::<u8>::new(ms(5));
        assert!(wheel.is_empty());
        assert_eq!(wheel.next_deadline(), None);
        assert_eq!(wheel.pop_due(ms(HOUR)), None);
        assert_eq!(wheel.next_deadline(), None);
    }

    #[test]
    fn an_item_comes_out_at_its_time_and_not_earlier() {
        let mut wheel = Wheel::new(ms(0));
        wheel.schedule(ms(500), 'a');
        assert_eq!(wheel.pop_due(Time::from_micros(499_999)), None);
        assert_eq!(wheel.pop_due(ms(500)), Some('a'));
        assert_eq!(wheel.pop_due(ms(500)), None);
        assert!(wheel.is_empty());
    }

    #[test]
    fn an_item_between_two_ticks_waits_for_the_later_one() {
        let mut wheel = Wheel::new(ms(0));
        wheel.schedule(Time::from_micros(10_001), 'a');
        assert_eq!(wheel.next_deadline(), Some(ms(20)));
        assert_eq!(wheel.pop_due(Time::from_micros(19_999)), None);
        assert_eq!(wheel.pop_due(ms(20)), Some('a'));
    }

    #[test]
    fn what_is_already_due_comes_out_at_once() {
        let mut wheel = Wheel::new(ms(1000));
        wheel.schedule(ms(0), 'a');
        wheel.schedule(ms(1000), 'b');
        assert_eq!(wheel.next_deadline(), Some(ms(1000)));
        assert_eq!(drain(&mut wheel, ms(1000)), ['a', 'b']);
    }

    #[test]
    fn items_of_one_tick_keep_their_order_across_levels() {
        let mut wheel = Wheel::new(ms(0));
        wheel.schedule(ms(50_000), 'a');
        wheel.schedule(ms(50_000), 'b');
        assert_eq!(wheel.pop_due(ms(49_990)), None);
        wheel.schedule(ms(50_000), 'c');
        assert_eq!(drain(&mut wheel, ms(50_000)), ['a', 'b', 'c']);
    }

    #[test]
    fn deadlines_beyond_a_day_are_kept_exactly() {
        let mut wheel = Wheel::new(ms(12_345));
        let far = [24 * HOUR + 10, 25 * HOUR, 1000 * HOUR];
        for at in far.iter().rev() {
            wheel.schedule(ms(*at), *at);
        }
        for at in far {
            assert_eq!(wheel.pop_due(ms(at - 1)), None);
            assert_eq!(wheel.pop_due(ms(at)), Some(at));
        }
    }

    #[test]
    fn a_jump_of_hours_brings_everything_in_order() {
        let mut wheel = Wheel::new(ms(0));
        for at in [7 * HOUR, 10, 3 * HOUR, 640, 41_000] {
            wheel.schedule(ms(at), at);
        }
        assert_eq!(drain(&mut wheel, ms(6 * HOUR)), [10, 640, 41_000, 3 * HOUR]);
        assert_eq!(wheel.len(), 1);
    }

    #[test]
    fn never_is_never_reached() {
        let mut wheel = Wheel::new(ms(0));
        wheel.schedule(Time::NEVER, 'n');
        assert_eq!(wheel.pop_due(ms(1_000_000 * HOUR)), None);
        assert_eq!(wheel.pop_due(Time::NEVER), None);
        assert_eq!(wheel.len(), 1);
    }

    #[test]
    fn a_driver_that_sleeps_until_the_deadline_wakes_at_most_once_per_level() {
        let mut wheel = Wheel::new(ms(0));
        wheel.schedule(ms(24 * HOUR), 'a');
        let mut wakes = 0;
        loop {
            wakes += 1;
            let now = wheel.next_deadline().expect("something is waiting");
            if wheel.pop_due(now).is_some() {
                assert_eq!(now, ms(24 * HOUR));
                break;
            }
        }
        assert!(wakes <= LEVELS, "{wakes} wakes");
    }

    #[test]
    fn entries_are_used_again() {
        let mut wheel = Wheel::new(ms(0));
        for round in 1..1000 {
            for item in 0..8 {
                wheel.schedule(ms(round * 100 + item), item);
            }
            assert_eq!(drain(&mut wheel, ms(round * 100 + 10)).len(), 8);
        }
        assert_eq!(wheel.entries.len(), 8);
    }

    /// Compares with a sorted list: the same items at the same tick, in the same order.
    fn agrees_with_a_sorted_list(seed: u64) {
        let mut random = Random(seed);
        let mut now = Time::from_micros(random.gap_micros());
        let mut wheel = Wheel::new(now);
        let mut model = BTreeMap::new();
        for number in 0..2000_u32 {
            for _ in 0..random.below(4) {
                let at = Time::from_micros(now.as_micros() + random.gap_micros());
                let number = number * 4 + random.below(4) as u32;
                wheel.schedule(at, (at, number));
                model.entry(tick_not_before(at).max(wheel.tick)).or_insert_with(Vec::new).push((at, number));
            }
            if let (Some(deadline), Some((tick, _))) = (wheel.next_deadline(), model.first_key_value()) {
                assert!(deadline <= time_of(*tick), "seed {seed}: {deadline:?} is after {tick}");
            }
            now = Time::from_micros(now.as_micros() + random.gap_micros());
            let later = model.split_off(&(tick_reached(now) + 1));
            let expected: Vec<_> = std::mem::replace(&mut model, later).into_values().flatten().collect();
            assert!(expected.iter().all(|(at, _)| *at <= now), "seed {seed}: the model is early");
            assert_eq!(drain(&mut wheel, now), expected, "seed {seed} at {now:?}");
            assert_eq!(wheel.len(), model.values().map(Vec::len).sum::<usize>(), "seed {seed}");
        }
    }

    #[test]
    fn random_schedules_agree_with_a_sorted_list() {
        for seed in 1..=50 {
            agrees_with_a_sorted_list(seed);
        }
    }
}
