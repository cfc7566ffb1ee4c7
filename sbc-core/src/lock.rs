//! A lock for state that is looked at for a moment: whoever panics while holding it does not take it with him. What it
//! guards is as good as before, or soft state that mends itself.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A mutex that a panic does not poison.
#[derive(Debug, Default)]
pub struct Lock<T>(Mutex<T>);

impl<T> Lock<T> {
    /// With its first value.
    pub const fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    /// Waits until nobody else has it.
    #[cfg(not(tsan))]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same for ThreadSanitizer, which cannot look into the standard library: there a lock that was waited for is
    /// one that was never taken. What is tried is compiled here, and seen.
    #[cfg(tsan)]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        use std::sync::TryLockError;
        loop {
            match self.0.try_lock() {
                Ok(guard) => return guard,
                Err(TryLockError::Poisoned(poisoned)) => return PoisonError::into_inner(poisoned),
                Err(TryLockError::WouldBlock) => std::thread::yield_now(),
            }
        }
    }
}
