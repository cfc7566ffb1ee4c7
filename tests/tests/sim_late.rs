//! What comes long after it was waited for: answers of members that had been given up, errors of the network, and what
//! is counted against whom.

use sbc_core::config::Large;
use sbc_core::count::Count;
use sbc_core::pool::Health;
use sbc_tests::sim::stage::{Sent, Stage, answer_from, inside, request, statuses, the, to};
use sbc_tests::sim::{EdgeSettings, INSIDE_TCP_ID, MEMBERS, PHONE};
use sbc_tests::ua::message::Message;

struct Call {
    stage: Stage,
    invite: Message,
    /// Who was asked first, and what came there.
    first: Sent,
}

impl Call {
    fn new(mut stage: Stage, call_id: &str) -> Self {
        let invite = request("INVITE", call_id, call_id);
        let first = the(&stage.say(PHONE, &invite), "INVITE");
        Self { stage, invite, first }
    }

    /// The other member, which is asked because the first one says nothing.
    fn second(&mut self) -> Sent {
        let sent = self.stage.pass(2_500);
        invite_to_another(&sent, &self.first.to).expect("the other one is asked")
    }

    fn answers(&mut self, asked: &Sent, status: u16) -> Vec<Sent> {
        let tag = if asked.to == self.first.to { "first" } else { "second" };
        self.stage.say(&asked.to, &answer_from(&asked.to, &asked.message, status, tag))
    }

    fn first_answers(&mut self, status: u16) -> Vec<Sent> {
        let first = self.first.clone();
        self.answers(&first, status)
    }
}

fn invite_to_another(sent: &[Sent], than: &str) -> Option<Sent> {
    let is_asked =
        |one: &&Sent| one.to != than && one.message.is_request() && one.message.method() == "INVITE";
    sent.iter().find(is_asked).cloned()
}

fn finals(sent: &[Sent]) -> Vec<u16> {
    statuses(sent, PHONE, "INVITE").into_iter().filter(|status| *status >= 200).collect()
}

fn health(stage: &Stage, member: &str) -> Health {
    let pools = stage.world.core().status().pools;
    pools[0].members.iter().find(|one| one.address.to_string() == member).expect("a member").health
}

/// A machine stood still while the other member rang, for longer than timer B (RFC 3261 §13.2.2.4).
#[test]
fn a_200_long_after_timer_b_is_ended_here() {
    let mut call = Call::new(Stage::usual(), "long-after");
    let second = call.second();
    call.answers(&second, 180);
    call.stage.pass(40_000);
    assert_eq!(finals(&call.answers(&second, 200)), [200]);
    call.stage.pass(3_000);
    let sent = call.first_answers(200);
    assert_eq!((the(&sent, "ACK").to, the(&sent, "BYE").to), (call.first.to.clone(), call.first.to.clone()));
    assert!(to(&sent, PHONE).is_empty(), "{sent:?}");
    call.stage.assert_at_rest();
}

/// While the caller still waits, whoever answers has the call, however late.
#[test]
fn a_200_after_timer_b_has_the_call_while_the_other_rings() {
    let mut call = Call::new(Stage::usual(), "quicker");
    let second = call.second();
    call.answers(&second, 180);
    call.stage.pass(40_000);
    let sent = call.first_answers(200);
    assert_eq!(finals(&sent), [200]);
    assert_eq!(the(&sent, "CANCEL").to, second.to);
    let ok = to(&sent, PHONE)[0].clone();
    let ack = inside("ACK", &call.invite, &ok, 1);
    assert_eq!(the(&call.stage.say(PHONE, &ack), "ACK").to, call.first.to);
    call.answers(&second, 487);
    call.stage.assert_at_rest();
}

/// RFC 3261 §17.1.1.3: a refusal is acknowledged however late it comes, or its sender repeats it.
#[test]
fn a_refusal_after_timer_b_is_acknowledged() {
    let mut call = Call::new(Stage::usual(), "refusal");
    let second = call.second();
    call.answers(&second, 180);
    call.stage.pass(40_000);
    for _ in 0..2 {
        let sent = call.first_answers(487);
        assert_eq!(the(&sent, "ACK").to, call.first.to);
        assert!(to(&sent, PHONE).is_empty());
    }
    assert_eq!(finals(&call.answers(&second, 200)), [200]);
    call.stage.assert_at_rest();
}

/// Requests that the network refused and another member took say nothing of the member when their timers end.
#[test]
fn a_member_that_is_back_is_not_blamed_for_what_was_refused_before() {
    let mut stage = Stage::usual();
    let member = Call::new(stage, "who").first.to;
    stage = Stage::usual();
    stage.silence(&member, true);
    for number in 0..40 {
        let call = format!("refused-{number}");
        let mut sent = stage.say(PHONE, &request("INVITE", &call, &call));
        sent.extend(stage.pass(50));
        let taken =
            sent.iter().rfind(|one| one.message.is_request() && one.to != PHONE).expect("asked").clone();
        stage.say(&taken.to, &answer_from(&taken.to, &taken.message, 486, "member"));
    }
    stage.revive(&member);
    let is_up = |stage: &mut Stage| {
        stage.pass(500);
        health(stage, &member) == Health::Up
    };
    assert!((0..50).any(|_| is_up(&mut stage)), "it is back");
    for _ in 0..80 {
        assert!(is_up(&mut stage), "it was taken down for what had been refused before");
    }
}

/// FreeSWITCH says 100 to every call. Where its host then dies, the call is another member's.
#[test]
fn a_member_that_falls_silent_after_its_100_is_passed_over() {
    let mut call = Call::new(Stage::usual(), "after-100");
    call.first_answers(100);
    let member = call.first.to.clone();
    call.stage.silence(&member, false);
    let sent = call.stage.pass(13_000);
    let second = invite_to_another(&sent, &member).expect("the other member is asked");
    assert_eq!(finals(&sent), [0_u16; 0]);
    let sent = call.answers(&second, 180);
    assert_eq!((statuses(&sent, PHONE, "INVITE"), the(&sent, "CANCEL").to), (vec![180], member.clone()));
    assert_eq!(finals(&call.answers(&second, 200)), [200]);
    let sent = call.first_answers(200);
    assert_eq!((the(&sent, "ACK").to, the(&sent, "BYE").to), (member.clone(), member));
    call.stage.assert_at_rest();
}

/// One that rang is heard: whatever its probes say, its caller waits for it.
#[test]
fn a_member_that_rang_and_whose_probes_are_lost_keeps_its_call() {
    let mut call = Call::new(Stage::usual(), "after-180");
    call.first_answers(180);
    let member = call.first.to.clone();
    call.stage.silence(&member, false);
    let sent = call.stage.pass(60_000);
    assert!(invite_to_another(&sent, &member).is_none());
    assert_eq!(finals(&sent), [0_u16; 0]);
    assert_eq!(finals(&call.first_answers(200)), [200]);
}

/// With nobody else to ask, the caller is told within the time it would wait for a first word.
#[test]
fn the_only_member_that_falls_silent_after_its_100_holds_nobody_for_minutes() {
    let mut call = Call::new(Stage::new(&EdgeSettings::new(&MEMBERS[..1])), "only");
    call.first_answers(100);
    let member = call.first.to.clone();
    call.stage.silence(&member, false);
    let sent = call.stage.pass(32_000);
    assert_eq!(finals(&sent).first(), Some(&408), "{sent:?}");
    assert!(to(&sent, &member).iter().any(|one| one.method() == "CANCEL"));
}

/// Probes were lost, not the member: once it answers them again its calls are waited for as before.
#[test]
fn a_member_whose_probes_come_back_keeps_its_call() {
    let mut call = Call::new(Stage::new(&EdgeSettings::new(&MEMBERS[..1])), "probes");
    call.first_answers(100);
    let member = call.first.to.clone();
    call.stage.silence(&member, false);
    call.stage.pass(13_000);
    assert_eq!(health(&call.stage, &member), Health::Down);
    call.stage.revive(&member);
    assert_eq!(finals(&call.stage.pass(60_000)), [0_u16; 0]);
    assert_eq!(finals(&call.first_answers(200)), [200]);
}

/// A connection that is refused says nothing of what went to the same member as a datagram: that is still known
/// when an ICMP error comes for it.
#[test]
fn a_refused_connection_leaves_what_went_by_datagram() {
    let settings = EdgeSettings {
        large: [Large::Auto(INSIDE_TCP_ID), Large::Never],
        ..EdgeSettings::new(&MEMBERS[..1])
    };
    let mut call = Call::new(Stage::new(&settings), "by-datagram");
    call.first_answers(100);
    let member = call.first.to.clone();
    call.stage.world.without_tcp = vec![member.parse().expect("an address")];
    let mut large = request("INVITE", "large", "large");
    large.push("X-Much", "x".repeat(2_000));
    large.close(None);
    let sent = call.stage.say(PHONE, &large);
    assert_eq!(call.stage.world.core().counters().get(Count::LargeByConnection), 1, "{sent:?}");
    let large = the(&call.stage.pass(1_000), "INVITE");
    call.answers(&large, 486);
    call.stage.silence(&member, true);
    let mut sent = call.stage.pass(7_000);
    sent.retain(|one| one.message.call_id() == call.invite.call_id());
    assert_eq!(finals(&sent).first(), Some(&503), "{sent:?}");
}

/// Probes found the member dead, then its host began to say so: requests that had their 100 end at once.
#[test]
fn an_icmp_error_after_the_probes_still_finds_its_requests() {
    let mut call = Call::new(Stage::new(&EdgeSettings::new(&MEMBERS[..1])), "down-first");
    call.first_answers(100);
    let member = call.first.to.clone();
    call.stage.silence(&member, false);
    while health(&call.stage, &member) != Health::Down {
        assert_eq!(finals(&call.stage.pass(100)), [0_u16; 0]);
    }
    call.stage.silence(&member, true);
    let sent = call.stage.pass(6_000);
    assert_eq!(finals(&sent).first(), Some(&503), "{sent:?}");
}
