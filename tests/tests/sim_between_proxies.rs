//! A call between two proxies (RFC 3665 §3.2 to §3.11): another proxy stands before us, in Via and in Record-Route. What
//! is its stays its, in both directions.

use sbc_tests::sim::stage::{
    Sent, Stage, answer_from, cancel, inside, inside_from_pool, request, statuses, the, to,
};
use sbc_tests::sim::{CARRIER, EXCHANGE, answer, replace};
use sbc_tests::ua::message::{Message, Start};

const RECORDED: &str = "<sip:203.0.113.10:5060;lr>";

/// An INVITE of a caller behind another proxy.
fn invite(call_id: &str) -> Message {
    let mut invite = request("INVITE", call_id, call_id);
    replace(&mut invite, "Via", &vias(call_id));
    replace(&mut invite, "Contact", &[format!("<sip:4930@{EXCHANGE}>")]);
    invite.headers.insert(0, ("Record-Route".into(), RECORDED.into()));
    if let Start::Request { uri, .. } = &mut invite.start {
        *uri = "sip:9196@198.51.100.7:5062".into();
    }
    invite
}

/// The proxy's own Via, and its caller's.
fn vias(branch: &str) -> [String; 2] {
    [
        format!("SIP/2.0/UDP {CARRIER};branch=z9hG4bK{branch}"),
        format!("SIP/2.0/UDP {EXCHANGE};branch=z9hG4bKcaller{branch};received=203.0.113.20"),
    ]
}

/// What the proxy is told, apart from our 100.
fn told(sent: &[Sent]) -> Message {
    let told: Vec<_> = to(sent, CARRIER).into_iter().filter(|one| one.status() != 100).collect();
    assert_eq!(told.len(), 1, "{sent:?}");
    told[0].clone()
}

/// CANCEL, and the ACK of a failure, have the Via of this hop alone (RFC 3261 §9.1, §17.1.1.3).
fn of_this_hop(mut request: Message, method: &str, answer: Option<&Message>) -> Message {
    let top = request.list("Via").remove(0);
    replace(&mut request, "Via", &[top]);
    if let Start::Request { method: own, .. } = &mut request.start {
        method.clone_into(own);
    }
    replace(&mut request, "CSeq", &[format!("1 {method}")]);
    if let Some(to) = answer.and_then(|answer| answer.get("To")) {
        replace(&mut request, "To", &[to.to_owned()]);
    }
    request
}

#[test]
fn a_call_and_its_end_pass_with_what_the_other_proxy_wrote() {
    for ends_inside in [false, true] {
        let mut stage = Stage::usual();
        let invite = invite("between");
        let there = the(&stage.say(CARRIER, &invite), "INVITE");
        assert_eq!(there.message.list("Via")[1..], vias("between"), "below our own");
        let recorded = there.message.list("Record-Route");
        assert_eq!((recorded.len(), recorded[1].as_str()), (2, RECORDED), "ours is on top");
        let ringing = told(&stage.say(&there.to, &answer_from(&there.to, &there.message, 180, "member")));
        assert_eq!((ringing.status(), ringing.list("Via")), (180, vias("between").to_vec()));
        let granted = answer_from(&there.to, &there.message, 200, "member");
        let ok = told(&stage.say(&there.to, &granted));
        assert_eq!((ok.status(), ok.list("Via")), (200, vias("between").to_vec()));
        assert_eq!(ok.list("Record-Route"), [RECORDED], "its own, for its caller");
        let with_two_vias = |mut request: Message, branch: &str| {
            replace(&mut request, "Via", &vias(branch));
            request
        };
        let ack = with_two_vias(inside("ACK", &invite, &ok, 1), "ack");
        assert_eq!(the(&stage.say(CARRIER, &ack), "ACK").message.list("Via")[1..], vias("ack"));
        if ends_inside {
            let bye = inside_from_pool(&there.to, "BYE", &there.message, &granted, 1);
            let bye = the(&stage.say(&there.to, &bye), "BYE");
            assert_eq!((bye.to.as_str(), bye.message.list("Route")), (CARRIER, vec![RECORDED.to_owned()]));
            assert_eq!(bye.message.uri(), format!("sip:4930@{EXCHANGE}"));
            let mut ended = answer(&bye.message, 200, "");
            ended.close(None);
            let sent = stage.say(CARRIER, &ended);
            assert_eq!(statuses(&sent, &there.to, "BYE"), [200]);
        } else {
            let bye = with_two_vias(inside("BYE", &invite, &ok, 2), "bye");
            let bye = the(&stage.say(CARRIER, &bye), "BYE");
            let ended = told(&stage.say(&bye.to, &answer_from(&bye.to, &bye.message, 200, "member")));
            assert_eq!((ended.status(), ended.list("Via")), (200, vias("bye").to_vec()));
        }
        stage.assert_at_rest();
    }
}

#[test]
fn a_failure_passes_with_both_vias_and_is_acknowledged_hop_by_hop() {
    for status in [302, 407, 480, 486] {
        let mut stage = Stage::usual();
        let invite = invite("fails");
        let there = the(&stage.say(CARRIER, &invite), "INVITE");
        let mut failure = answer(&there.message, status, "member");
        if status == 407 {
            failure.push("Proxy-Authenticate", "Digest realm=\"example.test\", nonce=\"n\", opaque=\"o\"");
        }
        failure.close(None);
        let sent = stage.say(&there.to, &failure);
        assert_eq!(the(&sent, "ACK").to, there.to, "the member's is ours");
        let told = told(&sent.into_iter().filter(|one| one.to == CARRIER).collect::<Vec<_>>());
        assert_eq!((told.status(), told.list("Via")), (status, vias("fails").to_vec()));
        assert!(stage.say(CARRIER, &of_this_hop(invite, "ACK", Some(&told))).is_empty(), "its ACK ends here");
        stage.assert_at_rest();
    }
}

#[test]
fn a_cancel_of_the_other_proxy_goes_on_and_its_487_goes_back() {
    let mut stage = Stage::usual();
    let invite = invite("cancelled");
    let there = the(&stage.say(CARRIER, &invite), "INVITE");
    stage.say(&there.to, &answer_from(&there.to, &there.message, 180, "member"));
    let sent = stage.say(CARRIER, &of_this_hop(cancel(&invite), "CANCEL", None));
    assert_eq!(statuses(&sent, CARRIER, "CANCEL"), [200]);
    let cancelled = the(&sent, "CANCEL");
    assert_eq!(cancelled.message.list("Via"), there.message.list("Via")[..1]);
    stage.say(&there.to, &answer_from(&there.to, &cancelled.message, 200, "member"));
    let sent = stage.say(&there.to, &answer_from(&there.to, &there.message, 487, "member"));
    let told = told(&sent.into_iter().filter(|one| one.to == CARRIER).collect::<Vec<_>>());
    assert_eq!((told.status(), told.list("Via")), (487, vias("cancelled").to_vec()));
    assert!(stage.say(CARRIER, &of_this_hop(invite, "ACK", Some(&told))).is_empty());
    stage.assert_at_rest();
}
