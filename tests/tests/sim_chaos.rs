//! Many calls at once over bad links, with things that die: what must hold all the same, holds.

use sbc_tests::sim::chaos::{Chaos, Kills, Weather};

/// Worlds of each weather; `make sim` plays a thousand, with a hundred calls in each.
const WORLDS: u64 = 4;
const CALLS: usize = 60;

fn play(weather: Weather) {
    for seed in 0..WORLDS {
        let outcome = Chaos::new(seed, weather, CALLS).play();
        assert!(outcome.broken.is_empty(), "seed {seed}, {weather:?}: {:#?}", outcome.broken);
    }
}

#[test]
fn every_call_comes_to_its_end_where_nothing_is_lost() {
    play(Weather::Calm);
}

#[test]
fn nothing_is_left_over_and_nothing_doubled_whatever_is_lost_late_or_repeated() {
    [Weather::Drizzle, Weather::Rain, Weather::Storm, Weather::SmallMtu].into_iter().for_each(play);
}

#[test]
fn nothing_is_left_over_and_nothing_doubled_when_a_member_dies() {
    play(Weather::DeadMember);
}

#[test]
fn nothing_is_left_over_when_browsers_lose_their_connections() {
    play(Weather::Disconnected);
}

#[test]
fn nothing_is_left_over_when_datagrams_arrive_damaged() {
    play(Weather::Damaged);
}

#[test]
fn nothing_is_left_over_and_nothing_doubled_when_sbc_is_killed() {
    play(Weather::Killed);
}

#[test]
fn nothing_is_left_over_when_one_of_two_nodes_is_killed() {
    play(Weather::NodeKilled);
}

#[test]
fn several_threads_at_once_leave_nothing_over_and_double_nothing() {
    for (seed, weather) in [(0, Weather::Calm), (1, Weather::Drizzle), (2, Weather::Storm)] {
        let outcome = Chaos::threaded(seed, weather, CALLS).play();
        assert!(outcome.broken.is_empty(), "seed {seed}, {weather:?}: {:#?}", outcome.broken);
    }
}

#[test]
fn a_kill_during_set_up_leaves_every_call_one_answer() {
    let mut kills = Kills::default();
    (0..20).for_each(|seed| kills.add(Chaos::kill_once(seed, 0)));
    assert!(kills.is_good(), "{kills}{:#?}", kills.broken);
}
