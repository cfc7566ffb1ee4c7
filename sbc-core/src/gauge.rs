//! A number of things that exist now, or of bytes of them: each holder stands for its share until it is dropped, so
//! that the number cannot drift.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// How many there are.
#[derive(Debug, Clone, Default)]
pub struct Gauge(Arc<AtomicU32>);

impl Gauge {
    /// One more, as long as the holder lives.
    pub fn hold(&self) -> Held {
        self.hold_many(1)
    }

    /// So many more, as long as the holder lives.
    pub fn hold_many(&self, share: u32) -> Held {
        self.0.fetch_add(share, Ordering::Relaxed);
        Held { of: Arc::clone(&self.0), share }
    }

    /// How many there are.
    pub fn get(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One of them, or several.
#[derive(Debug)]
pub struct Held {
    of: Arc<AtomicU32>,
    share: u32,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.of.fetch_sub(self.share, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_counts_no_more() {
        let gauge = Gauge::default();
        let (first, second) = (gauge.hold(), gauge.hold());
        assert_eq!(gauge.get(), 2);
        drop(first);
        assert_eq!(gauge.get(), 1);
        drop(second);
        assert_eq!(gauge.get(), 0);
    }

    #[test]
    fn a_share_goes_as_it_came() {
        let gauge = Gauge::default();
        let (large, small) = (gauge.hold_many(6000), gauge.hold_many(300));
        assert_eq!(gauge.get(), 6300);
        drop(large);
        assert_eq!(gauge.get(), 300);
        drop(small);
        assert_eq!(gauge.get(), 0);
    }
}
