//! The gate of the public zone: access lists, floods, bans, scanners, passwords guessed.

use std::time::Duration;

use sbc_core::config::{Admission, BanPolicy, SourceRates};
use sbc_core::count::Count;
use sbc_core::flow::ListenerId;
use sbc_core::rate::Rate;
use sbc_tests::agent::{Registered, State};
use sbc_tests::sim::stage::{self, Sent, Stage, answer_from, the, to};
use sbc_tests::sim::{BROWSER, EdgeSettings, MEMBERS, PHONE, PHONES, WSS, World, cast, replace};
use sbc_tests::ua::message::Message;

const STRANGER: &str = "192.0.2.66:5066";
const WIDGET: &str = "192.0.2.67:4067";
/// The first listener of the simulation.
const BROWSERS: ListenerId = ListenerId(0);

fn world(admission: Admission) -> World {
    let mut world = cast(1, &EdgeSettings { admission, ..EdgeSettings::new(&MEMBERS) }, 0);
    world.connect(WIDGET);
    world.run(500);
    world
}

fn tight() -> Admission {
    Admission {
        per_source: SourceRates {
            requests: Rate::per_second(50, 50),
            invites: Rate::per_second(5, 5),
            registers: Rate::per_second(3, 3),
        },
        ..Admission::default()
    }
}

fn request(method: &str, from: &str, number: usize, extra: &str) -> String {
    let uri = if method == "REGISTER" { "sip:example.test" } else { "sip:1001@example.test" };
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bKgate{method}{number}\r\n\
         Max-Forwards: 9\r\nFrom: <sip:u{number}@example.test>;tag=1\r\nTo: <sip:u{number}@example.test>\r\n\
         Call-ID: gate-{method}-{number}\r\nCSeq: 1 {method}\r\nContact: <sip:x@{from}>\r\n{extra}Content-Length: 0\r\n\r\n"
    )
}

fn count(world: &World, count: Count) -> u64 {
    world.core().counters().get(count)
}

/// The last final status that this request got.
fn answer_to(world: &mut World, from: &str, to: &str, text: &str) -> Option<u16> {
    let call_id = Message::read(text.as_bytes()).expect("a message").call_id().to_owned();
    let own = from.parse().unwrap();
    let sent = world.say(from, to, text, &call_id);
    sent.iter()
        .filter(|(to, answer)| *to == own && answer.status() > 100)
        .map(|(_, answer)| answer.status())
        .next_back()
}

#[test]
fn who_is_denied_is_not_heard_and_who_is_allowed_is_never_limited() {
    let nets = |text: &str| vec![text.parse().unwrap()];
    let mut world = world(Admission { deny: nets("192.0.2.66/32"), allow: nets("192.0.2.67/32"), ..tight() });
    assert_eq!(answer_to(&mut world, STRANGER, PHONES, &request("OPTIONS", STRANGER, 0, "")), None);
    assert_eq!(count(&world, Count::Denied), 1);
    for number in 0..200 {
        assert!(answer_to(&mut world, WIDGET, WSS, &request("REGISTER", WIDGET, number, "")).is_some());
    }
}

#[test]
fn kinds_of_requests_are_limited_apart_and_sources_too() {
    let mut world = world(tight());
    for number in 0..10 {
        world.inject(STRANGER, PHONES, request("INVITE", STRANGER, number, "").as_bytes());
        world.inject(STRANGER, PHONES, request("REGISTER", STRANGER, number, "").as_bytes());
    }
    world.run(20);
    assert_eq!((count(&world, Count::FloodInvite), count(&world, Count::FloodRegister)), (5, 7));
    for number in 10..100 {
        world.inject(STRANGER, PHONES, request("OPTIONS", STRANGER, number, "").as_bytes());
    }
    world.run(20);
    assert!(count(&world, Count::FloodSource) >= 55);
    assert!(
        answer_to(&mut world, "192.0.2.68:5066", PHONES, &request("INVITE", "192.0.2.68:5066", 1, ""))
            .is_some()
    );
    world.run(2_000);
    assert!(answer_to(&mut world, STRANGER, PHONES, &request("INVITE", STRANGER, 900, "")).is_some());
}

#[test]
fn over_a_connection_a_limit_is_said() {
    let mut world = world(tight());
    let statuses: Vec<_> = (0..5)
        .filter_map(|number| answer_to(&mut world, WIDGET, WSS, &request("REGISTER", WIDGET, number, "")))
        .collect();
    assert_eq!(statuses.iter().filter(|status| **status == 503).count(), 2, "{statuses:?}");
}

#[test]
fn a_flood_of_strangers_leaves_room_for_those_whom_the_pool_accepts() {
    let admission = Admission { strangers: Rate::per_second(20, 40), ..Admission::default() };
    let mut world = world(admission);
    world.register(PHONE);
    for number in 0..2_000 {
        let from = format!("192.0.{}.{}:5060", 3 + number / 250, 1 + number % 250);
        world.inject(&from, PHONES, request("INVITE", &from, number, "").as_bytes());
        if number % 500 == 250 {
            let leg = world.act(PHONE, |agent, now| agent.call(now, "sip:9196@example.test"));
            world.until_up(PHONE, leg);
        }
    }
    assert!(count(&world, Count::FloodStrangers) > 1_500, "{}", count(&world, Count::FloodStrangers));
}

#[test]
fn what_strangers_ask_beyond_their_rate_is_dropped_unread_and_leaves_no_trace() {
    let admission = Admission { strangers: Rate::per_second(20, 40), ..Admission::default() };
    let mut world = world(admission);
    let asked = count(&world, Count::Requests);
    for number in 0..2_000 {
        let from = format!("192.0.{}.{}:5060", 3 + number / 250, 1 + number % 250);
        world.inject(&from, PHONES, request("OPTIONS", &from, number, "").as_bytes());
    }
    world.run(20);
    assert_eq!(count(&world, Count::FloodStrangers), 1_960);
    assert_eq!(count(&world, Count::Requests) - asked, 40);
    // A connection was shaken hands on: it is no part of that.
    assert!(answer_to(&mut world, WIDGET, WSS, &request("OPTIONS", WIDGET, 1, "")).is_some());
}

#[test]
fn broken_requests_of_strangers_are_answered_at_the_rate_of_strangers_and_take_nothing_from_sound_ones() {
    let admission = Admission { strangers: Rate::per_second(20, 40), ..Admission::default() };
    let mut world = world(admission);
    for number in 0..500 {
        let from = format!("192.0.{}.{}:5060", 3 + number / 250, 1 + number % 250);
        let text = request("OPTIONS", &from, number, "").replace("Max-Forwards: 9", "Max-Forwards: many");
        world.inject(&from, PHONES, text.as_bytes());
    }
    world.run(20);
    let answered = (0..500).filter(|number| !world.departed(&format!("gate-OPTIONS-{number}")).is_empty());
    assert_eq!(answered.count(), 40);
    assert_eq!(count(&world, Count::FloodStrangers), 0);
    assert!(answer_to(&mut world, STRANGER, PHONES, &request("OPTIONS", STRANGER, 1, "")).is_some());
}

#[test]
fn one_user_attacked_from_everywhere_goes_on_from_his_own_place() {
    let admission = Admission { per_user: Rate::per_second(2, 5), ..Admission::default() };
    let mut world = world(admission);
    world.register(PHONE);
    for number in 0..1_000 {
        let from = format!("192.0.{}.{}:5060", 3 + number / 250, 1 + number % 250);
        let text = request("REGISTER", &from, number, "").replace(&format!("u{number}@"), "1003@");
        world.inject(&from, PHONES, text.as_bytes());
    }
    world.run(100);
    assert!(count(&world, Count::FloodUser) > 950);
    world.act(PHONE, |agent, now| agent.register(now, 300));
    world.run(1_000);
    assert!(matches!(world.agent(PHONE).registered(), Registered::Yes(_)));
    let leg = world.act(PHONE, |agent, now| agent.call(now, "sip:9196@example.test"));
    world.until_up(PHONE, leg);
}

/// Credentials that are never right, made with the nonce of the last challenge.
fn guess(world: &mut World, from: &str, to: &str, number: usize, nonce: &str) -> (Option<u16>, String) {
    let credentials = format!(
        "Authorization: Digest username=\"1003\", realm=\"example.test\", nonce=\"{nonce}\", \
         uri=\"sip:example.test\", response=\"{number:032x}\", algorithm=MD5, qop=auth, nc=00000001, cnonce=\"x\"\r\n"
    );
    let extra = if nonce.is_empty() { "" } else { &credentials };
    let text = request("REGISTER", from, number, extra).replace(&format!("u{number}@"), "1003@");
    let call_id = format!("gate-REGISTER-{number}");
    let own = from.parse().unwrap();
    let sent = world.say(from, to, &text, &call_id);
    let answer = sent
        .iter()
        .filter(|(to, answer)| *to == own && answer.status() > 100)
        .map(|(_, one)| one)
        .next_back();
    let nonce = answer
        .and_then(|answer| answer.get("WWW-Authenticate"))
        .and_then(|challenge| Some(challenge.split("nonce=\"").nth(1)?.split('"').next()?.to_owned()));
    (answer.map(Message::status), nonce.unwrap_or_default())
}

#[test]
fn passwords_are_guessed_ten_times_and_no_more() {
    for (from, to) in [(STRANGER, PHONES), (WIDGET, WSS)] {
        let mut world = world(Admission::default());
        let (first, mut nonce) = guess(&mut world, from, to, 0, "");
        assert_eq!(first, Some(401));
        let mut tries = 0;
        // A nonce that was used is stale: FreeSWITCH challenges anew in between, which is held against nobody.
        while count(&world, Count::Bans) == 0 && tries < 40 {
            tries += 1;
            let (_, next) = guess(&mut world, from, to, tries, &nonce);
            nonce = if next.is_empty() { nonce } else { next };
        }
        assert_eq!(count(&world, Count::AuthenticationFailed), 10, "from {from}");
        assert_eq!(guess(&mut world, from, to, 50, &nonce).0, None, "banned");
        let bans = world.core().bans(world.now);
        assert_eq!(bans.len(), 1);
        assert_eq!(
            (bans[0].reason, bans[0].until.since(bans[0].since)),
            (Count::AuthenticationFailed, Duration::from_secs(600))
        );
        assert!(world.core().lift_ban(from.parse::<std::net::SocketAddr>().unwrap().ip()));
        assert_eq!(guess(&mut world, from, to, 51, "").0, Some(401));
    }
}

#[test]
fn first_challenges_are_held_against_nobody() {
    let mut world = world(Admission::default());
    for number in 0..50 {
        assert_eq!(guess(&mut world, WIDGET, WSS, number, "").0, Some(401));
    }
    assert_eq!((count(&world, Count::Bans), count(&world, Count::AuthenticationFailed)), (0, 0));
}

#[test]
fn what_a_stranger_is_told_does_not_tell_known_users_from_unknown_ones() {
    let mut world = world(Admission::default());
    let mut number = 5_000;
    for (from, door) in [(STRANGER, PHONES), (WIDGET, WSS)] {
        let wrong = "Authorization: Digest username=\"1003\", realm=\"example.test\", nonce=\"n\", \
                     uri=\"sip:example.test\", response=\"00000000000000000000000000000000\"\r\n";
        for (method, extra) in
            [("REGISTER", ""), ("REGISTER", wrong), ("INVITE", ""), ("SUBSCRIBE", "Event: a\r\n")]
        {
            let mut told = ["1003", "7777"].map(|user| {
                number += 1;
                let text = request(method, from, number, extra)
                    .replace(&format!("u{number}@"), &format!("{user}@"))
                    .replace("sip:1001@", &format!("sip:{user}@"))
                    .replace("username=\"1003", &format!("username=\"{user}"));
                let sent = world.say(from, door, &text, &format!("gate-{method}-{number}"));
                let own = from.parse().unwrap();
                let answers = sent.into_iter().filter(|(to, answer)| *to == own && !answer.is_request());
                let names = |answer: &Message| answer.headers.iter().map(|(name, _)| name.clone()).collect();
                answers
                    .map(|(_, answer)| (answer.start.clone(), names(&answer)))
                    .collect::<Vec<(_, Vec<String>)>>()
            });
            let [known, unknown] = &mut told;
            assert!(!known.is_empty(), "{method} got no answer");
            assert_eq!(known, unknown, "{method} over {door}");
        }
    }
}

#[test]
fn nobody_can_have_somebody_else_banned() {
    let mut world = world(Admission::default());
    world.register(PHONE);
    // The attacker has a nonce of its own and writes the phone's address on its datagrams.
    let (_, nonce) = guess(&mut world, STRANGER, PHONES, 0, "");
    for number in 1..100 {
        guess(&mut world, PHONE, PHONES, number, &nonce);
        world.inject(PHONE, PHONES, b"INVITE nonsense\r\n\r\n");
        world.inject(
            PHONE,
            PHONES,
            request("OPTIONS", PHONE, number, "User-Agent: friendly-scanner\r\n").as_bytes(),
        );
    }
    world.run(100);
    assert_eq!(count(&world, Count::Bans), 0);
    let leg = world.act(PHONE, |agent, now| agent.call(now, "sip:9196@example.test"));
    world.until_up(PHONE, leg);
}

#[test]
fn scanners_hear_nothing_and_connected_ones_are_banned() {
    let mut world = world(Admission::default());
    let scan = |from, number| request("OPTIONS", from, number, "User-Agent: friendly-scanner\r\n");
    assert_eq!(answer_to(&mut world, STRANGER, PHONES, &scan(STRANGER, 0)), None);
    for number in 1..4 {
        assert_eq!(answer_to(&mut world, WIDGET, WSS, &scan(WIDGET, number)), None);
    }
    assert_eq!(
        (count(&world, Count::Scanner), count(&world, Count::Bans), count(&world, Count::Banned)),
        (3, 1, 1)
    );
    let banned = WIDGET.parse::<std::net::SocketAddr>().unwrap().ip();
    assert!(!world.core().is_welcome(BROWSERS, banned, world.now));
    world.run(601_000);
    assert!(world.core().is_welcome(BROWSERS, banned, world.now));
}

#[test]
fn a_dry_run_bans_nobody_and_says_whom_it_would() {
    let ban = Some(BanPolicy { dry_run: true, ..BanPolicy::default() });
    let mut world = world(Admission { ban, ..Admission::default() });
    for number in 0..10 {
        world.inject(
            WIDGET,
            WSS,
            request("OPTIONS", WIDGET, number, "User-Agent: sipvicious\r\n").as_bytes(),
        );
    }
    world.run(100);
    assert_eq!((count(&world, Count::Bans), count(&world, Count::DryBans)), (0, 5));
    assert!(answer_to(&mut world, WIDGET, WSS, &request("OPTIONS", WIDGET, 99, "")).is_some());
}

#[test]
fn many_users_behind_one_address_get_more_room() {
    let mut world = world(tight());
    world.register(BROWSER);
    world.run(2_000);
    let before = count(&world, Count::FloodRegister);
    let behind = |world: &mut World, port: u16| {
        let address = BROWSER.parse::<std::net::SocketAddr>().unwrap();
        let from = std::net::SocketAddr::new(address.ip(), port).to_string();
        for number in 0..20 {
            world.inject(
                &from,
                PHONES,
                request("REGISTER", &from, usize::from(port) * 100 + number, "").as_bytes(),
            );
        }
        world.run(20);
    };
    behind(&mut world, 6000);
    let refused = count(&world, Count::FloodRegister) - before;
    assert!((10..17).contains(&refused), "a user accepted from there doubles the room: {refused}");
}

#[test]
fn what_was_known_of_sources_is_forgotten() {
    let mut world = world(Admission::default());
    let before = world.core().status().sources;
    for number in 0..5_000 {
        let from = format!("192.0.{}.{}:5060", 3 + number / 250, 1 + number % 250);
        world.inject(&from, PHONES, b"no SIP at all");
    }
    world.run(100);
    assert!(world.core().status().sources >= 5_000);
    world.run(300_000);
    assert!((1..=before).contains(&world.core().status().sources), "those whom the pool accepted stay");
}

#[test]
fn calls_of_a_user_and_of_a_source_are_counted_to_their_end() {
    for (per_user, per_source, refused, counted) in
        [(Some(2), None, 486, Count::UserCalls), (None, Some(2), 503, Count::SourceCalls)]
    {
        let admission = Admission {
            max_calls_per_user: per_user,
            max_calls_per_source: per_source,
            ..Admission::default()
        };
        let mut world = world(admission);
        world.register(PHONE);
        let call =
            |world: &mut World| world.act(PHONE, |agent, now| agent.call(now, "sip:9196@example.test"));
        let (first, second) = (call(&mut world), call(&mut world));
        world.until_up(PHONE, first);
        world.until_up(PHONE, second);
        let third = call(&mut world);
        world.until_ended(PHONE, third);
        assert!(matches!(world.state(PHONE, third), State::Ended { status, .. } if status == refused));
        assert_eq!(count(&world, counted), 1);
        world.act(PHONE, |agent, now| agent.bye(now, first));
        world.until_ended(PHONE, first);
        world.run(500);
        let fourth = call(&mut world);
        world.until_up(PHONE, fourth);
    }
}

/// Calls that are begun by hand, so that it is known when.
struct Caller {
    stage: Stage,
    calls: usize,
}

impl Caller {
    fn limited(admission: Admission) -> Self {
        let stage = Stage::new(&EdgeSettings { admission, ..EdgeSettings::new(&MEMBERS) });
        Self { stage, calls: 0 }
    }

    /// A user calls from an address of the public zone; what leaves within 20 ms.
    fn begins(&mut self, user: &str, from: &str) -> (Message, Vec<Sent>) {
        self.calls += 1;
        let id = format!("rate-{}", self.calls);
        let mut invite = stage::request("INVITE", &id, &id);
        replace(&mut invite, "Via", &[format!("SIP/2.0/UDP {from};rport;branch=z9hG4bK{id}")]);
        replace(&mut invite, "From", &[format!("<sip:{user}@example.test>;tag=phone")]);
        let sent = self.stage.say(from, &invite);
        (invite, sent)
    }

    /// The refusal and its Retry-After; `None`: a member is asked.
    fn refusal(&mut self, user: &str, from: &str) -> Option<(u16, String)> {
        let (_, sent) = self.begins(user, from);
        let refusal = to(&sent, from).into_iter().find(|answer| answer.status() > 100)?;
        assert_eq!(to(&sent, from).len(), sent.len(), "nobody is asked: {sent:?}");
        Some((refusal.status(), refusal.get("Retry-After").expect("a Retry-After").to_owned()))
    }
}

/// Two at once, and one a second.
fn one_a_second() -> Option<Rate> {
    Some(Rate::per_second(1, 2))
}

#[test]
fn a_user_begins_calls_at_his_rate_from_wherever_he_calls() {
    let mut caller =
        Caller::limited(Admission { call_rate_per_user: one_a_second(), ..Admission::default() });
    let refused = Some((480, "1".to_owned()));
    assert_eq!(caller.refusal("1003", PHONE), None);
    assert_eq!(caller.refusal("1003", STRANGER), None);
    assert_eq!(caller.refusal("1003", PHONE), refused);
    assert_eq!(caller.refusal("1003", "192.0.2.99:5060"), refused);
    assert_eq!(caller.refusal("1004", PHONE), None, "another user has a rate of his own");
    caller.stage.pass(840);
    assert_eq!(caller.refusal("1003", PHONE), refused, "after 0.94 s");
    caller.stage.pass(60);
    assert_eq!(caller.refusal("1003", PHONE), None, "after 1.02 s");
    assert_eq!(caller.refusal("1003", PHONE), refused);
    assert_eq!(count(&caller.stage.world, Count::UserCallRate), 4);
}

#[test]
fn a_source_begins_calls_at_its_rate_in_whatever_name() {
    let mut caller =
        Caller::limited(Admission { call_rate_per_source: one_a_second(), ..Admission::default() });
    let other_port = "192.0.2.66:6000";
    assert_eq!(caller.refusal("1003", STRANGER), None);
    assert_eq!(caller.refusal("1004", other_port), None);
    assert_eq!(caller.refusal("1005", STRANGER), Some((503, "1".to_owned())));
    assert_eq!(caller.refusal("1005", PHONE), None, "another source has a rate of its own");
    assert_eq!(count(&caller.stage.world, Count::SourceCallRate), 1);
    caller.stage.pass(1_000);
    assert_eq!(caller.refusal("1005", STRANGER), None);
}

#[test]
fn nobody_is_charged_for_a_call_that_the_other_rate_refuses() {
    let slow = Some(Rate::new(1, Duration::from_secs(60), 1));
    let mut caller = Caller::limited(Admission {
        call_rate_per_user: Some(Rate::new(1, Duration::from_secs(60), 2)),
        call_rate_per_source: slow,
        ..Admission::default()
    });
    assert_eq!(caller.refusal("1003", STRANGER), None);
    for _ in 0..5 {
        assert_eq!(caller.refusal("1003", STRANGER).map(|(status, _)| status), Some(503));
    }
    assert_eq!(caller.refusal("1003", PHONE), None);
    assert_eq!(caller.refusal("1003", "192.0.2.99:5060").map(|(status, _)| status), Some(480));
}

/// A call is an INVITE and once more the same with credentials; and what is asked inside it begins none.
#[test]
fn a_challenge_and_what_is_asked_in_a_call_count_for_no_rate() {
    let rate = Some(Rate::new(1, Duration::from_secs(60), 1));
    let mut caller = Caller::limited(Admission {
        call_rate_per_user: rate,
        call_rate_per_source: rate,
        ..Admission::default()
    });
    for _ in 0..3 {
        let (_, sent) = caller.begins("1003", PHONE);
        let there = the(&sent, "INVITE");
        let mut challenge = answer_from(&there.to, &there.message, 407, "member");
        challenge.push("Proxy-Authenticate", "Digest realm=\"example.test\", nonce=\"abc\"");
        challenge.close(None);
        let sent = caller.stage.say(&there.to, &challenge);
        assert_eq!(stage::statuses(&sent, PHONE, "INVITE"), [407]);
    }
    let (invite, sent) = caller.begins("1003", PHONE);
    let there = the(&sent, "INVITE");
    let ok = answer_from(&there.to, &there.message, 200, "member");
    let ok = to(&caller.stage.say(&there.to, &ok), PHONE)[0].clone();
    caller.stage.say(PHONE, &stage::inside("ACK", &invite, &ok, 1));
    assert_eq!(caller.refusal("1003", PHONE).map(|(status, _)| status), Some(480));
    let sent = caller.stage.say(PHONE, &stage::inside("INVITE", &invite, &ok, 2));
    assert_eq!(the(&sent, "INVITE").to, there.to);
}

#[test]
fn whoever_is_allowed_calls_as_much_as_he_likes() {
    let none = Some(Rate::new(1, Duration::from_secs(60), 1));
    let mut caller = Caller::limited(Admission {
        allow: vec!["192.0.2.66/32".parse().unwrap()],
        max_calls_per_user: Some(1),
        max_calls_per_source: Some(1),
        call_rate_per_user: none,
        call_rate_per_source: none,
        ..Admission::default()
    });
    for _ in 0..5 {
        assert_eq!(caller.refusal("1003", STRANGER), None);
    }
    assert_eq!(caller.refusal("1003", PHONE), None, "what he begins is not held against another");
    assert!(caller.begins("1003", PHONE).1.iter().any(|sent| sent.message.status() == 486));
}
