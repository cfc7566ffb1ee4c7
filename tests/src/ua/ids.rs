//! Chance from a seed: tags, branches and Call-IDs that a failing run repeats exactly.

const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A source of identifiers. Two with one seed give the same ones in the same order.
#[derive(Debug, Clone)]
pub struct Ids(u64);

impl Ids {
    /// Start from `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number (SplitMix64).
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// `length` letters and digits.
    pub fn text(&mut self, length: usize) -> String {
        (0..length)
            .map(|_| LETTERS.get((self.number() % 62) as usize).map_or('x', |letter| char::from(*letter)))
            .collect()
    }

    /// Something in the shape of a UUID.
    pub fn uuid(&mut self) -> String {
        let (high, low) = (self.number(), self.number());
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xffff,
            low >> 48,
            low & 0xffff_ffff_ffff
        )
    }
}
