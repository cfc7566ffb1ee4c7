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
    let mut slow = false;
    for rules in [10, 100, 1_000, 10_000, 20_000] {
        slow |= run(&clock, &format!("{rules} rules"), &mixes::mixed(rules), "", rules)?;
    }
    for rules in [100, 1_000, 10_000] {
        slow |= run(&clock, &format!("{rules} rules, many in common"), &mixes::crowded(rules), "", rules)?;
    }
    for regexes in [100, 1_000] {
        slow |= run(&clock, &format!("{regexes} regexes"), &mixes::regexes(regexes), "", 10_000)?;
    }
    for prefixes in [1_000, 10_000, 100_000, 1_000_000] {
        slow |= run(&clock, &format!("{prefixes} prefixes"), mixes::PREFIXED, &mixes::csv(prefixes), 10_000)?;
    }
    ensure!(!slow, "a decision takes longer than {GOAL:?} at the 99th percentile");
    Ok(())
}

/// Loads rules and asks them; true when they are slower than they may be.
fn run(clock: &Clock, name: &str, text: &str, csv: &str, rules: u32) -> Result<bool> {
    let names = Names::new(&["freeswitch", "carrier-a"], &["browsers", "carriers", "inside"]);
    let mut loaded = None;
    let start = Instant::now();
    let memory = measure(|| {
        loaded = Some(Rules::load(text, "routes.toml", &names, &One(csv)));
    });
    let load = start.elapsed();
    let compiled = loaded
        .unwrap_or_else(|| Err(Vec::new()))
        .map_err(|errors| anyhow!("{}", errors.first().map(ToString::to_string).unwrap_or_default()))?;
    let Times { p50, p99, worst, single, cold } = asking::ask(&compiled, rules, clock);
    println!(
        "{name:<28} {p50:>6} {p99:>6} {worst:>6} {single:>7} {cold:>6} {:>7} ms {:>7} KiB",
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
