//! Messages that cross each other, played word by word: what RFC 3261 says of each meeting, and what no caller
//! or member may be left with.

use sbc_core::count::Count;
use sbc_tests::agent::State;
use sbc_tests::sim::stage::{
    Sent, Stage, answer_from, cancel, inside, inside_from_pool, request, statuses, the, to,
};
use sbc_tests::sim::{EdgeSettings, MEMBERS, PHONE, World, cast, for_seeds, replace};
use sbc_tests::ua::message::Message;

/// An INVITE on its way: as the phone sent it, which member has it, and as it came there.
struct Invited {
    stage: Stage,
    invite: Message,
    member: String,
    there: Message,
}

impl Invited {
    fn new(call_id: &str) -> Self {
        Self::with(Stage::usual(), request("INVITE", call_id, call_id))
    }

    fn with(mut stage: Stage, invite: Message) -> Self {
        let Sent { to: member, message: there } = the(&stage.say(PHONE, &invite), "INVITE");
        Self { stage, invite, member, there }
    }

    /// The member answers the INVITE.
    fn answers(&mut self, status: u16) -> Vec<Sent> {
        let response = answer_from(&self.member, &self.there, status, "member");
        self.stage.say(&self.member, &response)
    }

    /// The other member is asked as well, because the first one says nothing.
    fn other_is_asked(&mut self) -> (String, Message) {
        let asked = self.stage.pass(2_500);
        let is_asked = |one: &&Sent| {
            one.to != self.member && one.message.method() == "INVITE" && one.message.is_request()
        };
        let asked = asked.iter().find(is_asked).expect("the other member is asked").clone();
        (asked.to, asked.message)
    }

    /// The phone acknowledges the failure it got.
    fn acknowledged(mut self) {
        let mut ack = cancel(&self.invite);
        ack = retitled(&ack, "ACK");
        self.stage.say(PHONE, &ack);
        self.stage.assert_at_rest();
    }

    /// A call that is up: the phone's 200, and the stage after its ACK.
    fn up(call_id: &str) -> (Self, Message, Message) {
        let mut call = Self::new(call_id);
        let ok_there = answer_from(&call.member, &call.there, 200, "member");
        let sent = call.stage.say(&call.member.clone(), &ok_there);
        let ok = to(&sent, PHONE)[0].clone();
        let sent = call.stage.say(PHONE, &inside("ACK", &call.invite, &ok, 1));
        assert_eq!(the(&sent, "ACK").to, call.member);
        (call, ok, ok_there)
    }
}

/// The same message under another method.
fn retitled(message: &Message, method: &str) -> Message {
    let mut other = Message::request(method, message.uri());
    other.headers.clone_from(&message.headers);
    replace(&mut other, "CSeq", &[format!("{} {method}", message.cseq())]);
    other
}

/// RFC 3261 §9.1 and §16.10: CANCEL is answered here, and a 200 that was quicker still reaches its caller.
#[test]
fn a_200_that_crosses_a_cancel_reaches_the_caller() {
    let mut call = Invited::new("cancel-against-200");
    assert_eq!(statuses(&call.answers(180), PHONE, "INVITE"), [180]);
    let sent = call.stage.say(PHONE, &cancel(&call.invite));
    assert_eq!(statuses(&sent, PHONE, "CANCEL"), [200]);
    assert_eq!(the(&sent, "CANCEL").to, call.member);
    let sent = call.answers(200);
    assert_eq!(statuses(&sent, PHONE, "INVITE"), [200]);
    let ok = to(&sent, PHONE)[0].clone();
    for (number, method) in [(1, "ACK"), (2, "BYE")] {
        let sent = call.stage.say(PHONE, &inside(method, &call.invite, &ok, number));
        assert_eq!(the(&sent, method).to, call.member, "the caller ends what it did not want");
    }
    call.stage.assert_at_rest();
}

/// RFC 3261 §9.1: no CANCEL before something provisional came.
#[test]
fn a_cancel_waits_for_the_first_word_of_the_member() {
    let mut call = Invited::new("cancel-waits");
    let sent = call.stage.say(PHONE, &cancel(&call.invite));
    assert!(to(&sent, &call.member).is_empty(), "{sent:?}");
    assert_eq!(the(&call.answers(180), "CANCEL").to, call.member);
    assert_eq!(statuses(&call.answers(487), PHONE, "INVITE"), [487]);
    call.acknowledged();
}

/// RFC 3261 §13.2.2.4 for a caller that never asked for two calls: ACK and BYE, once for each dialog.
#[test]
fn a_late_200_of_an_abandoned_member_is_ended_here() {
    let mut call = Invited::new("late-200");
    let (other, there) = call.other_is_asked();
    let sent = call.stage.say(&other, &answer_from(&other, &there, 180, "other"));
    assert_eq!(the(&sent, "CANCEL").to, call.member);
    let sent = call.stage.say(&other, &answer_from(&other, &there, 200, "other"));
    assert_eq!(statuses(&sent, PHONE, "INVITE"), [200]);
    let sent = call.answers(200);
    assert_eq!((the(&sent, "ACK").to, the(&sent, "BYE").to), (call.member.clone(), call.member.clone()));
    let bye = the(&sent, "BYE").message;
    assert_eq!((bye.cseq(), bye.tag("To")), (call.invite.cseq() + 1, "member".to_owned()));
    assert!(to(&sent, PHONE).is_empty(), "the caller hears nothing of it: {sent:?}");
    let sent = call.answers(200);
    assert_eq!(the(&sent, "ACK").to, call.member);
    assert!(sent.iter().all(|one| one.message.method() != "BYE"), "one BYE for one dialog: {sent:?}");
    // The abandoned target forked: its second dialog is ended as well.
    let second = answer_from(&call.member, &call.there, 200, "second");
    let sent = call.stage.say(&call.member.clone(), &second);
    assert_eq!(the(&sent, "BYE").message.tag("To"), "second");
    assert_eq!(call.stage.world.core().counters().get(Count::LateAnswers), 2);
    call.stage.assert_at_rest();
}

/// The same where its Contact is folded (RFC 3261 §7.3.1), or is none: there the dialog's target is whom the INVITE asked.
#[test]
fn a_late_200_is_ended_whatever_its_contact_looks_like() {
    for (number, (contact, uri)) in [
        ("<sip:9196@10.0.2.10:5080;x=1\r\n ;y=2>", Some("sip:9196@10.0.2.10:5080;x=1;y=2")),
        ("\"nobody", None),
        ("", None),
    ]
    .into_iter()
    .enumerate()
    {
        let mut call = Invited::new(&format!("late-contact-{number}"));
        let (other, there) = call.other_is_asked();
        call.stage.say(&other, &answer_from(&other, &there, 180, "other"));
        call.stage.say(&other, &answer_from(&other, &there, 200, "other"));
        let mut late = answer_from(&call.member, &call.there, 200, "member");
        replace(&mut late, "Contact", &[contact.to_owned()]);
        let sent = call.stage.say(&call.member.clone(), &late);
        for method in ["ACK", "BYE"] {
            let request = the(&sent, method);
            assert_eq!(request.to, call.member);
            assert_eq!(request.message.uri(), uri.unwrap_or(call.there.uri()), "{contact:?}");
        }
    }
}

/// A caller that asks the number again instead of our Contact is led by what its 200 said, folded or not.
#[test]
fn a_folded_contact_leads_a_caller_that_ignores_ours() {
    let mut call = Invited::new("folded");
    let mut ok = answer_from(&call.member, &call.there, 200, "member");
    replace(&mut ok, "Contact", &[format!("<sip:9196@{};x=1\r\n ;y=2>", call.member)]);
    let member = call.member.clone();
    let sent = call.stage.say(&member, &ok);
    let mut ok = to(&sent, PHONE)[0].clone();
    replace(&mut ok, "Contact", &["<sip:9196@example.test>".to_owned()]);
    let sent = call.stage.say(PHONE, &inside("BYE", &call.invite, &ok, 2));
    let bye = the(&sent, "BYE");
    assert_eq!(bye.message.uri(), format!("sip:9196@{member};x=1;y=2"));
}

/// RFC 3261 §8.1.1.5: no CSeq is 2**31 or more; the BYE after the last one repeats it.
#[test]
fn a_late_200_with_the_largest_cseq_is_ended() {
    let mut invite = request("INVITE", "late-largest", "late-largest");
    replace(&mut invite, "CSeq", &["2147483647 INVITE".to_owned()]);
    let mut call = Invited::with(Stage::usual(), invite);
    let (other, there) = call.other_is_asked();
    call.stage.say(&other, &answer_from(&other, &there, 180, "other"));
    call.stage.say(&other, &answer_from(&other, &there, 200, "other"));
    let sent = call.answers(200);
    assert_eq!(the(&sent, "BYE").message.cseq(), 2_147_483_647);
}

/// Whoever answers first has the call, though another member was asked meanwhile.
#[test]
fn a_200_that_crosses_the_failover_wins() {
    let mut call = Invited::new("200-against-failover");
    let (other, there) = call.other_is_asked();
    assert_eq!(statuses(&call.answers(200), PHONE, "INVITE"), [200]);
    let sent = call.stage.say(&other, &answer_from(&other, &there, 180, "other"));
    assert_eq!(the(&sent, "CANCEL").to, other);
    let sent = call.stage.say(&other, &answer_from(&other, &there, 487, "other"));
    assert_eq!(the(&sent, "ACK").to, other);
    assert!(to(&sent, PHONE).is_empty());
    call.stage.assert_at_rest();
}

/// RFC 3261 §9.1 warns of it: the CANCEL came before its INVITE, which then rings. It is cancelled again.
#[test]
fn a_cancel_that_overtook_its_invite_is_said_again() {
    let mut call = Invited::new("overtaken");
    let (other, there) = call.other_is_asked();
    let sent = call.stage.say(&other, &answer_from(&other, &there, 180, "other"));
    let cancelled = the(&sent, "CANCEL").message;
    let member = call.member.clone();
    call.stage.say(&member, &answer_from(&member, &cancelled, 481, "none"));
    let sent = call.answers(180);
    assert_eq!(the(&sent, "CANCEL").to, member);
    assert!(to(&sent, PHONE).is_empty());
    call.stage.say(&other, &answer_from(&other, &there, 486, "other"));
    call.acknowledged();
}

/// The caller hears the member that rings: no other one is tried after it.
#[test]
fn a_member_that_rang_is_the_last_one() {
    let mut call = Invited::new("rang");
    call.answers(180);
    let sent = call.answers(503);
    assert_eq!(statuses(&sent, PHONE, "INVITE"), [503]);
    let seen = to(&sent, PHONE)[0];
    assert_eq!(seen.get("Retry-After"), Some("5"), "ours, not the member's");
    assert!(call.stage.pass(3_000).iter().all(|one| !MEMBERS.contains(&one.to.as_str())));
    call.acknowledged();
}

/// A 100 promises nothing: FreeSWITCH at its limit is passed over, whatever it says to wait.
#[test]
fn a_full_member_is_passed_over() {
    let mut call = Invited::new("full");
    call.answers(100);
    let mut full = answer_from(&call.member, &call.there, 503, "member");
    full.headers.insert(1, ("Retry-After".to_owned(), "300".to_owned()));
    let sent = call.stage.say(&call.member.clone(), &full);
    let asked = the(&sent, "INVITE");
    assert_ne!(asked.to, call.member);
    assert!(statuses(&sent, PHONE, "INVITE").is_empty());
    let sent = call.stage.say(&asked.to, &answer_from(&asked.to, &asked.message, 486, "other"));
    assert_eq!(statuses(&sent, PHONE, "INVITE"), [486]);
    call.acknowledged();
}

/// The same 503 with a Reason tells of the call beyond the member (RFC 3326): a 500 for the caller (RFC 3261
/// §16.7 item 6), and no other member is asked.
#[test]
fn a_503_with_a_reason_is_the_calls_and_not_the_members() {
    let mut call = Invited::new("reason");
    let mut failure = answer_from(&call.member, &call.there, 503, "member");
    let reason = "Q.850;cause=41;text=\"NORMAL_TEMPORARY_FAILURE\"";
    failure.headers.insert(1, ("Reason".to_owned(), reason.to_owned()));
    let sent = call.stage.say(&call.member.clone(), &failure);
    assert_eq!(statuses(&sent, PHONE, "INVITE"), [500]);
    assert_eq!(to(&sent, PHONE)[0].get("Reason"), Some(reason));
    assert_eq!(sent.iter().filter(|one| one.message.method() == "INVITE").count(), 1, "{sent:?}");
    call.acknowledged();
}

/// That Reason is the member's own text, and tells no more of the inside than anything else that passes.
#[test]
fn the_reason_of_a_503_tells_nothing_of_the_inside() {
    let mut call = Invited::new("told");
    let mut failure = answer_from(&call.member, &call.there, 503, "member");
    let reason = |at: &str| format!("Q.850;cause=41;text=\"no route from {at}\"");
    failure.headers.insert(1, ("Reason".to_owned(), reason(MEMBERS[0])));
    failure.headers.insert(1, ("Reason".to_owned(), "SIP;cause=503".to_owned()));
    let sent = call.stage.say(&call.member.clone(), &failure);
    assert_eq!(statuses(&sent, PHONE, "INVITE"), [500]);
    let told: Vec<_> = to(&sent, PHONE)[0].all("Reason").map(str::to_owned).collect();
    assert_eq!(told, ["SIP;cause=503".to_owned(), reason("example.test")]);
    call.acknowledged();
}

/// RFC 3261 §16.8, timer C: CANCEL, and then the member's own final answer.
#[test]
fn timer_c_cancels_and_passes_what_comes() {
    for last in [487, 200] {
        let mut call = Invited::new(&format!("timer-c-{last}"));
        call.answers(180);
        let sent = call.stage.pass(180_500);
        assert_eq!(the(&sent, "CANCEL").to, call.member);
        let sent = call.answers(last);
        assert_eq!(statuses(&sent, PHONE, "INVITE"), [last]);
        assert!(sent.iter().all(|one| one.message.method() != "INVITE" || !one.message.is_request()));
        if last == 487 {
            call.acknowledged();
        } else {
            call.stage.assert_at_rest();
        }
    }
}

/// RFC 3261 §9.1: a member that does not even answer its CANCEL is given up after 64 times T1.
#[test]
fn after_timer_c_silence_becomes_a_408() {
    let mut call = Invited::new("timer-c-silence");
    call.answers(180);
    call.stage.pass(180_500);
    let sent = call.stage.pass(33_000);
    assert_eq!(statuses(&sent, PHONE, "INVITE").first(), Some(&408));
    assert!(sent.iter().all(|one| one.message.method() != "INVITE" || one.to == PHONE), "no other is tried");
    call.acknowledged();
}

/// Where only the answers were lost, phones would ring for a caller who has its 408.
#[test]
fn whoever_said_nothing_is_cancelled_when_the_caller_gets_its_408() {
    let mut call = Invited::new("answers-lost");
    let (other, _) = call.other_is_asked();
    let sent = call.stage.pass(30_000);
    assert_eq!(statuses(&sent, PHONE, "INVITE").first(), Some(&408));
    for member in [&call.member, &other] {
        let cancelled =
            |one: &Sent| one.to == **member && one.message.is_request() && one.message.method() == "CANCEL";
        assert!(sent.iter().any(cancelled), "{member}");
    }
    call.acknowledged();
}

/// RFC 3261 §16.7 item 5: a 6xx ends the search, and whoever still speaks then is cancelled.
#[test]
fn a_6xx_ends_the_search() {
    let mut call = Invited::new("6xx");
    let (other, there) = call.other_is_asked();
    let sent = call.stage.say(&other, &answer_from(&other, &there, 603, "other"));
    assert_eq!(statuses(&sent, PHONE, "INVITE"), [603]);
    assert_eq!(the(&sent, "CANCEL").to, call.member);
    let sent = call.answers(487);
    assert_eq!(the(&sent, "ACK").to, call.member);
    assert!(to(&sent, PHONE).is_empty());
    call.acknowledged();
}

/// ICMP tells that a member is gone that had said no more than 100: the other one takes the call at once.
#[test]
fn a_member_that_dies_after_its_100_is_passed_over() {
    let mut call = Invited::new("icmp");
    call.answers(100);
    let member = call.member.clone();
    call.stage.silence(&member, true);
    let sent = call.stage.pass(6_000);
    let asked = the(&sent, "INVITE");
    assert_ne!(asked.to, member);
    let sent = call.stage.say(&asked.to, &answer_from(&asked.to, &asked.message, 486, "other"));
    assert_eq!(statuses(&sent, PHONE, "INVITE"), [486]);
    call.acknowledged();
}

/// RFC 3261 §14.1: both sides change the session at once, both hear 491, each by its own transaction.
#[test]
fn a_glare_is_left_to_both_sides() {
    let (mut call, ok, ok_there) = Invited::up("glare");
    let member = call.member.clone();
    let ours = the(&call.stage.say(PHONE, &inside("INVITE", &call.invite, &ok, 2)), "INVITE");
    let pools = inside_from_pool(&member, "INVITE", &call.there, &ok_there, 7);
    let theirs = the(&call.stage.say(&member, &pools), "INVITE");
    assert_eq!((ours.to.as_str(), theirs.to.as_str()), (member.as_str(), PHONE));
    let sent = call.stage.say(PHONE, &answer_from(PHONE, &theirs.message, 491, "phone"));
    assert_eq!(statuses(&sent, &member, "INVITE"), [491]);
    let sent = call.stage.say(&member, &answer_from(&member, &ours.message, 491, "member"));
    assert_eq!(statuses(&sent, PHONE, "INVITE"), [491]);
    call.stage.say(PHONE, &retitled(&inside("INVITE", &call.invite, &ok, 2), "ACK"));
    call.stage.say(&member, &retitled(&pools, "ACK"));
    call.stage.assert_at_rest();
}

/// A BYE against a re-INVITE: both pass, each is answered by whom it meant.
#[test]
fn a_bye_crosses_a_re_invite() {
    let (mut call, ok, ok_there) = Invited::up("bye-against-reinvite");
    let member = call.member.clone();
    let change = inside("INVITE", &call.invite, &ok, 2);
    let asked = the(&call.stage.say(PHONE, &change), "INVITE").message;
    let bye = inside_from_pool(&member, "BYE", &call.there, &ok_there, 9);
    let ended = the(&call.stage.say(&member, &bye), "BYE");
    assert_eq!(ended.to, PHONE);
    let sent = call.stage.say(PHONE, &answer_from(PHONE, &ended.message, 200, "phone"));
    assert_eq!(statuses(&sent, &member, "BYE"), [200]);
    let sent = call.stage.say(&member, &answer_from(&member, &asked, 481, "member"));
    assert_eq!(statuses(&sent, PHONE, "INVITE"), [481]);
    call.stage.say(PHONE, &retitled(&change, "ACK"));
    call.stage.assert_at_rest();
    assert_eq!(call.stage.world.core().status().calls, 0);
}

/// RFC 3261 §13.3.1.4 and RFC 6026 §7: the 200 is repeated end to end until an ACK gets through, and every
/// repetition passes.
#[test]
fn a_lost_ack_lets_the_200_come_again() {
    let (mut call, ok, _) = Invited::up("ack-lost");
    for _ in 0..3 {
        call.stage.pass(4_000);
        let sent = call.answers(200);
        assert_eq!(statuses(&sent, PHONE, "INVITE"), [200]);
        let sent = call.stage.say(PHONE, &inside("ACK", &call.invite, &ok, 1));
        assert_eq!(the(&sent, "ACK").to, call.member);
    }
    call.stage.assert_at_rest();
}

/// RFC 3261 §12.1 and §16.7 item 5: a target that forks makes several early dialogs, and each of its 2xx passes.
#[test]
fn early_dialogs_and_all_their_2xx_pass() {
    let mut call = Invited::new("early-dialogs");
    let member = call.member.clone();
    for (status, tag) in [(180, "one"), (183, "two"), (180, "three"), (200, "two"), (200, "three")] {
        let response = answer_from(&member, &call.there, status, tag);
        let sent = call.stage.say(&member, &response);
        let seen = to(&sent, PHONE);
        assert_eq!((seen.len(), seen[0].status(), seen[0].tag("To")), (1, status, tag.to_owned()));
        assert!(seen[0].uri_of("Contact").is_some_and(|uri| !uri.contains("10.0.2.")));
    }
    call.stage.assert_at_rest();
}

/// RFC 3262 §3 and §4, RFC 3311 §5.1: reliable provisionals repeat, PRACK and UPDATE travel in the early dialog.
#[test]
fn prack_and_update_travel_in_an_early_dialog() {
    let mut call = Invited::new("prack");
    let member = call.member.clone();
    let mut early = answer_from(&member, &call.there, 183, "member");
    early.headers.push(("Require".into(), "100rel".into()));
    early.headers.push(("RSeq".into(), "4294967295".into()));
    let mut seen = None;
    for _ in 0..2 {
        let sent = call.stage.say(&member, &early);
        let passed = to(&sent, PHONE)[0].clone();
        assert_eq!((passed.get("RSeq"), passed.get("Require")), (Some("4294967295"), Some("100rel")));
        seen = Some(passed);
    }
    let seen = seen.expect("the 183");
    for (number, method) in [(2, "PRACK"), (3, "UPDATE")] {
        let mut request = inside(method, &call.invite, &seen, number);
        request.headers.push(("RAck".into(), "4294967295 1 INVITE".into()));
        let there = the(&call.stage.say(PHONE, &request), method);
        assert_eq!((there.to.as_str(), there.message.get("RAck")), (&*member, Some("4294967295 1 INVITE")));
        let sent = call.stage.say(&member, &answer_from(&member, &there.message, 200, "member"));
        assert_eq!(statuses(&sent, PHONE, method), [200]);
    }
    assert_eq!(statuses(&call.answers(486), PHONE, "INVITE"), [486]);
    call.acknowledged();
}

/// RFC 3261 §8.1.1.5: the largest CSeq passes as it is, in the INVITE, its ACK and its CANCEL.
#[test]
fn the_largest_cseq_passes() {
    let mut invite = request("INVITE", "large-cseq", "large");
    replace(&mut invite, "CSeq", &["2147483647 INVITE".to_owned()]);
    let mut call = Invited::with(Stage::usual(), invite);
    assert_eq!(call.there.cseq(), 2_147_483_647);
    call.answers(180);
    let sent = call.stage.say(PHONE, &cancel(&call.invite));
    assert_eq!(the(&sent, "CANCEL").message.cseq(), 2_147_483_647);
    let sent = call.answers(487);
    assert_eq!(the(&sent, "ACK").message.cseq(), 2_147_483_647);
    assert_eq!(statuses(&sent, PHONE, "INVITE"), [487]);
    call.acknowledged();
}

/// RFC 3581 §4 and the design's rule that a dialog moves with its party: an address translator gives the phone
/// another port, the pool grants a request from there, and its own requests follow.
#[test]
fn a_dialog_follows_a_phone_to_another_port() {
    const MOVED: &str = "192.0.2.23:61234";
    let (mut call, ok, ok_there) = Invited::up("moved");
    let member = call.member.clone();
    let bye_to = |call: &mut Invited, number| {
        let info = inside_from_pool(&member, "INFO", &call.there, &ok_there, number);
        the(&call.stage.say(&member, &info), "INFO")
    };
    assert_eq!(bye_to(&mut call, 5).to, PHONE);
    let info = inside("INFO", &call.invite, &ok, 2);
    let there = the(&call.stage.say(MOVED, &info), "INFO");
    assert_eq!(bye_to(&mut call, 6).to, PHONE, "the pool has granted nothing yet");
    let sent = call.stage.say(&member, &answer_from(&member, &there.message, 200, "member"));
    assert_eq!(statuses(&sent, MOVED, "INFO"), [200]);
    assert!(to(&sent, MOVED)[0].get("Via").is_some_and(|via| via.contains("rport=61234")));
    assert_eq!(bye_to(&mut call, 7).to, MOVED);
}

/// RFC 3261 §16.7 item 7 and RFC 8760 §2.4: several challenges of one answer stay apart and in order, each marked.
#[test]
fn several_challenges_stay_in_order() {
    let mut call = Invited::new("challenges");
    let mut challenge = answer_from(&call.member, &call.there, 407, "member");
    for algorithm in ["SHA-512-256", "SHA-256", "MD5"] {
        let value =
            format!("Digest realm=\"example.test\", nonce=\"n\", algorithm={algorithm}, qop=\"auth\"");
        challenge.headers.push(("Proxy-Authenticate".into(), value));
    }
    let sent = call.stage.say(&call.member.clone(), &challenge);
    let seen: Vec<_> = to(&sent, PHONE)[0].all("Proxy-Authenticate").map(str::to_owned).collect();
    assert_eq!(seen.len(), 3);
    for (value, algorithm) in seen.iter().zip(["SHA-512-256", "SHA-256", "MD5"]) {
        assert!(value.contains(&format!("algorithm={algorithm}")) && value.contains("opaque="), "{value}");
    }
    call.acknowledged();
}

/// RFC 4320 §4.2: a 408 to a request other than INVITE does not travel.
#[test]
fn a_408_to_another_request_stops_here() {
    let mut call = Invited::with(Stage::new(&one_member()), request("INVITE", "rfc4320", "rfc4320"));
    call.answers(486);
    let message = request("MESSAGE", "rfc4320-message", "message");
    let there = the(&call.stage.say(PHONE, &message), "MESSAGE");
    let sent = call.stage.say(&there.to, &answer_from(&there.to, &there.message, 408, "member"));
    assert!(to(&sent, PHONE).is_empty(), "{sent:?}");
    call.acknowledged();
}

fn one_member() -> EdgeSettings {
    EdgeSettings::new(&MEMBERS[..1])
}

/// The total budget: with every member silent the caller has its answer before its own timer B (64 times T1).
#[test]
fn silence_of_all_members_is_told_before_the_callers_timer_b() {
    let mut call = Invited::new("silence");
    let sent = call.stage.pass(31_900);
    assert_eq!(statuses(&sent, PHONE, "INVITE"), [100, 408]);
    // Everybody is cancelled, and whoever speaks after that is not heard.
    assert!(to(&sent, &call.member).iter().any(|one| one.method() == "CANCEL"));
    assert!(to(&call.answers(180), PHONE).is_empty());
    let sent = call.answers(503);
    assert!(sent.iter().all(|one| one.message.method() != "INVITE" || !one.message.is_request()), "{sent:?}");
    call.acknowledged();
}

/// The same with endpoints, and datagrams lost: whenever the CANCEL comes, nobody is left in a call.
#[test]
fn a_cancel_at_any_moment_leaves_nobody_in_a_call() {
    for_seeds(40, |seed, loss| {
        let mut world = cast(seed, &EdgeSettings::new(&MEMBERS), loss);
        // 9180 rings for two seconds.
        let leg = world.act(PHONE, |agent, now| agent.call(now, "sip:9180@example.test"));
        world.run(1_900 + seed * 7 % 400);
        if world.state(PHONE, leg) != State::Up {
            world.act(PHONE, |agent, now| agent.cancel(now, leg));
        }
        let is_over = |world: &mut World| !matches!(world.state(PHONE, leg), State::Calling | State::Ringing);
        assert!(world.until(60_000, is_over), "{:?}", world.state(PHONE, leg));
        if world.state(PHONE, leg) == State::Up {
            world.act(PHONE, |agent, now| agent.bye(now, leg));
            world.until_ended(PHONE, leg);
        }
        let nobody_talks = |world: &mut World| {
            let now = world.now;
            MEMBERS.iter().all(|member| world.member(member).status(now).legs.is_empty())
        };
        assert!(world.until(70_000, nobody_talks), "a ghost of the call stays at a member");
        world.assert_quiet();
    });
}

fn nobody_talks(world: &mut World) -> bool {
    let now = world.now;
    MEMBERS.iter().all(|member| world.member(member).status(now).legs.is_empty())
}

/// Glare with endpoints, and datagrams lost, late and out of order: the member changes the session one second after its
/// answer (9184), and the phone about then. Whatever becomes of both changes, the call stays and can be ended.
#[test]
fn a_glare_over_a_bad_link_leaves_a_call_that_can_be_ended() {
    for_seeds(40, |seed, loss| {
        let mut world = cast(seed, &EdgeSettings::new(&MEMBERS), loss);
        let leg = world.act(PHONE, |agent, now| agent.call(now, "sip:9184@example.test"));
        world.until_up(PHONE, leg);
        world.run(900 + seed * 7 % 200);
        world.act(PHONE, |agent, now| agent.hold(now, leg));
        world.run(45_000);
        assert_eq!(world.state(PHONE, leg), State::Up);
        world.act(PHONE, |agent, now| agent.bye(now, leg));
        world.until_ended(PHONE, leg);
        assert!(world.until(70_000, nobody_talks), "the member still holds the call");
        world.assert_quiet();
    });
}

/// The same for a BYE that crosses the member's re-INVITE.
#[test]
fn a_bye_crosses_a_re_invite_over_a_bad_link() {
    for_seeds(40, |seed, loss| {
        let mut world = cast(seed, &EdgeSettings::new(&MEMBERS), loss);
        let leg = world.act(PHONE, |agent, now| agent.call(now, "sip:9184@example.test"));
        world.until_up(PHONE, leg);
        world.run(900 + seed * 7 % 200);
        world.act(PHONE, |agent, now| agent.bye(now, leg));
        world.until_ended(PHONE, leg);
        assert!(world.until(70_000, nobody_talks), "the member still holds the call");
        world.assert_quiet();
    });
}

/// The member's BYE overtakes its own 200: the call is over when it is answered, and holds no place for hours.
#[test]
fn a_bye_that_overtakes_the_200_leaves_no_call_behind() {
    let mut call = Invited::new("bye-before-200");
    assert_eq!(statuses(&call.answers(180), PHONE, "INVITE"), [180]);
    let ok = answer_from(&call.member, &call.there, 200, "member");
    let bye = inside_from_pool(&call.member, "BYE", &call.there, &ok, 1);
    let sent = call.stage.say(&call.member.clone(), &bye);
    let Sent { to: phone, message: bye } = the(&sent, "BYE");
    assert_eq!(phone, PHONE);
    call.stage.say(PHONE, &answer_from(PHONE, &bye, 200, "phone"));
    let sent = call.stage.say(&call.member.clone(), &ok);
    let ok = to(&sent, PHONE)[0].clone();
    assert_eq!(ok.status(), 200, "the caller is told all the same");
    call.stage.say(PHONE, &inside("ACK", &call.invite, &ok, 1));
    let status = call.stage.world.core().status();
    assert_eq!((status.calls, status.dialogs), (0, 0));
    call.stage.assert_at_rest();
}
