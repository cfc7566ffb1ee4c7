//! Rules that RFC 3261 gives a stateful proxy, each played word by word; `RFC.md` says which rule is where.

use std::net::SocketAddr;

use sbc_core::flow::Transport;
use sbc_tests::agent::State;
use sbc_tests::sim::stage::{Stage, answer_from, cancel, request, statuses, the, to};
use sbc_tests::sim::{BROWSER, CARRIER, EdgeSettings, MEMBERS, PHONE, WSS, cast, replace};
use sbc_tests::ua::message::{Message, Start};

const SECOND_PHONE: &str = "192.0.2.24:5060";

fn asking(uri: &str, call_id: &str) -> Message {
    let mut message = request("MESSAGE", call_id, call_id);
    message.start = Start::Request { method: "MESSAGE".into(), uri: uri.into() };
    message
}

/// §16.3 items 1, 2 and 5: what cannot go on is refused, with the status that says why.
#[test]
fn a_request_that_cannot_go_on_is_told_why() {
    let mut stage = Stage::usual();
    let mut extension = request("MESSAGE", "extension", "extension");
    extension.headers.push(("Proxy-Require".into(), "teleport".into()));
    let mut far = request("MESSAGE", "bad-hops", "bad-hops");
    replace(&mut far, "Max-Forwards", &["many".into()]);
    let mut nameless = request("MESSAGE", "nameless", "nameless");
    replace(&mut nameless, "From", &["nobody".into()]);
    let cases = [
        (asking("gopher:example.test", "gopher"), 416),
        (asking("sip:9196@example.test?Subject=x", "headers"), 400),
        (extension, 420),
        (far, 400),
        (nameless, 400),
    ];
    for (message, status) in cases {
        let sent = stage.say(PHONE, &message);
        assert_eq!(statuses(&sent, PHONE, "MESSAGE"), [status], "{message:?}");
        assert_eq!(sent.len(), 1, "nothing is forwarded: {sent:?}");
        if status == 420 {
            assert_eq!(to(&sent, PHONE)[0].get("Unsupported"), Some("teleport"));
        }
    }
}

/// §16.6 items 1 and 8: a method and headers nobody knows pass with their body, under a Via of ours on top.
#[test]
fn what_we_do_not_know_passes_as_it_came() {
    let mut stage = Stage::usual();
    let mut message = request("FROBNICATE", "unknown", "unknown");
    message.headers.retain(|(name, _)| name != "Content-Length");
    message.headers.push(("X-Unknown".into(), "a;b=\"c, d\"".into()));
    message.headers.push(("Content-Type".into(), "application/frob".into()));
    message.headers.push(("Content-Length".into(), "4".into()));
    message.body = "frob".into();
    let there = the(&stage.say(PHONE, &message), "FROBNICATE").message;
    assert_eq!((there.get("X-Unknown"), there.body.as_str()), (Some("a;b=\"c, d\""), "frob"));
    let vias = there.list("Via");
    assert_eq!(vias.len(), 2);
    assert!(vias[0].contains("10.0.1.5:507") && vias[0].contains("branch=z9hG4bK"), "{vias:?}");
}

/// §16.7 items 3 and 5: our Via comes off, a 100 goes no further, any other provisional passes at once.
#[test]
fn a_response_loses_our_via_and_a_100_ends_here() {
    let mut stage = Stage::usual();
    let invite = request("INVITE", "response", "response");
    let there = the(&stage.say(PHONE, &invite), "INVITE");
    let mut trying = answer_from(&there.to, &there.message, 100, "");
    trying.headers.push(("X-From-Pool".into(), "yes".into()));
    let sent = stage.say(&there.to, &trying);
    assert!(to(&sent, PHONE).iter().all(|one| one.get("X-From-Pool").is_none()), "{sent:?}");
    for status in [180, 183, 199] {
        let sent = stage.say(&there.to, &answer_from(&there.to, &there.message, status, "member"));
        assert_eq!(statuses(&sent, PHONE, "INVITE"), [status]);
        let vias = to(&sent, PHONE)[0].list("Via");
        assert_eq!(vias.len(), 1);
        assert!(vias[0].contains("branch=z9hG4bKresponse"), "{vias:?}");
    }
}

/// §17.2.1 and §17.2.2: a repeated request gets the last answer again, and no member hears of it.
#[test]
fn a_repeated_request_gets_the_last_answer_again() {
    let mut stage = Stage::usual();
    for (method, answers) in [("INVITE", vec![180, 486]), ("MESSAGE", vec![202])] {
        let first = request(method, &format!("repeated-{method}"), method);
        let there = the(&stage.say(PHONE, &first), method);
        for status in answers {
            stage.say(&there.to, &answer_from(&there.to, &there.message, status, "member"));
            let sent = stage.say(PHONE, &first);
            assert_eq!(statuses(&sent, PHONE, method), [status]);
            assert!(to(&sent, &there.to).is_empty(), "{sent:?}");
        }
    }
}

/// §17.2.1: the caller has its 100 within 200 ms, from us, where the member says nothing.
#[test]
fn trying_comes_within_200_ms() {
    let mut stage = Stage::usual();
    let mut sent = stage.say(PHONE, &request("INVITE", "trying", "trying"));
    sent.extend(stage.pass(200));
    assert_eq!(statuses(&sent, PHONE, "INVITE"), [100]);
}

/// §17.2.3: without the magic cookie the parts of the request itself are what repetitions and ACK are
/// known by, where such clients are let in.
#[test]
fn a_client_without_the_cookie_is_known_all_the_same() {
    let mut stage = Stage::usual();
    let mut invite = request("INVITE", "rfc2543", "x");
    replace(&mut invite, "Via", &[format!("SIP/2.0/UDP {CARRIER}")]);
    let there = the(&stage.say(CARRIER, &invite), "INVITE");
    assert!(stage.say(CARRIER, &invite).iter().all(|one| one.to == CARRIER), "the repetition ends here");
    let sent = stage.say(&there.to, &answer_from(&there.to, &there.message, 486, "member"));
    let busy = to(&sent, CARRIER)[0].clone();
    let mut ack = cancel(&invite);
    ack.start = Start::Request { method: "ACK".into(), uri: invite.uri().to_owned() };
    replace(&mut ack, "CSeq", &["1 ACK".into()]);
    replace(&mut ack, "To", &[busy.get("To").expect("To").to_owned()]);
    assert!(stage.say(CARRIER, &ack).is_empty());
    assert!(stage.pass(4_000).iter().all(|one| one.to != CARRIER), "the 486 is not repeated any more");
    stage.assert_at_rest();
}

/// §9.2: a CANCEL of what would not have gone on.
#[test]
fn a_cancel_of_nothing_is_told_so() {
    let mut stage = Stage::usual();
    let mut cancel = cancel(&request("INVITE", "nothing", "nothing"));
    cancel.start = Start::Request { method: "CANCEL".into(), uri: "sip:9196@elsewhere.test".into() };
    let sent = stage.say(PHONE, &cancel);
    assert_eq!(statuses(&sent, PHONE, "CANCEL"), [481]);
}

/// §18.2.1, §18.2.2 and RFC 3581 §4: answers go to where the request came from, and say where that was.
#[test]
fn an_answer_goes_where_its_request_came_from() {
    let mut stage = Stage::usual();
    let mut message = request("MESSAGE", "symmetric", "symmetric");
    replace(&mut message, "Via", &["SIP/2.0/UDP 10.9.9.9:5060;rport;branch=z9hG4bKsymmetric".into()]);
    let there = the(&stage.say(PHONE, &message), "MESSAGE");
    let sent = stage.say(&there.to, &answer_from(&there.to, &there.message, 200, "member"));
    let answer = to(&sent, PHONE)[0];
    let via = answer.get("Via").expect("a Via");
    assert!(via.contains(";rport=5060") && via.contains(";received=192.0.2.23"), "{via}");
}

/// §16.7 item 1 and §18.1.2: a response that belongs to nothing of ours is dropped.
#[test]
fn a_stray_response_is_dropped() {
    let mut stage = Stage::usual();
    let there = the(&stage.say(PHONE, &request("MESSAGE", "stray", "stray")), "MESSAGE");
    let mut ok = answer_from(&there.to, &there.message, 200, "member");
    let mut vias = ok.list("Via");
    vias[0] = "SIP/2.0/UDP 10.0.1.5:5070;branch=z9hG4bKnobody".into();
    replace(&mut ok, "Via", &vias);
    assert!(stage.say(&there.to, &ok).is_empty());
}

/// Register a phone of user 1003 by hand; the member that confirms it.
fn register(stage: &mut Stage, phone: &str) -> String {
    let mut register = request("REGISTER", phone, &phone.replace([':', '.'], ""));
    register.start = Start::Request { method: "REGISTER".into(), uri: "sip:example.test".into() };
    replace(&mut register, "To", &["<sip:1003@example.test>".into()]);
    replace(&mut register, "Contact", &[format!("<sip:1003@{phone}>;expires=300")]);
    replace(&mut register, "Via", &[format!("SIP/2.0/UDP {phone};rport;branch=z9hG4bKregister")]);
    let there = the(&stage.say(phone, &register), "REGISTER");
    assert_eq!(there.message.all("Path").count(), 1, "RFC 3327 §5.2: one Path of ours");
    let mut ok = answer_from(&there.to, &there.message, 200, "registrar");
    replace(&mut ok, "Contact", &[format!("<sip:1003@{phone}>;expires=300")]);
    let sent = stage.say(&there.to, &ok);
    assert_eq!(statuses(&sent, phone, "REGISTER"), [200]);
    there.to
}

/// §16.7 items 6 and 7: bindings are tried one after the other, and the challenges of all of them go back in one
/// answer, in the order they came.
#[test]
fn challenges_of_several_targets_go_back_in_one_answer() {
    let mut stage = Stage::usual();
    let member = register(&mut stage, PHONE);
    stage.pass(1_000);
    register(&mut stage, SECOND_PHONE);
    let mut invite = request("INVITE", "forked-challenges", "pool");
    invite.start = Start::Request { method: "INVITE".into(), uri: "sip:1003@example.test".into() };
    replace(&mut invite, "Via", &[format!("SIP/2.0/UDP {member};rport;branch=z9hG4bKpool")]);
    let mut asked = the(&stage.say(&member, &invite), "INVITE");
    let cases = [(401, "WWW-Authenticate", "one"), (407, "Proxy-Authenticate", "two")];
    for (number, (status, name, realm)) in cases.into_iter().enumerate() {
        let mut challenge = answer_from(&asked.to, &asked.message, status, realm);
        challenge.headers.push((name.into(), format!("Digest realm=\"{realm}\", nonce=\"n\"")));
        let sent = stage.say(&asked.to, &challenge);
        if number == 0 {
            assert!(statuses(&sent, &member, "INVITE").iter().all(|status| *status == 100), "{sent:?}");
            asked = sent
                .iter()
                .find(|one| one.message.is_request() && one.message.method() == "INVITE")
                .expect("the other binding is asked")
                .clone();
            continue;
        }
        let answers = to(&sent, &member);
        let best = answers.iter().find(|one| one.status() >= 200).expect("a final answer");
        assert_eq!(best.status(), 401, "of two alike the first stands");
        assert!(best.get("WWW-Authenticate").is_some_and(|value| value.contains("\"one\"")));
        assert!(best.get("Proxy-Authenticate").is_some_and(|value| value.contains("\"two\"")));
    }
}

/// RFC 5626 §4.4.1 on datagrams: what only keeps a path open is no message, and is not answered.
#[test]
fn a_keepalive_is_no_message() {
    let mut stage = Stage::usual();
    for bytes in [&b"\r\n\r\n"[..], b"\r\n", b"\0\0\0\0"] {
        stage.world.inject(PHONE, sbc_tests::sim::PHONES, bytes);
    }
    assert!(stage.pass(100).is_empty());
}

/// RFC 4320 §4.1: a request other than INVITE gets no 100 while its repetitions are still quick.
#[test]
fn no_early_100_to_another_request() {
    let mut stage = Stage::usual();
    let mut sent = stage.say(PHONE, &request("MESSAGE", "early", "early"));
    sent.extend(stage.pass(3_400));
    assert!(to(&sent, PHONE).is_empty(), "{sent:?}");
    assert_eq!(statuses(&stage.pass(300), PHONE, "MESSAGE"), [100]);
}

/// §16.6 item 9: over a stream only Content-Length says where a message ends.
#[test]
fn a_stream_is_told_the_length_of_each_message() {
    let settings = EdgeSettings { transport: Transport::Tcp, ..EdgeSettings::new(&MEMBERS) };
    for (stage, length) in [(Stage::new(&settings), Some("0")), (Stage::usual(), None)] {
        let mut stage = stage;
        let mut message = request("MESSAGE", "length", "length");
        replace(&mut message, "Content-Length", &[]);
        let there = the(&stage.say(PHONE, &message), "MESSAGE");
        assert_eq!(there.message.get("Content-Length"), length);
    }
}

/// RFC 5626 §4.4.1 on connections: a double CRLF asks whether we are there, and one CRLF says so.
#[test]
fn a_double_crlf_on_a_connection_is_answered() {
    let mut world = cast(1, &EdgeSettings::new(&MEMBERS), 0);
    for (ping, pong) in [("\r\n\r\n", Some("\r\n")), ("\r\n", None)] {
        world.departures.clear();
        world.inject(BROWSER, WSS, ping.as_bytes());
        world.run(50);
        let to_browser: SocketAddr = BROWSER.parse().expect("an address");
        let answer = world.departures.iter().find(|one| one.to == to_browser);
        assert_eq!(answer.map(|one| &*one.bytes), pong.map(str::as_bytes));
    }
}

/// §17.2.4 and §18.2.2: the answer to a call whose connection is gone follows its caller to the next one.
#[test]
fn an_answer_follows_its_caller_to_the_next_connection() {
    let mut world = cast(1, &EdgeSettings::new(&MEMBERS), 0);
    // 9180 rings for two seconds.
    let leg = world.act(BROWSER, |agent, now| agent.call(now, "sip:9180@example.test"));
    assert!(world.until(5_000, |world| world.state(BROWSER, leg) == State::Ringing));
    world.cut(BROWSER);
    world.run(100);
    world.connect(BROWSER);
    world.register(BROWSER);
    assert_eq!(world.state(BROWSER, leg), State::Ringing, "it is not answered yet");
    world.until_up(BROWSER, leg);
    world.act(BROWSER, |agent, now| agent.bye(now, leg));
    world.until_ended(BROWSER, leg);
    world.assert_quiet();
}
