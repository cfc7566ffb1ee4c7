//! Ten thousand damaged messages, thrown at every door: nothing breaks, nothing leaks, nothing stays.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use sbc_core::count::Count;
use sbc_tests::agent::Policy;
use sbc_tests::sim::{
    Arrival, BROWSER, CARRIER, Chance, EXCHANGE, EdgeSettings, INSIDE, MEMBERS, OTHER_BROWSER, PHONE, PHONES,
    TRUNK, WSS, World, cast, unlimited,
};
use std::time::Duration;

const MESSAGES: usize = 10_000;
/// So many are thrown before it is looked where they went.
const VOLLEY: usize = 50;
const STRANGER: &str = "192.0.2.66:5066";

/// Who may send where: a party of every zone, and strangers where they can reach us.
const DOORS: [(&str, &str); 7] = [
    (PHONE, PHONES),
    (STRANGER, PHONES),
    (BROWSER, WSS),
    (OTHER_BROWSER, WSS),
    (CARRIER, TRUNK),
    (MEMBERS[0], INSIDE),
    (MEMBERS[1], INSIDE),
];

fn everybody() -> World {
    // Nobody is too fast, and nobody banned: every message is to be judged for itself.
    let admission = unlimited();
    let mut world = cast(1, &EdgeSettings { admission, ..EdgeSettings::new(&MEMBERS) }, 0);
    for member in MEMBERS {
        world.add_member(member.parse().unwrap(), |config| {
            config.inbound_acl = vec!["203.0.113.10".parse().unwrap()];
        });
    }
    world.add_carrier(CARRIER, EXCHANGE, false);
    for agent in [BROWSER, OTHER_BROWSER, PHONE] {
        world.agent(agent).policy = Policy::Answer { after: Duration::from_millis(200) };
        world.register(agent);
    }
    world
}

/// What sbc gets to see in a day: everything here is well-formed.
fn good_messages() -> Vec<Arrival> {
    let mut world = everybody();
    world.arrivals = Some(Vec::new());
    world.register(PHONE);
    world.act(BROWSER, |agent, now| agent.subscribe(now, "sip:1001@example.test", "dialog", 600));
    let calls = [
        (BROWSER, "sip:1003@example.test"),
        (PHONE, "sip:1002@example.test"),
        (PHONE, "sip:9170@example.test"),
        (BROWSER, "sip:9184@example.test"),
        (PHONE, "sip:9486@example.test"),
        (PHONE, "sip:9302@example.test"),
        (CARRIER, "sip:9196@198.51.100.7:5062"),
    ];
    for (caller, uri) in calls {
        let leg = world.act(caller, |agent, now| agent.call(now, uri));
        world.run(5_000);
        world.act(caller, |agent, now| agent.hold(now, leg));
        world.run(1_000);
        world.act(caller, |agent, now| agent.info(now, leg));
        world.act(caller, |agent, now| agent.refer(now, leg, "sip:9196@example.test"));
        world.run(3_000);
        world.act(caller, |agent, now| agent.bye(now, leg));
        world.run(1_000);
    }
    let ringing = world.act(PHONE, |agent, now| agent.call(now, "sip:9181@example.test"));
    world.run(500);
    world.act(PHONE, |agent, now| agent.cancel(now, ringing));
    world.run(2_000);
    world.arrivals.take().expect("recorded")
}

/// One wound, or a few.
fn damage(message: &[u8], other: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut damaged = message.to_vec();
    for _ in 0..=chance.below(3) {
        damaged = wound(damaged, other, chance);
    }
    damaged
}

fn wound(mut message: Vec<u8>, other: &[u8], chance: &mut Chance) -> Vec<u8> {
    let length = message.len().max(1) as u64;
    let at = (chance.below(length) as usize).min(message.len());
    match chance.below(12) {
        0 => message.truncate(at),
        1 => {
            let with = chance.below(length) as usize;
            if at < message.len() && with < message.len() {
                message.swap(at, with);
            }
        }
        2 => message.insert(at, chance.below(256) as u8),
        3 => {
            let odd =
                [&b"\r\n"[..], b"\0", b"\"", b"<", b">", b";", b",", b"%", b"\xff\xfe", b"\r\n ", b": "];
            let text = odd[chance.below(odd.len() as u64) as usize];
            message.splice(at..at, text.iter().copied());
        }
        4 => {
            let tail = (chance.below(other.len().max(1) as u64) as usize).min(other.len());
            message.truncate(at);
            message.extend_from_slice(&other[tail..]);
        }
        5 => {
            return with_lines(&message, |lines| {
                drop(lines.remove(chance.below(lines.len() as u64) as usize))
            });
        }
        6 => {
            return with_lines(&message, |lines| {
                let line = lines[chance.below(lines.len() as u64) as usize].clone();
                lines.insert(chance.below(lines.len() as u64) as usize, line);
            });
        }
        7 => {
            return with_lines(&message, |lines| {
                let (one, two) = (chance.below(lines.len() as u64), chance.below(lines.len() as u64));
                lines.swap(one as usize, two as usize);
            });
        }
        8 => {
            let size = [300, 4_000, 20_000, 70_000][chance.below(4) as usize];
            let byte = *b"A1;,<\" ".get(chance.below(7) as usize).expect("seven");
            return with_lines(&message, |lines| {
                let line = chance.below(lines.len() as u64) as usize;
                lines[line].extend(std::iter::repeat_n(byte, size));
            });
        }
        9 => return with_numbers(&message, chance),
        10 => {
            let methods = ["INVITE", "ACK", "BYE", "CANCEL", "REGISTER", "OPTIONS", "PRACK", "X", ""];
            let method = methods[chance.below(methods.len() as u64) as usize].as_bytes();
            let end = message.iter().position(|byte| *byte == b' ').unwrap_or(0);
            message.splice(..end, method.iter().copied());
        }
        _ => {
            let end = (at + chance.below(64) as usize).min(message.len());
            message[at..end].reverse();
        }
    }
    message
}

/// Change the lines of the head; the body stays.
fn with_lines(message: &[u8], change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Vec<u8> {
    let end = message.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(message.len());
    let mut lines: Vec<Vec<u8>> = message[..end].split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    change(&mut lines);
    let mut out = lines.join(&b'\n');
    out.extend_from_slice(&message[end..]);
    out
}

/// Some runs of digits become numbers that no counter holds.
fn with_numbers(message: &[u8], chance: &mut Chance) -> Vec<u8> {
    let extremes =
        ["0", "-1", "65536", "4294967296", "18446744073709551616", "99999999999999999999999999", ""];
    let mut out = Vec::new();
    for run in message.chunk_by(|one, two| one.is_ascii_digit() == two.is_ascii_digit()) {
        let is_hit = run[0].is_ascii_digit() && chance.percent(10);
        let extreme = extremes[chance.below(extremes.len() as u64) as usize];
        out.extend_from_slice(if is_hit { extreme.as_bytes() } else { run });
    }
    out
}

#[test]
fn ten_thousand_damaged_messages_do_no_harm() {
    let good = good_messages();
    assert!(good.len() > 150, "{} good messages", good.len());
    for door in [PHONES, WSS, TRUNK] {
        assert!(
            good.iter().any(|message| message.to == door.parse().unwrap()),
            "nothing good came to {door}"
        );
    }
    for seed in 0..3 {
        eprintln!("seed {seed}");
        let mut world = everybody();
        throw(&mut world, &good, &mut Chance::new(seed));
        everything_is_as_before(&mut world);
    }
}

/// Throw damaged messages, and look after each volley where sbc has sent anything.
fn throw(world: &mut World, good: &[Arrival], chance: &mut Chance) {
    let mut known: BTreeSet<SocketAddr> = DOORS.iter().map(|(from, _)| from.parse().unwrap()).collect();
    known.insert(EXCHANGE.parse().unwrap());
    for volley in 0..MESSAGES / VOLLEY {
        world.departures.clear();
        for _ in 0..VOLLEY {
            let pick = &good[chance.below(good.len() as u64) as usize];
            let other = &good[chance.below(good.len() as u64) as usize];
            let bytes = damage(&pick.bytes, &other.bytes, chance);
            // Half of them where such a message belongs, half at any door.
            let (from, to) = DOORS[chance.below(DOORS.len() as u64) as usize];
            if chance.percent(50) {
                world.inject(&pick.from.to_string(), &pick.to.to_string(), &bytes);
            } else {
                world.inject(from, to, &bytes);
            }
        }
        world.run(200);
        let astray = world.departures.iter().find(|departure| !known.contains(&departure.to));
        assert!(astray.is_none(), "volley {volley} led to {astray:?}");
    }
    let passed = world.core().counters().get(Count::Forwarded);
    assert!(passed > MESSAGES as u64 / 50, "some damage is of the kind that passes: {passed}");
}

fn everything_is_as_before(world: &mut World) {
    // The longest of what may have begun: an INVITE that rings until timer C.
    let gone = world.until(600_000, |world| world.core().status().transactions == 0);
    assert!(gone, "{} transactions stay", world.core().status().transactions);
    for agent in [BROWSER, PHONE] {
        world.register(agent);
    }
    for (caller, uri) in [(BROWSER, "sip:1003@example.test"), (PHONE, "sip:9196@example.test")] {
        let leg = world.act(caller, |agent, now| agent.call(now, uri));
        world.until_up(caller, leg);
        world.run(1_000);
        world.act(caller, |agent, now| agent.bye(now, leg));
        world.until_ended(caller, leg);
    }
    // Some damaged INVITE may have begun a call that both ends take for a true one. With them gone, too, no
    // record outlives the longest silence a dialog is granted.
    for member in MEMBERS {
        world.kill(member, false);
    }
    for agent in [BROWSER, OTHER_BROWSER, PHONE] {
        world.agent(agent).keep_registered(false);
    }
    world.run(13 * 3_600_000);
    let status = world.core().status();
    assert_eq!((status.calls, status.transactions, status.registrations), (0, 0, 0));
}
