//! One of three members fails under calls, in each way there is; and the configuration is read again under calls. The
//! full-size runs are in `make load`.

use sbc_tests::load::{fail, reload};
use sbc_tests::process::{Mood, alone};

const RATE: u32 = 50;

fn no_call_fails(mood: Mood) {
    let _turn = alone();
    let failed = fail(mood, RATE);
    assert_eq!(failed.broken(), Vec::<String>::new(), "{failed}");
}

#[test]
fn no_new_call_fails_when_a_member_is_gone_and_its_host_says_so() {
    no_call_fails(Mood::Gone);
}

#[test]
fn no_new_call_fails_when_a_member_is_stopped() {
    no_call_fails(Mood::Stopped);
}

#[test]
fn no_new_call_fails_when_a_member_is_full() {
    no_call_fails(Mood::Full);
}

#[test]
fn no_new_call_fails_when_nothing_arrives_at_a_member() {
    no_call_fails(Mood::Deaf);
}

#[test]
fn reloads_cost_no_call_and_no_connection() {
    let _turn = alone();
    let reloaded = reload(10, 300, 100);
    assert_eq!(reloaded.broken(), Vec::<String>::new(), "{reloaded}");
}
