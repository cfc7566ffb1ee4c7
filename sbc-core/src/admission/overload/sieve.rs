//! What of new work nobody need read: refusing a request costs a part of doing it, so that a worker that is far behind
//! could do nothing but refuse.
//!
//! The shares of the classes say how much of what comes is let in. Where the driver can have datagrams dropped unread
//! ([`Sieve`]), most of the rest never comes: what passes the sieve is a little more than what is let in, so that some
//! are still told when to come back. The sieve is moved in steps, what is between two steps is refused as ever.

use super::WHOLE;
use crate::io::Sieve;
use crate::sip::Method;

/// Requests of [`Sieve::calls`], as a request line names them.
const CALLS: [&str; 2] = ["INVITE", "MESSAGE"];
/// Those of [`Sieve::others`].
const OTHERS: [&str; 4] = ["REGISTER", "SUBSCRIBE", "OPTIONS", "PUBLISH"];
/// Of what passes the sieve so much is let in when it is set anew. A refusal costs about a quarter of a call.
const LET_IN: f64 = 0.94;
/// The sieve stays as it is while so much is let in.
const STAYS: std::ops::RangeInclusive<f64> = 0.88..=0.985;

impl Sieve {
    /// The methods it knows, and the share of each that passes, of [`WHOLE`].
    pub fn shares(&self) -> impl Iterator<Item = (&'static str, u32)> {
        let calls = CALLS.into_iter().map(|method| (method, self.calls));
        calls.chain(OTHERS.into_iter().map(|method| (method, self.others)))
    }

    /// What passes of the requests of a method that begin something.
    pub(crate) fn passes(&self, method: Option<Method>) -> u32 {
        match method {
            Some(Method::Invite | Method::Message) => self.calls,
            Some(Method::Register | Method::Subscribe | Method::Options | Method::Publish) => self.others,
            _ => WHOLE,
        }
    }
}

/// What shall pass of requests of which so much is let in, where `now` passes.
pub(super) fn follow(now: u32, let_in: u32) -> u32 {
    if STAYS.contains(&(f64::from(let_in) / f64::from(now.max(1)))) {
        return now;
    }
    ((f64::from(let_in) / LET_IN) as u32).min(WHOLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_little_more_passes_than_is_let_in() {
        for let_in in [WHOLE / 256, WHOLE / 10, WHOLE / 2] {
            let passes = follow(WHOLE, let_in);
            assert!((let_in * 105 / 100..=let_in * 108 / 100).contains(&passes), "{passes} for {let_in}");
        }
    }

    #[test]
    fn it_moves_in_steps() {
        let mut moves = 0;
        let mut passes = WHOLE;
        for let_in in (WHOLE / 16..WHOLE).rev().chain(WHOLE / 16..WHOLE) {
            let next = follow(passes, let_in);
            moves += u32::from(next != passes);
            passes = next;
            assert!(passes >= let_in, "{passes} for {let_in}");
        }
        assert!(moves <= 120, "{moves}");
        assert_eq!(follow(passes, WHOLE), WHOLE);
    }

    #[test]
    fn little_shedding_needs_no_sieve() {
        assert_eq!(follow(WHOLE, WHOLE * 9 / 10), WHOLE);
        assert_eq!(follow(WHOLE, WHOLE), WHOLE);
    }

    #[test]
    fn each_method_has_the_share_that_it_is_dropped_by() {
        let sieve = Sieve { calls: 1, others: 2 };
        for (name, passes) in sieve.shares() {
            assert_eq!(sieve.passes(crate::sip::known_method(name.as_bytes())), passes, "{name}");
        }
        assert_eq!(sieve.passes(Some(Method::Bye)), WHOLE);
    }
}
