//! Prints what a decision of the rules costs, for few rules and for very many: time at the median and at the 99th
//! percentile, time to load, memory.
#![forbid(unsafe_code)]

mod asking;
mod mixes;

use std::time::{Duration, Instant};

use allocation_counter::measure;
use anyhow::{Result, anyhow, ensure};
use routing_rules::{Files, Names, Rules};

use asking::{Clock, Times};

/// What a decision may take at the 99th percentile.
const GOAL: Duration = Duration::from_micros(2);

fn main() -> Result<()> {
    let clock = Clock::new();
    println!(
        "{} requests in a fixed order, {} passes; ns, less the {} ns of an empty measurement.",
        asking::DIFFERENT,
        asking::PASSES,
        clock.empty()
    );
    println!(
        "p50, p99, worst: over the requests, each by the median of its passes. single: p99 of all single"
    );
    println!(
        "decisions, whatever the scheduler did. cold: p99 when {} KiB of other memory were touched before.",
        asking::OTHER_WORK / 1024
    );
    println!();
    println!(
        "{:<28} {:>6} {:>6} {:>6} {:>7} {:>6} {:>10} {:>11}",
        "", "p50", "p99", "worst", "single", "cold", "load", "memory"
    );
    // What a name on the command line is no part of, is left out.
    let only = std::env::args().nth(1).unwrap_or_default();
    let mut slow = false;
    for case in cases().filter(|case| case.name.contains(&only)) {
        slow |= run(&clock, &case)?;
    }
    ensure!(!slow, "a decision takes longer than {GOAL:?} at the 99th percentile");
    Ok(())
}

/// Rules, the file of prefixes that they name, and how many rules the requests suit.
struct Case {
    name: String,
    text: fn(u32) -> String,
    csv: fn(u32) -> String,
    size: u32,
    suiting: u32,
}

fn cases() -> impl Iterator<Item = Case> {
    let no_csv = |_| String::new();
    let case = move |name: &str, text, size| Case {
        name: format!("{size} {name}"),
        text,
        csv: no_csv,
        size,
        suiting: size,
    };
    let rules = [10, 100, 1_000, 10_000, 20_000].map(|size| case("rules", mixes::mixed, size));
    let crowded = [100, 1_000, 10_000].map(|size| case("rules behind 50 for all", mixes::crowded, size));
    let regexes = [100, 1_000].map(|size| Case { suiting: 10_000, ..case("regexes", mixes::regexes, size) });
    let prefixes = [1_000, 10_000, 100_000, 1_000_000].map(|size| Case {
        csv: mixes::csv,
        suiting: 10_000,
        ..case("prefixes", mixes::prefixed, size)
    });
    rules.into_iter().chain(crowded).chain(regexes).chain(prefixes)
}

/// Loads rules and asks them; true when they are slower than they may be.
fn run(clock: &Clock, case: &Case) -> Result<bool> {
    let (text, csv) = ((case.text)(case.size), (case.csv)(case.size));
    let names = Names::new(&["freeswitch", "carrier-a"], &["browsers", "carriers", "inside"]);
    let mut loaded = None;
    let start = Instant::now();
    let memory = measure(|| {
        loaded = Some(Rules::load(&text, "routes.toml", &names, &One(&csv)));
    });
    let load = start.elapsed();
    let compiled = loaded
        .unwrap_or_else(|| Err(Vec::new()))
        .map_err(|errors| anyhow!("{}", errors.first().map(ToString::to_string).unwrap_or_default()))?;
    let Times { p50, p99, worst, single, cold } = asking::ask(&compiled, case.suiting, clock);
    println!(
        "{:<28} {p50:>6} {p99:>6} {worst:>6} {single:>7} {cold:>6} {:>7} ms {:>7} KiB",
        case.name,
        load.as_millis(),
        memory.bytes_current / 1024,
    );
    Ok(u128::from(p99) > GOAL.as_nanos())
}

/// The one file there is.
struct One<'a>(&'a str);

impl Files for One<'_> {
    fn read(&self, _: &str) -> Result<String, String> {
        Ok(self.0.to_owned())
    }
}
