//! Keyed hashes: what a client wrote never decides where it lands in a table.
//!
//! Two keys exist. The *table* key is chance, new in every process. The *stable* key comes from
//! `path_key`, so that a choice made by it (a member, a local port, a binding's name) is the same
//! after a restart and on every node.

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher13};

/// 128 bits that stand for what was hashed.
pub type Digest = u128;

/// One keyed hash function.
#[derive(Clone)]
pub struct KeyedHash {
    key: [u8; 16],
}

impl KeyedHash {
    /// From 16 secret bytes.
    pub fn new(key: [u8; 16]) -> Self {
        Self { key }
    }

    /// Hash a list of parts; each part's length counts, so `["ab","c"]` differs from `["a","bc"]`.
    pub fn of(&self, parts: &[&[u8]]) -> Digest {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        for part in parts {
            hasher.write_usize(part.len());
            hasher.write(part);
        }
        hasher.finish128().as_u128()
    }

    /// Like [`KeyedHash::of`], folding ASCII letters to lower case first.
    pub fn of_lowercase(&self, parts: &[&[u8]]) -> Digest {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        for part in parts {
            hasher.write_usize(part.len());
            for chunk in part.chunks(64) {
                let mut folded = [0u8; 64];
                let folded = &mut folded[..chunk.len()];
                folded.copy_from_slice(chunk);
                folded.make_ascii_lowercase();
                hasher.write(folded);
            }
        }
        hasher.finish128().as_u128()
    }
}

/// Hasher for tables whose keys are [`Digest`]s already: takes their low half as it is.
#[derive(Default, Clone, Copy)]
pub struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for (at, byte) in bytes.iter().enumerate().take(8) {
            self.0 ^= u64::from(*byte) << (8 * at);
        }
    }
    fn write_u128(&mut self, digest: u128) {
        self.0 = (digest as u64) ^ ((digest >> 64) as u64);
    }
    fn write_u64(&mut self, digest: u64) {
        self.0 = digest.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cut_between_parts_counts() {
        let hash = KeyedHash::new([1; 16]);
        assert_ne!(hash.of(&[b"ab", b"c"]), hash.of(&[b"a", b"bc"]));
    }

    #[test]
    fn case_folds_only_where_asked() {
        let hash = KeyedHash::new([1; 16]);
        assert_eq!(hash.of_lowercase(&[b"Bob@Example"]), hash.of_lowercase(&[b"bob@example"]));
        assert_ne!(hash.of(&[b"Bob"]), hash.of(&[b"bob"]));
    }

    #[test]
    fn another_key_gives_another_digest() {
        assert_ne!(KeyedHash::new([1; 16]).of(&[b"x"]), KeyedHash::new([2; 16]).of(&[b"x"]));
    }
}
