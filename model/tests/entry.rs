//! Two workers and the entry of one request: whatever order their steps come in, the caller gets one answer, no
//! request is sent on twice or forgotten, and nothing stays behind.

mod scene;

use scene::{
    BROWSER, BROWSER_AGAIN, MEMBERS, PHONE, Scene, Sent, header, in_every_order, in_every_order_and_then,
    reply,
};

/// The different final answers that the phone got to its INVITE.
fn finals(sent: &[Sent]) -> Vec<u16> {
    let answers = sent.iter().filter(|one| one.flow == PHONE.flow() && one.has("CSeq: 1 INVITE"));
    let mut finals: Vec<u16> = answers.filter_map(Sent::status).filter(|status| *status >= 200).collect();
    finals.sort_unstable();
    finals.dedup();
    finals
}

fn sent_to_members(sent: &[Sent], method: &str) -> usize {
    sent.iter().filter(|one| one.flow.listener == MEMBERS[0].listener && one.is(method)).count()
}

#[test]
fn the_same_invite_at_two_workers_is_forwarded_once() {
    in_every_order(
        |_| {},
        [
            |scene, worker| scene.hear(worker, PHONE, &scene::INVITE),
            |scene, worker| scene.hear(worker, PHONE, &scene::INVITE),
        ],
        |sent| assert_eq!(sent_to_members(sent, "INVITE"), 1),
    );
}

/// RFC 3261 §8.2.2.2: whichever way it came, and whoever sees it first.
#[test]
fn an_invite_by_two_ways_rings_once() {
    in_every_order(
        |_| {},
        [
            |scene, worker| scene.hear(worker, PHONE, &scene::INVITE),
            |scene, worker| scene.hear(worker, PHONE, &scene::INVITE.replace("bKa", "bKother")),
        ],
        |sent| {
            assert_eq!(sent_to_members(sent, "INVITE"), 1);
            assert!(sent.iter().any(|one| one.status() == Some(482)), "the other one is told");
        },
    );
}

/// The same where a first attempt has failed, and is tried again by two ways.
#[test]
fn a_second_attempt_by_two_ways_rings_once() {
    in_every_order(
        |scene| {
            let invite = scene.begin(PHONE, &scene::INVITE);
            scene.begin(MEMBERS[0].at(&invite), &reply(&invite.text, 486, ""));
        },
        [
            |scene, worker| scene.hear(worker, PHONE, &scene::INVITE.replace("bKa", "bKb")),
            |scene, worker| scene.hear(worker, PHONE, &scene::INVITE.replace("bKa", "bKc")),
        ],
        |sent| assert_eq!(sent_to_members(sent, "INVITE"), 2, "the first attempt, and one more"),
    );
}

/// A CANCEL as the next member is asked: nobody goes on ringing for a caller who is told that it is over.
#[test]
fn a_cancel_meets_the_failover() {
    in_every_order(
        |scene| {
            let invite = scene.begin(PHONE, &scene::INVITE);
            scene.kept = invite.text.clone();
            scene.member = invite.flow;
        },
        [
            |scene, worker| scene.pass(worker, 2_100),
            |scene, worker| {
                let mut sent = scene.hear(worker, PHONE, &scene::INVITE.replace("INVITE", "CANCEL"));
                sent.extend(scene.hear(worker, scene.member(), &reply(&scene.kept, 487, "")));
                sent
            },
        ],
        |sent| {
            assert_eq!(finals(sent), [487]);
            // Whoever was asked as well is cancelled.
            let asked = |one: &&Sent| one.is("INVITE") && one.flow.listener == MEMBERS[0].listener;
            let mut members: Vec<_> = sent.iter().filter(asked).map(|one| one.flow.remote).collect();
            members.dedup();
            assert_eq!(sent_to_members(sent, "CANCEL"), members.len() - 1, "{sent:?}");
        },
    );
}

fn ringing(scene: &mut Scene) {
    let invite = scene.begin(PHONE, &scene::INVITE);
    scene.begin(MEMBERS[0].at(&invite), &reply(&invite.text, 180, ""));
    scene.kept = invite.text.clone();
    scene.member = invite.flow;
}

#[test]
fn a_cancel_meets_the_answer_and_the_caller_gets_one_of_the_two() {
    in_every_order(
        ringing,
        [
            |scene, worker| scene.hear(worker, PHONE, &scene::INVITE.replace("INVITE", "CANCEL")),
            |scene, worker| scene.hear(worker, scene.member(), &reply(&scene.kept, 200, scene::CONTACT)),
        ],
        |sent| {
            let finals = finals(sent);
            assert_eq!(finals.len(), 1, "{finals:?}");
            // A call that the caller does not have must not stay up at the member.
            assert!(finals == [200] || sent_to_members(sent, "BYE") > 0, "{finals:?}");
        },
    );
}

#[test]
fn a_member_that_is_gone_meets_its_own_answer() {
    in_every_order(
        ringing,
        [
            |scene, worker| scene.unreachable(worker, scene.member()),
            |scene, worker| scene.hear(worker, scene.member(), &reply(&scene.kept, 200, scene::CONTACT)),
        ],
        |sent| assert_eq!(finals(sent), [200]),
    );
}

#[test]
fn the_timer_of_a_silent_member_meets_its_answer() {
    in_every_order(
        |scene| {
            let invite = scene.begin(PHONE, &scene::INVITE);
            scene.kept = invite.text.clone();
            scene.member = invite.flow;
        },
        [
            |scene, worker| scene.pass(worker, 2_100),
            |scene, worker| scene.hear(worker, scene.member(), &reply(&scene.kept, 200, scene::CONTACT)),
        ],
        |sent| assert_eq!(finals(sent), [200]),
    );
}

#[test]
fn a_request_that_waits_for_its_binding_meets_the_return() {
    in_every_order(
        |scene| {
            let register = scene.begin(scene::BROWSER, &scene::REGISTER);
            let member = MEMBERS[0].at(&register);
            scene.begin(member, &reply(&register.text, 200, scene::GRANTED));
            scene.close(scene::BROWSER);
            let again =
                scene.begin(BROWSER_AGAIN, &scene::REGISTER.replace("1 REG", "2 REG").replace("bK", "bK2"));
            scene.path = header(&again.text, "Path").expect("a Path").to_owned();
            scene.kept = again.text.clone();
            scene.member = again.flow;
        },
        [
            |scene, worker| scene.hear(worker, scene.member(), &scene.notify()),
            |scene, worker| scene.hear(worker, scene.member(), &reply(&scene.kept, 200, scene::GRANTED)),
        ],
        |sent| {
            let came = sent.iter().filter(|one| one.is("NOTIFY") && one.flow == BROWSER_AGAIN.flow()).count();
            assert_eq!(came, 1, "the request waits for nobody, or was sent on twice");
        },
    );
}

fn notified(sent: &[Sent], party: scene::Party) -> usize {
    sent.iter().filter(|one| one.is("NOTIFY") && one.flow == party.flow()).count()
}

/// The REGISTER of the browser over its first connection; its answer is to come.
fn registering(scene: &mut Scene) {
    let register = scene.begin(BROWSER, &scene::REGISTER);
    scene.path = header(&register.text, "Path").expect("a Path").to_owned();
    scene.kept = register.text.clone();
    scene.member = register.flow;
}

fn register_again() -> String {
    scene::REGISTER.replace("1 REG", "2 REG").replace("bK", "bK2")
}

#[test]
fn a_connection_that_closes_meets_the_answer_to_its_register() {
    in_every_order_and_then(
        registering,
        [
            |scene, worker| scene.closed(worker, BROWSER),
            |scene, worker| scene.hear(worker, scene.member(), &reply(&scene.kept, 200, scene::GRANTED)),
        ],
        |scene, worker| scene.hear(worker, scene.member(), &scene.notify()),
        |sent| assert_eq!(notified(sent, BROWSER), 0, "its binding is taken for alive"),
    );
}

#[test]
fn the_answer_to_a_register_meets_that_to_the_end_of_the_registration() {
    in_every_order_and_then(
        |scene| {
            registering(scene);
            let leaves = register_again().replace("expires=600", "expires=0");
            let leaving = scene.begin(BROWSER, &leaves);
            scene.other = Some((leaving.text.clone(), leaving.flow));
        },
        [
            |scene, worker| scene.hear(worker, scene.member(), &reply(&scene.kept, 200, scene::GRANTED)),
            |scene, worker| {
                let (leaving, member) = scene.other.as_ref().expect("kept");
                let sent = Sent { flow: *member, text: leaving.clone() };
                scene.hear(worker, MEMBERS[0].at(&sent), &reply(leaving, 200, ""))
            },
        ],
        |scene, worker| scene.hear(worker, scene.member(), &scene.notify()),
        |sent| assert_eq!(notified(sent, BROWSER), 0, "it has left"),
    );
}

#[test]
fn a_connection_that_closes_meets_a_request_which_follows_to_the_next_one() {
    in_every_order_and_then(
        |scene| {
            registering(scene);
            let granted = reply(&scene.kept, 200, scene::GRANTED);
            scene.begin(scene.member(), &granted);
        },
        [
            |scene, worker| scene.closed(worker, BROWSER),
            |scene, worker| scene.hear(worker, scene.member(), &scene.notify()),
        ],
        |scene, worker| {
            let again = scene.hear(worker, BROWSER_AGAIN, &register_again());
            let member = MEMBERS[0].at(&again[0]);
            scene.hear(worker, member, &reply(&again[0].text, 200, scene::GRANTED))
        },
        |sent| assert_eq!(notified(sent, BROWSER_AGAIN), 1, "it is lost with the first connection"),
    );
}
