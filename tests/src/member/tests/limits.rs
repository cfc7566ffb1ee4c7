//! Limits, session timers and what the member owes to silence.

use crate::agent::{By, Registered, State};
use crate::net::{Net, address};
use crate::ua::Endpoint;
use crate::ua::message::Message;

const MEMBER: u16 = 6080;
const ANN: u16 = 5100;

#[test]
fn a_full_member_refuses_calls_and_registers_but_not_options() {
    let mut net = Net::new(1);
    net.add_member(MEMBER, |config| config.max_sessions = 3);
    net.registered(ANN, "1000", MEMBER);
    let legs = [0; 3].map(|_| net.act(ANN, |agent, now| agent.call(now, "sip:9196@example.test")));
    net.run(3000);
    let states = legs.map(|leg| net.agent(ANN).state(leg));
    assert_eq!(states, [State::Up, State::Up, State::Ended { by: By::Them, status: 503 }]);
    let refused =
        net.agent(ANN).trace().iter().find(|one| one.message.status() == 503).map(|one| one.message.clone());
    let refused = refused.expect("a 503");
    assert_eq!((refused.get("Retry-After"), refused.get("Reason")), (Some("300"), None));
    net.act(ANN, |agent, now| agent.register(now, 60));
    net.act(ANN, |agent, now| agent.ping(now, "sip:example.test"));
    net.run(3000);
    assert_eq!(net.agent(ANN).registered(), Registered::Refused(503));
    let now = net.now;
    assert_eq!(net.member(MEMBER).status(now).messages.answered.get("OPTIONS 200"), Some(&1));
}

/// An INVITE by hand to a member that challenges nobody.
fn invite(headers: &str, body: &str) -> String {
    format!(
        "INVITE sip:9196@example.test SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5079;branch=z9hG4bKq;rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:c@example.test>;tag=a\r\nTo: <sip:9196@example.test>\r\nCall-ID: hand\r\n\
         CSeq: 1 INVITE\r\nContact: <sip:c@127.0.0.1:5079>\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn open() -> Net {
    let mut net = Net::new(1);
    net.add_member(MEMBER, |config| config.auth_calls = false);
    net
}

const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

fn answers(net: &mut Net, headers: &str, body: &str) -> Vec<Message> {
    let now = net.now;
    net.member(MEMBER).handle(now, address(5079), invite(headers, body).as_bytes());
    let outputs = net.member(MEMBER).outputs();
    outputs.iter().map(|output| Message::read(&output.bytes).expect("SIP")).collect()
}

#[test]
fn short_sessions_missing_sdp_and_required_extensions_are_refused() {
    let short = answers(&mut open(), "Session-Expires: 60\r\n", SDP);
    assert_eq!(
        short.iter().map(|one| (one.status(), one.get("Min-SE"))).collect::<Vec<_>>(),
        [(422, Some("90"))]
    );
    let late = answers(&mut open(), "", "");
    assert_eq!(late.iter().map(Message::status).collect::<Vec<_>>(), [100, 480]);
    let reliable = answers(&mut open(), "Require: 100rel\r\n", SDP);
    assert_eq!(
        reliable.iter().map(|one| (one.status(), one.get("Unsupported"))).collect::<Vec<_>>(),
        [(420, Some("100rel"))]
    );
}

#[test]
fn the_100_has_only_the_top_via_and_record_routes_are_copied_as_they_are() {
    let headers = "Via: SIP/2.0/WSS x.invalid;branch=z9hG4bK2\r\nRecord-Route: <sip:b@127.0.0.1:5079;lr>\r\n\
                   Record-Route: <sip:a@203.0.113.5:443;transport=ws;lr>\r\n";
    let answers = answers(&mut open(), headers, SDP);
    let vias: Vec<_> = answers.iter().map(|one| (one.status(), one.list("Via").len())).collect();
    assert_eq!(vias, [(100, 1), (200, 2)]);
    let routes = answers[1].list("Record-Route");
    assert_eq!(routes, ["<sip:b@127.0.0.1:5079;lr>", "<sip:a@203.0.113.5:443;transport=ws;lr>"]);
}

#[test]
fn an_unacknowledged_200_is_repeated_for_32_seconds_and_then_the_member_hangs_up() {
    let mut net = open();
    assert_eq!(answers(&mut net, "", SDP).len(), 2);
    let mut sent = Vec::new();
    while let Some(at) = net.member(MEMBER).next_deadline().filter(|at| at.as_micros() < 33_000_000) {
        net.member(MEMBER).on_time(at);
        sent.extend(
            net.member(MEMBER).outputs().iter().filter_map(|output| Message::read(&output.bytes).ok()),
        );
    }
    assert_eq!(sent.iter().filter(|one| one.status() == 200).count(), 10);
    let bye = sent.iter().find(|one| one.method() == "BYE" && one.is_request()).expect("a BYE");
    assert_eq!(bye.get("Reason"), Some("SIP;cause=408;text=\"ACK Timeout\""));
}

#[test]
fn a_session_that_nobody_refreshes_is_ended() {
    let mut net = open();
    let ok = answers(&mut net, "Supported: timer\r\nSession-Expires: 90\r\n", SDP).pop().expect("a 200");
    assert_eq!((ok.get("Session-Expires"), ok.get("Require")), (Some("90;refresher=uac"), Some("timer")));
    let ack = format!(
        "ACK sip:9196@127.0.0.1:6080 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5079;branch=z9hG4bKr;rport\r\n\
         From: <sip:c@example.test>;tag=a\r\nTo: {}\r\nCall-ID: hand\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n",
        ok.get("To").unwrap_or("")
    );
    let now = net.now;
    net.member(MEMBER).handle(now, address(5079), ack.as_bytes());
    let at = now + std::time::Duration::from_secs(81);
    net.member(MEMBER).on_time(at);
    let outputs = net.member(MEMBER).outputs();
    let bye = outputs
        .iter()
        .filter_map(|output| Message::read(&output.bytes).ok())
        .find(|one| one.method() == "BYE");
    assert_eq!(bye.expect("a BYE").get("Reason"), Some("SIP;cause=408;text=\"Session timeout\""));
}

#[test]
fn an_invite_to_silence_leaves_at_0_1_3_7_15_and_31_seconds() {
    let mut net = open();
    net.registered(ANN, "1001", MEMBER);
    let start = net.now;
    let mut call = invite("", SDP);
    call = call.replacen("9196", "1001", 1);
    net.member(MEMBER).handle(start, address(5079), call.as_bytes());
    let mut times = Vec::new();
    let mut now = start;
    loop {
        let outputs = net.member(MEMBER).outputs();
        let fresh =
            outputs.iter().any(|output| output.to == address(ANN) && output.bytes.starts_with(b"INVITE"));
        if fresh {
            times.push(now.since(start).as_secs());
        }
        let Some(at) = net.member(MEMBER).next_deadline().filter(|at| at.since(start).as_secs() < 33) else {
            break;
        };
        now = at;
        net.member(MEMBER).on_time(now);
    }
    assert_eq!(times, [0, 1, 3, 7, 15, 31]);
}

#[test]
fn unknown_dialogs_and_methods_are_refused_and_shutdown_says_bye() {
    let mut net = Net::new(1);
    net.add_member(MEMBER, |_| {});
    net.registered(ANN, "1000", MEMBER);
    let leg = net.act(ANN, |agent, now| agent.call(now, "sip:9196@example.test"));
    net.run(2000);
    let now = net.now;
    let ask = |net: &mut Net, method: &str, tag: &str| {
        let text = format!(
            "{method} sip:x@127.0.0.1:6080 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5079;branch=z9hG4bK{method};rport\r\n\
             From: <sip:c@example.test>;tag=a\r\nTo: <sip:x@example.test>{tag}\r\nCall-ID: none\r\nCSeq: 7 {method}\r\n\
             Content-Length: 0\r\n\r\n"
        );
        net.member(MEMBER).handle(now, address(5079), text.as_bytes());
        net.member(MEMBER)
            .outputs()
            .first()
            .and_then(|output| Message::read(&output.bytes).ok())
            .map(|one| one.status())
    };
    assert_eq!(ask(&mut net, "INFO", ";tag=zz"), Some(481));
    assert_eq!(ask(&mut net, "FOO", ""), Some(501));
    net.member(MEMBER).shutdown(now);
    net.collect(address(MEMBER));
    net.run(1000);
    assert_eq!(net.agent(ANN).state(leg), State::Ended { by: By::Them, status: 200 });
}
