//! The queue under a model checker: every order in which two workers can run, every value that a relaxed load may see.
//!
//! The source is that of the program, compiled once more against the checker's locks and counters.

use std::collections::hash_map::RandomState;

use loom::future::block_on;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::call_id;
use queue::{Handover, Route};

// The program uses more of it than its model does.
#[allow(dead_code, unreachable_pub, clippy::duplicate_mod)]
#[path = "queue.rs"]
mod queue;

mod sync {
    pub(super) use loom::sync::atomic::AtomicUsize;
    pub(super) use loom::sync::{Mutex, MutexGuard};

    /// Holds one permit, as tokio's does.
    #[derive(Debug)]
    pub(super) struct Notify(loom::sync::Notify);

    impl Notify {
        pub(super) fn new() -> Self {
            Self(loom::sync::Notify::new())
        }

        pub(super) fn notify_one(&self) {
            self.0.notify();
        }

        pub(super) async fn notified(&self) {
            self.0.wait();
        }
    }
}

const INVITE: u32 = 1;
const CANCEL: u32 = 2;

/// A key, and a message that belongs to worker 1 of two.
fn call_of_the_other() -> (RandomState, Vec<u8>) {
    let key = RandomState::new();
    let messages =
        (0..1000).map(|call| format!("INVITE sip:x SIP/2.0\r\nCall-ID: {call}\r\n\r\n").into_bytes());
    let mut owned =
        messages.filter(|bytes| call_id::call_id_hash(bytes, &key).is_some_and(|hash| hash % 2 == 1));
    let first = owned.next().expect("one of many calls belongs to each worker");
    (key, first)
}

/// Every order of what two workers do, but for schedules with more than three preemptions.
fn in_every_order(run: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(run);
}

#[test]
fn a_cancel_is_never_handled_before_what_its_invite_did_can_be_seen() {
    let (key, call) = call_of_the_other();
    in_every_order(move || {
        let handover = Arc::new(Handover::new(2, key.clone()));
        let invites = Arc::new(AtomicUsize::new(0));
        let other = {
            let (handover, invites) = (Arc::clone(&handover), Arc::clone(&invites));
            thread::spawn(move || {
                while let Some(handed) = handover.try_next(1) {
                    match *handed.metadata() {
                        INVITE => invites.store(1, Ordering::Relaxed),
                        _ => assert_eq!(invites.load(Ordering::Relaxed), 1, "overtaken in the queue"),
                    }
                }
            })
        };
        assert_eq!(handover.route(0, &call, INVITE, true), Route::HandedTo(1));
        // The load is over.
        if handover.route(0, &call, CANCEL, false) == Route::Here {
            assert_eq!(invites.load(Ordering::Relaxed), 1, "overtaken on the way");
        }
        other.join().expect("no panic");
    });
}

#[test]
fn a_worker_that_waits_is_woken_for_everything() {
    let (key, call) = call_of_the_other();
    in_every_order(move || {
        let handover = Arc::new(Handover::new(2, key.clone()));
        let other = {
            let handover = Arc::clone(&handover);
            thread::spawn(move || {
                for expected in [INVITE, CANCEL] {
                    // A wake-up that is lost is a deadlock, and found.
                    assert_eq!(*block_on(handover.next(1)).metadata(), expected);
                }
            })
        };
        for number in [INVITE, CANCEL] {
            assert_eq!(handover.route(0, &call, number, true), Route::HandedTo(1));
        }
        other.join().expect("no panic");
        assert_eq!(handover.route(0, &call, 0, false), Route::Here, "everything is handled");
    });
}
