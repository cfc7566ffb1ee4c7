//! What the people in a world of chaos do, and when.

use std::time::Duration;

use sbc_core::pool::Order;
use sbc_core::time::Time;

use crate::agent::{LegId, Policy, State};
use crate::sim::{CARRIER, Chance, TRUNK, World};

/// Users 1001 to 1004.
pub(super) const BROWSERS: [&str; 4] =
    ["192.0.2.21:40001", "192.0.2.22:40002", "192.0.2.23:40003", "192.0.2.24:40004"];
/// Users 1005 to 1008.
pub(super) const PHONES: [&str; 4] =
    ["192.0.2.31:5060", "192.0.2.32:5060", "192.0.2.33:5061", "192.0.2.34:5062"];
/// From this person on they have a second phone of somebody else where the edge forks.
const ONLY_PHONES: usize = 6;
/// Those who wait longer for an answer give up.
const LONGEST_CALL: u64 = 15_000;

/// What a number does, and how a call of it ends where nothing is lost.
const NUMBERS: [(&str, u64); 12] = [
    ("9196", 30),
    ("9200", 10),
    ("9180", 10),
    ("9181", 8),
    ("9486", 6),
    ("9503", 2),
    ("9184", 6),
    ("9170", 5),
    ("9172", 3),
    ("0000", 2),
    ("+4930123456", 8),
    ("user", 18),
];

/// Something done inside a call.
#[derive(Debug, Clone, Copy)]
pub(super) enum Verb {
    Hold,
    Retrieve,
    Info,
    Update,
    Options,
}

/// One call to be made.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) caller: &'static str,
    pub(super) uri: String,
    /// Whoever calls waits so long for an answer, in milliseconds.
    pub(super) patience: u64,
    /// What must come of it where nothing is in its way.
    pub(super) hope: Option<Hope>,
    pub(super) leg: Option<LegId>,
}

/// How a call ends where nothing is in its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hope {
    /// It is answered.
    Answer,
    /// It is refused, with this status.
    Refusal(u16),
}

/// One thing to do.
#[derive(Debug, Clone, Copy)]
pub(super) enum Act {
    Call(usize),
    Inside(usize, Verb),
    HangUp(usize),
    Cut(&'static str),
    Reconnect(&'static str),
    Kill(&'static str, bool),
    Revive(&'static str),
    Crash {
        node: usize,
        millis: u64,
    },
    /// A stranger names an address of his choice.
    Lure(usize),
    /// The configuration is read again: with all members, or without the last one of the first pool.
    Reload(bool),
    /// What the operator wants of the first member.
    Order(Order),
}

/// The address and number of somebody with a telephone; the carrier is none of our users.
fn somebody(chance: &mut Chance) -> (&'static str, u64) {
    let lot = chance.below(9) as usize;
    let address = BROWSERS.iter().chain(&PHONES).nth(lot).unwrap_or(&CARRIER);
    (*address, 1001 + lot as u64)
}

/// A number; the user who calls does not call himself.
fn number(chance: &mut Chance, own: u64, users: u64) -> String {
    let mut lot = chance.below(NUMBERS.iter().map(|(_, weight)| weight).sum());
    let found = NUMBERS.iter().find(|(_, weight)| {
        let is_it = lot < *weight;
        lot = lot.saturating_sub(*weight);
        is_it
    });
    match found.map(|(number, _)| *number) {
        Some("user") | None => {
            let other = 1001 + chance.below(users);
            if other == own { "9196".into() } else { other.to_string() }
        }
        Some(number) => number.to_owned(),
    }
}

/// How one of those who are called answers.
pub(super) fn policy(chance: &mut Chance) -> Policy {
    match chance.below(10) {
        0 => Policy::Ring,
        1 => Policy::Reject(486),
        _ => Policy::Answer { after: Duration::from_millis(chance.below(3000)) },
    }
}

/// One call and what is done in it, from `begin` on.
pub(super) fn call(chance: &mut Chance, at: usize, begin: Time, users: u64) -> (Plan, Vec<(Time, Act)>) {
    let (caller, own) = somebody(chance);
    let number = number(chance, own, users);
    let uri = match caller {
        // It knows where we are, and nothing of our domain; what it calls is our own.
        CARRIER if number.starts_with('+') => format!("sip:9196@{TRUNK}"),
        CARRIER => format!("sip:{number}@{TRUNK}"),
        _ => format!("sip:{number}@example.test"),
    };
    let after = |millis| begin + Duration::from_millis(millis);
    let mut acts = vec![(begin, Act::Call(at))];
    // One in eight gives up at once: CANCEL meets the answer.
    let length = if chance.percent(12) { chance.below(2500) } else { 1000 + chance.below(LONGEST_CALL) };
    for _ in 0..chance.below(3) {
        let verb = match chance.below(5) {
            0 => Verb::Hold,
            1 => Verb::Retrieve,
            2 => Verb::Info,
            3 => Verb::Update,
            _ => Verb::Options,
        };
        acts.push((after(chance.below(length + 1)), Act::Inside(at, verb)));
    }
    acts.push((after(length), Act::HangUp(at)));
    (Plan { caller, uri, patience: length, hope: None, leg: None }, acts)
}

/// The user whose flow the person with this number registers; where the edge forks, two users have two phones each.
pub(super) fn user(lot: usize, forks: bool) -> String {
    let user = if forks && lot >= ONLY_PHONES { lot - ONLY_PHONES } else { lot };
    (1001 + user).to_string()
}

/// Users who have a phone.
pub(super) const fn users(forks: bool) -> u64 {
    if forks { ONLY_PHONES as u64 } else { (BROWSERS.len() + PHONES.len()) as u64 }
}

/// What a member does with a number that it knows itself.
pub(super) fn hope_of_number(number: &str) -> Option<Hope> {
    match number {
        "9196" | "9200" | "9180" | "9184" | "9170" | "9172" => Some(Hope::Answer),
        "9486" => Some(Hope::Refusal(486)),
        // A member's 503 is of its own; what it says of the callee becomes a 500.
        "9503" => Some(Hope::Refusal(500)),
        "0000" => Some(Hope::Refusal(404)),
        _ => None,
    }
}

/// The same of whoever is called.
pub(super) const fn hope_of_policy(policy: Policy) -> Option<Hope> {
    match policy {
        Policy::Answer { .. } => Some(Hope::Answer),
        Policy::Reject(status) => Some(Hope::Refusal(status)),
        Policy::Ring | Policy::Manual => None,
    }
}

/// Do one thing in a call.
pub(super) fn inside(world: &mut World, plan: &Plan, verb: Verb) {
    let Some(leg) = plan.leg else { return };
    if world.state(plan.caller, leg) != State::Up {
        return;
    }
    world.act(plan.caller, |agent, now| match verb {
        Verb::Hold => agent.hold(now, leg),
        Verb::Retrieve => agent.reinvite(now, leg, "sendrecv"),
        Verb::Info => agent.info(now, leg),
        Verb::Update => agent.update(now, leg),
        Verb::Options => agent.options(now, leg),
    });
}
