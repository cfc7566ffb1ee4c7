//! Handing on keeps the order of a call, and its bounds.

use super::{Handover, MAX_OUTSTANDING, MAX_OUTSTANDING_BYTES, Route, call_id_hash};
use proptest::prelude::*;
use std::collections::hash_map::RandomState;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

fn message(call: usize) -> Vec<u8> {
    format!("INVITE sip:x SIP/2.0\r\nCall-ID: call-{call}\r\n\r\n").into_bytes()
}

/// A handover with its key, and the number of a call that belongs to `owner`.
fn with_call_of(workers: usize, owner: usize) -> (Handover<u32>, Vec<u8>) {
    let key = RandomState::new();
    let owned = (0..10_000)
        .map(message)
        .find(|bytes| call_id_hash(bytes, &key).is_some_and(|hash| hash % workers as u64 == owner as u64))
        .expect("one of many calls belongs to each worker");
    (Handover::new(workers, key), owned)
}

#[test]
fn without_load_everything_is_handled_where_it_came_in() {
    let (handover, call) = with_call_of(2, 1);
    assert_eq!(handover.route(0, &call, 0, false), Route::Here);
    assert!(handover.try_next(1).is_none());
}

#[test]
fn under_load_a_call_goes_to_its_owner_with_its_metadata() {
    let (handover, call) = with_call_of(2, 1);
    assert_eq!(handover.route(0, &call, 7, true), Route::HandedTo(1));
    assert_eq!(handover.route(1, &call, 7, true), Route::Here);
    let handed = handover.try_next(1).expect("it was handed over");
    assert_eq!((handed.from(), *handed.metadata(), handed.bytes()), (0, 7, &call[..]));
}

#[test]
fn a_cancel_follows_its_invite_until_that_is_handled_even_when_the_load_is_over() {
    let (handover, call) = with_call_of(2, 1);
    assert_eq!(handover.route(0, &call, 0, true), Route::HandedTo(1));
    assert_eq!(handover.route(0, &call, 0, false), Route::HandedTo(1));
    drop(handover.try_next(1));
    let last = handover.try_next(1);
    assert_eq!(handover.route(0, &call, 0, false), Route::HandedTo(1), "taken, but not handled yet");
    drop(last);
    drop(handover.try_next(1));
    assert_eq!(handover.route(0, &call, 0, false), Route::Here);
}

#[test]
fn a_message_without_call_id_stays() {
    let handover = Handover::new(4, RandomState::new());
    assert_eq!(handover.route(0, b"OPTIONS sip:x SIP/2.0\r\n\r\n", (), true), Route::Here);
}

#[test]
fn one_worker_and_numbers_that_do_not_exist_do_no_harm() {
    let alone = Handover::new(1, RandomState::new());
    assert_eq!(alone.route(0, &message(1), (), true), Route::Here);
    let (handover, call) = with_call_of(2, 1);
    assert_eq!(handover.route(9, &call, 0, true), Route::QueueFull);
    assert!(handover.try_next(9).is_none());
}

#[test]
fn a_full_queue_refuses_by_number_and_by_bytes_and_takes_again_when_handled() {
    let (handover, call) = with_call_of(2, 1);
    for _ in 0..MAX_OUTSTANDING {
        assert_eq!(handover.route(0, &call, 0, true), Route::HandedTo(1));
    }
    assert_eq!(handover.route(0, &call, 0, true), Route::QueueFull);
    drop(handover.try_next(1));
    assert_eq!(handover.route(0, &call, 0, true), Route::HandedTo(1));
    while handover.try_next(1).is_some() {}

    let mut large = call.clone();
    large.resize(60_000, b'x');
    let fitting = MAX_OUTSTANDING_BYTES / large.len();
    for _ in 0..fitting {
        assert_eq!(handover.route(0, &large, 0, true), Route::HandedTo(1));
    }
    assert_eq!(handover.route(0, &large, 0, true), Route::QueueFull);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// Random arrivals, load changes and progress of three workers: within one call nothing is overtaken.
    #[test]
    fn order_within_a_call_is_kept(steps in prop::collection::vec((0_usize..12, any::<bool>()), 1..400)) {
        const WORKERS: usize = 3;
        const CALLS: usize = 6;
        let handover: Handover<(usize, u32)> = Handover::new(WORKERS, RandomState::new());
        let mut arrived = [0_u32; CALLS];
        let mut handled = [0_u32; CALLS];
        let mut handle = |call: usize, number: u32| {
            let in_order = number > handled[call];
            handled[call] = number;
            in_order
        };
        // All calls come in at worker 0; steps 6.. let one worker handle what was handed to it.
        for (step, under_load) in steps {
            if step < CALLS {
                arrived[step] += 1;
                let number = arrived[step];
                if handover.route(0, &message(step), (step, number), under_load) == Route::Here {
                    prop_assert!(handle(step, number));
                }
            } else if let Some(handed) = handover.try_next(step % WORKERS) {
                let (call, number) = *handed.metadata();
                prop_assert!(handle(call, number));
            }
        }
    }
}

/// The same with real threads: two workers, each handing to the other while it serves its own inbox.
#[test]
fn order_within_a_call_is_kept_between_threads() {
    const CALLS: usize = 16;
    const MESSAGES: u32 = 20_000;
    let handover: Handover<(usize, u32)> = Handover::new(2, RandomState::new());
    // One log per receiving worker, as calls of the two are different calls.
    let last = [const { Mutex::new([0_u32; CALLS]) }; 2];
    let in_order = AtomicBool::new(true);
    let handle = |origin: usize, (call, number): (usize, u32)| {
        let mut last = last[origin].lock().expect("no handler panics");
        if number <= last[call] {
            in_order.store(false, Ordering::Relaxed);
        }
        last[call] = number;
    };
    let work = |worker: usize| {
        for number in 1..=MESSAGES {
            let call = number as usize * 7 % CALLS;
            let bytes = message(call + worker * CALLS);
            if handover.route(worker, &bytes, (call, number), number / 64 % 2 == 0) == Route::Here {
                handle(worker, (call, number));
            }
            if number % 3 == 0
                && let Some(handed) = handover.try_next(worker)
            {
                handle(handed.from(), *handed.metadata());
            }
        }
        while let Some(handed) = handover.try_next(worker) {
            handle(handed.from(), *handed.metadata());
        }
    };
    std::thread::scope(|scope| {
        for worker in 0..2 {
            scope.spawn(move || work(worker));
        }
    });
    assert!(in_order.load(Ordering::Relaxed));
}

#[tokio::test]
async fn a_waiting_worker_is_woken_by_the_first_datagram_and_finds_the_rest() {
    let (handover, call) = with_call_of(2, 1);
    let reader = async {
        for expected in 0..3 {
            assert_eq!(*handover.next(1).await.metadata(), expected);
        }
    };
    let writer = async {
        tokio::task::yield_now().await;
        for number in 0..3 {
            assert_eq!(handover.route(0, &call, number, true), Route::HandedTo(1));
        }
    };
    tokio::join!(reader, writer);
}
