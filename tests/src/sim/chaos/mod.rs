//! Worlds of chaos: many calls at once over bad links, with things that die; and what must hold all the same.
//!
//! A seed decides everything, the weather too. Completed calls are promised in calm weather only: where every
//! copy of a datagram may be lost, RFC 3261's own timers give calls up. So many must live all the same, and end on both
//! sides, as loss and those timers let (`floor.rs`). What is promised always: each call ends once, on both sides;
//! nothing is left over 64*T1 later; and what the judge of every message watches.

mod floor;
mod ground;
mod killing;
mod outcome;
mod script;
mod weather;

use std::collections::BTreeMap;
use std::time::Duration;

use sbc_core::pool::Order;
use sbc_core::time::Time;

pub use self::killing::Kills;
pub use self::outcome::{Figures, Outcome, Table};
pub use self::weather::Weather;

use self::ground::Ground;
use self::script::{Act, BROWSERS, PHONES, Plan};
use super::canary::{LURES, STRANGER, lure};
use super::{CARRIER, Chance, EXCHANGE, EdgeSettings, Judge, Link, MEMBERS, PHONES as DOOR, World};
use crate::agent::State;
use crate::member::config::Gateway;
use crate::sim::world::parse;
use crate::ua::message::uri_user;

/// Calls begin within so many milliseconds for each of them.
const SPREAD: u64 = 600;
/// Ringing ends by itself after this.
const RING_TIMEOUT: Duration = Duration::from_secs(60);
/// Seconds after which a member ends a call that nobody refreshes: the least that RFC 4028 allows.
const SESSION_TIMEOUT: u64 = 90;
/// How long all may take to be over once the last call has been hung up, in milliseconds: ringing and sessions
/// time out, and what ends them may take 64*T1 and as much again.
const ENDING: u64 = 300_000;
/// How long the calls of a dead member wait for their end.
const RELEASE: Duration = Duration::from_secs(20);
/// A member that restarts is back after so long.
const RESTART: Duration = Duration::from_secs(20);
/// Threads in sbc, where there are several.
const THREADS: u8 = 4;
/// The last message comes or leaves within so long once all is over: 64*T1 for what asks, as much again for what its
/// end may begin, and half of a registration's time, after which it is refreshed for the last time.
const FADING: Duration = Duration::from_secs(32 + 32 + 150);
/// 64*T1 after it nothing is left, but for the time that one look takes.
const EMPTYING: Duration = Duration::from_millis(64 * 500 + 500);
/// So long is a member taken out, or takes no new calls.
const AWAY: Duration = Duration::from_secs(12);

/// One world with its agenda.
pub struct Chaos {
    /// The world; to be looked at.
    pub world: World,
    weather: Weather,
    ground: Ground,
    settings: EdgeSettings,
    seed: u64,
    /// Datagrams are lost while sbc is killed during call set-up.
    loses: bool,
    chance: Chance,
    plans: Vec<Plan>,
    agenda: BTreeMap<(Time, usize), Act>,
    /// Who had a call that only the other side knew to be over.
    left_alone: Vec<String>,
    /// A member dies for good: then its calls are ended for it, and nobody may be left alone.
    is_released: bool,
}

/// What the carrier's calls come from.
const CARRIER_IP: [u8; 4] = [203, 0, 113, 10];
/// A stranger tries as often as there are calls for each of these.
const CALLS_PER_LURE: usize = 4;

/// A member whose calls end by themselves when nobody ends them. It knows the carrier, who asks for a password.
fn add_member(world: &mut World, address: &str, ground: Ground) {
    let proxy = ground.pool_side(address).unwrap_or_else(|| world.pool_side());
    world.add_member(address.parse().expect("an address"), |config| {
        config.ring_timeout = Some(RING_TIMEOUT);
        config.session_timeout = SESSION_TIMEOUT;
        config.transport = ground.transport_of(address);
        config.edge = ground.forks.then_some(proxy);
        config.all_by_edge = ground.forks;
        config.inbound_acl = vec![CARRIER_IP.into()];
        config.gateway = Some(Gateway {
            name: "carrier".into(),
            proxy,
            realm: "carrier.test".into(),
            user: "trunk".into(),
            password: "sesame".into(),
            register: false,
            expires: 600,
            extension: "9196".into(),
        });
    });
}

impl Chaos {
    /// A world with everybody registered, and so many calls to be made.
    pub fn new(seed: u64, weather: Weather, calls: usize) -> Self {
        let nodes = if weather == Weather::NodeKilled { 2 } else { 1 };
        let release = (weather == Weather::DeadMember).then_some(RELEASE);
        Self::with(seed, weather, calls, EdgeSettings { nodes, release, ..EdgeSettings::new(&MEMBERS) })
    }

    /// The same with several threads in sbc at once, and most datagrams doubled, so that they meet.
    pub fn threaded(seed: u64, weather: Weather, calls: usize) -> Self {
        let release = (weather == Weather::DeadMember).then_some(RELEASE);
        let settings = EdgeSettings { workers: THREADS, release, ..EdgeSettings::new(&MEMBERS) };
        let mut chaos = Self::with(seed, weather, calls, settings);
        for link in [Some(&mut chaos.world.link), chaos.world.inside_link.as_mut()].into_iter().flatten() {
            link.duplicate_percent = 60;
        }
        if let Some(judge) = &mut chaos.world.judge {
            judge.is_unordered = true;
        }
        chaos.world.at_once = true;
        chaos
    }

    fn with(seed: u64, weather: Weather, calls: usize, usual: EdgeSettings) -> Self {
        let mut chance = Chance::new(seed ^ 0x00C4_A05C_4A05);
        let ground = Ground::of(weather, &mut chance);
        let settings = ground.settings(usual);
        let mut world = World::new(seed, &settings);
        ground.members().for_each(|member| add_member(&mut world, member, ground));
        world.forget_departures();
        let mut judge = Judge::new();
        judge.is_damaged = weather == Weather::Damaged;
        if ground.has_memory() {
            judge.forgets_places();
        }
        for (lot, address) in BROWSERS.iter().chain(&PHONES).enumerate() {
            let user = script::user(lot, ground.forks);
            if BROWSERS.contains(address) {
                world.add_browser(address, &user);
            } else {
                world.add_phone(address, &user);
            }
            let contact = uri_user(world.agent(address).contact_uri());
            judge.introduce(parse(address), &[&user, &contact]);
        }
        world.add_carrier(CARRIER, EXCHANGE, true);
        ground.members().for_each(|member| judge.introduce_member(parse(member)));
        judge.introduce_carrier(parse(CARRIER));
        judge.know(parse(STRANGER));
        let everybody = || BROWSERS.iter().chain(&PHONES).copied();
        world.run(500);
        everybody().for_each(|agent| world.register(agent));
        for agent in everybody().chain([CARRIER]) {
            world.agent(agent).policy = script::policy(&mut chance);
        }
        world.judge = Some(Box::new(judge));
        world.link = weather.outside(&mut chance);
        world.inside_link = Some(weather.inside(world.link));
        let (plans, agenda, left_alone) = (Vec::new(), BTreeMap::new(), Vec::new());
        let mut chaos = Self {
            world,
            weather,
            ground,
            settings,
            seed,
            loses: false,
            chance,
            plans,
            agenda,
            left_alone,
            is_released: false,
        };
        chaos.plan(calls);
        chaos
    }

    fn put(&mut self, at: Time, act: Act) {
        let number = self.agenda.len();
        self.agenda.insert((at, number), act);
    }

    fn plan(&mut self, calls: usize) {
        let spread = SPREAD * calls as u64;
        let start = self.world.now;
        let users = script::users(self.ground.forks);
        for at in 0..calls {
            let begin = start + Duration::from_millis(self.chance.below(spread));
            let (mut plan, acts) = script::call(&mut self.chance, at, begin, users);
            plan.hope = self.hope(&plan);
            self.plans.push(plan);
            acts.into_iter().for_each(|(at, act)| self.put(at, act));
        }
        for _ in 0..calls / CALLS_PER_LURE {
            let at = start + Duration::from_millis(self.chance.below(spread));
            let lure = self.chance.below(LURES as u64) as usize;
            self.put(at, Act::Lure(lure));
        }
        let member = MEMBERS[self.chance.below(2) as usize];
        self.plan_operator(start, spread);
        let mut some_time = |from: u64| start + Duration::from_millis(from + self.chance.below(spread));
        match self.weather {
            Weather::DeadMember => {
                let dies = some_time(0);
                let (refuses, is_for_good) = (self.chance.percent(50), self.chance.percent(50));
                self.put(dies, Act::Kill(member, refuses));
                self.is_released = is_for_good;
                if !is_for_good {
                    self.put(dies + RESTART, Act::Revive(member));
                }
            }
            Weather::Disconnected => {
                self.world.browsers_repeat = true;
                let cuts: Vec<_> = BROWSERS.iter().map(|browser| (some_time(0), *browser)).collect();
                for (at, browser) in cuts {
                    self.put(at, Act::Cut(browser));
                    let away = Duration::from_millis(500 + self.chance.below(6000));
                    self.put(at + away, Act::Reconnect(browser));
                }
            }
            Weather::Killed | Weather::NodeKilled => {
                let at = some_time(0);
                self.crash_at(at);
            }
            _ => {}
        }
    }

    /// The operator takes a member out for a while, or lets it have no new calls; the other one stays.
    fn plan_operator(&mut self, start: Time, spread: u64) {
        let mut some_time = || start + Duration::from_millis(self.chance.below(spread));
        let (out, drained) = (some_time(), some_time());
        if self.ground.reloads {
            self.put(out, Act::Reload(false));
            self.put(out + AWAY, Act::Reload(true));
        }
        if self.ground.drains {
            self.put(drained, Act::Order(Order::Draining));
            self.put(drained + AWAY, Act::Order(Order::Enabled));
        }
    }

    /// sbc is killed then and comes back within two seconds; browsers find back to it one after the other. One of two
    /// nodes is away for longer: they find to the other one.
    fn crash_at(&mut self, at: Time) {
        let is_alone = self.weather != Weather::NodeKilled;
        let millis = if is_alone { 50 + self.chance.below(1500) } else { 4000 + self.chance.below(8000) };
        let node = if is_alone { 0 } else { self.chance.below(2) as usize };
        self.put(at, Act::Crash { node, millis });
        let found_after = if is_alone { millis } else { 0 };
        for browser in BROWSERS {
            let away = Duration::from_millis(found_after + 500 + self.chance.below(3000));
            self.put(at + away, Act::Reconnect(browser));
        }
    }

    /// Play it to the end, and say what came of it.
    pub fn play(mut self) -> Outcome {
        while let Some(((at, _), act)) = self.agenda.pop_first() {
            self.run_to(at);
            self.act(act);
        }
        let mut ended = self.world.until(ENDING, World::is_over);
        if !ended {
            self.leave_dead_lines();
            ended = self.world.until(ENDING, World::is_over);
        }
        self.world.link = Link::GOOD;
        self.world.inside_link = None;
        self.world.stop_registering();
        let quiet = self.is_quiet();
        self.outcome(ended, quiet)
    }

    /// 64*T1 after the last message that is no probe, every table is empty. A phone may refresh its registration once
    /// more, and what asks in vain does so for 64*T1.
    fn is_quiet(&mut self) -> bool {
        let end = self.world.now + FADING;
        loop {
            let last = self.world.judge.as_ref().map_or(Time::ZERO, |judge| judge.last_message());
            self.run_to(last + EMPTYING);
            let is_still = self.world.judge.as_ref().is_none_or(|judge| judge.last_message() == last);
            if is_still || self.world.now > end {
                return is_still && self.world.is_at_rest();
            }
        }
    }

    /// Who is left on a dead line hangs up: an agent has no timer of its own that would do it.
    fn leave_dead_lines(&mut self) {
        for address in BROWSERS.iter().chain(&PHONES).chain(&[CARRIER]) {
            let open = |call: &crate::agent::Call| !matches!(call.state, State::Ended { .. });
            let agent = self.world.agent(address);
            let left: Vec<_> = agent.calls().filter(|(_, call)| open(call)).map(|(leg, _)| leg).collect();
            for leg in left {
                let call = self.world.agent(address).call_of(leg).expect("seen just now");
                self.left_alone
                    .push(format!("{address} was left alone in {} {:?}", call.call_id, call.state));
                self.world.act(address, |agent, now| agent.leave(now, leg));
            }
        }
    }

    fn run_to(&mut self, at: Time) {
        let micros = at.since(self.world.now).as_micros() as u64;
        self.world.run_micros(micros);
    }

    fn act(&mut self, act: Act) {
        let world = &mut self.world;
        match act {
            Act::Call(at) => {
                let plan = &mut self.plans[at];
                if BROWSERS.contains(&plan.caller) && !world.is_connected(plan.caller) {
                    return;
                }
                // JsSIP asks for the shortest session there is.
                let headers = vec![("Session-Expires".into(), SESSION_TIMEOUT.to_string())];
                let leg = world.act(plan.caller, |agent, now| {
                    agent.call_with(now, &plan.uri, &plan.uri, Vec::new(), headers)
                });
                plan.leg = Some(leg);
            }
            Act::Inside(at, verb) => script::inside(world, &self.plans[at], verb),
            Act::HangUp(at) => {
                let plan = &self.plans[at];
                let Some(leg) = plan.leg else { return };
                if !matches!(world.state(plan.caller, leg), State::Ended { .. }) {
                    world.act(plan.caller, |agent, now| agent.bye(now, leg));
                }
            }
            // sbc knows at once, or only after the browser is back.
            Act::Cut(browser) if self.seed.is_multiple_of(2) => world.cut(browser),
            Act::Cut(browser) => world.vanish(browser),
            Act::Reconnect(browser) => {
                if !world.is_connected(browser) {
                    world.connect(browser);
                }
                world.act(browser, |agent, now| agent.register(now, 300));
                world.find_out(browser);
            }
            Act::Kill(member, refuses) => world.kill(member, refuses),
            Act::Revive(member) => {
                add_member(world, member, self.ground);
                world.share_registrations();
            }
            Act::Reload(is_whole) => {
                let mut settings = self.settings.clone();
                if !is_whole {
                    // The one that takes less, so that there is room for all.
                    settings.members.remove(0);
                    settings.shares.truncate(settings.shares.len().saturating_sub(1));
                }
                // Where it needs a restart this is no reload, and the world is wrong.
                world.reload(&settings).expect("members come and go without a restart");
            }
            Act::Order(order) => {
                for core in world.cores() {
                    // It may just have been taken out.
                    let _ = core.set_order(MEMBERS[0], order);
                }
            }
            Act::Crash { node, millis } => world.crash(node, millis),
            Act::Lure(number) => world.inject(STRANGER, DOOR, lure(number).as_bytes()),
        }
    }
}
