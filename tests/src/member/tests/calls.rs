//! Every number, every request inside a call, both directions.

use std::time::Duration;

use crate::agent::{By, LegId, Policy, State};
use crate::net::Net;
use crate::ua::message::Message;

const MEMBER: u16 = 6080;
const ANN: u16 = 5100;
const BOB: u16 = 5200;

fn pair(seed: u64) -> Net {
    let mut net = Net::new(seed);
    net.add_member(MEMBER, |_| {});
    net.registered(ANN, "1000", MEMBER);
    net.registered(BOB, "1001", MEMBER);
    net
}

fn dial(net: &mut Net, number: &str) -> LegId {
    net.act(ANN, |agent, now| agent.call(now, &format!("sip:{number}@example.test")))
}

fn answering(net: &mut Net) {
    net.agent(BOB).policy = Policy::Answer { after: Duration::from_secs(1) };
}

fn received(net: &mut Net, port: u16, method: &str) -> Vec<Message> {
    let trace = net.agent(port).trace().iter();
    trace
        .filter(|one| !one.sent && one.message.is_request() && one.message.method() == method)
        .map(|one| one.message.clone())
        .collect()
}

#[test]
fn echo_answers_with_one_challenge_and_no_100_before_it() {
    let mut net = pair(1);
    let leg = dial(&mut net, "9196");
    net.run(3000);
    assert_eq!(net.agent(ANN).state(leg), State::Up);
    let trace = net.agent(ANN).trace();
    let statuses: Vec<_> = trace
        .iter()
        .filter(|one| !one.sent && one.message.method() == "INVITE")
        .map(|one| one.message.status())
        .collect();
    assert_eq!(statuses, [407, 100, 200]);
    let ok = net.agent(ANN).call_of(leg).and_then(|call| call.first.clone()).expect("a 200");
    assert_eq!(ok.get("Contact"), Some("<sip:9196@127.0.0.1:6080;transport=udp>"));
    let names: Vec<_> = ok.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names.last(), Some(&"Remote-Party-ID"));
    assert_eq!(ok.get("Session-Expires"), Some("1800;refresher=uac"));
    net.act(ANN, |agent, now| agent.bye(now, leg));
    net.run(40_000);
    let now = net.now;
    let status = net.member(MEMBER).status(now);
    assert!(status.legs.is_empty());
    assert_eq!((status.counters.answered, status.counters.ended), (1, 1));
    assert_eq!(net.violations(), [""; 0]);
}

#[test]
fn numbers_that_refuse_refuse() {
    for (number, expected) in [("9486", 486), ("9503", 503), ("9302", 302), ("4711", 404), ("1005", 480)] {
        let mut net = pair(2);
        let leg = dial(&mut net, number);
        net.run(3000);
        assert_eq!(net.agent(ANN).state(leg), State::Ended { by: By::Them, status: expected }, "{number}");
    }
}

#[test]
fn ringing_numbers_ring_and_can_be_cancelled() {
    let mut net = pair(3);
    let answered = dial(&mut net, "9180");
    let endless = dial(&mut net, "9181");
    net.run(1000);
    assert_eq!(net.agent(ANN).state(answered), State::Ringing);
    net.run(2000);
    assert_eq!(net.agent(ANN).state(answered), State::Up);
    net.act(ANN, |agent, now| agent.cancel(now, endless));
    net.run(1000);
    assert_eq!(net.agent(ANN).state(endless), State::Ended { by: By::Us, status: 487 });
    let trace = net.agent(ANN).trace().iter();
    let cancelled: Vec<_> =
        trace.map(|one| &one.message).filter(|one| one.method() == "CANCEL" && one.status() == 200).collect();
    assert_eq!(cancelled.iter().map(|one| one.get("Contact")).collect::<Vec<_>>(), [None]);
}

#[test]
fn the_member_hangs_up_reinvites_and_asks() {
    let mut net = pair(4);
    let short = dial(&mut net, "9200");
    let refreshed = dial(&mut net, "9184");
    let asked = dial(&mut net, "9170");
    net.run(5000);
    assert_eq!(net.agent(ANN).state(short), State::Ended { by: By::Them, status: 200 });
    let requests = |net: &mut Net, leg| net.agent(ANN).call_of(leg).map(|call| call.requests.clone());
    assert_eq!(requests(&mut net, refreshed), Some(vec!["INVITE".into()]));
    assert_eq!(requests(&mut net, asked), Some(vec!["INFO".into(), "UPDATE".into()]));
    let notify = received(&mut net, ANN, "NOTIFY");
    assert_eq!(notify.first().and_then(|notify| notify.get("Event")), Some("check-sync"));
    assert_eq!(net.violations(), [""; 0]);
}

#[test]
fn a_user_is_called_at_the_contact_and_headers_cross_over() {
    let mut net = pair(5);
    answering(&mut net);
    let leg = net.act(ANN, |agent, now| {
        let uri = "sip:1001@example.test";
        agent.call_with(now, uri, uri, Vec::new(), vec![("X-Case".into(), "7".into())])
    });
    net.run(5000);
    assert_eq!(net.agent(ANN).state(leg), State::Up);
    assert_eq!(net.agent(ANN).call_of(leg).map(|call| call.progress.clone()), Some(vec![183]));
    let invite = received(&mut net, BOB, "INVITE").pop().expect("an INVITE");
    assert_eq!(invite.get("To"), Some("<sip:1001@127.0.0.1:5200>"));
    assert_eq!(invite.uri(), "sip:1001@127.0.0.1:5200");
    assert_eq!(invite.get("X-Case"), Some("7"));
    assert_eq!(invite.get("Max-Forwards"), Some("69"));
    // The order that was captured from a real one, with the header of the caller between the extras.
    let names: Vec<_> = invite.headers.iter().map(|(name, _)| name.as_str()).collect();
    let captured = "Via Max-Forwards From To Call-ID CSeq Contact User-Agent Allow Supported Allow-Events Session-Expires \
                    Min-SE Content-Type Content-Disposition Content-Length X-FS-Support X-Case Remote-Party-ID";
    assert_eq!(names.join(" "), captured);
    net.act(BOB, |agent, now| agent.incoming().map(|leg| agent.bye(now, leg)));
    net.run(2000);
    assert_eq!(net.agent(ANN).state(leg), State::Ended { by: By::Them, status: 200 });
    assert_eq!(net.violations(), [""; 0]);
}

#[test]
fn a_refusal_of_the_called_party_is_handed_on() {
    for status in [486, 480, 404, 503, 603] {
        let mut net = pair(6);
        net.agent(BOB).policy = Policy::Reject(status);
        let leg = dial(&mut net, "1001");
        net.run(3000);
        assert_eq!(net.agent(ANN).state(leg), State::Ended { by: By::Them, status });
    }
}

#[test]
fn a_fork_rings_all_and_cancels_the_losers() {
    let mut net = pair(7);
    net.registered(5300, "1001", MEMBER);
    answering(&mut net);
    net.agent(5300).policy = Policy::Ring;
    let leg = dial(&mut net, "1001");
    net.run(5000);
    assert_eq!(net.agent(ANN).state(leg), State::Up);
    let cancel = received(&mut net, 5300, "CANCEL").pop().expect("a CANCEL");
    assert_eq!(cancel.get("Reason"), Some("SIP;cause=200;text=\"Call completed elsewhere\""));
    let ids = [received(&mut net, BOB, "INVITE"), received(&mut net, 5300, "INVITE")]
        .map(|invites| invites[0].call_id().to_owned());
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn requests_inside_a_call_are_answered() {
    let mut net = pair(8);
    let leg = dial(&mut net, "9196");
    net.run(2000);
    for (step, expected) in
        [("hold", 200), ("update", 200), ("info", 200), ("options", 200), ("message", 202)]
    {
        net.act(ANN, |agent, now| match step {
            "hold" => agent.hold(now, leg),
            "update" => agent.update(now, leg),
            "info" => agent.info(now, leg),
            "options" => agent.options(now, leg),
            _ => agent.message(now, leg, "hello"),
        });
        net.run(1000);
        let reply = net.agent(ANN).call_of(leg).and_then(|call| call.replies.last().cloned());
        assert_eq!(reply.map(|(_, status)| status), Some(expected), "{step}");
    }
    let held = net
        .agent(ANN)
        .trace()
        .iter()
        .any(|one| one.message.status() == 200 && one.message.body.contains("a=recvonly"));
    assert!(held);
}

#[test]
fn a_reliable_183_is_acknowledged_and_the_200_has_no_body() {
    let mut net = Net::new(9);
    net.add_member(MEMBER, |config| config.enable_100rel = true);
    net.registered(ANN, "1000", MEMBER);
    net.registered(BOB, "1001", MEMBER);
    answering(&mut net);
    let leg = net.act(ANN, |agent, now| {
        let uri = "sip:1001@example.test";
        agent.call_with(now, uri, uri, Vec::new(), vec![("Supported".into(), "100rel".into())])
    });
    net.run(4000);
    let call = net.agent(ANN).call_of(leg).cloned().expect("a call");
    assert_eq!(call.state, State::Up);
    assert_eq!(call.reply("PRACK"), Some(200));
    assert_eq!(call.first.map(|ok| ok.body), Some(String::new()));
}

#[test]
fn calls_survive_loss() {
    for seed in 0..40 {
        let mut net = pair(seed);
        answering(&mut net);
        net.loss_percent = 20;
        let leg = dial(&mut net, "1001");
        net.run(60_000);
        assert_eq!(net.agent(ANN).state(leg), State::Up, "seed {seed}");
        net.act(ANN, |agent, now| agent.bye(now, leg));
        net.run(60_000);
        let now = net.now;
        assert!(net.member(MEMBER).status(now).legs.is_empty(), "seed {seed}");
        let double = net
            .member(MEMBER)
            .status(now)
            .counters
            .invites
            .values()
            .any(|count| count.started > 1 || count.bare > 1);
        assert!(!double, "seed {seed}");
        assert_eq!(net.violations(), [""; 0], "seed {seed}");
    }
}

#[test]
fn gateway_calls_out_with_credentials_and_is_called_where_it_registered() {
    let mut net = Net::new(10);
    net.add_member(MEMBER, |config| {
        config.gateway = Some(crate::member::config::Gateway {
            name: "sbc".into(),
            proxy: crate::net::address(7060),
            realm: "carrier.test".into(),
            user: "trunk".into(),
            password: "sesame".into(),
            register: true,
            expires: 600,
            extension: "9196".into(),
        });
    });
    net.add_carrier(7060, MEMBER, true);
    net.registered(ANN, "1000", MEMBER);
    let now = net.now;
    assert!(net.member(MEMBER).status(now).gateway_registered);
    let contact = net.carrier(7060).bindings().first().map(|binding| binding.contact.clone());
    assert_eq!(contact.as_deref(), Some("sip:gw+sbc@127.0.0.1:6080;transport=udp;gw=sbc"));
    net.agent(7060).policy = Policy::Answer { after: Duration::from_secs(1) };
    let out = dial(&mut net, "+4930123");
    net.run(4000);
    assert_eq!(net.agent(ANN).state(out), State::Up);
    let inward =
        net.carrier(7060).call_registered(now, "trunk", "sip:+49301@carrier.test").expect("a binding");
    net.collect(crate::net::address(7060));
    net.run(4000);
    assert_eq!(net.agent(7060).state(inward), State::Up);
    net.act(7060, |agent, now| agent.bye(now, inward));
    net.act(ANN, |agent, now| agent.bye(now, out));
    net.run(4000);
    let now = net.now;
    assert!(net.member(MEMBER).status(now).legs.is_empty());
    assert_eq!(net.violations(), [""; 0]);
}

#[test]
fn subscription_is_accepted_notified_and_ended() {
    let mut net = pair(11);
    net.act(ANN, |agent, now| agent.subscribe(now, "sip:1001@example.test", "dialog", 60));
    net.run(2000);
    assert_eq!(net.agent(ANN).subscribed(), (Some(202), 1));
    net.act(ANN, |agent, now| agent.resubscribe(now, 0));
    net.run(2000);
    assert_eq!(net.agent(ANN).subscribed(), (Some(202), 2));
}

#[test]
fn headers_of_the_called_partys_answer_reach_the_caller() {
    let mut net = pair(12);
    let leg = dial(&mut net, "1001");
    net.run(500);
    net.act(BOB, |agent, now| {
        let leg = agent.incoming().expect("a call");
        agent.answer_with(now, leg, vec![("X-Desk".into(), "3".into()), ("Server".into(), "secret".into())]);
    });
    net.run(1000);
    let ok = net.agent(ANN).call_of(leg).and_then(|call| call.first.clone()).expect("a 200");
    assert_eq!((ok.get("X-Desk"), ok.get("Server")), (Some("3"), None));
}

#[test]
fn the_member_acknowledges_a_reliable_provisional_response() {
    let mut net = Net::new(13);
    net.add_member(MEMBER, |config| config.enable_100rel = true);
    net.registered(ANN, "1000", MEMBER);
    net.registered(BOB, "1001", MEMBER);
    let leg = dial(&mut net, "1001");
    net.run(500);
    net.act(BOB, |agent, now| agent.incoming().map(|leg| agent.ring_early(now, leg)));
    net.run(4000);
    assert_eq!(received(&mut net, BOB, "PRACK").len(), 1);
    assert_eq!(net.agent(ANN).state(leg), State::Ringing);
}

#[test]
fn the_member_sends_message_and_options_inside_a_call() {
    let mut net = pair(14);
    let leg = dial(&mut net, "9172");
    net.run(3000);
    let requests = net.agent(ANN).call_of(leg).map(|call| call.requests.clone());
    assert_eq!(requests, Some(vec!["MESSAGE".into(), "OPTIONS".into()]));
}

#[test]
fn sessions_of_both_legs_are_refreshed_for_an_hour() {
    let mut net = Net::new(15);
    net.add_member(MEMBER, |config| config.session_timeout = 90);
    net.registered(ANN, "1000", MEMBER);
    net.registered(BOB, "1001", MEMBER);
    answering(&mut net);
    let leg = dial(&mut net, "1001");
    net.run(3_600_000);
    assert_eq!(net.agent(ANN).state(leg), State::Up);
    let reinvites = |net: &mut Net, port| received(net, port, "INVITE").len();
    assert!(reinvites(&mut net, BOB) > 70);
    net.act(ANN, |agent, now| agent.bye(now, leg));
    net.run(1000);
    assert_eq!(net.violations(), [""; 0]);
}

#[test]
fn a_cancel_that_crosses_the_answer_leaves_nothing_behind() {
    for seed in 0..100 {
        let mut net = pair(seed);
        answering(&mut net);
        net.loss_percent = 20;
        let leg = dial(&mut net, "1001");
        net.run(900 + seed * 17 % 400);
        net.act(ANN, |agent, now| agent.bye(now, leg));
        net.run(120_000);
        assert!(matches!(net.agent(ANN).state(leg), State::Ended { by: By::Us, .. }), "seed {seed}");
        assert!(
            net.agent(BOB).calls().all(|(_, call)| matches!(call.state, State::Ended { .. })),
            "seed {seed}"
        );
        let now = net.now;
        assert!(net.member(MEMBER).status(now).legs.is_empty(), "seed {seed}");
        assert_eq!(net.violations(), [""; 0], "seed {seed}");
    }
}

#[test]
fn requests_of_both_sides_survive_loss() {
    for seed in 0..40 {
        let mut net = pair(seed);
        net.loss_percent = 20;
        let legs = ["9170", "9172", "9184"].map(|number| dial(&mut net, number));
        net.run(90_000);
        let requests =
            legs.map(|leg| net.agent(ANN).call_of(leg).map(|call| call.requests.clone()).unwrap_or_default());
        assert_eq!(
            requests,
            [vec!["INFO", "UPDATE"], vec!["MESSAGE", "OPTIONS"], vec!["INVITE"]],
            "seed {seed}"
        );
        let held = net.act(ANN, |agent, now| agent.hold(now, legs[0]));
        net.run(40_000);
        assert!(
            held && net.agent(ANN).call_of(legs[0]).and_then(|call| call.reply("INVITE")) == Some(200),
            "seed {seed}"
        );
        assert_eq!(net.violations(), [""; 0], "seed {seed}");
    }
}
