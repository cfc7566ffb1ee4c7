//! The balances: who of several candidates takes a request. All of them are alike in health; that was settled
//! before.
//!
//! Hash balances are weighted rendezvous hashes with the stable key: a member that leaves moves only its own
//! share, and the same call meets the same member after a restart and on every node.

use crate::hash::Digest;

/// A member that may take the request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    /// Its place in the pool.
    pub(super) place: usize,
    /// Hash of its address with the stable key.
    pub(super) id: u64,
    /// Its share; never 0.
    pub(super) weight: u16,
    /// Calls it has.
    pub(super) calls: u32,
    /// Calls it may have, where that is known.
    pub(super) max_calls: Option<u32>,
}

/// The heaviest by a hash of key and member, each as often as its weight says.
pub(super) fn rendezvous(candidates: impl Iterator<Item = Candidate>, key: Digest) -> Option<usize> {
    let score = |one: &Candidate| {
        // 52 bits, neither 0 nor 1: the logarithm is finite and below 0.
        let chance = ((mix(one.id, key) >> 12) as f64 + 0.5) / (1u64 << 52) as f64;
        f64::from(one.weight) / -chance.ln()
    };
    let scored = candidates.map(|one| (score(&one), one.place));
    scored.max_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, place)| place)
}

/// One after the other.
pub(super) fn in_turn(
    candidates: impl Iterator<Item = Candidate> + Clone,
    turn: impl Fn() -> usize,
) -> Option<usize> {
    let count = candidates.clone().count();
    candidates.clone().nth(turn().checked_rem(count)?).map(|one| one.place)
}

/// One after the other, each as often as its weight says, well mixed.
pub(super) fn weighted(
    candidates: impl Iterator<Item = Candidate> + Clone,
    turn: impl Fn() -> usize,
) -> Option<usize> {
    let total: u64 = candidates.clone().map(|one| u64::from(one.weight)).sum();
    if total == 0 {
        return None;
    }
    // Multiples of the golden ratio spread evenly however few of them there are.
    let spread = (turn() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    let mut at = (spread * total) >> 32;
    for one in candidates {
        match at.checked_sub(u64::from(one.weight)) {
            Some(rest) => at = rest,
            None => return Some(one.place),
        }
    }
    None
}

/// Of two that the key chooses the one with more room: nearly as even as asking all of them, and no herd runs
/// to one that has just come. Room is what is known of all of them: the calls that each may have, else its weight.
pub(super) fn least_calls(candidates: impl Iterator<Item = Candidate> + Clone, key: Digest) -> Option<usize> {
    let count = candidates.clone().count() as u64;
    let first = (key as u64).checked_rem(count)?;
    let second = ((key >> 64) as u64)
        .checked_rem(count - 1)
        .map_or(first, |other| if other < first { other } else { other + 1 });
    let are_limited = candidates.clone().all(|one| one.max_calls.is_some());
    let load = |one: &Candidate| {
        let room = one.max_calls.filter(|_| are_limited).unwrap_or(u32::from(one.weight));
        f64::from(one.calls + 1) / f64::from(room.max(1))
    };
    let at = |index: u64| candidates.clone().nth(usize::try_from(index).ok()?);
    let (first, second) = (at(first)?, at(second)?);
    Some(if load(&second) < load(&first) { second.place } else { first.place })
}

/// Finaliser of a 64-bit mix: every bit of both inputs reaches every bit of the result.
pub(super) const fn mix(id: u64, key: Digest) -> u64 {
    let mut mixed = id ^ (key as u64) ^ (key >> 64) as u64;
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ mixed >> 31
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::hash::KeyedHash;

    fn candidates(weights: &[u16]) -> Vec<Candidate> {
        let one = |(place, weight): (usize, &u16)| Candidate {
            place,
            id: mix(place as u64 + 77, 0),
            weight: *weight,
            calls: 0,
            max_calls: None,
        };
        weights.iter().enumerate().map(one).collect()
    }

    fn key(call: u32) -> Digest {
        KeyedHash::new([4; 16]).of(&[&call.to_be_bytes()])
    }

    #[test]
    fn each_takes_the_share_that_its_weight_says() {
        let members = candidates(&[1, 3]);
        let turn = Cell::new(0);
        let next = || turn.replace(turn.get() + 1);
        let (mut hashed, mut turns) = ([0u32; 2], [0u32; 2]);
        for call in 0..4000 {
            hashed[rendezvous(members.iter().copied(), key(call)).unwrap()] += 1;
            turns[weighted(members.iter().copied(), next).unwrap()] += 1;
        }
        assert!((900..1100).contains(&hashed[0]), "{hashed:?}");
        assert!((995..1005).contains(&turns[0]), "{turns:?}");
    }

    #[test]
    fn a_member_that_leaves_moves_only_its_share() {
        let all = candidates(&[2, 1, 3, 1]);
        for call in 0..1000 {
            let before = rendezvous(all.iter().copied(), key(call)).unwrap();
            let after = rendezvous(all.iter().copied().filter(|one| one.place != 2), key(call)).unwrap();
            assert!(if before == 2 { after != 2 } else { after == before });
        }
    }

    #[test]
    fn calls_go_where_room_is() {
        let mut members = candidates(&[1, 1, 1]);
        for call in 0..3000 {
            let place = least_calls(members.iter().copied(), key(call)).unwrap();
            members[place].calls += 1;
        }
        let calls: Vec<u32> = members.iter().map(|one| one.calls).collect();
        assert!(calls.iter().all(|calls| (980..1020).contains(calls)), "{calls:?}");
        assert_eq!(least_calls(members.iter().copied().take(1), key(1)), Some(0));
        assert_eq!(least_calls(members.iter().copied().take(0), key(1)), None);
    }

    #[test]
    fn a_large_member_takes_more_calls() {
        let mut members = candidates(&[1, 1]);
        members[0].max_calls = Some(300);
        members[1].max_calls = Some(100);
        for call in 0..200 {
            let place = least_calls(members.iter().copied(), key(call)).unwrap();
            members[place].calls += 1;
        }
        assert!((145..155).contains(&members[0].calls), "{}", members[0].calls);
        // Beside one that may have any number, calls and weights cannot be compared.
        members.iter_mut().for_each(|one| one.calls = 0);
        members[1].max_calls = None;
        for call in 0..200 {
            let place = least_calls(members.iter().copied(), key(call)).unwrap();
            members[place].calls += 1;
        }
        assert!((95..105).contains(&members[0].calls), "{}", members[0].calls);
    }
}
