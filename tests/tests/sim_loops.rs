//! Requests that come round again, come twice, or have come too far (RFC 3261 §16.3, RFC 5393).

use sbc_core::count::Count;
use sbc_tests::sim::stage::{Stage, answer_from, cancel, request, statuses, the, to};
use sbc_tests::sim::{MEMBERS, PHONE, replace};
use sbc_tests::ua::message::{Message, Start};

/// The request as a proxy behind us sends it back to us: under its own Via.
fn returned(there: &Message, branch: &str) -> Message {
    let mut back = there.clone();
    let mut vias = vec![format!("SIP/2.0/UDP {PHONE};branch=z9hG4bK{branch}")];
    vias.extend(there.list("Via"));
    replace(&mut back, "Via", &vias);
    replace(&mut back, "Record-Route", &[]);
    back
}

fn renamed(request: &Message, uri: &str) -> Message {
    let mut renamed = request.clone();
    if let Start::Request { uri: own, .. } = &mut renamed.start {
        uri.clone_into(own);
    }
    renamed
}

/// RFC 3261 §16.3 item 4 and RFC 5393 §4.2: back with the same Request-URI by the same way is a loop.
#[test]
fn a_request_that_comes_back_unchanged_is_a_loop() {
    for method in ["MESSAGE", "INVITE", "SUBSCRIBE"] {
        let mut stage = Stage::usual();
        let there = the(&stage.say(PHONE, &request(method, "loop", "once")), method);
        let sent = stage.say(PHONE, &returned(&there.message, "proxy"));
        assert_eq!(statuses(&sent, PHONE, method), [482], "{method}");
        assert_eq!(sent.len(), 1, "{method} goes no further: {sent:?}");
        assert_eq!(stage.world.core().counters().get(Count::Loop), 1);
    }
}

/// RFC 3261 §16.3 item 4: back with another Request-URI it is a spiral, and goes on.
#[test]
fn a_request_that_comes_back_for_somebody_else_is_a_spiral() {
    let mut stage = Stage::usual();
    let there = the(&stage.say(PHONE, &request("INVITE", "spiral", "once")), "INVITE");
    let back = renamed(&returned(&there.message, "proxy"), "sip:9197@example.test");
    let again = the(&stage.say(PHONE, &back), "INVITE");
    assert_eq!(again.message.uri(), "sip:9197@example.test");
    // The second time round it is a loop.
    let back = renamed(&returned(&again.message, "again"), "sip:9197@example.test");
    assert_eq!(statuses(&stage.say(PHONE, &back), PHONE, "INVITE"), [482]);
}

/// The hash is sealed with keys that outlive the process: a loop ends, though we were restarted in between.
#[test]
fn a_loop_through_a_restart_ends() {
    let mut stage = Stage::usual();
    let there = the(&stage.say(PHONE, &request("MESSAGE", "restart", "once")), "MESSAGE");
    stage.world.restart();
    stage.pass(1_000);
    let sent = stage.say(PHONE, &returned(&there.message, "proxy"));
    assert_eq!(statuses(&sent, PHONE, "MESSAGE"), [482]);
}

/// Branches that others made up, however many, are no loop and cost nothing.
#[test]
fn foreign_branches_are_no_loop() {
    let mut stage = Stage::usual();
    let mut far = request("MESSAGE", "far", "first");
    let mut vias = far.list("Via");
    let forged = format!("z9hG4bKFOvO{}", "A".repeat(60));
    vias.extend((0..60).map(|hop| format!("SIP/2.0/UDP 192.0.2.{hop}:5060;branch={forged}")));
    replace(&mut far, "Via", &vias);
    the(&stage.say(PHONE, &far), "MESSAGE");
}

/// RFC 3261 §8.2.2.2, which the pool would answer so as well: the same INVITE by two ways is one call.
#[test]
fn an_invite_that_comes_by_two_ways_is_merged() {
    let mut stage = Stage::usual();
    let first = request("INVITE", "merged", "one-way");
    let there = the(&stage.say(PHONE, &first), "INVITE");
    let sent = stage.say(PHONE, &request("INVITE", "merged", "another-way"));
    assert_eq!(statuses(&sent, PHONE, "INVITE"), [482]);
    assert_eq!(to(&sent, PHONE).len(), sent.len(), "no member hears of it: {sent:?}");
    assert_eq!(stage.world.core().counters().get(Count::Merged), 1);
    // The first one is as good as before.
    let ok = answer_from(&there.to, &there.message, 200, "member");
    assert_eq!(statuses(&stage.say(&there.to, &ok), PHONE, "INVITE"), [200]);
    stage.assert_at_rest();
}

/// A proxy before us forked one call to two of our numbers: both ring, for their Request-URIs differ.
#[test]
fn a_call_forked_before_us_to_two_numbers_is_not_merged() {
    let mut stage = Stage::usual();
    the(&stage.say(PHONE, &request("INVITE", "forked", "one")), "INVITE");
    let second = renamed(&request("INVITE", "forked", "two"), "sip:9197@example.test");
    assert_eq!(the(&stage.say(PHONE, &second), "INVITE").message.uri(), "sip:9197@example.test");
}

/// RFC 3263 §4.3: a client that was told 503 may try the same INVITE again under a new branch.
#[test]
fn an_invite_tried_again_after_a_failure_is_not_merged() {
    let mut stage = Stage::usual();
    let first = request("INVITE", "again", "first-try");
    let there = the(&stage.say(PHONE, &first), "INVITE");
    let sent = stage.say(&there.to, &answer_from(&there.to, &there.message, 480, "member"));
    assert_eq!(statuses(&sent, PHONE, "INVITE"), [480]);
    the(&stage.say(PHONE, &request("INVITE", "again", "second-try")), "INVITE");
    let mut ack = cancel(&first);
    replace(&mut ack, "CSeq", &["1 ACK".to_owned()]);
    ack.start = Start::Request { method: "ACK".into(), uri: first.uri().to_owned() };
    stage.say(PHONE, &ack);
}

/// RFC 3261 §16.3 item 3 and §16.6 item 3: counted down, and at its end.
#[test]
fn max_forwards_is_counted_down_to_its_end() {
    let mut stage = Stage::usual();
    for (hops, left) in [("70", Some("69")), ("1", Some("0")), ("0", None)] {
        let mut message = request("MESSAGE", &format!("hops-{hops}"), hops);
        replace(&mut message, "Max-Forwards", &[hops.to_owned()]);
        let sent = stage.say(PHONE, &message);
        match left {
            Some(left) => assert_eq!(the(&sent, "MESSAGE").message.get("Max-Forwards"), Some(left)),
            None => assert_eq!(statuses(&sent, PHONE, "MESSAGE"), [483]),
        }
    }
    // Leading zeros mean nothing; OPTIONS that may go no further are for us, whoever they name.
    for zero in ["0", "00", "000"] {
        let mut ping = request("OPTIONS", &format!("ping-{zero}"), zero);
        replace(&mut ping, "Max-Forwards", &[zero.to_owned()]);
        let sent = stage.say(PHONE, &ping);
        assert_eq!(statuses(&sent, PHONE, "OPTIONS"), [200], "{sent:?}");
    }
    let mut message = request("MESSAGE", "hops-none", "none");
    replace(&mut message, "Max-Forwards", &[]);
    assert_eq!(the(&stage.say(PHONE, &message), "MESSAGE").message.get("Max-Forwards"), Some("70"));
}

/// RFC 5393 §5.3.3: what we may spread a request to is shared out, never multiplied; with nothing left it ends.
#[test]
fn max_breadth_is_shared_out() {
    let mut stage = Stage::usual();
    for zero in ["0", "00"] {
        let mut none = request("INVITE", &format!("breadth-{zero}"), zero);
        none.headers.push(("Max-Breadth".into(), zero.into()));
        assert_eq!(statuses(&stage.say(PHONE, &none), PHONE, "INVITE"), [440]);
    }
    assert_eq!(stage.world.core().counters().get(Count::MaxBreadth), 2);
    for (breadth, first, second) in [(5, 4, Some(1)), (1, 1, None)] {
        let mut stage = Stage::usual();
        let mut invite = request("INVITE", "breadth", "some");
        invite.headers.push(("Max-Breadth".into(), breadth.to_string()));
        let there = the(&stage.say(PHONE, &invite), "INVITE");
        assert_eq!(there.message.number("Max-Breadth"), Some(first));
        // The member says nothing, and the other one is asked while it may still.
        let sent = stage.pass(2_500);
        let other = MEMBERS.iter().find(|member| **member != there.to).expect("two members");
        let asked = to(&sent, other).first().and_then(|invite| invite.number("Max-Breadth"));
        assert_eq!(asked, second, "of {breadth}");
    }
    // Without the header nobody minds, and none is made up.
    let there = the(&stage.say(PHONE, &request("INVITE", "breadth-free", "free")), "INVITE");
    assert_eq!(there.message.get("Max-Breadth"), None);
}
