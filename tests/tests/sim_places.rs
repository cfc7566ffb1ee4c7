//! Places among the calls of a rule are given back when their call ends, and by nothing else that a caller may say.

use sbc_tests::sim::stage::{Stage, answer_from, inside, request, statuses, the};
use sbc_tests::sim::{EdgeSettings, MEMBERS, PHONE};
use sbc_tests::ua::message::Message;

const RULE: &str = "two at a time";

fn stage() -> Stage {
    let settings = EdgeSettings::new(&MEMBERS);
    let rule = format!(
        "[[rule]]\nname = \"{RULE}\"\nmatch = {{ method = \"INVITE\", zone = \"public\" }}\n\
         limit = {{ calls = 2, status = 480 }}\nnext = true\n"
    );
    Stage::new(&EdgeSettings { rules: format!("{rule}\n{}", settings.rules), ..settings })
}

/// The call that `invite` asks for is answered, its callee's tag being `tag`; its 200.
fn call(stage: &mut Stage, invite: &Message, tag: &str) -> Message {
    let sent = stage.say(PHONE, invite);
    let there = the(&sent, "INVITE");
    let sent = stage.say(&there.to, &answer_from(&there.to, &there.message, 200, tag));
    let is_ok = |message: &Message| !message.is_request() && message.status() == 200;
    let ok = sent.into_iter().find(|one| one.to == PHONE && is_ok(&one.message)).expect("a 200").message;
    stage.say(PHONE, &inside("ACK", invite, &ok, 1));
    ok
}

#[test]
fn a_bye_for_another_dialog_frees_no_place() {
    let mut stage = stage();
    let invite = request("INVITE", "places", "places");
    let ok = call(&mut stage, &invite, "callee");
    let calls = |stage: &Stage| stage.world.core().calls_of_rule(RULE);
    assert_eq!(calls(&stage), 1);
    let mut wrong = inside("BYE", &invite, &ok, 2);
    let to = wrong.get("To").expect("To").replace("tag=callee", "tag=nobody");
    sbc_tests::sim::replace(&mut wrong, "To", &[to]);
    let there = the(&stage.say(PHONE, &wrong), "BYE");
    let sent = stage.say(&there.to, &answer_from(&there.to, &there.message, 481, "nobody"));
    assert_eq!(statuses(&sent, PHONE, "BYE"), [481]);
    assert_eq!(calls(&stage), 1, "the call is still up");
    let there = the(&stage.say(PHONE, &inside("BYE", &invite, &ok, 3)), "BYE");
    stage.say(&there.to, &answer_from(&there.to, &there.message, 200, "callee"));
    assert_eq!(calls(&stage), 0);
}

/// One Call-ID and one tag of the caller's, but two calls: each has a place of its own.
#[test]
fn a_second_call_under_the_same_name_takes_a_second_place() {
    let mut stage = stage();
    let first = request("INVITE", "twice", "twice1");
    call(&mut stage, &first, "one");
    let mut second = request("INVITE", "twice", "twice2");
    sbc_tests::sim::replace(&mut second, "CSeq", &["2 INVITE".to_owned()]);
    let ok = call(&mut stage, &second, "two");
    let calls = |stage: &Stage| stage.world.core().calls_of_rule(RULE);
    assert_eq!(calls(&stage), 2);
    let there = the(&stage.say(PHONE, &inside("BYE", &second, &ok, 3)), "BYE");
    stage.say(&there.to, &answer_from(&there.to, &there.message, 200, "two"));
    assert_eq!(calls(&stage), 1);
}
