//! A member is dead and stays dead: its calls are ended for it, once, as RFC 3261 §15 wants a call ended; and whatever
//! another member takes over goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sbc_core::count::Count;
use sbc_tests::agent::{By, Policy, State};
use sbc_tests::sim::stage::{Sent, Stage, answer_from, inside, inside_from_pool, request, statuses, the, to};
use sbc_tests::sim::{
    BROWSER, CARRIER, EXCHANGE, EdgeSettings, INSIDE, MEMBERS, OTHER_BROWSER, PHONE, PHONES, TRUNK, World,
    answer, cast, for_seeds, replace,
};
use sbc_tests::ua::message::Message;

const RELEASE: Duration = Duration::from_secs(30);
/// From the silence of a member until its calls are ended at the latest, in milliseconds: two probes find it dead, and
/// the time is looked at with a probe.
const DEADLINE: u64 = 30_000 + 12_000 + 6_000;

/// The carrier's calls come from there.
const CARRIER_IP: [u8; 4] = [203, 0, 113, 10];

fn settings() -> EdgeSettings {
    EdgeSettings { release: Some(RELEASE), ..EdgeSettings::new(&MEMBERS) }
}

/// A call of the phone that is up: its INVITE and 200, and the member's.
struct Call {
    stage: Stage,
    member: String,
    invite: Message,
    there: Message,
    ok: Message,
    ok_there: Message,
}

impl Call {
    fn up(call_id: &str) -> Self {
        Self::with(Stage::new(&settings()), call_id)
    }

    fn with(mut stage: Stage, call_id: &str) -> Self {
        let invite = request("INVITE", call_id, call_id);
        let there = the(&stage.say(PHONE, &invite), "INVITE");
        let ok_there = answer_from(&there.to, &there.message, 200, "member");
        let ok = to(&stage.say(&there.to, &ok_there), PHONE)[0].clone();
        the(&stage.say(PHONE, &inside("ACK", &invite, &ok, 1)), "ACK");
        Self { stage, member: there.to, invite, there: there.message, ok, ok_there }
    }

    fn other(&self) -> String {
        MEMBERS.iter().find(|member| **member != self.member).expect("two members").to_string()
    }

    /// Its member dies; what leaves until its calls are ended at the latest.
    fn dies(&mut self) -> Vec<Sent> {
        self.stage.silence(&self.member.clone(), false);
        self.stage.pass(DEADLINE)
    }

    fn calls(&self) -> usize {
        self.stage.world.core().status().calls
    }

    fn count(&self, count: Count) -> u64 {
        self.stage.world.core().counters().get(count)
    }

    /// Another member asks for the call, as `sofia recover` does: what arrives at the phone.
    fn recover(&mut self, number: u32) -> Vec<Sent> {
        let other = self.other();
        let asks = inside_from_pool(&other, "INVITE", &self.there, &self.ok_there, number);
        self.stage.say(&other, &asks)
    }

    /// The phone grants that.
    fn grant(&mut self, asked: &Message, number: u32) {
        let other = self.other();
        let sent = self.stage.say(PHONE, &contact_of_phone(answer(asked, 200, "")));
        assert_eq!(statuses(&sent, &other, "INVITE"), [200]);
        let ack = inside_from_pool(&other, "ACK", &self.there, &self.ok_there, number);
        assert_eq!(the(&self.stage.say(&other, &ack), "ACK").to, PHONE);
    }

    fn hangs_up(&mut self, bye: &Message) {
        let mut ok = answer(bye, 200, "");
        ok.close(None);
        self.stage.say(PHONE, &ok);
    }
}

/// The calls that a member has.
fn calls_of(world: &World, member: &str) -> usize {
    let status = world.core().status();
    let found = status.pools[0].members.iter().find(|one| one.address.to_string() == member);
    found.expect("a member").calls as usize
}

fn contact_of_phone(mut response: Message) -> Message {
    response.push("Contact", format!("<sip:1003@{PHONE}>"));
    response.close(None);
    response
}

fn byes(sent: &[Sent]) -> usize {
    sent.iter().filter(|one| one.message.is_request() && one.message.method() == "BYE").count()
}

/// RFC 3261 §12.2.1.1 and §15.1.1: our BYE is the one that the member would have sent, and tells nothing of it.
#[test]
fn a_party_of_a_dead_member_gets_one_bye() {
    let mut call = Call::up("dead");
    let sent = call.dies();
    let bye = the(&sent, "BYE");
    assert_eq!(bye.to, PHONE);
    let bye = bye.message;
    assert_eq!(bye.uri(), format!("sip:1003@{PHONE}"));
    assert_eq!((bye.tag("From"), bye.tag("To")), ("member".to_owned(), "phone".to_owned()));
    assert_eq!((bye.call_id(), bye.cseq()), ("dead", 1));
    let reason = bye.get("Reason").expect("a Reason");
    assert!(reason.starts_with("SIP;cause=503;") && reason.contains("Q.850;cause=41;"), "{reason}");
    assert_eq!(bye.list("Via").len(), 1, "{bye:?}");
    assert!(to(&sent, &call.member).is_empty(), "{sent:?}");
    call.hangs_up(&bye);
    assert_eq!((call.calls(), call.count(Count::Released), call.count(Count::Ended)), (0, 1, 1));
    assert_eq!(byes(&call.stage.pass(60_000)), 0, "once");
    let status = call.stage.world.core().status();
    assert!(status.pools[0].members.iter().all(|member| member.calls == 0), "{status:?}");
    call.stage.assert_at_rest();
}

#[test]
fn nothing_is_ended_before_its_time_or_where_nobody_wants_it() {
    let mut call = Call::up("early");
    call.stage.silence(&call.member.clone(), false);
    assert_eq!(byes(&call.stage.pass(29_000)), 0);
    let mut call = Call::with(Stage::usual(), "left");
    assert_eq!(byes(&call.dies()), 0);
    assert_eq!(byes(&call.stage.pass(200_000)), 0);
    assert_eq!(call.calls(), 1);
}

/// The party says nothing to the BYE: its record goes all the same, and the BYE is repeated until then.
#[test]
fn a_party_that_is_gone_too_leaves_nothing() {
    let mut call = Call::up("both-dead");
    assert!(byes(&call.dies()) >= 1);
    call.stage.pass(40_000);
    assert_eq!(call.calls(), 0);
    call.stage.assert_at_rest();
}

#[test]
fn whatever_the_party_says_to_the_bye_it_is_over() {
    for status in [481, 500, 408, 407] {
        let mut call = Call::up(&format!("says-{status}"));
        let bye = the(&call.dies(), "BYE").message;
        let mut refusal = answer(&bye, status, "");
        refusal.close(None);
        let sent = call.stage.say(PHONE, &refusal);
        assert!(sent.is_empty(), "nobody is left to be told: {sent:?}");
        assert_eq!(call.calls(), 0, "{status}");
        call.stage.assert_at_rest();
    }
}

/// RFC 3261 §12.2.1.1: one more than the member's last; §12.2.1.2: to where the party was last reached.
#[test]
fn the_bye_follows_what_the_member_asked_last() {
    let mut call = Call::up("asked");
    let member = call.member.clone();
    let change = inside_from_pool(&member, "INVITE", &call.there, &call.ok_there, 900);
    let there = the(&call.stage.say(&member, &change), "INVITE").message;
    let mut ok = answer(&there, 200, "");
    ok.push("Contact", "<sip:moved@192.0.2.23:5060>");
    ok.close(None);
    call.stage.say(PHONE, &ok);
    let ack = inside_from_pool(&member, "ACK", &call.there, &call.ok_there, 900);
    call.stage.say(&member, &ack);
    let info = inside_from_pool(&member, "INFO", &call.there, &call.ok_there, 903);
    let there = the(&call.stage.say(&member, &info), "INFO").message;
    call.stage.say(PHONE, &answer_from(PHONE, &there, 200, ""));
    let sent = call.dies();
    let bye = the(&sent, "BYE").message;
    assert_eq!((bye.uri(), bye.cseq()), ("sip:moved@192.0.2.23:5060", 904));
    assert!(!sent.iter().any(|one| one.message.method() == "ACK"), "it was acknowledged");
    call.hangs_up(&bye);
    call.stage.assert_at_rest();
}

/// A re-INVITE of the party changes where it is, too.
#[test]
fn the_bye_goes_to_the_partys_own_new_address() {
    let mut call = Call::up("retargets");
    let mut change = inside("INVITE", &call.invite, &call.ok, 2);
    replace(&mut change, "Contact", &["<sip:elsewhere@192.0.2.23:5060>".to_owned()]);
    let there = the(&call.stage.say(PHONE, &change), "INVITE");
    let ok = answer_from(&there.to, &there.message, 200, "member");
    call.stage.say(&there.to, &ok);
    call.stage.say(PHONE, &inside("ACK", &call.invite, &call.ok, 2));
    assert_eq!(the(&call.dies(), "BYE").message.uri(), "sip:elsewhere@192.0.2.23:5060");
}

/// RFC 3261 §13.2.2.4: a member that called and died before its ACK. The party repeats its 200 for that.
#[test]
fn a_200_that_nobody_acknowledged_is_acknowledged_before_the_bye() {
    let mut stage = Stage::new(&settings());
    let mut register = Message::request("REGISTER", "sip:example.test");
    let like = request("REGISTER", "register", "register");
    for name in ["Via", "Max-Forwards", "From", "Call-ID", "CSeq"] {
        register.copy(&like, name);
    }
    register.push("To", "<sip:1003@example.test>");
    register.push("Contact", format!("<sip:1003@{PHONE}>;expires=600"));
    register.close(None);
    let there = the(&stage.say(PHONE, &register), "REGISTER");
    let mut ok = answer(&there.message, 200, "registrar");
    ok.push("Contact", format!("<sip:1003@{PHONE}>;expires=600"));
    ok.close(None);
    assert_eq!(statuses(&stage.say(&there.to, &ok), PHONE, "REGISTER"), [200]);
    let member = MEMBERS[0];
    let mut invite = Message::request("INVITE", "sip:1003@example.test");
    invite.push("Via", format!("SIP/2.0/UDP {member};rport;branch=z9hG4bKout"));
    invite.push("Max-Forwards", "70");
    invite.push("From", "<sip:200@example.test>;tag=caller");
    invite.push("To", "<sip:1003@example.test>");
    invite.push("Call-ID", "out");
    invite.push("CSeq", "77 INVITE");
    invite.push("Contact", format!("<sip:mod_sofia@{member}>"));
    invite.close(None);
    let there = the(&stage.say(member, &invite), "INVITE");
    assert_eq!(there.to, PHONE);
    stage.say(PHONE, &contact_of_phone(answer(&there.message, 200, "phone")));
    stage.silence(member, false);
    let sent = stage.pass(DEADLINE);
    let (ack, bye) = (the(&sent, "ACK"), the(&sent, "BYE"));
    assert_eq!((ack.to.as_str(), ack.message.cseq()), (PHONE, 77));
    assert_eq!((bye.to.as_str(), bye.message.cseq()), (PHONE, 78));
    assert_eq!((bye.message.tag("From"), bye.message.tag("To")), ("caller".to_owned(), "phone".to_owned()));
    assert_eq!(bye.message.uri(), format!("sip:1003@{PHONE}"));
    let order: Vec<_> = to(&sent, PHONE).into_iter().map(|one| one.method().to_owned()).collect();
    assert_eq!(order[..2], ["ACK", "BYE"]);
    let mut ok = answer(&bye.message, 200, "");
    ok.close(None);
    stage.say(PHONE, &ok);
    assert_eq!(stage.world.core().status().calls, 0);
    stage.assert_at_rest();
}

/// Where all members fall silent together, our own network may be what is gone. The first to answer proves it whole.
#[test]
fn where_nobody_answers_nobody_is_dead() {
    let mut call = Call::up("cut-off");
    call.stage.silence(&call.other(), false);
    assert_eq!(byes(&call.dies()), 0);
    assert_eq!(byes(&call.stage.pass(120_000)), 0);
    call.stage.revive(&call.other());
    assert_eq!(the(&call.stage.pass(20_000), "BYE").to, PHONE);
}

/// It answers no probes, and its call goes on: whatever it says is a sign of life.
#[test]
fn a_member_that_still_speaks_is_not_dead() {
    let mut call = Call::up("alive");
    let member = call.member.clone();
    call.stage.silence(&member, false);
    for number in 0..10 {
        assert_eq!(byes(&call.stage.pass(20_000)), 0);
        let info = inside_from_pool(&member, "INFO", &call.there, &call.ok_there, 900 + number);
        let there = the(&call.stage.say(&member, &info), "INFO").message;
        call.stage.say(PHONE, &answer_from(PHONE, &there, 200, ""));
    }
    let bye = the(&call.stage.pass(DEADLINE), "BYE").message;
    assert_eq!(bye.cseq(), 910, "and then it has died");
}

#[test]
fn a_member_that_comes_back_in_time_keeps_its_calls() {
    let mut call = Call::up("back");
    let member = call.member.clone();
    call.stage.silence(&member, false);
    assert_eq!(byes(&call.stage.pass(28_000)), 0);
    call.stage.revive(&member);
    assert_eq!(byes(&call.stage.pass(120_000)), 0);
    assert_eq!(call.calls(), 1);
}

/// After a restart the party asks first, then its member refreshes the call: that says all of what its BYE needs.
#[test]
fn a_call_that_its_member_refreshed_since_a_restart_is_ended() {
    for refreshes in [true, false] {
        let mut call = Call::up("restarted");
        let member = call.member.clone();
        call.stage.world.restart();
        call.stage.pass(5_000);
        let there = the(&call.stage.say(PHONE, &inside("INFO", &call.invite, &call.ok, 2)), "INFO");
        assert_eq!(there.to, member);
        call.stage.say(&member, &answer_from(&member, &there.message, 200, "member"));
        if refreshes {
            for number in [900, 901] {
                let change = inside_from_pool(&member, "INVITE", &call.there, &call.ok_there, number);
                let there = the(&call.stage.say(&member, &change), "INVITE").message;
                call.stage.say(PHONE, &contact_of_phone(answer(&there, 200, "")));
                let ack = inside_from_pool(&member, "ACK", &call.there, &call.ok_there, number);
                assert_eq!(the(&call.stage.say(&member, &ack), "ACK").to, PHONE);
            }
        }
        let sent = call.dies();
        assert_eq!(byes(&sent) > 0, refreshes);
        if refreshes {
            let bye = the(&sent, "BYE");
            assert_eq!(
                (&*bye.to, bye.message.cseq(), bye.message.tag("From")),
                (PHONE, 902, "member".to_owned())
            );
            assert_eq!(bye.message.uri(), format!("sip:1003@{PHONE}"));
            assert!(!sent.iter().any(|one| one.message.method() == "ACK"), "it was acknowledged");
            call.hangs_up(&bye.message);
            call.stage.assert_at_rest();
        }
    }
}

/// `sofia recover` on another member, in time: the call is that member's, and is not ended with the dead one.
#[test]
fn a_call_that_another_member_has_taken_over_goes_on() {
    let mut call = Call::up("recovered");
    call.stage.silence(&call.member.clone(), false);
    call.stage.pass(15_000);
    let asked = the(&call.recover(900), "INVITE").message;
    call.grant(&asked, 900);
    assert_eq!(byes(&call.stage.pass(200_000)), 0);
    assert_eq!(call.calls(), 1);
    // It is now the other member's, with whom it ends.
    let (dead, other) = (call.member.clone(), call.other());
    call.stage.revive(&dead);
    call.stage.pass(20_000);
    call.stage.silence(&other, false);
    let bye = the(&call.stage.pass(DEADLINE), "BYE").message;
    assert_eq!((bye.cseq(), bye.tag("From")), (901, "member".to_owned()));
    call.hangs_up(&bye);
    call.stage.assert_at_rest();
}

/// The time comes while the party has not yet answered the member that takes over: it waits.
#[test]
fn a_call_that_is_just_being_taken_over_is_not_ended() {
    let mut call = Call::up("taking");
    call.stage.silence(&call.member.clone(), false);
    assert_eq!(byes(&call.stage.pass(28_000)), 0);
    let asked = the(&call.recover(900), "INVITE").message;
    let mut ringing = answer(&asked, 180, "");
    ringing.close(None);
    call.stage.say(PHONE, &ringing);
    assert_eq!(byes(&call.stage.pass(25_000)), 0);
    call.grant(&asked, 900);
    assert_eq!(byes(&call.stage.pass(200_000)), 0);
    assert_eq!(call.calls(), 1);
}

#[test]
fn a_call_that_could_not_be_taken_over_is_ended() {
    let mut call = Call::up("refused");
    call.stage.silence(&call.member.clone(), false);
    call.stage.pass(28_000);
    let asked = the(&call.recover(900), "INVITE").message;
    let mut refusal = answer(&asked, 488, "");
    refusal.close(None);
    call.stage.say(PHONE, &refusal);
    let bye = the(&call.stage.pass(60_000), "BYE").message;
    assert_eq!(bye.cseq(), 901);
}

/// The BYE is on its way when another member asks: it comes too late, and is told so; so is the party.
#[test]
fn a_takeover_that_comes_in_the_middle_of_the_end_is_too_late() {
    let mut call = Call::up("late");
    let bye = the(&call.dies(), "BYE").message;
    let other = call.other();
    let sent = call.recover(900);
    assert_eq!(statuses(&sent, &other, "INVITE"), [481]);
    assert!(to(&sent, PHONE).iter().all(|one| one.method() != "INVITE"), "{sent:?}");
    let sent = call.stage.say(PHONE, &inside("INFO", &call.invite, &call.ok, 2));
    assert_eq!(statuses(&sent, PHONE, "INFO"), [481]);
    // Its own BYE crosses ours.
    let sent = call.stage.say(PHONE, &inside("BYE", &call.invite, &call.ok, 3));
    assert_eq!(statuses(&sent, PHONE, "BYE"), [200]);
    call.hangs_up(&bye);
    assert_eq!((call.calls(), call.count(Count::Ended)), (0, 1));
    call.stage.assert_at_rest();
}

#[test]
fn whoever_hears_a_dead_member_ring_gets_an_answer() {
    let mut stage = Stage::new(&settings());
    let invite = request("INVITE", "ringing", "ringing");
    let there = the(&stage.say(PHONE, &invite), "INVITE");
    stage.say(&there.to, &answer_from(&there.to, &there.message, 180, "member"));
    stage.silence(&there.to, false);
    let sent = stage.pass(DEADLINE);
    assert_eq!(statuses(&sent, PHONE, "INVITE").into_iter().find(|status| *status >= 200), Some(503));
    assert_eq!(stage.world.core().counters().get(Count::ReleasedRinging), 1);
    stage.assert_at_rest();
}

#[test]
fn whom_a_dead_member_called_stops_ringing() {
    for_seeds(5, |seed, loss| {
        let mut world = cast(seed, &settings(), loss);
        world.agent(PHONE).policy = Policy::Ring;
        let leg = world.act(BROWSER, |agent, now| agent.call(now, "sip:1003@example.test"));
        let rings = world.until_called(PHONE);
        world.run(1_000);
        let has_calls = |member: &&str| calls_of(&world, member) > 0;
        if loss > 0 && MEMBERS.iter().all(has_calls) {
            // One was silent for too long, and the other one was asked as well.
            return;
        }
        let dead = MEMBERS.into_iter().find(has_calls).expect("one has the call");
        world.kill(dead, false);
        world.run(DEADLINE + 40_000);
        assert!(matches!(world.state(PHONE, rings), State::Ended { by: By::Them, .. }));
        // Where the ringing was not heard, another member was asked instead, and rings on.
        if !matches!(world.state(BROWSER, leg), State::Ended { .. }) {
            assert!(loss > 0);
            world.act(BROWSER, |agent, now| agent.cancel(now, leg));
            world.until_ended(BROWSER, leg);
            world.run(40_000);
        }
        world.assert_quiet();
    });
}

/// FreeSWITCH restarted and says 481: whoever asked hears it, and is not left in a call with nobody.
#[test]
fn a_call_that_its_member_does_not_know_is_ended() {
    for method in ["INFO", "UPDATE", "INVITE"] {
        let mut call = Call::up(&format!("unknown-{method}"));
        let there = the(&call.stage.say(PHONE, &inside(method, &call.invite, &call.ok, 2)), method);
        let sent = call.stage.say(&there.to, &answer_from(&there.to, &there.message, 481, "member"));
        assert_eq!(statuses(&sent, PHONE, method), [481]);
        let bye = the(&sent, "BYE");
        assert_eq!(bye.to, PHONE);
        assert!(bye.message.get("Reason").is_some_and(|reason| reason.contains("cause=481")));
        call.hangs_up(&bye.message);
        assert_eq!((call.calls(), call.count(Count::ReleasedLost)), (0, 1));
        if method == "INVITE" {
            let mut ack = inside("ACK", &call.invite, &call.ok, 2);
            replace(&mut ack, "Via", &[there_via(&call, method)]);
            call.stage.say(PHONE, &ack);
        }
        call.stage.assert_at_rest();
    }
}

fn there_via(call: &Call, method: &str) -> String {
    inside(method, &call.invite, &call.ok, 2).get("Via").expect("a Via").to_owned()
}

/// 481 about another dialog, or about what is no call, ends none.
#[test]
fn a_481_of_something_else_ends_no_call() {
    let mut call = Call::up("other-481");
    let mut notify = inside("NOTIFY", &call.invite, &call.ok, 2);
    notify.push("Event", "refer");
    notify.push("Subscription-State", "active");
    let there = the(&call.stage.say(PHONE, &notify), "NOTIFY");
    let sent = call.stage.say(&there.to, &answer_from(&there.to, &there.message, 481, "member"));
    assert_eq!((statuses(&sent, PHONE, "NOTIFY"), byes(&sent)), (vec![481], 0));
    let mut fork = inside("INFO", &call.invite, &call.ok, 3);
    replace(&mut fork, "To", &["<sip:9196@example.test>;tag=another-fork".to_owned()]);
    let there = the(&call.stage.say(PHONE, &fork), "INFO");
    let sent = call.stage.say(&there.to, &answer_from(&there.to, &there.message, 481, ""));
    assert_eq!((statuses(&sent, PHONE, "INFO"), byes(&sent)), (vec![481], 0));
    assert_eq!(call.calls(), 1);
}

/// A member with many calls: a few at a time, each once.
#[test]
fn many_calls_are_ended_at_a_bounded_pace() {
    const CALLS: usize = 400;
    let mut stage = Stage::new(&settings());
    let mut first = None;
    let mut at_first = 0;
    for number in 0..CALLS {
        let invite = request("INVITE", &format!("many-{number}"), &format!("many-{number}"));
        let there = the(&stage.say(PHONE, &invite), "INVITE");
        let member = first.get_or_insert_with(|| there.to.clone()).clone();
        at_first += usize::from(there.to == member);
        stage.say(&there.to, &answer_from(&there.to, &there.message, 200, "member"));
    }
    let member = first.expect("a member");
    assert!(at_first > 120, "{at_first}");
    stage.silence(&member, false);
    let mut per_slice = Vec::new();
    let mut seen = BTreeSet::new();
    for _ in 0..DEADLINE / 100 + 30 {
        let sent = stage.pass(100);
        let new: Vec<_> = sent.iter().filter(|one| one.message.method() == "BYE").collect();
        let fresh = new.iter().filter(|one| seen.insert(one.message.call_id().to_owned())).count();
        per_slice.push(fresh);
        for bye in to(&sent, PHONE).into_iter().filter(|one| one.method() == "BYE") {
            let mut ok = answer(bye, 200, "");
            ok.close(None);
            stage.world.inject(PHONE, PHONES, &ok.to_bytes());
        }
    }
    assert_eq!(seen.len(), at_first);
    let most = per_slice.iter().max().copied().unwrap_or_default();
    assert!(most <= 100, "two rounds in one slice at most: {most}");
    assert_eq!(stage.world.core().status().calls, CALLS - at_first);
    assert_eq!(stage.world.core().counters().get(Count::Released), at_first as u64);
}

/// Another member takes calls over while they are being ended: each is ended or goes on, and none is both.
#[test]
fn whatever_is_not_ended_yet_can_be_taken_over() {
    const CALLS: usize = 400;
    let mut stage = Stage::new(&settings());
    let mut calls = BTreeMap::new();
    for number in 0..CALLS {
        let call_id = format!("half-{number}");
        let there = the(&stage.say(PHONE, &request("INVITE", &call_id, &call_id)), "INVITE");
        let ok = answer_from(&there.to, &there.message, 200, "member");
        stage.say(&there.to, &ok);
        if there.to == MEMBERS[0] {
            calls.insert(call_id, (there.message, ok));
        }
    }
    stage.silence(MEMBERS[0], false);
    let (mut ended, mut taken) = (BTreeSet::new(), BTreeSet::new());
    let note = |sent: &[Sent], ended: &mut BTreeSet<String>| {
        let byes = sent.iter().filter(|one| one.message.is_request() && one.message.method() == "BYE");
        ended.extend(byes.map(|one| one.message.call_id().to_owned()));
    };
    for _ in 0..DEADLINE / 100 {
        note(&stage.pass(100), &mut ended);
        if !ended.is_empty() {
            break;
        }
    }
    assert!(!ended.is_empty() && ended.len() < calls.len(), "{} of {}", ended.len(), calls.len());
    for (there, ok) in calls.values() {
        let asks = inside_from_pool(MEMBERS[1], "INVITE", there, ok, 900);
        stage.world.inject(MEMBERS[1], INSIDE, &asks.to_bytes());
    }
    for _ in 0..20 {
        let sent = stage.pass(100);
        note(&sent, &mut ended);
        let asked = to(&sent, PHONE).into_iter().filter(|one| one.is_request() && one.method() == "INVITE");
        for one in asked {
            let ok = contact_of_phone(answer(one, 200, ""));
            stage.world.inject(PHONE, PHONES, &ok.to_bytes());
        }
        let granted =
            to(&sent, MEMBERS[1]).into_iter().filter(|one| !one.is_request() && one.status() == 200);
        taken.extend(granted.map(|one| one.call_id().to_owned()));
    }
    note(&stage.pass(200_000), &mut ended);
    assert_eq!(ended.intersection(&taken).count(), 0);
    assert_eq!(ended.len() + taken.len(), calls.len(), "each has one end or goes on");
    assert!(taken.len() > 50, "{}", taken.len());
    assert_eq!(stage.world.core().status().calls, CALLS - ended.len());
}

/// Endpoints of every kind, over links that lose: the calls of the dead member end on the outside, the others go on.
#[test]
fn the_calls_of_a_dead_member_end_and_the_others_go_on() {
    for_seeds(20, |seed, loss| {
        let mut world = cast(seed, &settings(), loss);
        world.add_carrier(CARRIER, EXCHANGE, false);
        for member in MEMBERS {
            let address = member.parse().expect("an address");
            world.add_member(address, |config| config.inbound_acl = vec![CARRIER_IP.into()]);
        }
        let numbers = [
            (BROWSER, "sip:9196@example.test".to_owned()),
            (OTHER_BROWSER, "sip:9196@example.test".to_owned()),
            (PHONE, "sip:9196@example.test".to_owned()),
            (CARRIER, format!("sip:9196@{TRUNK}")),
        ];
        let legs =
            numbers.map(|(caller, uri)| (caller, world.act(caller, |agent, now| agent.call(now, &uri))));
        for (caller, leg) in legs {
            world.until_up(caller, leg);
        }
        // Until nobody else who was asked meanwhile has a place for one of them.
        world.run(70_000);
        let dead = MEMBERS[seed as usize % 2];
        let had = calls_of(&world, dead);
        world.kill(dead, seed % 3 == 0);
        if seed % 4 == 1 {
            // It is on its way to another network just then.
            world.run(RELEASE.as_millis() as u64 + 5_000);
            world.cut(BROWSER);
            world.run(3_000);
            world.connect(BROWSER);
            world.act(BROWSER, |agent, now| agent.register(now, 300));
        }
        world.run(DEADLINE + 40_000);
        let ended = legs.iter().filter(|(caller, leg)| world.agent(caller).state(*leg) != State::Up).count();
        assert_eq!(ended, had, "{} of {} were at {dead}", had, legs.len());
        for (caller, leg) in legs {
            if world.state(caller, leg) == State::Up {
                world.act(caller, |agent, now| agent.bye(now, leg));
                world.until_ended(caller, leg);
            }
        }
        // The last BYE may be repeated.
        world.until(40_000, |world| world.core().status().calls == 0);
        world.assert_quiet();
        assert_eq!(world.core().status().calls, 0);
    });
}
