//! CANCEL and answers after a restart: the request they are about has left, and nobody here remembers it (RFC 3261 §16.10
//! and §16.11).

use sbc_core::config::{Balance, Large};
use sbc_core::count::Count;
use sbc_tests::agent::{Policy, State};
use sbc_tests::sim::stage::{Sent, Stage, answer_from, cancel, inside, request, statuses, the, to};
use sbc_tests::sim::{EdgeSettings, INSIDE_TCP_ID, MEMBERS, PHONE, World, cast, for_seeds};
use sbc_tests::ua::message::Message;

const SEEDS: u64 = 20;
const CALLED: &str = "192.0.2.24:5060";

fn ringing(world: &mut World) -> bool {
    world.agent(CALLED).calls().any(|(_, call)| call.state == State::Ringing)
}

/// The caller's CANCEL comes to a process that knows neither leg, and so does that of the member.
#[test]
fn a_call_that_is_cancelled_after_a_restart_stops_ringing() {
    for_seeds(SEEDS, |seed, loss| {
        let mut world = cast(seed, &EdgeSettings::new(&MEMBERS), loss);
        world.add_phone(CALLED, "1004");
        world.register(CALLED);
        world.agent(CALLED).policy = Policy::Ring;
        let leg = world.act(PHONE, |agent, now| agent.call(now, "sip:1004@example.test"));
        assert!(world.until(60_000, ringing), "nobody rings");
        world.run(500);
        world.restart();
        world.act(PHONE, |agent, now| agent.bye(now, leg));
        world.until_ended(PHONE, leg);
        assert!(matches!(world.state(PHONE, leg), State::Ended { status: 487, .. }));
        let stopped = |world: &mut World| {
            world.agent(CALLED).calls().all(|(_, call)| matches!(call.state, State::Ended { .. }))
        };
        assert!(world.until(40_000, stopped), "the callee's phone rings on");
        // Where our 100 was lost, the caller repeats its INVITE first.
        assert!(loss > 0 || world.core().counters().get(Count::ForgottenCancel) > 0);
        world.assert_quiet();
    });
}

/// An INVITE that rings at its member, and its CANCEL to the restarted process: who is asked to cancel.
fn cancelled_after_restart(stage: &mut Stage, call_id: &str, body: usize) -> (Sent, Vec<Sent>) {
    let mut invite = request("INVITE", call_id, call_id);
    invite.push("X-Much", "x".repeat(body));
    let there = the(&stage.say(PHONE, &invite), "INVITE");
    stage.say(&there.to, &answer_from(&there.to, &there.message, 180, "member"));
    stage.world.restart();
    stage.pass(1_000);
    let sent = stage.say(PHONE, &cancel(&invite));
    assert_eq!(statuses(&sent, PHONE, "CANCEL"), [200]);
    (there, sent.into_iter().filter(|one| one.message.is_request()).collect())
}

/// The CANCEL that its INVITE's own branch names.
fn of_branch(asked: &[Sent], invite: &Sent) -> Sent {
    let found = asked.iter().find(|one| one.message.top_via() == invite.message.top_via());
    found.unwrap_or_else(|| panic!("no CANCEL of {:?} in {asked:?}", invite.message.top_via())).clone()
}

/// What a member says to a CANCEL.
fn answered(stage: &mut Stage, cancel: &Sent, status: u16) -> Vec<Sent> {
    stage.say(&cancel.to, &answer_from(&cancel.to, &cancel.message, status, "member"))
}

/// A hash chooses the same members again, in the same order; whoever has the call is asked to cancel it.
#[test]
fn a_cancel_after_a_restart_finds_the_member_by_its_hash() {
    let mut stage = Stage::usual();
    let (invite, asked) = cancelled_after_restart(&mut stage, "hash", 1);
    let cancel = of_branch(&asked, &invite);
    assert_eq!(cancel.to, invite.to);
    assert_eq!(cancel.message.uri(), invite.message.uri());
    answered(&mut stage, &cancel, 200);
    let sent = stage.say(&invite.to, &answer_from(&invite.to, &invite.message, 487, "member"));
    assert_eq!(the(&sent, "ACK").to, invite.to);
    let end = to(&sent, PHONE)[0].clone();
    assert_eq!((end.status(), end.list("Via").len()), (487, 1));
    stage.say(PHONE, &ack_of(&end, &invite.message));
    stage.assert_at_rest();
}

fn ack_of(end: &Message, invite: &Message) -> Message {
    let mut ack = cancel(invite);
    ack.start = sbc_tests::ua::message::Start::Request { method: "ACK".into(), uri: invite.uri().to_owned() };
    for (name, value) in [("Via", end.get("Via")), ("To", end.get("To")), ("CSeq", Some("1 ACK"))] {
        sbc_tests::sim::replace(&mut ack, name, &[value.expect("a header").to_owned()]);
    }
    ack
}

/// Inside a call the sealed address leads to the member.
#[test]
fn a_cancel_of_a_re_invite_after_a_restart_finds_its_member() {
    let mut stage = Stage::new(&EdgeSettings { balance: Balance::RoundRobin, ..EdgeSettings::new(&MEMBERS) });
    let invite = request("INVITE", "call", "call");
    let there = the(&stage.say(PHONE, &invite), "INVITE");
    let sent = stage.say(&there.to, &answer_from(&there.to, &there.message, 200, "member"));
    let ok = to(&sent, PHONE)[0].clone();
    stage.say(PHONE, &inside("ACK", &invite, &ok, 1));
    let again = inside("INVITE", &invite, &ok, 2);
    let there = the(&stage.say(PHONE, &again), "INVITE");
    stage.say(&there.to, &answer_from(&there.to, &there.message, 100, "member"));
    stage.world.restart();
    stage.pass(1_000);
    let sent = stage.say(PHONE, &cancel(&again));
    assert_eq!(statuses(&sent, PHONE, "CANCEL"), [200]);
    let cancelled = the(&sent, "CANCEL");
    assert_eq!((cancelled.to, cancelled.message.top_via()), (there.to.clone(), there.message.top_via()));
    let sent = stage.say(&there.to, &answer_from(&there.to, &there.message, 487, "member"));
    assert_eq!(statuses(&sent, PHONE, "INVITE"), [487]);
    stage.assert_at_rest();
}

/// Round-robin counts, and has forgotten: each member is asked, and whoever knows nothing of it does no harm.
#[test]
fn a_cancel_after_a_restart_asks_every_member_that_may_have_the_call() {
    let mut stage = Stage::new(&EdgeSettings { balance: Balance::RoundRobin, ..EdgeSettings::new(&MEMBERS) });
    for call_id in ["first", "second", "third"] {
        let (invite, asked) = cancelled_after_restart(&mut stage, call_id, 1);
        let mut members: Vec<_> = asked.iter().map(|one| one.to.as_str()).collect();
        members.sort_unstable();
        assert_eq!(members, MEMBERS);
        let right = of_branch(&asked, &invite);
        assert_eq!(right.to, invite.to);
        let wrong = asked.iter().find(|one| one.to != invite.to).expect("the other member");
        let sent = answered(&mut stage, wrong, 481);
        assert_eq!(statuses(&sent, PHONE, "INVITE"), [0_u16; 0], "the other one may still have it");
        answered(&mut stage, &right, 200);
        let sent = stage.say(&invite.to, &answer_from(&invite.to, &invite.message, 487, "member"));
        assert_eq!(statuses(&sent, PHONE, "INVITE"), [487]);
    }
    stage.assert_at_rest();
}

/// What was too large for a datagram went by a connection, and is found there.
#[test]
fn a_cancel_after_a_restart_finds_a_large_invite() {
    let settings = EdgeSettings {
        large: [Large::Always(INSIDE_TCP_ID), Large::Never],
        ..EdgeSettings::new(&MEMBERS[..1])
    };
    let mut stage = Stage::new(&settings);
    let (invite, asked) = cancelled_after_restart(&mut stage, "large", 2000);
    assert!(invite.message.get("Via").is_some_and(|via| via.starts_with("SIP/2.0/TCP")));
    of_branch(&asked, &invite);
    assert_eq!(asked.len(), 2, "by both ways: {asked:?}");
    stage.assert_at_rest();
}

/// Nobody knows the call, or nobody answers: after 64*T1 its caller is told that it is over (RFC 3261 §9.1).
#[test]
fn a_cancel_of_what_nobody_knows_ends_the_call_of_its_caller() {
    for answers in [false, true] {
        let mut stage = Stage::usual();
        let sent = stage.say(PHONE, &cancel(&request("INVITE", "lost", "lost")));
        assert_eq!(statuses(&sent, PHONE, "CANCEL"), [200]);
        for asked in sent.iter().filter(|one| answers && one.message.is_request()) {
            assert_eq!(statuses(&answered(&mut stage, asked, 481), PHONE, "INVITE"), [0_u16; 0]);
        }
        let sent = stage.pass(33_000);
        let told = statuses(&sent, PHONE, "INVITE");
        assert!(!told.is_empty() && told.iter().all(|status| *status == 487), "{told:?}");
        stage.assert_at_rest();
    }
}

/// What reaches the phone of a member's answer with these headers, when nobody here knows the request any more.
fn answered_after_restart(method: &str, status: u16, headers: &[(&str, &str)]) -> Vec<Message> {
    let mut stage = Stage::usual();
    let there = the(&stage.say(PHONE, &request(method, "answer", "answer")), method);
    stage.world.restart();
    stage.pass(1_000);
    let mut response = answer_from(&there.to, &there.message, status, "member");
    for (name, value) in headers {
        response.headers.insert(1, ((*name).to_owned(), (*value).to_owned()));
    }
    let sent = stage.say(&there.to, &response);
    to(&sent, PHONE).into_iter().cloned().collect()
}

/// RFC 4320 §4.2: a 408 to a request other than INVITE does not travel, with or without its transaction.
#[test]
fn a_408_to_another_request_stops_after_a_restart_too() {
    for (method, status, passes) in
        [("MESSAGE", 408, false), ("MESSAGE", 404, true), ("INVITE", 408, true), ("SUBSCRIBE", 408, false)]
    {
        let told = answered_after_restart(method, status, &[]);
        assert_eq!(told.len(), usize::from(passes), "{method} {status}: {told:?}");
    }
}

/// RFC 3261 §16.7 item 6: what a member says of itself is not what we say of us.
#[test]
fn a_503_does_not_pass_as_it_is_after_a_restart() {
    let told = answered_after_restart("INVITE", 503, &[("Retry-After", "300 (10.0.2.10)")]);
    assert_eq!((told.len(), told[0].status()), (1, 503));
    assert_eq!(told[0].all("Retry-After").collect::<Vec<_>>(), ["5"]);
    let reason = "Q.850;cause=41";
    let told = answered_after_restart("INVITE", 503, &[("Retry-After", "300"), ("Reason", reason)]);
    assert_eq!((told.len(), told[0].status(), told[0].get("Reason")), (1, 500, Some(reason)));
    assert_eq!(told[0].all("Retry-After").count(), 0);
    // A failure of another kind says what it says.
    let told = answered_after_restart("INVITE", 486, &[("Retry-After", "300")]);
    assert_eq!((told[0].status(), told[0].get("Retry-After")), (486, Some("300")));
}
