//! What the queue is built on. The model has other types of the same names.

pub(super) use std::sync::atomic::AtomicUsize;
pub(super) use std::sync::{Mutex, MutexGuard};
pub(super) use tokio::sync::Notify;
