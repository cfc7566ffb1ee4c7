//! SIP over TCP and TLS between real sockets: calls, offers that exceed any datagram, `kill -9`.

use std::time::Duration;

use sbc_core::flow::Transport;
use sbc_tests::agent::{LegId, Policy, State};
use sbc_tests::process::{Balance, Caller, FsMember, Live, PublicView, Sbc, SippMember, Site, alone, until};

/// Candidates that make an offer of 6 KiB.
const MANY: u16 = 80;
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
    until("each member has counted its part of the calls", || {
        members.iter().all(|member| member.calls() > all / 10)
    });
    sbc.wait_for_no_calls();
    let mut view = PublicView::new(&site);
    view.judge_all(caller.received());
    view.assert_nothing_told();
}

#[test]
fn an_offer_of_6_kib_reaches_a_udp_member_and_a_tcp_one_from_every_caller() {
    let _turn = alone();
    for (large, datagrams) in [("never", true), ("auto", true), ("always", false)] {
        let mut site = Site::with_streams(&format!("streams-large-{large}"), Transport::Tcp);
        site.streams.as_mut().expect("streams").large = large;
        let members = SippMember::pair(&site);
        let sbc = Sbc::start(&site, Balance::RoundRobin);
        let callers = [
            Live::phone(&site, "1000"),
            Live::phone_by_tcp(&site, "1001"),
            Live::phone_by_tls(&site, "1002"),
            Live::browser_at(&site, "1003", site.wss),
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
        // The first member listens to datagrams only: where it may get none, the other one has all the calls.
        let [by_udp, by_tcp] = members.each_ref().map(|member| large_invites(&member.received()));
        let few = |invites: &[String]| invites.len() >= callers.len();
        assert!(few(&by_tcp) && few(&by_udp) == datagrams, "{large}: {by_udp:?} {by_tcp:?}");
        assert!(by_udp.iter().all(|via| via.starts_with("SIP/2.0/UDP ")), "{large}: {by_udp:?}");
        assert!(by_tcp.iter().all(|via| via.starts_with("SIP/2.0/TCP ")), "{large}: {by_tcp:?}");
        // What left in fragments is counted.
        assert_eq!(sbc.metric("sbc_proxy_large_total{reason=\"datagram\"}") > 0, datagrams, "{large}");
    }
}

/// The top Vias of INVITEs of 6 KiB.
fn large_invites(received: &[Vec<u8>]) -> Vec<String> {
    let large = received.iter().filter(|one| one.starts_with(b"INVITE ") && one.len() > 6 * 1000);
    let text = large.map(|one| String::from_utf8_lossy(one).into_owned());
    text.filter_map(|text| text.lines().find_map(|line| line.strip_prefix("Via: ").map(str::to_owned)))
        .collect()
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
