//! A member dies with calls up: what their parties still ask for is answered here, quickly, and a call that
//! another member takes over goes on.

use sbc_core::count::Count;
use sbc_tests::agent::State;
use sbc_tests::sim::stage::{Stage, answer_from, inside, inside_from_pool, request, statuses, the, to};
use sbc_tests::sim::{BROWSER, EdgeSettings, MEMBERS, PHONE, cast, for_seeds};
use sbc_tests::ua::message::Message;

/// A call that is up: the phone's INVITE and 200, and the member's.
struct Call {
    stage: Stage,
    member: String,
    invite: Message,
    there: Message,
    ok: Message,
    ok_there: Message,
}

fn up(call_id: &str) -> Call {
    up_with(&EdgeSettings::new(&MEMBERS), call_id)
}

fn up_with(settings: &EdgeSettings, call_id: &str) -> Call {
    let mut stage = Stage::new(settings);
    let invite = request("INVITE", call_id, call_id);
    let there = the(&stage.say(PHONE, &invite), "INVITE");
    let ok_there = answer_from(&there.to, &there.message, 200, "member");
    let sent = stage.say(&there.to, &ok_there);
    let ok = to(&sent, PHONE)[0].clone();
    the(&stage.say(PHONE, &inside("ACK", &invite, &ok, 1)), "ACK");
    Call { stage, member: there.to, invite, there: there.message, ok, ok_there }
}

impl Call {
    /// Ask something inside the call, and wait: the final answer to it.
    fn ask(&mut self, method: &str, number: u32, millis: u64) -> Option<u16> {
        let mut sent = self.stage.say(PHONE, &inside(method, &self.invite, &self.ok, number));
        sent.extend(self.stage.pass(millis));
        statuses(&sent, PHONE, method).into_iter().find(|status| *status >= 200)
    }

    /// The member with the call is taken out of the configuration.
    fn take_out(&mut self) {
        let others = EdgeSettings::new(&[&self.other()]);
        self.stage.world.reload(&others).expect("no restart needed");
    }

    fn calls_of(&self, member: &str) -> u32 {
        let pools = self.stage.world.core().status().pools;
        let of = |one: &&sbc_core::MemberStatus| one.address.to_string() == member;
        pools[0].members.iter().find(of).map_or(0, |one| one.calls)
    }

    fn other(&self) -> String {
        MEMBERS.iter().find(|member| **member != self.member).expect("two members").to_string()
    }
}

/// ICMP says so: each request has its answer at once. A 503 ends no dialog (RFC 5057 §5.1), the BYE is granted.
#[test]
fn a_refused_request_is_answered_at_once() {
    let mut call = up("refused");
    call.stage.silence(&call.member.clone(), true);
    for (number, method) in [(2, "INFO"), (3, "UPDATE"), (4, "MESSAGE")] {
        assert_eq!(call.ask(method, number, 100), Some(503), "{method}");
    }
    assert_eq!(call.stage.world.core().status().calls, 1);
    assert_eq!(call.ask("BYE", 5, 100), Some(200));
    assert_eq!(call.stage.world.core().status().calls, 0);
    assert_eq!(call.stage.world.core().counters().get(Count::DeadMember), 4);
    call.stage.assert_at_rest();
}

/// Probes say so, or will: nobody waits 32 seconds. The member gets the request all the same, for it may live.
#[test]
fn a_request_to_a_silent_member_is_answered_in_seconds() {
    for known in [true, false] {
        let mut call = up("silent");
        let member = call.member.clone();
        call.stage.silence(&member, false);
        if known {
            call.stage.pass(20_000);
        }
        // Where it is not known yet, probes take their time to tell.
        let patience = if known { 0 } else { 12_000 };
        let change = inside("INVITE", &call.invite, &call.ok, 2);
        let mut sent = call.stage.say(PHONE, &change);
        assert_eq!(the(&sent, "INVITE").to, member);
        sent.extend(call.stage.pass(4_500 + patience));
        assert_eq!(statuses(&sent, PHONE, "INVITE").last(), Some(&503), "known: {known}");
        assert_eq!(call.ask("INFO", 3, 12_500), Some(503));
        assert_eq!(call.ask("BYE", 4, 4_500), Some(200));
        assert_eq!(call.stage.world.core().status().calls, 0);
        call.stage.assert_at_rest();
    }
}

/// The same where the member is in the configuration no more: its calls are asked for as before.
#[test]
fn a_request_to_a_dead_member_that_was_taken_out_is_answered_as_quickly() {
    for refuses in [true, false] {
        let mut call = up("taken-out");
        let member = call.member.clone();
        call.take_out();
        call.stage.silence(&member, refuses);
        if !refuses {
            call.stage.pass(20_000);
        }
        let patience = if refuses { 100 } else { 4_500 };
        assert_eq!(call.ask("INVITE", 2, patience), Some(503), "refuses: {refuses}");
        assert_eq!(call.ask("BYE", 3, patience), Some(200), "refuses: {refuses}");
        assert_eq!(call.stage.world.core().status().calls, 0);
        call.stage.assert_at_rest();
    }
}

/// The same where nothing is remembered of the call: the tokens name the member.
#[test]
fn a_bye_after_a_restart_is_granted_as_well() {
    let mut call = up("restarted");
    call.stage.silence(&call.member.clone(), false);
    call.stage.world.restart();
    call.stage.pass(20_000);
    assert_eq!(call.ask("BYE", 2, 4_500), Some(200));
    call.stage.assert_at_rest();
}

/// A member that is only slow to answer its probes keeps its dialogs: its own answer passes.
#[test]
fn a_member_that_still_answers_requests_is_heard() {
    let mut call = up("deaf-to-probes");
    let member = call.member.clone();
    call.stage.silence(&member, false);
    call.stage.pass(20_000);
    let there = the(&call.stage.say(PHONE, &inside("INFO", &call.invite, &call.ok, 2)), "INFO");
    let sent = call.stage.say(&member, &answer_from(&member, &there.message, 200, "member"));
    assert_eq!(statuses(&sent, PHONE, "INFO"), [200]);
    call.stage.assert_at_rest();
}

/// FreeSWITCH's `sofia recover`: another member sends the re-INVITE, the phone grants it, and from then on
/// everything goes there, by the new Contact or by the old one.
#[test]
fn a_call_taken_over_by_another_member_goes_on() {
    take_over(false);
}

#[test]
fn a_call_taken_over_from_a_member_that_was_taken_out_goes_on() {
    take_over(true);
}

fn take_over(is_taken_out: bool) {
    let mut call = up("recovered");
    let (dead, other) = (call.member.clone(), call.other());
    call.stage.silence(&dead, false);
    if is_taken_out {
        call.take_out();
    }
    call.stage.pass(20_000);
    let recover = inside_from_pool(&other, "INVITE", &call.there, &call.ok_there, 900);
    let there = the(&call.stage.say(&other, &recover), "INVITE");
    assert_eq!(there.to, PHONE);
    let sent = call.stage.say(PHONE, &answer_from(PHONE, &there.message, 200, "phone"));
    let granted = to(&sent, &other)[0].clone();
    assert_eq!(granted.status(), 200);
    assert_eq!((call.calls_of(&dead), call.calls_of(&other)), (0, 1), "it counts where it is");
    let ack = inside_from_pool(&other, "ACK", &call.there, &call.ok_there, 900);
    assert_eq!(the(&call.stage.say(&other, &ack), "ACK").to, PHONE);
    // The phone has learnt the new Contact from the re-INVITE.
    let new = there.message.uri_of("Contact").expect("a Contact");
    assert_ne!(Some(&new), call.ok.uri_of("Contact").as_ref());
    let mut refreshed = call.ok.clone();
    sbc_tests::sim::replace(&mut refreshed, "Contact", &[format!("<{new}>")]);
    for (number, ok) in [(2, refreshed), (3, call.ok.clone())] {
        let sent = call.stage.say(PHONE, &inside("INFO", &call.invite, &ok, number));
        let asked = the(&sent, "INFO");
        assert_eq!(asked.to, other, "INFO {number}");
        let sent = call.stage.say(&other, &answer_from(&other, &asked.message, 200, "member"));
        assert_eq!(statuses(&sent, PHONE, "INFO"), [200]);
    }
    let sent = call.stage.say(PHONE, &inside("BYE", &call.invite, &call.ok, 4));
    assert_eq!(the(&sent, "BYE").to, other);
}

/// The dialog goes on by the transport of the member that has it now.
#[test]
fn a_call_taken_over_by_a_member_of_another_transport_is_led_there_by_it() {
    let by_tcp = MEMBERS[1];
    let settings =
        EdgeSettings { by_stream: vec![by_tcp.parse().expect("an address")], ..EdgeSettings::new(&MEMBERS) };
    let mut calls = (0..).map(|number| up_with(&settings, &format!("mixed-{number}")));
    let mut call = calls.find(|call| call.member == MEMBERS[0]).expect("it has its share");
    let recover = inside_from_pool(by_tcp, "INVITE", &call.there, &call.ok_there, 900);
    let there = the(&call.stage.say(by_tcp, &recover), "INVITE");
    let sent = call.stage.say(PHONE, &answer_from(PHONE, &there.message, 200, "phone"));
    let granted = to(&sent, by_tcp)[0].clone();
    assert_eq!(granted.status(), 200);
    let asked = the(&call.stage.say(PHONE, &inside("INFO", &call.invite, &call.ok, 2)), "INFO");
    assert_eq!(asked.to, by_tcp);
    let via = asked.message.get("Via").unwrap_or_default();
    assert!(via.starts_with("SIP/2.0/TCP "), "{via}");
}

/// The same with endpoints, and datagrams lost: whoever hangs up is free, and nothing is left over.
#[test]
fn whoever_hangs_up_on_a_dead_member_is_free() {
    for_seeds(20, |seed, loss| {
        let mut world = cast(seed, &EdgeSettings::new(&MEMBERS), loss);
        let callers = [BROWSER, PHONE];
        let legs =
            callers.map(|caller| world.act(caller, |agent, now| agent.call(now, "sip:9196@example.test")));
        for (caller, leg) in callers.into_iter().zip(legs) {
            world.until_up(caller, leg);
        }
        for member in MEMBERS {
            world.kill(member, seed % 2 == 0);
        }
        world.run(1_000 * (seed % 20));
        for (caller, leg) in callers.into_iter().zip(legs) {
            world.act(caller, |agent, now| agent.bye(now, leg));
            world.until_ended(caller, leg);
            assert!(matches!(world.state(caller, leg), State::Ended { .. }));
        }
        world.assert_quiet();
        assert_eq!(world.core().status().calls, 0);
    });
}

/// The member answers a re-INVITE after its caller was told 503: it is acknowledged, and the call goes on.
#[test]
fn a_change_of_the_session_that_is_granted_too_late_ends_no_call() {
    let mut call = up("late-change");
    let member = call.member.clone();
    call.stage.silence(&member, false);
    call.stage.pass(15_000);
    let mut sent = call.stage.say(PHONE, &inside("INVITE", &call.invite, &call.ok, 2));
    let there = the(&sent, "INVITE").message;
    sent.extend(call.stage.pass(5_000));
    assert!(statuses(&sent, PHONE, "INVITE").contains(&503), "{sent:?}");
    let late = answer_from(&member, &there, 200, "member");
    for _ in 0..2 {
        let sent = call.stage.say(&member, &late);
        assert_eq!(the(&sent, "ACK").to, member);
        assert!(sent.iter().all(|one| one.message.method() != "BYE"), "{sent:?}");
    }
    assert_eq!(call.stage.world.core().status().calls, 1);
}
