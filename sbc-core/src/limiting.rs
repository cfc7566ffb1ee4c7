//! Limits of calls, of rules (`limit`), of users and of sources: calls counted from the INVITE to the end of the dialog,
//! rates by GCRA.
//!
//! A gate belongs to the name of its rule, so that it keeps its count when rules are loaded anew. A [`Permit`] is one
//! call that passed; whoever holds it (the transaction, then the dialog's record) frees the place by dropping it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use routing_rules::Limit;

use crate::hash::{Digest, KeyedHash};
use crate::limits;
use crate::lock::Lock;
use crate::rate::{Due, Rate};
use crate::table::DigestMap;
use crate::time::Time;

/// All gates, by the names of their rules.
#[derive(Default)]
pub struct Gates {
    by_rule: Table,
}

/// The calls of users and of sources.
#[derive(Default)]
pub struct Callers {
    by_caller: Table,
}

/// What one caller may do; `None`: as much as it likes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allowance {
    /// Calls at once.
    pub calls: Option<u32>,
    /// Calls that begin.
    pub rate: Option<Rate>,
}

impl Callers {
    /// Let one more call of a caller pass; nothing is counted of whoever may do as he likes.
    ///
    /// # Errors
    /// What it would pass of its allowance; then nothing is counted either.
    pub fn pass(&self, caller: Digest, allowance: &Allowance, now: Time) -> Result<Option<Permit>, Over> {
        if *allowance == Allowance::default() {
            return Ok(None);
        }
        let gate = self.by_caller.gate(caller, now);
        let mut permit = match allowance.calls {
            Some(most) => gate.take_place(most).ok_or(Over::Calls)?,
            None => Permit { gate, has_place: false, counted: None },
        };
        if let Some(rate) = allowance.rate {
            let due = permit.gate.count(&rate, now)?;
            permit.counted = Some(Counted { rate, due });
        }
        Ok(Some(permit))
    }
}

/// Gates by what they belong to. Those where nobody holds a place and no rate is owed are forgotten when there are too many.
#[derive(Default)]
struct Table {
    gates: DigestMap<Arc<Gate>>,
    /// So many are too many; looking at all of them is for each time that their number has doubled.
    crowd: AtomicUsize,
    /// Of whoever comes when there can be no more.
    shared: Arc<Gate>,
    /// Not before this they are looked at again, in microseconds.
    next_look: AtomicU64,
}

impl Table {
    fn gate(&self, key: Digest, now: Time) -> Arc<Gate> {
        if let Some(known) = self.gates.get(&key) {
            return Arc::clone(&known);
        }
        let crowd = self.crowd.load(Ordering::Relaxed).clamp(limits::GATES, limits::CALLERS);
        if self.gates.len() >= crowd && !self.make_room(now) {
            return Arc::clone(&self.shared);
        }
        Arc::clone(&self.gates.entry(key).or_default())
    }

    /// False: there is none.
    fn make_room(&self, now: Time) -> bool {
        if now.as_micros() < self.next_look.load(Ordering::Relaxed) {
            return self.gates.len() < limits::CALLERS;
        }
        self.gates.retain(|_, gate| Arc::strong_count(gate) > 1 || !gate.due.lock().is_past(now));
        let left = self.gates.len();
        self.crowd.store(2 * left, Ordering::Relaxed);
        if left >= limits::CALLERS {
            self.next_look.store((now + limits::CALLERS_LOOK).as_micros(), Ordering::Relaxed);
        }
        left < limits::CALLERS
    }
}

/// What one rule has let through, or one caller has begun.
#[derive(Debug, Default)]
struct Gate {
    calls: AtomicU32,
    due: Lock<Due>,
}

/// A call that passed a gate: its place, if places are counted, is free again once this is dropped.
pub struct Permit {
    gate: Arc<Gate>,
    has_place: bool,
    /// How it was counted for its caller's rate.
    counted: Option<Counted>,
}

struct Counted {
    rate: Rate,
    due: Due,
}

impl Permit {
    /// It came to no call: uncount it for its caller's rate.
    pub fn give_back(&mut self, now: Time) {
        if let Some(Counted { rate, due }) = self.counted.take() {
            rate.give_back(&mut self.gate.due.lock(), due, now);
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permit")
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.has_place {
            self.gate.calls.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Why a request does not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// There are as many calls as there may be.
    Calls,
    /// Requests come too fast.
    Rate {
        /// The next would pass after this.
        wait: Duration,
    },
}

impl Gates {
    /// Let one request of a rule pass; a call takes a place, if places are counted.
    ///
    /// # Errors
    /// The limit that it would pass.
    pub fn pass(
        &self,
        hash: &KeyedHash,
        rule: &str,
        limit: &Limit,
        is_call: bool,
        now: Time,
    ) -> Result<Option<Permit>, Over> {
        let gate = self.by_rule.gate(key_of(hash, rule), now);
        let permit = match limit.calls.filter(|_| is_call) {
            Some(most) => Some(gate.take_place(most).ok_or(Over::Calls)?),
            None => None,
        };
        if let Some(asked) = &limit.rate {
            let time = Duration::from_secs(u64::from(asked.seconds));
            gate.count(&Rate::new(asked.count, time, asked.burst), now)?;
        }
        Ok(permit)
    }

    /// Calls that hold a place of the rule.
    pub fn calls(&self, hash: &KeyedHash, rule: &str) -> u32 {
        let gate = self.by_rule.gates.get(&key_of(hash, rule));
        gate.map_or(0, |gate| gate.calls.load(Ordering::Relaxed))
    }
}

fn key_of(hash: &KeyedHash, rule: &str) -> Digest {
    hash.of(&[b"gate", rule.as_bytes()])
}

impl Gate {
    fn take_place(self: &Arc<Self>, most: u32) -> Option<Permit> {
        let more = |calls: u32| (calls < most).then_some(calls + 1);
        let taken = self.calls.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.is_ok().then(|| Permit { gate: Arc::clone(self), has_place: true, counted: None })
    }

    /// Count one more request if it is within the rate: what is owed then.
    fn count(&self, rate: &Rate, now: Time) -> Result<Due, Over> {
        // Whoever panicked with it has left a time that is as good as any.
        let mut due = self.due.lock();
        if rate.take(&mut due, now, 1) { Ok(*due) } else { Err(Over::Rate { wait: rate.wait(*due, now) }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use routing_rules::Rate as Asked;

    fn limit(calls: Option<u32>, rate: Option<Asked>) -> Limit {
        Limit { calls, rate, status: 503, retry_after: None }
    }

    fn hash() -> KeyedHash {
        KeyedHash::new([3; 16])
    }

    #[test]
    fn a_place_is_free_once_its_permit_is_gone() {
        let (gates, hash) = (Gates::default(), hash());
        let two = limit(Some(2), None);
        let pass = |rule: &str| gates.pass(&hash, rule, &two, true, Time::ZERO);
        let first = pass("a").unwrap();
        let _second = pass("a").unwrap();
        assert_eq!(pass("a").unwrap_err(), Over::Calls);
        assert!(pass("b").is_ok(), "another rule has places of its own");
        assert!(gates.pass(&hash, "a", &two, false, Time::ZERO).unwrap().is_none(), "no call, no place");
        drop(first);
        assert_eq!(gates.calls(&hash, "a"), 1);
        assert!(pass("a").is_ok());
    }

    #[test]
    fn a_rate_lets_its_burst_through_and_then_one_for_each_interval() {
        let (gates, hash) = (Gates::default(), hash());
        let ten = limit(None, Some(Asked { count: 10, seconds: 1, burst: 3 }));
        let passed = |millis: u64| gates.pass(&hash, "a", &ten, true, Time::from_millis(millis)).is_ok();
        let at_once = (0..10).filter(|_| passed(1000)).count();
        assert_eq!(at_once, 3);
        assert!(!passed(1099));
        assert!(passed(1100));
        assert!(!passed(1100));
        let in_ten_seconds = (1101..11_101).filter(|millis| passed(*millis)).count();
        assert_eq!(in_ten_seconds, 100);
    }

    #[test]
    fn a_call_over_the_rate_takes_no_place() {
        let (gates, hash) = (Gates::default(), hash());
        let both = limit(Some(5), Some(Asked { count: 1, seconds: 1, burst: 1 }));
        let kept = gates.pass(&hash, "a", &both, true, Time::ZERO).unwrap();
        let over = gates.pass(&hash, "a", &both, true, Time::ZERO).unwrap_err();
        assert_eq!(over, Over::Rate { wait: Duration::from_secs(1) });
        assert_eq!(gates.calls(&hash, "a"), 1);
        drop(kept);
        assert_eq!(gates.calls(&hash, "a"), 0);
    }

    #[test]
    fn a_caller_has_places_of_its_own_and_is_forgotten_without_a_call() {
        let callers = Callers::default();
        let one = Allowance { calls: Some(1), rate: None };
        let call = |caller| callers.pass(caller, &one, Time::ZERO);
        let first = call(1).unwrap();
        assert_eq!(call(1).unwrap_err(), Over::Calls);
        for other in 2..5 * limits::GATES as u128 {
            assert!(call(other).unwrap().is_some());
        }
        assert!(callers.by_caller.gates.len() <= 2 * limits::GATES);
        assert_eq!(call(1).unwrap_err(), Over::Calls, "its call is still up");
        drop(first);
        assert!(call(1).is_ok());
    }

    fn two_a_second(calls: Option<u32>) -> Allowance {
        Allowance { calls, rate: Some(Rate::per_second(2, 4)) }
    }

    #[test]
    fn a_caller_begins_its_burst_of_calls_and_then_its_rate() {
        let (callers, two) = (Callers::default(), two_a_second(None));
        let begun = |caller, from: u64, to: u64| {
            (from..to).filter(|at| callers.pass(caller, &two, Time::from_millis(*at)).is_ok()).count()
        };
        assert_eq!(begun(1, 0, 20), 4);
        assert_eq!(begun(2, 10, 30), 4, "another caller has a rate of its own");
        assert_eq!(begun(1, 20, 10_000), 19);
        assert!(callers.pass(1, &Allowance::default(), Time::ZERO).unwrap().is_none());
    }

    #[test]
    fn what_passes_one_half_of_an_allowance_only_is_not_counted() {
        let (callers, both) = (Callers::default(), two_a_second(Some(3)));
        let call = || callers.pass(1, &both, Time::ZERO);
        let up = [call().unwrap(), call().unwrap(), call().unwrap()];
        assert_eq!(call().unwrap_err(), Over::Calls);
        drop(up);
        let last = call().unwrap();
        assert!(matches!(call().unwrap_err(), Over::Rate { .. }));
        assert_eq!(last.unwrap().gate.calls.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_call_that_is_given_back_was_none() {
        let (callers, two) = (Callers::default(), two_a_second(None));
        for _ in 0..50 {
            callers.pass(1, &two, Time::ZERO).unwrap().unwrap().give_back(Time::ZERO);
        }
        assert_eq!((0..50).filter(|_| callers.pass(1, &two, Time::ZERO).is_ok()).count(), 4);
    }

    #[test]
    fn callers_that_owe_something_are_remembered_up_to_a_bound() {
        let (callers, two) = (Callers::default(), two_a_second(None));
        let begun = |caller, at| (0..9).filter(|_| callers.pass(caller, &two, at).is_ok()).count();
        assert_eq!(begun(0, Time::ZERO), 4);
        for other in 1..limits::CALLERS as u128 {
            callers.pass(other, &two, Time::ZERO).unwrap();
        }
        assert_eq!(begun(0, Time::ZERO), 0, "nobody buys a new rate by a crowd");
        assert_eq!(begun(u128::MAX, Time::ZERO), 4);
        assert_eq!(begun(u128::MAX - 1, Time::ZERO), 0, "those without a place share one allowance");
        assert_eq!(callers.by_caller.gates.len(), limits::CALLERS);
        assert_eq!(begun(u128::MAX - 1, Time::from_millis(2_000)), 4);
        assert_eq!(callers.by_caller.gates.len(), 1);
    }

    #[test]
    fn gates_of_rules_that_were_do_not_pile_up() {
        let (gates, hash) = (Gates::default(), hash());
        let one = limit(Some(1), None);
        let kept = gates.pass(&hash, "kept", &one, true, Time::ZERO).unwrap();
        for rule in 0..2 * limits::GATES {
            gates.pass(&hash, &rule.to_string(), &one, true, Time::ZERO).unwrap();
        }
        assert!(gates.by_rule.gates.len() <= limits::GATES);
        assert!(gates.pass(&hash, "kept", &one, true, Time::ZERO).is_err());
        drop(kept);
    }
}
