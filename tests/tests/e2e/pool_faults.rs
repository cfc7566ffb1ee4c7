//! One of three members fails under calls, in each way there is; and the configuration is read again under calls. The
//! full-size runs are in `make load`.

use std::time::Duration;

use sbc_core::flow::Transport;
use sbc_tests::agent::{LegId, State};
use sbc_tests::load::{fail, reload, stop_process};
use sbc_tests::process::{Balance, FsMember, Live, Mood, PublicView, Sbc, Site, alone, until, until_within};

const RATE: u32 = 50;

fn no_call_fails(mood: Mood, transport: Transport) {
    let _turn = alone();
    let failed = fail(mood, transport, RATE);
    assert_eq!(failed.broken(), Vec::<String>::new(), "{failed}");
}

#[test]
fn no_new_call_fails_when_a_member_is_gone_and_its_host_says_so() {
    no_call_fails(Mood::Gone, Transport::Udp);
}

#[test]
fn no_new_call_fails_when_a_member_is_stopped() {
    no_call_fails(Mood::Stopped, Transport::Udp);
}

#[test]
fn no_new_call_fails_when_a_member_behind_connections_is_gone() {
    no_call_fails(Mood::Gone, Transport::Tcp);
}

#[test]
fn no_new_call_fails_when_a_member_behind_connections_is_stopped() {
    no_call_fails(Mood::Stopped, Transport::Tcp);
}

#[test]
fn no_new_call_fails_when_the_process_of_a_member_is_stopped() {
    let _turn = alone();
    let failed = stop_process(RATE);
    assert_eq!(failed.broken(), Vec::<String>::new(), "{failed}");
}

#[test]
fn no_new_call_fails_when_a_member_is_full() {
    no_call_fails(Mood::Full, Transport::Udp);
}

#[test]
fn no_new_call_fails_when_a_member_takes_nothing_and_says_so_to_its_probes() {
    no_call_fails(Mood::Paused, Transport::Udp);
}

#[test]
fn no_new_call_fails_when_nothing_arrives_at_a_member() {
    no_call_fails(Mood::Deaf, Transport::Udp);
}

#[test]
fn reloads_cost_no_call_and_no_connection() {
    let _turn = alone();
    let reloaded = reload(10, 300, 100);
    assert_eq!(reloaded.broken(), Vec::<String>::new(), "{reloaded}");
}

/// Calls at most, until both members have some.
const MOST_CALLS: usize = 32;
/// Longer than `release`, two probes and the look at a member.
const RELEASED: Duration = Duration::from_secs(20);

/// The process of a member is gone with calls up: their parties get BYE, and the calls of the other member go on.
#[test]
fn the_calls_of_a_member_whose_process_is_gone_are_ended() {
    let _turn = alone();
    let mut site = Site::new("release");
    site.release = Some("10s");
    let mut members = FsMember::pair(&site, &[]);
    let sbc = Sbc::start(&site, Balance::CallId);
    let (phone, browser) = (Live::phone(&site, "1000"), Live::browser(&site, "1001"));
    [&phone, &browser].into_iter().for_each(|agent| {
        agent.register();
        agent.wait_until_registered();
    });
    let mut legs: Vec<(&Live, LegId)> = Vec::new();
    while legs.len() < 4 || members.iter().any(|member| member.calls_up() == 0) {
        assert!(legs.len() < MOST_CALLS, "all calls went to one member");
        for agent in [&phone, &browser] {
            let leg = agent.call("9196");
            agent.wait_for(leg, State::Up);
            legs.push((agent, leg));
        }
    }
    let had = members[0].calls_up();
    members[0].kill();
    let over = || legs.iter().filter(|(agent, leg)| agent.state(*leg) != State::Up).count();
    assert!(until_within(RELEASED, || over() == had), "{} of {had} were ended", over());
    let released = vec![("dead_member".to_owned(), had as u64)];
    assert_eq!(sbc.counts("sbc_dialog_released_total"), released);
    for (agent, leg) in legs {
        if agent.state(leg) == State::Up {
            agent.act(|agent, now| agent.bye(now, leg));
            assert_eq!(agent.wait_for_reply(leg, "BYE"), 200);
        }
    }
    until("no call is left", || sbc.status()["calls"] == 0 && members[1].calls_up() == 0);
    assert_eq!(over_count(&sbc), had as u64);
    let mut view = PublicView::new(&site);
    for agent in [&phone, &browser] {
        agent.assert_no_violations();
        agent.show_to(&mut view);
    }
    view.assert_nothing_told();
}

/// Calls ended for their member, so far.
fn over_count(sbc: &Sbc<'_>) -> u64 {
    sbc.counts("sbc_dialog_released_total").into_iter().map(|(_, count)| count).sum()
}
