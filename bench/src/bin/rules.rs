//! Prints what a decision of the rules costs, for few rules and for very many: time at the median and at the 99th
//! percentile, time to load, memory.
#![forbid(unsafe_code)]

use std::fmt::Write as _;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use allocation_counter::measure;
use anyhow::{Result, anyhow, ensure};
use routing_rules::{Files, Given, Names, Party, Query, Rules, Scratch, Zone};

/// Requests that are measured one by one; as many more go before them unmeasured.
const REQUESTS: u32 = 100_000;
/// As many different requests there are.
const DIFFERENT: u32 = 8192;
/// What a decision may take at the 99th percentile.
const GOAL: Duration = Duration::from_micros(2);

fn main() -> Result<()> {
    println!("{:<28} {:>9} {:>9} {:>9} {:>10} {:>9}", "", "p50", "p99", "worst", "load", "memory");
    let mut slow = false;
    for rules in [10, 100, 1_000, 10_000] {
        slow |= run(&format!("{rules} rules"), &mixed(rules), "")?;
    }
    for prefixes in [1_000, 10_000, 100_000, 1_000_000] {
        slow |= run(&format!("{prefixes} prefixes"), PREFIXED, &csv(prefixes))?;
    }
    ensure!(!slow, "a decision takes longer than {GOAL:?} at the 99th percentile");
    Ok(())
}

/// Loads rules and asks them; true when they are slower than they may be.
fn run(name: &str, text: &str, csv: &str) -> Result<bool> {
    let names = Names::new(&["freeswitch", "carrier-a"], &["browsers", "carriers", "inside"]);
    let mut loaded = None;
    let start = Instant::now();
    let memory = measure(|| {
        loaded = Some(Rules::load(text, "routes.toml", &names, &One(csv)));
    });
    let load = start.elapsed();
    let rules = loaded
        .unwrap_or_else(|| Err(Vec::new()))
        .map_err(|errors| anyhow!("{}", errors.first().map(ToString::to_string).unwrap_or_default()))?;
    let mut times = ask(&rules);
    times.sort_unstable();
    let at = |share: usize| times.get(times.len() * share / 1000).copied().unwrap_or_default();
    let worst = times.last().copied().unwrap_or_default();
    println!(
        "{name:<28} {:>6} ns {:>6} ns {:>6} ns {:>7} ms {:>5} KiB",
        at(500).as_nanos(),
        at(990).as_nanos(),
        worst.as_nanos(),
        load.as_millis(),
        memory.bytes_current / 1024,
    );
    Ok(at(990) > GOAL)
}

fn ask(rules: &Rules) -> Vec<Duration> {
    let requests: Vec<Request> = (0..DIFFERENT).map(Request::new).collect();
    let mut scratch = Scratch::default();
    let mut times = Vec::with_capacity(REQUESTS as usize);
    for (number, request) in (0..2 * REQUESTS).zip(requests.iter().cycle()) {
        let headers = [("X-Trunk", request.trunk.as_str()), ("User-Agent", "phone 1.2")];
        let lookup = Given { registered: number % 2 == 0, headers: &headers };
        let query = request.query(&lookup);
        let start = Instant::now();
        black_box(rules.evaluate(black_box(&query), &mut scratch).rule);
        let took = start.elapsed();
        if number >= REQUESTS {
            times.push(took);
        }
    }
    times
}

/// One request; what it asks for is in the rules three times out of four.
struct Request {
    user: String,
    domain: String,
    caller: String,
    trunk: String,
    source: IpAddr,
}

impl Request {
    fn new(number: u32) -> Self {
        // A walk that touches everything in no order.
        let mixed = number.wrapping_mul(2_654_435_761);
        let many = mixed % 13_333;
        let user = match number % 5 {
            0 => format!("{many}"),
            1 => format!("+49{many:05}123"),
            2 => format!("00{many}"),
            3 => format!("+{}", 100_000_000 + mixed % 13_000_000 * 60),
            _ => format!("user-{many}"),
        };
        Self {
            user,
            domain: format!("tenant-{many}.example.com"),
            caller: format!("{}", many + 7),
            trunk: format!("trunk-{many}"),
            source: Ipv4Addr::from(0x0A00_0000 + many * 256 + 1).into(),
        }
    }

    fn query<'a>(&'a self, lookup: &'a Given<'a>) -> Query<'a> {
        Query {
            method: "INVITE",
            listener: 1,
            zone: Zone::Trunk,
            transport: "udp",
            source: self.source,
            domain: &self.domain,
            user: &self.user,
            from: Party { user: &self.caller, domain: &self.domain },
            to: Party { user: &self.user, domain: &self.domain },
            share: 17,
            time: 1_800_000_000,
            region: "eu",
            lookup,
        }
    }
}

/// Rules of an operator with many tenants, numbers and carriers, and one for the rest.
fn mixed(rules: u32) -> String {
    let mut text = String::new();
    for number in 0..rules.saturating_sub(1) {
        let matching = match number % 8 {
            0 => format!("domain = 'tenant-{number}.example.com'"),
            1 => format!("method = 'INVITE', user = '{number}'"),
            2 => format!("user = {{ prefix = '+49{number:05}' }}, zone = 'trunk'"),
            3 => format!("source = '10.{}.{}.0/24', listener = 'carriers'", number / 256, number % 256),
            4 => format!("from = '{number}@tenant-{number}.example.com'"),
            5 => format!("header = {{ X-Trunk = 'trunk-{number}' }}, method = ['INVITE', 'MESSAGE']"),
            6 if number < 4096 => format!("user = {{ regex = '^00{number}$' }}"),
            6 => format!("domain = '*.sub-{number}.example.com', registered = true"),
            _ => format!(
                "user = 'user-{number}', time = {{ zone = 'Europe/Berlin', days = 'mon-fri', inside = '08:00-18:00' }}"
            ),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "[[rule]]\nname = 'rule {number}'\nmatch = {{ {matching} }}\nroute = {{ pool = 'freeswitch' }}"
        );
    }
    text + "[[rule]]\nname = 'rest'\nreject = { status = 404 }\n"
}

const PREFIXED: &str = "
[[rule]]
name = 'premium'
match = { user = { prefixes = 'prefixes.csv' } }
reject = { status = 403 }
[[rule]]
name = 'rest'
route = { pool = 'carrier-a' }
";

/// Numbers of nine digits, none the beginning of another, all over the world.
fn csv(prefixes: u32) -> String {
    let step = 800_000_000 / prefixes;
    let mut text = String::with_capacity(prefixes as usize * 20);
    for number in 0..prefixes {
        let _ = writeln!(text, "+{},zone {}", 100_000_000 + number * step, number % 50);
    }
    text
}

/// The one file there is.
struct One<'a>(&'a str);

impl Files for One<'_> {
    fn read(&self, _: &str) -> Result<String, String> {
        Ok(self.0.to_owned())
    }
}
