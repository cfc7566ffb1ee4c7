//! Which member challenged which call, and when: for clients that do not send `opaque` back, and to tell
//! the answer to a challenge from a nonce used again long after.
//!
//! A fixed number of slots; a newer challenge takes the place of an older one. Losing one costs a
//! second challenge, no more.

use std::net::SocketAddr;

use crate::hash::Digest;
use crate::lock::Lock;
use crate::time::Time;

const SLOTS: usize = 4096;

/// The newest challenges.
pub struct Challenges {
    slots: Lock<Vec<Option<(Digest, SocketAddr, Time)>>>,
}

impl Default for Challenges {
    fn default() -> Self {
        Self { slots: Lock::new(vec![None; SLOTS]) }
    }
}

impl Challenges {
    /// `member` challenged the call `key`.
    pub fn remember(&self, key: Digest, member: SocketAddr, now: Time) {
        let mut slots = self.slots.lock();
        if let Some(slot) = slots.get_mut(slot_of(key)) {
            *slot = Some((key, member, now));
        }
    }

    /// Who challenged the call `key`, and when.
    pub fn member(&self, key: Digest) -> Option<(SocketAddr, Time)> {
        let slots = self.slots.lock();
        let (owner, member, at) = (*slots.get(slot_of(key))?)?;
        (owner == key).then_some((member, at))
    }
}

fn slot_of(key: Digest) -> usize {
    (key % SLOTS as Digest) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_challenge_of_a_call_counts() {
        let challenges = Challenges::default();
        let (a, b) = ("10.0.0.1:5080".parse().unwrap(), "10.0.0.2:5080".parse().unwrap());
        assert_eq!(challenges.member(5), None);
        challenges.remember(5, a, Time::ZERO);
        challenges.remember(5, b, Time::from_millis(1));
        assert_eq!(challenges.member(5), Some((b, Time::from_millis(1))));
        challenges.remember(5 + SLOTS as Digest, a, Time::ZERO);
        assert_eq!(challenges.member(5), None, "the slot has another owner now");
    }
}
