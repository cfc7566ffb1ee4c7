//! SIP over TCP and TLS between real sockets: calls, offers that exceed any datagram, `kill -9`.

use std::time::Duration;

use sbc_core::flow::Transport;
use sbc_tests::agent::{LegId, Policy, State};
use sbc_tests::process::{Balance, Caller, FsMember, Live, PublicView, Sbc, SippMember, Site, alone, until};

/// Candidates that make an offer of 6 KiB.
const MANY: u16 = 62;
const CALLS: u32 = 100;

fn called(phone: &Live, number: &str) -> LegId {
    let leg = phone.call(number);
    phone.wait_for(leg, State::Up);
    leg
}

fn hang_up(phone: &Live, leg: LegId) {
    phone.act(|agent, now| agent.bye(now, leg));
    assert_eq!(phone.wait_for_reply(leg, "BYE"), 200);
}

#[test]
fn calls_by_tcp_succeed_over_a_udp_member_and_a_tcp_one() {
    let _turn = alone();
    let site = Site::with_streams("streams-sipp", Transport::Tcp);
    let members = SippMember::pair(&site);
    let sbc = Sbc::start(&site, Balance::RoundRobin);
    let mut caller = Caller::start_by_tcp(&site, CALLS, 50, Duration::from_millis(200));
    let outcome = caller.finish();
    let all = u64::from(CALLS);
    assert_eq!((outcome.begun, outcome.answered), (all, all), "{outcome:?}");
    assert_eq!((outcome.failed, outcome.unexpected, outcome.orphaned), (0, 0, 0), "{outcome:?}");
    until("each member has counted half of the calls", || {
        members.iter().all(|member| member.calls() == all / 2)
    });
    sbc.wait_for_no_calls();
    let mut view = PublicView::new(&site);
    view.judge_all(caller.received());
    view.assert_nothing_told();
}

#[test]
fn an_offer_of_6_kib_reaches_a_udp_member_and_a_tcp_one_from_every_caller() {
    let _turn = alone();
    let site = Site::with_streams("streams-large", Transport::Tcp);
    let members = SippMember::pair(&site);
    let sbc = Sbc::start(&site, Balance::RoundRobin);
    let callers = [
        Live::phone(&site, "1000"),
        Live::phone_by_tcp(&site, "1001"),
        Live::phone_by_tls(&site, "1002"),
        Live::browser(&site, "1003"),
    ];
    for caller in &callers {
        caller.act(|agent, _| agent.more_candidates = MANY);
        // One for each member.
        for _ in 0..2 {
            let leg = called(caller, "9196");
            hang_up(caller, leg);
        }
        caller.assert_no_violations();
    }
    sbc.wait_for_no_calls();
    for (member, transport) in members.iter().zip(["UDP", "TCP"]) {
        let invites: Vec<_> =
            member.received().into_iter().filter(|one| one.starts_with(b"INVITE ")).collect();
        let large = |invite: &&Vec<u8>| invite.len() > 5 * 1024;
        assert!(invites.iter().filter(large).count() >= callers.len(), "{transport}");
        let via = format!("Via: SIP/2.0/{transport} ");
        assert!(invites.iter().all(|invite| String::from_utf8_lossy(invite).contains(&via)), "{transport}");
    }
    // What left in fragments is counted.
    assert!(sbc.metric("sbc_proxy_large_total{reason=\"datagram\"}") >= callers.len() as u64);
}

#[test]
fn calls_over_tcp_and_tls_go_on_after_a_kill() {
    let _turn = alone();
    let site = Site::with_streams("streams-kill", Transport::Udp);
    let members = FsMember::pair(&site, &[]);
    let mut sbc = Sbc::start(&site, Balance::Aor);
    let phones = [Live::phone_by_tcp(&site, "1000"), Live::phone_by_tls(&site, "1001")];
    for phone in &phones {
        phone.act(|agent, _| agent.policy = Policy::Answer { after: Duration::ZERO });
        phone.register();
        phone.wait_until_registered();
    }
    let echoes: Vec<_> = phones.iter().map(|phone| called(phone, "9196")).collect();
    // From the member to the other phone.
    let to_other = called(&phones[0], "1001");
    let from_member = phones[1].wait_for_call();
    sbc.kill();
    sbc.restart();
    for (phone, leg) in phones.iter().zip(echoes) {
        hang_up(phone, leg);
    }
    hang_up(&phones[0], to_other);
    for phone in &phones {
        phone.register();
        phone.wait_until_registered();
    }
    phones[1].wait_for_end(from_member);
    until("the members have no call left", || members.iter().all(|member| member.calls_up() == 0));
    let mut view = PublicView::new(&site);
    for phone in &phones {
        phone.assert_no_violations();
        phone.show_to(&mut view);
    }
    view.assert_nothing_told();
}
