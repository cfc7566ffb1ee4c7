//! Kills under load and a bad path, small: `make load` plays both at full size, and wss too.

use sbc_tests::load::{Way, kills, travel};
use sbc_tests::process::alone;

#[test]
fn every_call_gets_one_answer_though_sbc_is_killed_twice_under_load() {
    let _turn = alone();
    let killed = kills(2, 50, |_| {});
    assert_eq!(killed.broken(), [""; 0], "{killed}");
}

#[test]
fn every_call_completes_over_a_path_that_loses_and_doubles_datagrams() {
    let _turn = alone();
    let travelled = travel(Way::Udp, 40, |_| {}).expect("UDP needs no more than sockets");
    assert_eq!(travelled.broken(), [""; 0], "{travelled}");
}
