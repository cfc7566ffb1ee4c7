//! How messages travel: what a link loses, delays, doubles, damages and cuts.

use std::time::Duration;

use super::Chance;

/// How datagrams travel.
#[derive(Debug, Clone, Copy)]
pub struct Link {
    /// So many of a hundred are lost.
    pub loss_percent: u64,
    /// The shortest way.
    pub delay: Duration,
    /// On top of it, up to so much: datagrams overtake each other.
    pub jitter: Duration,
    /// So many of a hundred arrive twice.
    pub duplicate_percent: u64,
    /// So many of a hundred arrive damaged.
    pub corrupt_percent: u64,
    /// Datagrams of more bytes never arrive.
    pub mtu: usize,
    /// Of one datagram at most `LOST_IN_A_ROW` copies in a row are lost. Without that, one call in a few
    /// hundred dies at 20 % of what RFC 3261's own timers cannot mend, and says nothing about us.
    pub fair: bool,
    /// Connections suffer too: what they carry stalls while TCP repeats it.
    pub stalls: bool,
}

/// Copies of one datagram that a fair link may lose one after the other.
pub(super) const LOST_IN_A_ROW: u32 = 2;
/// Bytes of a datagram that damage changes, at most.
const MOST_DAMAGE: u64 = 3;
/// TCP repeats a lost segment after this, then after twice the time (RFC 6298).
const STREAM_REPEATS_AFTER: Duration = Duration::from_millis(200);
/// A connection that loses so often in a row would be given up; it is not, the segment arrives.
const MOST_STREAM_REPEATS: u32 = 6;

impl Link {
    /// Nothing is lost or overtaken.
    pub const GOOD: Self = Self {
        loss_percent: 0,
        delay: Duration::from_millis(5),
        jitter: Duration::ZERO,
        duplicate_percent: 0,
        corrupt_percent: 0,
        mtu: usize::MAX,
        fair: true,
        stalls: false,
    };

    /// Loses `loss_percent` and doubles a quarter of that; what arrives does so in order.
    pub const fn lossy(loss_percent: u64) -> Self {
        Self { loss_percent, duplicate_percent: loss_percent / 4, ..Self::GOOD }
    }

    /// The same, and datagrams overtake each other.
    pub const fn unordered(loss_percent: u64) -> Self {
        Self { jitter: Duration::from_millis(30), ..Self::lossy(loss_percent) }
    }

    /// How long one datagram takes.
    pub(super) fn time(&self, chance: &mut Chance) -> Duration {
        self.delay + Duration::from_micros(chance.below(self.jitter.as_micros() as u64 + 1))
    }

    /// How long one message takes on a connection, which repeats what the link loses.
    pub(super) fn stream_time(&self, chance: &mut Chance) -> Duration {
        if !self.stalls {
            return Self::GOOD.delay;
        }
        let mut time = self.time(chance);
        let mut wait = STREAM_REPEATS_AFTER;
        for _ in 0..MOST_STREAM_REPEATS {
            if !chance.percent(self.loss_percent) {
                break;
            }
            time += wait;
            wait *= 2;
        }
        time
    }

    /// Change some bytes, or cut the end off.
    pub(super) fn damage(bytes: &mut Vec<u8>, chance: &mut Chance) {
        if chance.percent(25) {
            let length = chance.below(bytes.len() as u64 + 1) as usize;
            bytes.truncate(length);
            return;
        }
        for _ in 0..=chance.below(MOST_DAMAGE) {
            let at = chance.below(bytes.len() as u64) as usize;
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << chance.below(8);
            }
        }
    }
}
