//! `kill -9` of sbc with calls up: what was up goes on through the restarted one, over UDP and wss.

use std::net::UdpSocket;
use std::time::Duration;

use sbc_tests::agent::{LegId, Policy, State};
use sbc_tests::load::kills;
use sbc_tests::process::{Balance, Browser, FsMember, Live, PATIENCE, PublicView, Sbc, Site, alone, until};
use serde_json::json;

/// Other clients that connect before a browser comes back.
const OTHERS: usize = 100;

fn registered_phone(site: &Site, user: &str) -> Live {
    let phone = Live::phone(site, user);
    phone.act(|agent, _| agent.policy = Policy::Answer { after: Duration::ZERO });
    phone.register();
    phone.wait_until_registered();
    phone
}

fn called(phone: &Live, number: &str) -> LegId {
    let leg = phone.call(number);
    phone.wait_for(leg, State::Up);
    leg
}

fn confirmed(phone: &Live, leg: LegId) {
    until("the ACK has come", || phone.act(|agent, _| agent.call_of(leg).is_some_and(|call| call.confirmed)));
}

fn hold(phone: &Live, leg: LegId) {
    assert!(phone.act(|agent, now| agent.hold(now, leg)), "the call was not ready for a re-INVITE");
    assert_eq!(phone.wait_for_reply(leg, "INVITE"), 200);
}

fn hang_up(phone: &Live, leg: LegId) {
    phone.act(|agent, now| agent.bye(now, leg));
    assert_eq!(phone.wait_for_reply(leg, "BYE"), 200);
}

/// Sums one count of the members' INVITEs.
fn invites(members: &[FsMember], count: &str) -> u64 {
    members.iter().flat_map(|member| member.invites().into_values()).map(|counts| counts[count]).sum()
}

fn no_calls_left(members: &[FsMember]) {
    until("the members have no call left", || members.iter().all(|member| member.calls_up() == 0));
}

#[test]
fn calls_over_udp_go_on_after_a_kill() {
    let _turn = alone();
    let site = Site::new("restart-udp");
    let members = FsMember::pair(&site, &[]);
    let mut sbc = Sbc::start(&site, Balance::Aor);
    let (one, other) = (registered_phone(&site, "1000"), registered_phone(&site, "1001"));
    let to_user = called(&one, "1001");
    let from_user = other.wait_for_call();
    confirmed(&other, from_user);
    let held_by_caller = called(&one, "9196");
    // Its member sends a re-INVITE a second after the answer: nobody is there then.
    let refreshed = called(&one, "9184");
    // Its member sends a BYE a second after the answer.
    let ended = called(&one, "9200");
    sbc.kill();
    sbc.restart();

    hold(&one, held_by_caller);
    hang_up(&one, held_by_caller);
    one.wait_for_request(refreshed, "INVITE");
    hang_up(&one, refreshed);
    one.wait_for_end(ended);
    // A dialog that the member began: re-INVITE of the public side, then the member's BYE.
    hold(&other, from_user);
    hang_up(&one, to_user);
    other.wait_for_end(from_user);
    no_calls_left(&members);

    let mut view = PublicView::new(&site);
    for phone in [&one, &other] {
        phone.assert_no_violations();
        phone.show_to(&mut view);
    }
    view.assert_nothing_told();
}

#[test]
fn a_200_that_the_pool_repeats_after_a_kill_reaches_its_caller() {
    let _turn = alone();
    let site = Site::new("restart-200");
    let members = FsMember::pair(&site, &[]);
    let mut sbc = Sbc::start(&site, Balance::CallId);
    let phone = registered_phone(&site, "1000");
    // Rings two seconds.
    let leg = phone.call("9180");
    phone.wait_for(leg, State::Ringing);
    sbc.kill();
    until("a member has answered", || members.iter().any(|member| member.calls_up() == 1));
    assert_eq!(phone.state(leg), State::Ringing);
    sbc.restart();
    phone.wait_for(leg, State::Up);
    assert_eq!(invites(&members, "started"), 1);
    hang_up(&phone, leg);
    no_calls_left(&members);
    phone.assert_no_violations();
    for member in &members {
        assert!(member.violations().is_empty(), "{:?}", member.violations());
    }
}

const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 16384 RTP/AVP 0\r\n";

/// An INVITE as its caller sends it again: the same bytes.
fn invite(site: &Site, own: &UdpSocket) -> String {
    let own = own.local_addr().expect("a bound socket");
    format!(
        "INVITE sip:9181@example.test SIP/2.0\r\n\
         Via: SIP/2.0/UDP {own};branch=z9hG4bK-repeated;rport\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:1000@example.test>;tag=repeated\r\n\
         To: <sip:9181@example.test>\r\n\
         Call-ID: repeated@{}\r\n\
         CSeq: 1 INVITE\r\n\
         Contact: <sip:1000@{own}>\r\n\
         Content-Type: application/sdp\r\n\
         Content-Length: {}\r\n\r\n{SDP}",
        site.udp.ip(),
        SDP.len(),
    )
}

/// Waits for a response with this status.
fn response(socket: &UdpSocket, status: u16) {
    let mut buffer = [0; 65_536];
    let wanted = format!("SIP/2.0 {status} ");
    loop {
        let length = socket.recv(&mut buffer).expect("a response in time");
        if buffer.get(..length).is_some_and(|bytes| bytes.starts_with(wanted.as_bytes())) {
            return;
        }
    }
}

#[test]
fn an_invite_repeated_after_a_kill_makes_no_second_call() {
    let _turn = alone();
    let site = Site::new("restart-invite");
    let members = FsMember::pair(&site, &["--open"]);
    let mut sbc = Sbc::start(&site, Balance::CallId);
    let socket = UdpSocket::bind(site.outside()).expect("a free port");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let bytes = invite(&site, &socket);
    // The number rings for ever.
    socket.send_to(bytes.as_bytes(), site.udp).expect("a datagram");
    response(&socket, 180);
    sbc.kill();
    sbc.restart();
    socket.send_to(bytes.as_bytes(), site.udp).expect("a datagram");
    response(&socket, 180);
    assert_eq!((invites(&members, "started"), invites(&members, "bare")), (1, 1));
}

#[test]
fn calls_over_wss_go_on_after_a_kill_though_others_connect_first() {
    let _turn = alone();
    let site = Site::new("restart-wss");
    let members = FsMember::pair(&site, &[]);
    let mut sbc = Sbc::start(&site, Balance::Aor);
    let browser = Browser::launch(&site);
    let (caller, callee) = (browser.page(&site, "1000"), browser.page(&site, "1001"));
    let phone = registered_phone(&site, "1002");
    let to_browser = phone.call("1001");
    callee.wait_for("call", &json!("incoming"));
    callee.run("answer", &json!(null));
    callee.wait_for("call", &json!("up"));
    phone.wait_for(to_browser, State::Up);
    // Its member sends a re-INVITE a second after the answer: nobody is there then.
    caller.call("9184");
    sbc.kill();
    for page in [&caller, &callee] {
        page.wait_for("connected", &json!(false));
    }
    sbc.restart();
    let others: Vec<_> = (0..OTHERS).map(|n| Live::browser(&site, &(1100 + n).to_string())).collect();
    others.iter().for_each(Live::register);
    others.iter().for_each(Live::wait_until_registered);
    for page in [&caller, &callee] {
        page.run("reconnect", &json!(null));
        page.wait_for("registered", &json!(true));
    }

    caller.wait_for("reinvites", &json!(1));
    for page in [&caller, &callee] {
        page.reoffer("hold");
    }
    // The BYE of the browser's side, and the BYE of the member's.
    caller.hang_up();
    phone.act(|agent, now| agent.bye(now, to_browser));
    callee.wait_for("call", &json!("ended"));
    no_calls_left(&members);
    assert_eq!(members.iter().map(|member| member.bindings("1000").len()).sum::<usize>(), 1);

    let mut view = PublicView::new(&site);
    caller.show_to(&mut view);
    callee.show_to(&mut view);
    for other in &others {
        other.assert_no_violations();
        other.show_to(&mut view);
    }
    view.assert_nothing_told();
}

/// Calls are being set up all the while; `make load` kills more often under more of them.
#[test]
fn every_call_that_begins_around_a_kill_gets_its_answer_and_none_begins_twice() {
    let _turn = alone();
    let killed = kills(3, 20, |_| ());
    assert_eq!(killed.broken(), Vec::<String>::new(), "{killed}");
    assert_eq!((killed.unanswered.len(), killed.outcome.failed), (0, 0), "{killed}");
}
