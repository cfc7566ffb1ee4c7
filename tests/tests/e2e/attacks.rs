//! Floods, silent clients and browsers that never read: small versions of what `make load` does at full size.

use sbc_tests::load::{Flood, Weather, deafen, silence};
use sbc_tests::process::alone;

#[test]
fn calls_succeed_while_garbage_and_strangers_flood_their_listener() {
    let _turn = alone();
    for weather in [Weather::Garbage, Weather::Strangers] {
        let flood = Flood { weather, rate: 3_000, sources: 10_000, calls: 20, seconds: 3 };
        let flooded = flood.run(|_| {}).expect("a socket");
        assert_eq!(flooded.broken(), Vec::<String>::new(), "{flooded}");
        assert!(flooded.dropped.iter().map(|(_, count)| count).sum::<u64>() > 1_000, "{flooded}");
    }
}

#[test]
fn silent_clients_are_closed_and_others_are_served_meanwhile() {
    let _turn = alone();
    let clients = 40;
    let silenced = silence(clients, |_| {}).expect("sockets");
    // When they are closed is what the full size looks at, on a machine that does nothing else.
    assert_eq!((silenced.all_closed(), silenced.failed), (clients, 0), "{silenced}");
    assert!(!silenced.good.is_empty());
}

#[test]
fn browsers_that_never_read_are_closed_and_harm_nobody() {
    let _turn = alone();
    let deafened = deafen(20, false, |_, _| {}).expect("sockets");
    assert_eq!(deafened.broken(), Vec::<String>::new(), "{deafened}");
}
