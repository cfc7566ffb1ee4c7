//! A worker that is told, window by window, how long its queues stand.

use super::*;

const LIMITS: Limits = Limits { delay: Duration::from_millis(50), cpu: None };

/// A worker that is told the same of every window.
struct Load {
    overload: Overload,
    now: Time,
}

impl Load {
    fn new() -> Self {
        Self { overload: Overload::new(Time::ZERO), now: Time::ZERO }
    }

    /// Windows in which a batch waited so long; some of each class come.
    fn windows(&mut self, windows: u32, millis: u64, room: u32) {
        for _ in 0..windows {
            let waited = Duration::from_millis(millis);
            let backlog = Backlog { queue: 2, waited, messages: 100, room };
            self.overload.taken(Some(&LIMITS), &backlog, self.now);
            for id in 0..100 {
                self.overload.count_message();
                let _ = Class::ALL.map(|class| self.overload.refuses(class, id, WHOLE));
            }
            self.now += WINDOW;
        }
        self.overload.busy(Some(&LIMITS), 100, self.now);
    }

    fn passes(&self) -> [u32; 4] {
        Class::ALL.map(|class| self.overload.passes(class))
    }
}

#[test]
fn one_window_above_the_limit_is_no_overload() {
    let mut load = Load::new();
    for _ in 0..20 {
        load.windows(1, 400, u32::MAX);
        load.windows(1, 1, u32::MAX);
    }
    assert_eq!(load.passes(), [WHOLE; 4]);
}

#[test]
fn classes_yield_one_after_the_other() {
    let mut load = Load::new();
    let mut seen = Vec::new();
    for _ in 0..60 {
        load.windows(1, 100, u32::MAX);
        let passes = load.passes();
        let yielding = passes.iter().filter(|share| (1..WHOLE).contains(*share));
        let yielding = yielding.filter(|share| !FLOORS.contains(share)).count();
        assert!(yielding <= 1, "{passes:?}");
        let next = passes.iter().position(|share| *share == WHOLE).unwrap_or(4);
        assert!(passes.iter().skip(next).all(|share| *share == WHOLE), "{passes:?}");
        seen.push(passes);
    }
    // Something of everything but strangers is tried all the same.
    assert_eq!(seen.last(), Some(&FLOORS));
}

#[test]
fn between_half_of_the_limit_and_the_limit_nothing_moves() {
    let mut load = Load::new();
    load.windows(5, 100, u32::MAX);
    let passes = load.passes();
    assert!(passes[0] < WHOLE);
    load.windows(50, 40, u32::MAX);
    assert_eq!(load.passes(), passes);
}

#[test]
fn everything_passes_again_seconds_after_the_load_has_gone_even_if_nothing_comes() {
    let mut load = Load::new();
    load.windows(60, 200, u32::MAX);
    load.windows(90, 0, u32::MAX);
    assert_eq!(load.passes(), [WHOLE; 4]);
    load.windows(60, 200, u32::MAX);
    load.now += Duration::from_secs(10);
    load.overload.busy(Some(&LIMITS), 0, load.now);
    assert_eq!(load.passes(), [WHOLE; 4]);
}

#[test]
fn a_queue_that_stands_half_full_is_overload_however_short_it_is() {
    let mut load = Load::new();
    // 100 in a window of 100 ms, and room for 10: it is full after 10 ms.
    load.windows(10, 6, 10);
    assert!(load.overload.is_shedding());
    let mut load = Load::new();
    load.windows(10, 6, 100);
    assert!(!load.overload.is_shedding());
}

#[test]
fn a_processor_above_its_limit_sheds_until_it_is_below() {
    let limits = Limits { cpu: Some(80), ..LIMITS };
    let mut overload = Overload::new(Time::ZERO);
    let mut now = Time::ZERO;
    for (percent, sheds) in [(70, false), (95, true), (78, true), (20, false)] {
        now += Duration::from_secs(1);
        overload.busy(Some(&limits), percent, now);
        assert_eq!(overload.is_shedding(), sheds, "{percent}");
    }
}

#[test]
fn what_was_refused_stays_refused() {
    let mut load = Load::new();
    load.windows(20, 100, u32::MAX);
    let id = 0xABCD_0000_1234_5678_9ABC_DEF0_0000_FFFF;
    assert_eq!(load.overload.refuses(Class::Stranger, id, WHOLE), Some(Count::ShedStranger));
    load.overload.passes = [WHOLE, WHOLE, WHOLE, WHOLE - 1];
    assert_eq!(load.overload.refuses(Class::Stranger, id, WHOLE), Some(Count::ShedStranger));
    assert_eq!(load.overload.refuses(Class::Stranger, id + (1 << 40), WHOLE), None);
}

#[test]
fn a_call_that_waited_longer_than_any_caller_is_refused_and_a_registration_is_not() {
    let mut overload = Overload::new(Time::ZERO);
    let waited = limits::CALLER_PATIENCE + Duration::from_millis(1);
    let backlog = Backlog { queue: 0, waited, messages: 2, room: 1 };
    overload.taken(Some(&LIMITS), &backlog, Time::ZERO);
    overload.count_message();
    assert_eq!(overload.refuses(Class::Call, 1 << 40, WHOLE), Some(Count::ShedLate));
    overload.count_message();
    assert_eq!(overload.refuses(Class::Registration, 2 << 40, WHOLE), None);
    overload.count_message();
    assert!(!overload.is_hopeless(), "the next message is of another queue");
}

#[test]
fn without_limits_nothing_is_ever_refused() {
    let mut load = Load::new();
    load.windows(20, 300, u32::MAX);
    assert!(load.overload.is_shedding());
    load.overload.taken(None, &Backlog { queue: 0, waited: WINDOW, messages: 9, room: 1 }, load.now);
    assert!(!load.overload.is_shedding());
}

#[test]
fn what_is_not_let_in_is_not_read_where_the_driver_can_have_it_so() {
    let mut load = Load::new();
    load.windows(20, 100, u32::MAX);
    let open = Sieve { calls: WHOLE, others: WHOLE };
    assert_eq!(load.overload.sieve(), open, "nobody said that it can");
    load.overload.set_sifts(true);
    let Sieve { calls, .. } = load.overload.sieve();
    let let_in = load.overload.passes(Class::Call);
    assert!(let_in < WHOLE / 2 && calls > let_in && calls < let_in * 5 / 4, "{let_in}, {calls}");
    load.windows(60, 100, u32::MAX);
    assert_eq!(load.passes(), UNREAD_FLOORS);
    load.overload.set_sifts(false);
    assert_eq!(load.overload.sieve(), open);
    load.overload.set_sifts(true);
    load.overload.taken(None, &Backlog { queue: 0, waited: WINDOW, messages: 9, room: 1 }, load.now);
    assert_eq!(load.overload.sieve(), open);
}

#[test]
fn of_what_is_read_the_part_is_refused_that_the_sieve_left() {
    let mut overload = Overload::new(Time::ZERO);
    overload.passes = [0, WHOLE / 10, WHOLE, WHOLE];
    let refused = |overload: &mut Overload, read: u32| {
        let ids = (0..10_000_u128).map(|number| (number << 64) | (number * 2_654_435_761 % (1 << 32)));
        ids.filter(|id| overload.refuses(Class::Call, *id, read).is_some()).count()
    };
    assert!((8_900..=9_100).contains(&refused(&mut overload, WHOLE)));
    overload.refused.clear();
    assert!((4_900..=5_100).contains(&refused(&mut overload, WHOLE / 5)));
    overload.refused.clear();
    assert_eq!(refused(&mut overload, WHOLE / 10), 0);
}

#[test]
fn a_stall_is_no_sign_that_the_load_has_gone() {
    let mut load = Load::new();
    load.windows(30, 100, u32::MAX);
    let before = load.passes();
    // Nothing was looked at for a second, and what is taken then has waited for as long.
    load.now += Duration::from_secs(1);
    let backlog = Backlog { queue: 2, waited: Duration::from_secs(1), messages: 100, room: u32::MAX };
    load.overload.taken(Some(&LIMITS), &backlog, load.now);
    assert!(load.passes() <= before, "{:?}, before {before:?}", load.passes());
}

#[test]
fn once_less_comes_than_was_let_in_everything_passes_within_two_seconds() {
    let mut overload = Overload::new(Time::ZERO);
    let mut now = Time::ZERO;
    // A tenth of the thousand calls of a window is what stands for 45 ms.
    let window = |overload: &mut Overload, now: &mut Time, calls: u32| {
        let read = overload.sieve().calls;
        let let_in = calls * (overload.passes(Class::Call) / 64) / (WHOLE / 64);
        let millis = if let_in > 100 { 100 } else { u64::from(let_in) * 45 / 100 };
        let waited = Duration::from_millis(millis);
        overload.taken(Some(&LIMITS), &Backlog { queue: 2, waited, messages: 100, room: u32::MAX }, *now);
        for number in 0..calls * (read / 64) / (WHOLE / 64) {
            overload.count_message();
            let id = u128::from(number) << 64 | u128::from(number.wrapping_mul(2_654_435_761));
            overload.refused.clear();
            let _ = overload.refuses(Class::Call, id, read);
        }
        *now += WINDOW;
    };
    overload.set_sifts(true);
    for _ in 0..100 {
        window(&mut overload, &mut now, 1000);
    }
    let passes = overload.passes(Class::Call);
    assert!((WHOLE / 20..WHOLE / 5).contains(&passes), "{passes}");
    for _ in 0..20 {
        window(&mut overload, &mut now, 20);
    }
    assert!(!overload.is_shedding(), "{}", overload.passes(Class::Call));
    assert_eq!(overload.sieve(), Sieve { calls: WHOLE, others: WHOLE });
}
