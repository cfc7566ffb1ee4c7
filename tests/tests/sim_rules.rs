//! What rules say really happens to the message that leaves, and limits count exactly.

use std::net::SocketAddr;
use std::time::Duration;

use sbc_core::config::Share;
use sbc_core::count::Count;
use sbc_tests::agent::{By, Policy, State};
use sbc_tests::sim::{
    BROWSER, CARRIER, EdgeSettings, INSIDE, MEMBERS, OTHER_BROWSER, PHONE, PHONES, World, cast, for_seeds,
};
use sbc_tests::ua::message::{Message, Start};

const SEEDS: u64 = 20;
const CALLER: &str = "192.0.2.66:5066";

/// These rules before the usual ones of the simulation.
fn with_rules(rules: &str) -> EdgeSettings {
    let settings = EdgeSettings::new(&MEMBERS);
    EdgeSettings { rules: format!("{rules}\n{}", settings.rules), ..settings }
}

/// Members that are there and never answer, so that a test sees what reaches them.
fn silent(rules: &str) -> World {
    let mut world = World::new(1, &with_rules(rules));
    for member in MEMBERS {
        world.kill(member, false);
    }
    world
}

fn invite(uri: &str, call_id: &str, extra: &str) -> String {
    format!(
        "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {CALLER};branch=z9hG4bK{call_id}\r\nMax-Forwards: 9\r\n\
         From: <sip:200@example.test>;tag=1\r\nTo: <{uri}>\r\nCall-ID: {call_id}\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:200@{CALLER}>\r\n{extra}Content-Length: 0\r\n\r\n"
    )
}

/// The one message that an INVITE leads to at first, and where it goes.
fn outcome(world: &mut World, uri: &str, call_id: &str, extra: &str) -> (SocketAddr, Message) {
    let sent = world.say(CALLER, PHONES, &invite(uri, call_id, extra), call_id);
    let first = sent.into_iter().find(|(_, message)| message.status() != 100);
    first.unwrap_or_else(|| panic!("nothing came of {uri}"))
}

fn lines(message: &Message, name: &str) -> Vec<String> {
    let same = |own: &str| own.eq_ignore_ascii_case(name);
    message.headers.iter().filter(|(own, _)| same(own)).map(|(_, value)| value.clone()).collect()
}

const REWRITES: &str = r#"
[[rule]]
name = "national"
match = { user = { regex = '^0([1-9]\d+)$' }, from = { regex = '^(\d+)@' } }
set = { user = "+49$1", headers = { X-Trunk = "a", X-Caller = "${from.1}" } }
remove = { headers = ["Subject", "X-Queue"] }
tag = ["national", "outbound"]
next = true

[[rule]]
name = "other house"
match = { user = { prefix = "8" } }
set = { host = "other.example.test", strip = 1, prepend = "77" }
route = { pool = "freeswitch" }

[[rule]]
name = "whatever"
match = { user = { regex = '^x(.*)$' } }
set = { user = "$1", headers = { X-Asked = "<$1>" } }
identity = { user = "$1", name = "A $1 B", host = "example.test" }
route = { pool = "freeswitch" }
"#;

#[test]
fn user_and_headers_leave_as_the_rules_set_them() {
    let mut world = silent(REWRITES);
    let extra = "Subject: hello\r\nX-Queue: 5\r\ns: again\r\nX-Trunk: forged\r\nx-trunk: twice\r\n";
    let uri = "sip:030123:secret@example.test;user=phone";
    let (_, message) = outcome(&mut world, uri, "national", extra);
    assert_eq!(message.uri(), "sip:+4930123@example.test;user=phone");
    assert_eq!(lines(&message, "X-Trunk"), ["a"]);
    assert_eq!(lines(&message, "X-Caller"), ["200"]);
    for gone in ["Subject", "s", "X-Queue"] {
        assert_eq!(lines(&message, gone), Vec::<String>::new(), "{gone}");
    }
    assert_eq!(message.get("To"), Some("<sip:030123:secret@example.test;user=phone>"), "To is the caller's");
    assert_eq!(world.core().tags().all(), [("national".to_owned(), 1), ("outbound".to_owned(), 1)]);
}

#[test]
fn the_next_member_gets_the_same_changes() {
    let mut world = silent(REWRITES);
    world.departures.clear();
    world.inject(CALLER, PHONES, invite("sip:030123@example.test", "again", "Subject: x\r\n").as_bytes());
    world.run(6_000);
    let members = MEMBERS.map(|member| member.parse::<SocketAddr>().unwrap());
    for member in members {
        let sent = world.departed("again");
        let (_, message) = sent.iter().find(|(to, _)| *to == member).expect("each member is asked");
        assert_eq!(message.uri(), "sip:+4930123@example.test");
        assert_eq!(lines(message, "X-Trunk"), ["a"]);
        assert_eq!(lines(message, "Subject"), Vec::<String>::new());
    }
}

#[test]
fn digits_and_host_change_together() {
    let mut world = silent(REWRITES);
    let (_, message) = outcome(&mut world, "sip:8100@example.test:5060;user=phone", "digits", "");
    assert_eq!(message.uri(), "sip:77100@other.example.test;user=phone");
}

#[test]
fn no_capture_adds_a_line_or_leaves_its_place() {
    let mut world = silent(REWRITES);
    let evil = [
        "%0d%0aX-Evil:%20yes",
        "%0AX-Evil: yes",
        "%22%3e%3csip:evil@192.0.2.99%3e",
        "%40192.0.2.99%3Blr",
        "%5c%22,%3csip:evil@x%3e",
        "%01%7f%ff%c3%a4",
        "a%252Fb",
    ];
    for (number, user) in evil.into_iter().enumerate() {
        let user = user.replace([' ', ':', '@', ','], "");
        let (_, message) =
            outcome(&mut world, &format!("sip:x{user}@example.test"), &format!("evil-{number}"), "");
        assert_eq!(lines(&message, "X-Evil"), Vec::<String>::new(), "{user}");
        let uri = message.uri();
        assert!(uri.ends_with("@example.test") && uri.matches('@').count() == 1, "{uri}");
        let [asked] = &lines(&message, "X-Asked")[..] else { panic!("one X-Asked for {user}") };
        assert!(asked.bytes().all(|byte| (b' '..0x7f).contains(&byte)), "{asked:?}");
        assert_eq!((asked.matches('<').count(), asked.matches('>').count()), (1, 1), "{asked}");
        let [identity] = &lines(&message, "P-Asserted-Identity")[..] else {
            panic!("one identity for {user}")
        };
        assert_eq!(identity.matches('"').count(), 2, "{identity}");
        assert!(identity.ends_with("@example.test>"), "{identity}");
    }
}

#[test]
fn an_identity_takes_the_place_of_all_claims() {
    let rules = r#"
[[rule]]
name = "our number"
match = { zone = "pool", user = { prefix = "+4930" } }
identity = { user = "+4989555", name = "Example GmbH", private = true }
route = { pool = "carrier" }
"#;
    let mut world = World::new(1, &with_rules(rules));
    let text = format!(
        "INVITE sip:+4930123@10.0.1.5:5070 SIP/2.0\r\nVia: SIP/2.0/UDP {member};branch=z9hG4bKid\r\n\
         Max-Forwards: 9\r\nFrom: <sip:1001@10.0.2.10>;tag=1\r\nTo: <sip:+4930123@10.0.1.5:5070>\r\n\
         Call-ID: identity\r\nCSeq: 1 INVITE\r\nContact: <sip:1001@{member}>\r\n\
         P-Asserted-Identity: <sip:1001@10.0.2.10>\r\nRemote-Party-ID: <sip:1001@10.0.2.10>\r\n\
         Content-Length: 0\r\n\r\n",
        member = MEMBERS[0]
    );
    let sent = world.say(MEMBERS[0], INSIDE, &text, "identity");
    let carrier: SocketAddr = CARRIER.parse().unwrap();
    let (_, message) = sent.iter().find(|(to, _)| *to == carrier).expect("it goes to the carrier");
    assert_eq!(lines(message, "P-Asserted-Identity"), ["\"Example GmbH\" <sip:+4989555@example.test>"]);
    assert_eq!(lines(message, "Privacy"), ["id"]);
    assert_eq!(lines(message, "Remote-Party-ID"), Vec::<String>::new());
}

#[test]
fn a_redirection_is_a_302_with_contacts() {
    let rules = r#"
[[rule]]
name = "moved"
match = { user = { regex = '^7(\d+)$' } }
redirect = { contact = ["sip:$1@new.example.test", "tel:+49$1"] }
"#;
    let mut world = silent(rules);
    let (to, message) = outcome(&mut world, "sip:7100@example.test", "moved", "");
    assert_eq!(to, CALLER.parse().unwrap());
    assert_eq!(message.status(), 302);
    assert_eq!(message.list("Contact"), ["<sip:100@new.example.test>;q=1.0", "<tel:+49100>;q=0.9"]);
    assert_eq!(world.core().counters().get(Count::RuleRedirect), 1);
}

#[test]
fn a_number_that_rules_change_becomes_an_address() {
    let rules = r#"
[[rule]]
name = "by name"
match = { user = { prefix = "+49" } }
set = { host = "carrier.example.test" }
route = { pool = "freeswitch" }

[[rule]]
name = "internal"
match = { user = { prefix = "00" } }
set = { strip = 2 }
route = { pool = "freeswitch" }

[[rule]]
name = "desk"
match = { user = "110" }
set = { user = "desk" }
route = { pool = "freeswitch" }

[[rule]]
name = "as it is"
match = { user = "7042" }
route = { pool = "freeswitch" }
"#;
    let mut world = silent(rules);
    let cases = [
        ("tel:+49301234;isub=7", "sip:+49301234;isub=7@carrier.example.test;user=phone"),
        ("tel:004930", "sip:4930@example.test;user=phone"),
        ("tel:110;phone-context=example.test", "sip:desk@example.test"),
        ("tel:7042", "tel:7042"),
    ];
    for (call, (from, to)) in cases.into_iter().enumerate() {
        let (_, message) = outcome(&mut world, from, &format!("number{call}"), "");
        assert_eq!(message.uri(), to, "{from}: {message:?}");
    }
}

#[test]
fn hours_and_shares_decide() {
    let rules = r#"
[[rule]]
name = "night"
match = { user = "9196", time = { zone = "Europe/Berlin", outside = "08:00-18:00" } }
reject = { status = 480, reason = "Closed" }

[[rule]]
name = "canary"
match = { percentage = 25, user = { prefix = "55" } }
reject = { status = 410 }
"#;
    let mut world = silent(rules);
    // 2026-01-05, a Monday, 06:59:50 in London and 07:59:50 in Berlin.
    world.core().set_unix_zero(1_767_596_390);
    let (_, message) = outcome(&mut world, "sip:9196@example.test", "early", "");
    assert_eq!(message.start, Start::Response { status: 480, reason: "Closed".into() });
    world.run(15_000);
    let (to, _) = outcome(&mut world, "sip:9196@example.test", "late", "");
    assert!(MEMBERS.contains(&to.to_string().as_str()));

    let canary = |world: &mut World, call: usize| {
        outcome(world, "sip:551@example.test", &format!("share-{call}"), "").1.status() == 410
    };
    let chosen = (0..400).filter(|call| canary(&mut world, *call)).count();
    assert!((60..140).contains(&chosen), "{chosen} of 400 are a quarter");
}

#[test]
fn a_rule_sees_what_a_rule_above_has_set() {
    let rules = r#"
[[rule]]
name = "alias"
match = { user = "desk" }
set = { user = "1003" }
next = true

[[rule]]
name = "straight to the phone"
match = { zone = "public", user = "1003", registered = true }
route = { bindings = true }
"#;
    for_seeds(SEEDS, |seed, loss| {
        let mut world = cast(seed, &with_rules(rules), loss);
        world.agent(PHONE).policy = Policy::Answer { after: Duration::from_millis(300) };
        let leg = world.act(BROWSER, |agent, now| agent.call(now, "sip:desk@example.test"));
        let rung = world.until_called(PHONE);
        world.until_up(BROWSER, leg);
        world.act(BROWSER, |agent, now| agent.bye(now, leg));
        world.until_ended(PHONE, rung);
    });
}

const ONE_CALL: &str = r#"
[[rule]]
name = "one at a time"
match = { method = "INVITE", zone = "public" }
limit = { calls = 1, status = 480, retry_after = 7 }
next = true
"#;

#[test]
fn calls_are_counted_until_they_end() {
    for_seeds(SEEDS, |seed, loss| {
        let mut world = cast(seed, &with_rules(ONE_CALL), loss);
        let calls = |world: &World| world.core().calls_of_rule("one at a time");
        for caller in [PHONE, BROWSER] {
            let leg = world.act(caller, |agent, now| agent.call(now, "sip:9196@example.test"));
            world.until_up(caller, leg);
            assert_eq!(calls(&world), 1);
            let refused = world.act(OTHER_BROWSER, |agent, now| agent.call(now, "sip:9196@example.test"));
            world.until_ended(OTHER_BROWSER, refused);
            assert_eq!(world.state(OTHER_BROWSER, refused), State::Ended { by: By::Them, status: 480 });
            assert_eq!(calls(&world), 1);
            world.act(caller, |agent, now| agent.bye(now, leg));
            world.until_ended(caller, leg);
            world.until(40_000, |world| calls(world) == 0);
        }
        // A call that fails, and one that is cancelled, give their place back at once.
        let failed = world.act(PHONE, |agent, now| agent.call(now, "sip:9486@example.test"));
        world.until_ended(PHONE, failed);
        let given_up = world.act(PHONE, |agent, now| agent.call(now, "sip:9181@example.test"));
        world.until(20_000, |world| world.state(PHONE, given_up) == State::Ringing);
        assert_eq!(calls(&world), 1);
        world.act(PHONE, |agent, now| agent.cancel(now, given_up));
        world.until_ended(PHONE, given_up);
        world.until(40_000, |world| calls(world) == 0);
        assert!(world.core().counters().get(Count::RuleLimit) >= 2);
    });
}

#[test]
fn a_rate_lets_its_burst_through_and_asks_the_rest_to_come_again() {
    let rules = r#"
[[rule]]
name = "slowly"
match = { user = { prefix = "91" } }
limit = { rate = "2/s", burst = 3, retry_after = 9 }
route = { pool = "freeswitch" }
"#;
    let mut world = silent(rules);
    let statuses: Vec<u16> = (0..8)
        .map(|call| outcome(&mut world, "sip:9196@example.test", &format!("rate-{call}"), "").1.status())
        .collect();
    // A request counts as 0; `outcome` lets 50 ms pass, so in 350 ms nothing is earned.
    assert_eq!(statuses, [0, 0, 0, 503, 503, 503, 503, 503]);
    world.run(1_000);
    let (_, message) = outcome(&mut world, "sip:9196@example.test", "rate-later", "");
    assert_eq!(message.status(), 0);
    let refused =
        (0..3).map(|call| outcome(&mut world, "sip:9196@example.test", &format!("rate-b{call}"), "").1);
    let last = refused.last().expect("three");
    assert_eq!((last.status(), last.get("Retry-After")), (503, Some("9")));
}

#[test]
fn a_pool_without_a_living_member_gives_way_to_the_next() {
    let rules = r#"
[[rule]]
name = "out if need be"
match = { user = "911" }
route = { pool = "freeswitch", fallback = "carrier" }
"#;
    let mut world = silent(rules);
    let carrier: SocketAddr = CARRIER.parse().unwrap();
    // Probes have found out by then.
    world.run(30_000);
    let (to, message) = outcome(&mut world, "sip:911@example.test", "fallback", "");
    assert_eq!(to, carrier);
    assert!(message.uri().starts_with("sip:911@"), "{}", message.uri());
}

#[test]
fn a_tag_says_who_may_have_a_call_and_a_region_who_goes_first() {
    let rules = r#"
[[rule]]
name = "conferences"
match = { user = { prefix = "7" } }
route = { pool = "freeswitch", tag = "large" }

[[rule]]
name = "overseas"
match = { user = { prefix = "8" } }
route = { pool = "freeswitch", region = "us" }
"#;
    let share = |region: &str, tags: &[&str]| Share {
        region: Some(region.into()),
        tags: tags.iter().map(|tag| (*tag).into()).collect(),
        ..Share::default()
    };
    let shares = vec![share("eu", &["small"]), share("us", &["large"])];
    let mut world = World::new(1, &EdgeSettings { shares, ..with_rules(rules) });
    for member in MEMBERS {
        world.kill(member, false);
    }
    let [near, far] = MEMBERS.map(|member| member.parse::<SocketAddr>().expect("an address"));
    for call in 0..8 {
        let mut first = |user: &str| {
            outcome(&mut world, &format!("sip:{user}@example.test"), &format!("{user}-{call}"), "").0
        };
        assert_eq!((first("7100"), first("8100"), first("9196")), (far, far, near));
    }
    world.departures.clear();
    world.inject(CALLER, PHONES, invite("sip:7100@example.test", "only", "").as_bytes());
    world.inject(CALLER, PHONES, invite("sip:8100@example.test", "both", "").as_bytes());
    world.run(6_000);
    let asked = |call: &str| -> Vec<SocketAddr> {
        let mut asked: Vec<_> = world.departed(call).into_iter().map(|(to, _)| to).collect();
        asked.retain(|to| [near, far].contains(to));
        asked.dedup();
        asked
    };
    assert_eq!(asked("only"), [far], "nobody without the tag");
    assert!(asked("both").starts_with(&[far, near]), "{:?}", asked("both"));
}
