//! Every refusal, drop and piece of evidence has a name in `count.rs`, and each is given by something that a test plays:
//! by a case of its check, by a scene here, or by a scene of another file that looks at the count.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use sbc_core::admission::{CHECKS, RESPONSE_CHECKS, syntax};
use sbc_core::count::Count;
use sbc_core::flow::ListenerId;
use sbc_core::wire::ParseError;
use sbc_tests::sim::stage::{Stage, answer_from, cancel, inside_from_pool, request, the};
use sbc_tests::sim::{BROWSER, EdgeSettings, MEMBERS, PHONE, PHONES, WSS, World, cast, replace};
use sbc_tests::ua::message::Start;

/// What a world has counted.
fn produced(world: &World) -> BTreeSet<&'static str> {
    let counters = world.core().counters();
    Count::ALL.iter().filter(|count| counters.get(**count) > 0).map(|count| name(*count)).collect()
}

fn name(count: Count) -> &'static str {
    // The name of a variant is what `Debug` writes; there are as many as there are variants.
    Box::leak(format!("{count:?}").into_boxed_str())
}

/// A scene, and what it is about.
type Scene = (&'static [Count], fn() -> World);

const SCENES: &[Scene] = &[
    (
        &[
            Count::Requests,
            Count::Responses,
            Count::Forwarded,
            Count::Registered,
            Count::Answered,
            Count::Ended,
        ],
        a_call,
    ),
    (&[Count::Keepalives, Count::Retransmissions], what_comes_twice),
    (&[Count::Failovers, Count::ProbesMissed], a_member_that_dies),
    (&[Count::NotServed, Count::ForeignRoute], strangers_that_want_a_relay),
    (&[Count::StrayCancel], a_cancel_of_nothing),
    (&[Count::UnknownUser], a_stranger_that_tries_users),
    (&[Count::BadConnection, Count::Bans], a_connection_that_breaks_the_rules),
    (&[Count::RuleReject], a_rule_that_refuses),
    (&[Count::Stateless], an_answer_after_its_transaction),
    (&[Count::SipsInClear], a_dialog_that_asks_for_sips),
];

fn a_call() -> World {
    let mut world = cast(1, &EdgeSettings::new(&MEMBERS), 0);
    let leg = world.act(BROWSER, |agent, now| agent.call(now, "sip:9196@example.test"));
    world.until_up(BROWSER, leg);
    world.act(BROWSER, |agent, now| agent.bye(now, leg));
    world.until_ended(BROWSER, leg);
    world.run(1_000);
    world
}

fn what_comes_twice() -> World {
    let mut stage = Stage::usual();
    let invite = request("INVITE", "twice", "twice");
    stage.say(PHONE, &invite);
    stage.say(PHONE, &invite);
    stage.world.inject(PHONE, PHONES, b"\r\n\r\n");
    stage.pass(50);
    stage.world
}

fn a_member_that_dies() -> World {
    let mut stage = Stage::usual();
    let there = the(&stage.say(PHONE, &request("INVITE", "dies", "dies")), "INVITE").to;
    stage.silence(&there, false);
    stage.pass(20_000);
    stage.world
}

fn strangers_that_want_a_relay() -> World {
    let mut stage = Stage::usual();
    let mut relay = request("INVITE", "relay", "relay");
    relay.start = Start::Request { method: "INVITE".into(), uri: "sip:9196@example.org".into() };
    stage.say(PHONE, &relay);
    let mut routed = request("MESSAGE", "routed", "routed");
    routed.headers.insert(1, ("Route".into(), "<sip:192.0.2.99;lr>".into()));
    stage.say(PHONE, &routed);
    stage.world
}

fn a_cancel_of_nothing() -> World {
    let mut stage = Stage::usual();
    // Nobody has seen its INVITE, and where that would go nobody may ask.
    let mut invite = request("INVITE", "nothing", "nothing");
    invite.start = Start::Request { method: "INVITE".into(), uri: "sip:9196@example.org".into() };
    stage.say(PHONE, &cancel(&invite));
    stage.world
}

fn a_stranger_that_tries_users() -> World {
    const WIDGET: &str = "192.0.2.67:4067";
    let mut stage = Stage::usual();
    stage.world.connect(WIDGET);
    let mut invite = request("INVITE", "tries", "tries");
    replace(&mut invite, "Via", &["SIP/2.0/WSS x.invalid;branch=z9hG4bKtries".to_owned()]);
    stage.world.inject(WIDGET, WSS, &invite.to_bytes());
    let there = the(&stage.pass(50), "INVITE");
    stage.say(&there.to, &answer_from(&there.to, &there.message, 404, "member"));
    stage.world
}

fn a_connection_that_breaks_the_rules() -> World {
    let world = cast(1, &EdgeSettings::new(&MEMBERS), 0);
    for _ in 0..10 {
        world.core().misbehaved(ListenerId(0), "192.0.2.66".parse().unwrap(), 3, world.now);
    }
    world
}

fn a_rule_that_refuses() -> World {
    let rules = "[[rule]]\nname = \"no\"\nmatch = { zone = \"public\" }\nreject = { status = 403 }\n";
    let mut stage = Stage::new(&EdgeSettings { rules: rules.into(), ..EdgeSettings::new(&MEMBERS) });
    stage.say(PHONE, &request("INVITE", "refused", "refused"));
    stage.world
}

fn an_answer_after_its_transaction() -> World {
    let mut stage = Stage::usual();
    let there = the(&stage.say(PHONE, &request("MESSAGE", "late", "late")), "MESSAGE");
    stage.pass(70_000);
    stage.say(&there.to, &answer_from(&there.to, &there.message, 200, "member"));
    stage.world
}

fn a_dialog_that_asks_for_sips() -> World {
    let mut stage = Stage::usual();
    let mut invite = request("INVITE", "sips", "sips");
    replace(&mut invite, "Contact", &[format!("<sips:1003@{PHONE}>")]);
    let there = the(&stage.say(PHONE, &invite), "INVITE");
    let ok = answer_from(&there.to, &there.message, 200, "member");
    stage.say(&there.to, &ok);
    stage.say(&there.to, &inside_from_pool(&there.to, "INFO", &there.message, &ok, 7));
    stage.world
}

/// Sources of tests, this one left out.
fn tests() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
    let of = |directory: &str| -> Vec<PathBuf> {
        let entries =
            fs::read_dir(root.join(directory)).unwrap_or_else(|error| panic!("{directory}: {error}"));
        entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file()).collect()
    };
    let directories = [
        "tests/tests",
        "tests/tests/e2e",
        "tests/program",
        "sbc-ws/tests",
        "sbc-ws/src",
        "sbc-tcp/tests",
        "sbc-core/src/admission/overload",
    ];
    let files = directories.into_iter().flat_map(of);
    let is_test = |path: &PathBuf| {
        let text = path.to_string_lossy();
        !text.ends_with("sim_counts.rs") && (!text.contains("/src/") || text.ends_with("tests.rs"))
    };
    files.filter(is_test).map(|path| fs::read_to_string(path).expect("a source")).collect()
}

/// Whether a test compares something with this, or asserts something of it.
fn is_looked_at(tests: &[String], name: &str) -> bool {
    let follows = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric());
    tests.iter().any(|text| text.match_indices(name).any(|(at, _)| follows(&text[at + name.len()..])))
}

#[test]
fn every_count_is_given_by_a_case_or_a_scene() {
    let of_checks = CHECKS.iter().chain(RESPONSE_CHECKS).flat_map(|check| check.counts.iter().copied());
    let mut given: BTreeSet<&str> =
        of_checks.chain(ParseError::ALL.into_iter().map(|error| syntax(error).count)).map(name).collect();
    let mut silent: Vec<Count> = Vec::new();
    for (counts, play) in SCENES {
        let produced = produced(&play());
        silent.extend(counts.iter().copied().filter(|count| !produced.contains(name(*count))));
        given.extend(counts.iter().map(|count| name(*count)));
    }
    assert!(silent.is_empty(), "scenes do not give {silent:?}");
    let tests = tests();
    let missing: Vec<_> = Count::ALL
        .iter()
        .filter(|count| !given.contains(name(**count)) && !is_looked_at(&tests, &format!("Count::{count:?}")))
        .collect();
    assert!(missing.is_empty(), "no test gives {missing:?}");
}

/// The variants of an enum, as its source lists them.
fn variants(source: &str, name: &str) -> Vec<String> {
    let (_, rest) =
        source.split_once(&format!("pub enum {name} {{")).unwrap_or_else(|| panic!("no enum {name}"));
    let body = rest.split("\n}").next().unwrap_or_default();
    let lines = body.lines().filter_map(|line| line.strip_prefix("    "));
    let is_variant = |line: &&str| line.starts_with(|c: char| c.is_ascii_uppercase());
    lines.filter(is_variant).map(|line| line.trim_end_matches([',', '{', ' ']).to_owned()).collect()
}

#[test]
fn every_reason_of_the_front_ends_is_given_by_one_of_their_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
    let mut missing = Vec::new();
    for (house, enums) in
        [("sbc-ws", &["Refused", "CloseReason"][..]), ("sbc-tcp", &["Refused", "Unreached", "CloseReason"])]
    {
        let source = fs::read_to_string(root.join(house).join("src/reason.rs")).expect("the reasons");
        let of = |directory: &str| {
            let files = fs::read_dir(root.join(house).join(directory)).expect("sources");
            let paths = files.map(|entry| entry.expect("an entry").path());
            let is_test = |path: &PathBuf| {
                path.is_file() && (directory == "tests" || path.ends_with("upgrade_tests.rs"))
            };
            paths.filter(is_test).map(|path| fs::read_to_string(path).expect("a source")).collect::<Vec<_>>()
        };
        let tests = [of("tests"), of("src")].concat();
        for of in enums {
            let variants = variants(&source, of);
            assert!(variants.len() > 4, "{house} {of}: {variants:?}");
            let unseen = variants.into_iter().filter(|one| !is_looked_at(&tests, &format!("{of}::{one}")));
            missing.extend(unseen.map(|one| format!("{house} {of}::{one}")));
        }
    }
    assert_eq!(missing, Vec::<String>::new(), "no test gives them");
}
