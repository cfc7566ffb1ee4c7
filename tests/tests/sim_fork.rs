//! A request for all flows of a user at once (RFC 3261 §16.6 and §16.7), played word by word: who is asked, what the
//! caller hears, and that nobody goes on ringing.

use sbc_core::count::Count;
use sbc_tests::agent::{By, Policy, State};
use sbc_tests::sim::stage::{Sent, Stage, inside_from_pool, statuses, the, to};
use sbc_tests::sim::{
    BROWSER, EdgeSettings, MEMBERS, OTHER_BROWSER, PHONE, World, answer, for_seeds, replace,
};
use sbc_tests::ua::message::Message;

const CALLER: &str = MEMBERS[0];
const DESK: &str = "192.0.2.31:5060";
const MOBILE: &str = "192.0.2.32:5060";
const ATTIC: &str = "192.0.2.33:5060";

const FORK: &str = r#"
[[rule]]
name = "all of them"
match = { method = ["INVITE", "MESSAGE"], user = "1001", registered = true }
route = { bindings = true, fork = true }
"#;

fn settings() -> EdgeSettings {
    let usual = EdgeSettings::new(&MEMBERS);
    EdgeSettings { rules: format!("{FORK}\n{}", usual.rules), ..usual }
}

/// A user with these phones, and what their Contacts say beside.
fn user_with(phones: &[(&str, &str)]) -> Stage {
    let phones: Vec<_> = phones.iter().map(|(phone, params)| (*phone, "sip", *params)).collect();
    user_by(&settings(), &phones)
}

/// The same, with the schemes of their Contacts.
fn user_by(settings: &EdgeSettings, phones: &[(&str, &str, &str)]) -> Stage {
    let mut stage = Stage::new(settings);
    for (phone, scheme, params) in phones {
        let mut register = Message::request("REGISTER", "sip:example.test");
        register.push("Via", format!("SIP/2.0/UDP {phone};rport;branch=z9hG4bK{phone}"));
        register.push("Max-Forwards", "70");
        register.push("From", "<sip:1001@example.test>;tag=phone");
        register.push("To", "<sip:1001@example.test>");
        register.push("Call-ID", format!("register-{phone}"));
        register.push("CSeq", "1 REGISTER");
        register.push("Contact", format!("<{scheme}:1001@{phone}>{params};expires=600"));
        register.close(None);
        let there = the(&stage.say(phone, &register), "REGISTER");
        let mut ok = answer(&there.message, 200, "registrar");
        ok.push("Contact", format!("<{scheme}:1001@{phone}>;expires=600"));
        ok.close(None);
        assert_eq!(statuses(&stage.say(&there.to, &ok), phone, "REGISTER"), [200]);
    }
    stage
}

/// A call of a member to that user.
struct Call {
    stage: Stage,
    request: Message,
    /// The requests as they came to the phones, oldest first.
    asked: Vec<Sent>,
    /// The answer that it got at once.
    told: Option<Message>,
}

impl Call {
    fn new(stage: Stage, call_id: &str) -> Self {
        Self::with(stage, "INVITE", call_id, &[])
    }

    fn with(stage: Stage, method: &str, call_id: &str, headers: &[(&str, &str)]) -> Self {
        Self::to(stage, "sip:1001@example.test", method, call_id, headers)
    }

    fn to(mut stage: Stage, uri: &str, method: &str, call_id: &str, headers: &[(&str, &str)]) -> Self {
        let mut request = Message::request(method, uri);
        request.push("Via", format!("SIP/2.0/UDP {CALLER};rport;branch=z9hG4bK{call_id}"));
        request.push("Max-Forwards", "70");
        request.push("From", "<sip:200@example.test>;tag=caller");
        request.push("To", "<sip:1001@example.test>");
        request.push("Call-ID", call_id);
        request.push("CSeq", format!("1 {method}"));
        request.push("Contact", format!("<sip:mod_sofia@{CALLER}>"));
        request.push("Supported", "100rel");
        headers.iter().for_each(|(name, value)| request.push(name, *value));
        request.close(None);
        let sent = stage.say(CALLER, &request);
        let told = told(&sent);
        let mut call = Self { stage, request, asked: Vec::new(), told };
        call.note(&sent);
        call
    }

    /// Phones that are asked now.
    fn note(&mut self, sent: &[Sent]) {
        let method = self.request.method();
        let fresh = sent.iter().filter(|one| one.message.is_request() && one.message.method() == method);
        for one in fresh {
            if !self.asked.iter().any(|known| known.to == one.to) {
                self.asked.push(one.clone());
            }
        }
    }

    fn phones(&self) -> Vec<&str> {
        let mut phones: Vec<_> = self.asked.iter().map(|one| &*one.to).collect();
        phones.sort_unstable();
        phones
    }

    /// A phone answers, with these headers.
    fn answers_with(&mut self, phone: &str, status: u16, headers: &[(&str, &str)]) -> Vec<Sent> {
        let asked = self.asked.iter().find(|one| one.to == phone).expect("it is asked");
        let mut response = answer(&asked.message, status, phone.split(':').next().unwrap_or_default());
        response.push("Contact", format!("<sip:1001@{phone}>"));
        headers.iter().for_each(|(name, value)| response.push(name, *value));
        response.close(None);
        let sent = self.stage.say(phone, &response);
        self.note(&sent);
        sent
    }

    fn answers(&mut self, phone: &str, status: u16) -> Vec<Sent> {
        self.answers_with(phone, status, &[])
    }

    /// A phone ends what was cancelled: nothing of that reaches the caller.
    fn ends_cancelled(&mut self, phone: &str, cancel: &Message) -> Vec<Sent> {
        let mut ok = answer(cancel, 200, "cancelled");
        ok.close(None);
        self.stage.say(phone, &ok);
        let sent = self.answers(phone, 487);
        assert_eq!(the(&sent, "ACK").to, phone);
        sent
    }

    /// The final answers that the caller got among these.
    fn finals(&self, sent: &[Sent]) -> Vec<u16> {
        let all = statuses(sent, CALLER, self.request.method());
        all.into_iter().filter(|status| *status >= 200).collect()
    }

    /// The same, when a phone has given this answer.
    fn finals_after(&mut self, phone: &str, status: u16) -> Vec<u16> {
        let sent = self.answers(phone, status);
        self.finals(&sent)
    }

    /// The caller has got a failure.
    fn acknowledged(mut self) {
        let mut ack = Message::request("ACK", self.request.uri());
        for name in ["Via", "Max-Forwards", "From", "To", "Call-ID"] {
            ack.copy(&self.request, name);
        }
        ack.push("CSeq", "1 ACK");
        ack.close(None);
        self.stage.say(CALLER, &ack);
        self.stage.assert_at_rest();
    }
}

fn reason_of(sent: &[Sent], phone: &str) -> String {
    let cancel = to(sent, phone).into_iter().find(|one| one.method() == "CANCEL");
    let cancel = cancel.unwrap_or_else(|| panic!("{phone} is cancelled: {sent:?}"));
    cancel.get("Reason").unwrap_or_default().to_owned()
}

/// A request of the caller in the dialog that a phone's answer began.
fn inside(call: &Call, method: &str, answer: &Message, number: u32) -> Message {
    let mut request = inside_from_pool(CALLER, method, answer, answer, number);
    replace(&mut request, "From", &[answer.get("From").expect("From").to_owned()]);
    replace(&mut request, "To", &[answer.get("To").expect("To").to_owned()]);
    let via = format!("SIP/2.0/UDP {CALLER};rport;branch=z9hG4bK{method}{number}{}", answer.tag("To"));
    replace(&mut request, "Via", &[via]);
    assert_eq!(request.call_id(), call.request.call_id());
    request
}

#[test]
fn the_first_to_answer_has_the_call_and_the_others_are_told_so() {
    let mut call = Call::new(user_with(&[(DESK, ""), (MOBILE, ""), (ATTIC, "")]), "first");
    assert_eq!(call.phones(), [DESK, MOBILE, ATTIC]);
    for phone in [DESK, MOBILE] {
        let sent = call.answers(phone, 180);
        let heard = to(&sent, CALLER)[0].clone();
        assert_eq!((heard.status(), heard.tag("To")), (180, phone.split(':').next().unwrap().to_owned()));
    }
    let sent = call.answers(MOBILE, 200);
    let ok = to(&sent, CALLER)[0].clone();
    assert_eq!((ok.status(), ok.tag("To").as_str()), (200, "192.0.2.32"));
    assert_eq!(reason_of(&sent, DESK), "SIP;cause=200;text=\"Call completed elsewhere\"");
    assert!(to(&sent, ATTIC).is_empty(), "RFC 3261 §9.1: not before it says something");
    let cancel = the(&sent, "CANCEL").message;
    let sent = call.ends_cancelled(DESK, &cancel);
    assert!(to(&sent, CALLER).is_empty(), "{sent:?}");
    let sent = call.answers(ATTIC, 180);
    assert_eq!(reason_of(&sent, ATTIC), "SIP;cause=200;text=\"Call completed elsewhere\"");
    assert!(to(&sent, CALLER).is_empty(), "{sent:?}");
    let cancel = the(&sent, "CANCEL").message;
    call.ends_cancelled(ATTIC, &cancel);
    for (number, method) in [(1, "ACK"), (2, "BYE")] {
        let request = inside(&call, method, &ok, number);
        assert_eq!(the(&call.stage.say(CALLER, &request), method).to, MOBILE);
    }
    call.stage.assert_at_rest();
}

#[test]
fn two_that_answer_at_once_leave_one_call() {
    let mut call = Call::new(user_with(&[(DESK, ""), (MOBILE, "")]), "two");
    assert_eq!(call.finals_after(DESK, 200), [200]);
    let sent = call.answers(MOBILE, 200);
    assert!(to(&sent, CALLER).is_empty(), "{sent:?}");
    assert_eq!((the(&sent, "ACK").to, the(&sent, "BYE").to), (MOBILE.to_owned(), MOBILE.to_owned()));
    call.stage.pass(70_000);
}

#[test]
fn the_best_refusal_is_the_answer_when_the_last_has_spoken() {
    for (refusals, best) in [([500, 486], 486), ([486, 404], 486), ([480, 302], 302), ([503, 500], 500)] {
        let mut call = Call::new(
            user_with(&[(DESK, ""), (MOBILE, "")]),
            &format!("best-{}-{}", refusals[0], refusals[1]),
        );
        call.answers(MOBILE, 180);
        let sent = call.answers(DESK, refusals[0]);
        assert_eq!(call.finals(&sent), [0; 0], "the other still rings");
        let sent = call.answers(MOBILE, refusals[1]);
        assert_eq!(call.finals(&sent), [best]);
        call.acknowledged();
    }
}

#[test]
fn a_6xx_refuses_for_all() {
    let mut call = Call::new(user_with(&[(DESK, ""), (MOBILE, ""), (ATTIC, ";q=0.3")]), "decline");
    assert_eq!(call.phones(), [DESK, MOBILE]);
    call.answers(MOBILE, 180);
    let sent = call.answers(DESK, 603);
    assert_eq!(reason_of(&sent, MOBILE), "SIP;cause=603");
    assert_eq!(call.finals(&sent), [0; 0], "it may just have answered");
    let cancel = the(&sent, "CANCEL").message;
    let sent = call.ends_cancelled(MOBILE, &cancel);
    assert_eq!(call.finals(&sent), [603]);
    assert_eq!(call.phones(), [DESK, MOBILE], "nobody else is asked");
    call.acknowledged();
}

#[test]
fn a_200_that_crosses_a_6xx_has_the_call() {
    let mut call = Call::new(user_with(&[(DESK, ""), (MOBILE, "")]), "crossing");
    call.answers(MOBILE, 180);
    call.answers(DESK, 603);
    let sent = call.answers(MOBILE, 200);
    assert_eq!(call.finals(&sent), [200]);
}

#[test]
fn a_6xx_does_not_wait_for_long() {
    let mut call = Call::new(user_with(&[(DESK, ""), (MOBILE, "")]), "declined");
    call.answers(MOBILE, 180);
    call.answers(DESK, 603);
    let sent = call.stage.pass(2_500);
    assert_eq!(call.finals(&sent)[..1], [603]);
    let sent = call.answers(MOBILE, 200);
    assert_eq!((the(&sent, "ACK").to, the(&sent, "BYE").to), (MOBILE.to_owned(), MOBILE.to_owned()));
}

#[test]
fn who_is_preferred_is_asked_before_the_others() {
    let mut call = Call::new(user_with(&[(ATTIC, ";q=0.2"), (MOBILE, ";q=0.7"), (DESK, "")]), "preferred");
    assert_eq!(call.phones(), [DESK]);
    call.answers(DESK, 180);
    // It rings for longer than anybody waits for a first word.
    call.stage.pass(40_000);
    call.answers(DESK, 486);
    assert_eq!(call.phones(), [DESK, MOBILE]);
    // It says nothing, so the next is asked as well.
    let sent = call.stage.pass(2_500);
    call.note(&sent);
    assert_eq!(call.phones(), [DESK, MOBILE, ATTIC]);
    assert_eq!(call.finals_after(ATTIC, 480), [0; 0]);
    assert_eq!(call.finals_after(MOBILE, 480), [486]);
    call.acknowledged();
}

#[test]
fn all_challenges_reach_the_caller() {
    let mut call = Call::new(user_with(&[(DESK, ""), (MOBILE, "")]), "challenges");
    call.answers_with(DESK, 407, &[("Proxy-Authenticate", "Digest realm=\"desk\", nonce=\"1\"")]);
    let sent =
        call.answers_with(MOBILE, 401, &[("WWW-Authenticate", "Digest realm=\"mobile\", nonce=\"2\"")]);
    let heard = to(&sent, CALLER)[0].clone();
    assert_eq!(heard.status(), 407);
    assert!(heard.get("Proxy-Authenticate").is_some_and(|value| value.contains("desk")), "{heard:?}");
    assert!(heard.get("WWW-Authenticate").is_some_and(|value| value.contains("mobile")), "{heard:?}");
    call.acknowledged();
}

/// RFC 3262 and RFC 3261 §12.1: each early dialog is acknowledged for itself.
#[test]
fn early_media_of_both_passes_and_each_gets_its_prack() {
    let mut call = Call::new(user_with(&[(DESK, ""), (MOBILE, "")]), "early");
    for (number, phone) in [(2, DESK), (3, MOBILE)] {
        let sent = call.answers_with(phone, 183, &[("Require", "100rel"), ("RSeq", "7")]);
        let heard = to(&sent, CALLER)[0].clone();
        assert_eq!((heard.status(), heard.get("RSeq")), (183, Some("7")));
        let mut prack = inside(&call, "PRACK", &heard, number);
        prack.push("RAck", "7 1 INVITE");
        let arrived = the(&call.stage.say(CALLER, &prack), "PRACK");
        assert_eq!(arrived.to, phone);
        let mut ok = answer(&arrived.message, 200, "");
        ok.close(None);
        assert_eq!(statuses(&call.stage.say(phone, &ok), CALLER, "PRACK"), [200]);
    }
    call.answers(DESK, 486);
    assert_eq!(call.finals_after(MOBILE, 480), [486]);
    call.acknowledged();
}

#[test]
fn one_that_says_nothing_holds_the_answer_up_no_longer_than_the_caller_waits() {
    let mut call = Call::new(user_with(&[(DESK, ""), (MOBILE, "")]), "silent");
    let sent = call.answers(DESK, 486);
    assert_eq!(call.finals(&sent), [0; 0]);
    let sent = call.stage.pass(32_000);
    assert_eq!(call.finals(&sent)[..1], [486]);
    call.acknowledged();
}

/// RFC 3261 §16.9: as if it had said 503, and at once.
#[test]
fn a_phone_that_is_not_there_holds_nobody_up() {
    let mut stage = user_with(&[(DESK, ""), (MOBILE, "")]);
    stage.world.kill(DESK, true);
    let mut call = Call::new(stage, "refused");
    assert_eq!(call.phones(), [DESK, MOBILE]);
    assert_eq!(call.finals_after(MOBILE, 486), [486], "nobody waits for the other");
    call.acknowledged();
}

#[test]
fn who_comes_next_is_asked_at_once_when_a_phone_is_not_there() {
    let mut stage = user_with(&[(DESK, ""), (ATTIC, ";q=0.2")]);
    stage.world.kill(DESK, true);
    let mut call = Call::new(stage, "next");
    assert_eq!(call.phones(), [DESK, ATTIC]);
    assert_eq!(call.finals_after(ATTIC, 180), [0; 0]);
    assert_eq!(call.finals_after(ATTIC, 480), [480]);
    call.acknowledged();
}

#[test]
fn a_user_of_whom_no_phone_is_there_is_not_available() {
    let mut stage = user_with(&[(DESK, ""), (MOBILE, "")]);
    [DESK, MOBILE].into_iter().for_each(|phone| stage.world.kill(phone, true));
    let mut call = Call::new(stage, "nobody");
    let sent = call.stage.pass(100);
    // The answer came with the INVITE's own 20 ms, or it is repeated.
    assert_eq!(statuses(&sent, CALLER, "INVITE").into_iter().find(|status| *status >= 200), None);
    let sent = call.stage.pass(600);
    assert_eq!(call.finals(&sent)[..1], [480]);
    call.acknowledged();
}

/// A phone that rang is waited for: networks err for moments.
#[test]
fn a_phone_that_rang_is_not_given_up_for_an_error_of_the_network() {
    let mut call = Call::new(user_with(&[(DESK, ""), (MOBILE, "")]), "rang");
    call.answers(DESK, 180);
    call.stage.world.kill(DESK, true);
    let mut other = call.request.clone();
    replace(&mut other, "Call-ID", &["another".to_owned()]);
    replace(&mut other, "Via", &[format!("SIP/2.0/UDP {CALLER};rport;branch=z9hG4bKanother")]);
    let sent = call.stage.say(CALLER, &other);
    assert!(to(&sent, DESK).iter().any(|one| one.call_id() == "another"), "so that the error comes");
    assert_eq!(call.finals_after(MOBILE, 486), [0; 0]);
    assert_eq!(call.finals_after(DESK, 200), [200]);
}

#[test]
fn a_browser_whose_connection_is_gone_holds_nobody_up() {
    let mut world = World::new(1, &settings());
    world.add_browser(BROWSER, "1001");
    world.add_browser(OTHER_BROWSER, "1001");
    world.add_phone(DESK, "1002");
    world.run(500);
    for agent in [BROWSER, OTHER_BROWSER, DESK] {
        world.register(agent);
    }
    world.cut(BROWSER);
    world.agent(OTHER_BROWSER).policy = Policy::Reject(486);
    let leg = world.act(DESK, |agent, now| agent.call(now, "sip:1001@example.test"));
    world.run(1_000);
    assert_eq!(world.state(DESK, leg), State::Ended { by: By::Them, status: 486 });
}

#[test]
fn a_caller_that_gives_up_ends_all_ringing() {
    let mut call = Call::new(user_with(&[(DESK, ""), (MOBILE, "")]), "cancelled");
    call.answers(DESK, 180);
    call.answers(MOBILE, 180);
    let mut cancel = sbc_tests::sim::stage::cancel(&call.request);
    cancel.push("Reason", "Q.850;cause=16");
    let sent = call.stage.say(CALLER, &cancel);
    for phone in [DESK, MOBILE] {
        assert_eq!(reason_of(&sent, phone), "Q.850;cause=16");
    }
    assert_eq!(call.finals_after(DESK, 487), [487]);
    assert_eq!(call.finals_after(MOBILE, 487), [0; 0]);
    call.acknowledged();
}

/// RFC 5393 §5.3.3: no more branches at once than the request may have.
#[test]
fn breadth_bounds_how_many_ring_at_once() {
    let stage = user_with(&[(DESK, ""), (MOBILE, ""), (ATTIC, "")]);
    let mut call = Call::with(stage, "INVITE", "breadth", &[("Max-Breadth", "2")]);
    assert_eq!(call.asked.len(), 2);
    assert!(call.asked.iter().all(|one| one.message.get("Max-Breadth") == Some("1")));
    let first = call.asked[0].to.clone();
    call.answers(&first, 486);
    assert_eq!(call.asked.len(), 3, "its place is free");
}

#[test]
fn a_message_reaches_every_device_and_is_answered_once() {
    let mut call = Call::with(user_with(&[(DESK, ""), (MOBILE, "")]), "MESSAGE", "message", &[]);
    assert_eq!(call.phones(), [DESK, MOBILE]);
    assert_eq!(call.finals_after(MOBILE, 200), [200]);
    let again = call.stage.pass(1_500);
    assert_eq!(the(&again, "MESSAGE").to, DESK, "it is told until it answers");
    assert_eq!(call.finals_after(DESK, 200), [0; 0]);
    call.stage.assert_at_rest();
}

/// Browsers and a phone of one user, over links that lose.
#[test]
fn nobody_rings_on_when_one_has_answered() {
    for_seeds(10, |seed, loss| {
        let mut world = World::new(seed, &settings());
        world.add_browser(BROWSER, "1001");
        world.add_browser(OTHER_BROWSER, "1001");
        world.add_phone(PHONE, "1001");
        world.add_phone(DESK, "1002");
        world.run(500);
        if loss > 0 {
            world.link = sbc_tests::sim::Link::lossy(loss);
        }
        for agent in [BROWSER, OTHER_BROWSER, PHONE, DESK] {
            world.register(agent);
        }
        for agent in [BROWSER, PHONE] {
            world.agent(agent).policy = Policy::Ring;
        }
        world.agent(OTHER_BROWSER).policy = Policy::Answer { after: std::time::Duration::from_secs(3) };
        let leg = world.act(DESK, |agent, now| agent.call(now, "sip:1001@example.test"));
        world.until_up(DESK, leg);
        let up = world.call_up(OTHER_BROWSER);
        for agent in [BROWSER, PHONE] {
            let rung = world.until_called(agent);
            world.until_ended(agent, rung);
            let elsewhere = |one: &&sbc_tests::agent::Traced| one.message.method() == "CANCEL" && !one.sent;
            let cancel = world.agent(agent).trace().iter().find(elsewhere).expect("a CANCEL").clone();
            assert!(cancel.message.get("Reason").is_some_and(|reason| reason.contains("elsewhere")));
        }
        assert_eq!(world.state(OTHER_BROWSER, up), State::Up);
        world.act(DESK, |agent, now| agent.bye(now, leg));
        world.until_ended(OTHER_BROWSER, up);
        world.assert_quiet();
    });
}

/// The caller's answer among these.
fn told(sent: &[Sent]) -> Option<Message> {
    to(sent, CALLER).into_iter().find(|one| one.status() >= 200).cloned()
}

/// RFC 3261 §16.7: a target that must not be asked (RFC 5630 §5.3) refuses for itself and for nobody else.
#[test]
fn a_target_that_cannot_be_asked_leaves_the_others_ringing() {
    let secure = (MOBILE, "sips", "");
    for (number, phones) in [[(DESK, "sip", ""), secure], [secure, (DESK, "sip", "")]].iter().enumerate() {
        for (answer, ends) in [(200, 200), (486, 486), (503, 503)] {
            let call_id = format!("unusable-{number}-{answer}");
            let mut call = Call::new(user_by(&settings(), phones), &call_id);
            assert_eq!(call.phones(), [DESK]);
            assert_eq!(call.stage.world.core().counters().get(Count::SipsRefused), 1);
            let sent = call.answers(DESK, 180);
            assert_eq!(statuses(&sent, CALLER, "INVITE"), [180]);
            assert_eq!(
                call.finals_after(DESK, answer),
                [ends],
                "what a target said goes before what none did"
            );
        }
    }
}

/// With nobody else, the caller is told why.
#[test]
fn targets_that_cannot_be_asked_are_told_to_the_caller() {
    let stage = user_by(&settings(), &[(DESK, "sips", ""), (MOBILE, "sips", "")]);
    let request = Call::new(stage, "all-unusable");
    assert!(request.asked.is_empty());
    let warning = request.told.and_then(|told| told.get("Warning").map(str::to_owned));
    assert!(warning.is_some_and(|warning| warning.contains("380")));
}

/// RFC 5630 §5.3: whoever asks for a `sips:` address is not led to a Contact in the clear, whatever that says itself.
#[test]
fn a_sips_request_passes_over_bindings_in_the_clear() {
    for rules in [settings().rules, EdgeSettings::new(&MEMBERS).rules] {
        let stage = user_by(&EdgeSettings { rules, ..settings() }, &[(DESK, "sip", ""), (MOBILE, "sip", "")]);
        let call = Call::to(stage, "sips:1001@example.test", "INVITE", "sips", &[]);
        assert!(call.asked.is_empty(), "{:?}", call.asked);
        let told = call.told.expect("an answer");
        assert_eq!(told.status(), 480);
        assert!(told.get("Warning").is_some_and(|warning| warning.contains("380")), "{told:?}");
        assert_eq!(call.stage.world.core().counters().get(Count::SipsRefused), 2);
    }
}

/// Where only its answers were lost, a phone would ring for a caller that was refused.
#[test]
fn who_said_nothing_is_cancelled_when_another_has_refused_for_all() {
    let mut call = Call::new(user_with(&[(DESK, ""), (MOBILE, "")]), "unheard");
    let sent = call.answers(MOBILE, 603);
    assert_eq!(call.finals(&sent), [0; 0]);
    let sent = call.stage.pass(2_500);
    assert_eq!(call.finals(&sent)[..1], [603]);
    assert_eq!(reason_of(&sent, DESK), "SIP;cause=603");
    let later = call.stage.pass(8_000);
    assert!(to(&later, DESK).iter().all(|one| one.method() == "CANCEL"), "{later:?}");
}

/// RFC 4320 §4.2: a 408 does not travel; whoever is left is asked, though the first one had said 100.
#[test]
fn a_408_of_one_target_lets_the_next_be_asked() {
    let stage = user_by(&EdgeSettings::new(&MEMBERS), &[(DESK, "sip", ""), (MOBILE, "sip", "")]);
    let mut call = Call::with(stage, "MESSAGE", "next", &[]);
    let first = call.asked[0].to.clone();
    call.answers(&first, 100);
    let sent = call.answers(&first, 408);
    assert_eq!((call.finals(&sent), call.asked.len()), (vec![], 2));
    let second = call.asked[1].to.clone();
    assert_eq!(call.finals_after(&second, 200), [200]);
    call.stage.assert_at_rest();
}
