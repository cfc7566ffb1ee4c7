//! Targets that cannot be asked: what becomes of the request depends on those that can. No final answer of ours
//! leaves while somebody may still answer, and none leaves anybody ringing.

use sbc_core::config::Share;
use sbc_core::pool::Order;
use sbc_tests::sim::stage::{Sent, Stage, answer_from, request, statuses, the, to};
use sbc_tests::sim::{EdgeSettings, MEMBERS, PHONE};
use sbc_tests::ua::message::Message;

/// A third member, which nobody asks.
const DRAINED: &str = "10.0.2.12:5080";

/// A call, the member that was asked first, and the INVITE as it came there.
fn asked(stage: &mut Stage, call_id: &str) -> (String, Message) {
    let sent = the(&stage.say(PHONE, &request("INVITE", call_id, call_id)), "INVITE");
    (sent.to, sent.message)
}

fn other(member: &str) -> &'static str {
    MEMBERS.into_iter().find(|one| *one != member).expect("two members")
}

fn drain(stage: &Stage, member: &str) {
    stage.world.core().set_order(member, Order::Draining).expect("a member");
}

fn says(stage: &mut Stage, member: &str, invite: &Message, status: u16) -> Vec<Sent> {
    let response = answer_from(member, invite, status, "member");
    stage.say(member, &response)
}

fn finals(sent: &[Sent]) -> Vec<u16> {
    statuses(sent, PHONE, "INVITE").into_iter().filter(|status| *status >= 200).collect()
}

fn invited(sent: &[Sent], member: &str) -> bool {
    to(sent, member).iter().any(|one| one.is_request() && one.method() == "INVITE")
}

/// A slow member is not answered for because the other one takes nothing new.
#[test]
fn a_slow_member_is_waited_for_where_the_other_is_drained() {
    let mut stage = Stage::usual();
    let (member, invite) = asked(&mut stage, "slow");
    drain(&stage, other(&member));
    let sent = stage.pass(5_000);
    assert_eq!(finals(&sent), [0_u16; 0], "{sent:?}");
    assert_eq!(statuses(&says(&mut stage, &member, &invite, 180), PHONE, "INVITE"), [180]);
    assert_eq!(finals(&says(&mut stage, &member, &invite, 200)), [200]);
    stage.assert_at_rest();
}

/// Where it stays silent, the caller is told in time, and the member is cancelled.
#[test]
fn a_silent_member_without_another_is_cancelled_when_the_caller_is_answered() {
    let mut stage = Stage::usual();
    let (member, _) = asked(&mut stage, "silent");
    drain(&stage, other(&member));
    let sent = stage.pass(31_900);
    assert_eq!(finals(&sent).first(), Some(&408));
    assert!(to(&sent, &member).iter().any(|one| one.method() == "CANCEL"));
    assert!(!invited(&sent, other(&member)));
}

/// A member that takes calls again while another is silent is asked after all.
#[test]
fn a_member_that_takes_calls_again_is_asked_after_all() {
    let mut stage = Stage::usual();
    let (member, _) = asked(&mut stage, "again");
    let second = other(&member);
    drain(&stage, second);
    assert!(!invited(&stage.pass(5_000), second));
    stage.world.core().set_order(second, Order::Enabled).expect("a member");
    let sent = stage.pass(2_000);
    assert!(invited(&sent, second), "{sent:?}");
}

/// The same where it has had its calls of the second.
#[test]
fn a_member_at_its_rate_is_asked_a_moment_later() {
    let share = Share { max_cps: Some(1), ..Share::default() };
    let settings = EdgeSettings { shares: vec![share.clone(), share], ..EdgeSettings::new(&MEMBERS) };
    let mut stage = Stage::new(&settings);
    let (member, _) = asked(&mut stage, "first");
    let second = other(&member);
    stage.pass(1_950);
    let mut sent = Vec::new();
    for number in 0..8 {
        let call = format!("fill-{number}");
        sent.extend(stage.say(PHONE, &request("INVITE", &call, &call)));
    }
    sent.extend(stage.pass(3_000));
    let told = to(&sent, PHONE).into_iter().filter(|one| one.call_id() == "first");
    assert!(told.into_iter().all(|one| one.status() < 200), "{sent:?}");
    let reached = |one: &&Message| one.is_request() && one.method() == "INVITE" && one.call_id() == "first";
    assert!(to(&sent, second).iter().any(reached), "{sent:?}");
}

/// One says that it is full, one takes nothing new: the third, which was silent so far, has the call.
#[test]
fn a_full_member_does_not_answer_for_one_that_is_still_asked() {
    let mut stage = Stage::new(&EdgeSettings::new(&[MEMBERS[0], MEMBERS[1], DRAINED]));
    drain(&stage, DRAINED);
    let (member, invite) = asked(&mut stage, "open");
    let later = stage.pass(2_500);
    let second = other(&member);
    let there = to(&later, second).into_iter().find(|one| one.is_request()).expect("it is asked").clone();
    let sent = says(&mut stage, second, &there, 503);
    assert_eq!(finals(&sent), [0_u16; 0], "{sent:?}");
    assert_eq!(statuses(&says(&mut stage, &member, &invite, 180), PHONE, "INVITE"), [180]);
    assert_eq!(finals(&says(&mut stage, &member, &invite, 486)), [486]);
}

/// RFC 3261 §16.9: nobody is there, and that is known at once: 503, and when to come again.
#[test]
fn a_refused_request_without_another_member_is_told_503() {
    let mut stage = Stage::usual();
    let (member, _) = asked(&mut stage, "probe");
    drain(&stage, other(&member));
    stage.silence(&member, true);
    let mut invite = request("INVITE", "refused", "refused");
    let mut sent = stage.say(PHONE, &invite);
    for number in 0.. {
        if invited(&sent, &member) {
            break;
        }
        invite = request("INVITE", &format!("refused-{number}"), &format!("refused-{number}"));
        sent = stage.say(PHONE, &invite);
    }
    sent.extend(stage.pass(1_000));
    let told =
        to(&sent, PHONE).into_iter().find(|one| one.call_id() == invite.call_id() && one.status() >= 200);
    let told = told.expect("an answer");
    assert_eq!((told.status(), told.get("Retry-After")), (503, Some("5")));
    let cancelled = to(&sent, &member).iter().any(|one| one.method() == "CANCEL");
    assert!(!cancelled, "there is nobody to be told");
}
