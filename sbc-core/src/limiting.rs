//! Limits of calls. The `limit` of rules: calls counted from the INVITE to the end of the dialog, requests by GCRA.
//!
//! A gate belongs to the name of its rule, so that it keeps its count when rules are loaded anew. A [`Permit`] is one
//! call that passed; whoever holds it (the transaction, then the dialog's record) frees the place by dropping it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
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

/// The calls of users and of sources: nobody has more at once than `most`.
#[derive(Default)]
pub struct Callers {
    by_caller: Table,
}

impl Callers {
    /// A place for one more call of a caller; `None` where it has as many as it may.
    pub fn take_place(&self, caller: Digest, most: u32) -> Option<Permit> {
        self.by_caller.gate(caller).take_place(most)
    }
}

/// Gates by what they belong to. Those where nobody holds a place are forgotten when there are too many.
#[derive(Default)]
struct Table {
    gates: DigestMap<Arc<Gate>>,
    /// So many are too many; looking at all of them is for each time that their number has doubled.
    crowd: AtomicUsize,
}

impl Table {
    fn gate(&self, key: Digest) -> Arc<Gate> {
        if let Some(known) = self.gates.get(&key) {
            return Arc::clone(&known);
        }
        let crowd = self.crowd.load(Ordering::Relaxed).max(limits::GATES);
        if self.gates.len() >= crowd {
            self.gates.retain(|_, gate| Arc::strong_count(gate) > 1);
            self.crowd.store(2 * self.gates.len(), Ordering::Relaxed);
        }
        Arc::clone(&self.gates.entry(key).or_default())
    }
}

/// What one rule has let through.
#[derive(Debug, Default)]
struct Gate {
    calls: AtomicU32,
    due: Lock<Due>,
}

/// A place among a rule's calls, free again once this is dropped.
pub struct Permit(Arc<Gate>);

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permit")
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why a request does not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// There are as many calls as there may be.
    Calls,
    /// Requests come too fast.
    Rate,
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
        let gate = self.by_rule.gate(key_of(hash, rule));
        let permit = match limit.calls.filter(|_| is_call) {
            Some(most) => Some(gate.take_place(most).ok_or(Over::Calls)?),
            None => None,
        };
        match &limit.rate {
            Some(rate) if !gate.conforms(rate, now) => Err(Over::Rate),
            _ => Ok(permit),
        }
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
        taken.is_ok().then(|| Permit(Arc::clone(self)))
    }

    /// Whether one more request is within the rate; counts it if it is.
    fn conforms(&self, asked: &routing_rules::Rate, now: Time) -> bool {
        let rate = Rate::new(asked.count, Duration::from_secs(u64::from(asked.seconds)), asked.burst);
        // Whoever panicked with it has left a time that is as good as any.
        rate.take(&mut self.due.lock(), now, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use routing_rules::Rate;

    fn limit(calls: Option<u32>, rate: Option<Rate>) -> Limit {
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
        let ten = limit(None, Some(Rate { count: 10, seconds: 1, burst: 3 }));
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
        let both = limit(Some(5), Some(Rate { count: 1, seconds: 1, burst: 1 }));
        let kept = gates.pass(&hash, "a", &both, true, Time::ZERO).unwrap();
        assert_eq!(gates.pass(&hash, "a", &both, true, Time::ZERO).unwrap_err(), Over::Rate);
        assert_eq!(gates.calls(&hash, "a"), 1);
        drop(kept);
        assert_eq!(gates.calls(&hash, "a"), 0);
    }

    #[test]
    fn a_caller_has_places_of_its_own_and_is_forgotten_without_a_call() {
        let callers = Callers::default();
        let first = callers.take_place(1, 1).unwrap();
        assert!(callers.take_place(1, 1).is_none());
        for other in 2..5 * limits::GATES as u128 {
            assert!(callers.take_place(other, 1).is_some());
        }
        assert!(callers.by_caller.gates.len() <= 2 * limits::GATES);
        assert!(callers.take_place(1, 1).is_none(), "its call is still up");
        drop(first);
        assert!(callers.take_place(1, 1).is_some());
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
