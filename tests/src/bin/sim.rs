//! Many worlds of chaos in virtual time, on all processors, and their figures: `make sim`.
#![forbid(unsafe_code)]

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;
use sbc_tests::sim::chaos::{Chaos, Outcome, Table, Weather};

/// Complaints printed.
const MOST_PRINTED: usize = 40;

/// Calls over bad links with things that die, and what must hold all the same.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many worlds.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// How many calls, in all of them together.
    #[arg(long, default_value_t = 100_000)]
    calls: u64,
    /// Play this seed only.
    #[arg(long)]
    seed: Option<u64>,
    /// With --seed: print every datagram.
    #[arg(long)]
    trace: bool,
    /// Threads; without it one for each processor.
    #[arg(long)]
    threads: Option<usize>,
}

/// What the threads share.
struct Work {
    next: AtomicU64,
    seeds: u64,
    calls_each: usize,
    done: Mutex<(Table, Vec<Outcome>)>,
    begun: Instant,
}

impl Work {
    fn run(&self) {
        loop {
            let seed = self.next.fetch_add(1, Ordering::Relaxed);
            if seed >= self.seeds {
                return;
            }
            let outcome = Chaos::new(seed, Weather::of(seed), self.calls_each).play();
            let Ok(mut done) = self.done.lock() else { return };
            done.0.add(&outcome);
            if !outcome.broken.is_empty() {
                done.1.push(outcome);
            }
            self.show(&done.0, done.1.len());
        }
    }

    fn show(&self, table: &Table, broken: usize) {
        let total = table.total();
        if std::io::stderr().is_terminal() || total.worlds.is_multiple_of(100) {
            let end = if std::io::stderr().is_terminal() { "\r" } else { "\n" };
            let seconds = self.begun.elapsed().as_secs();
            let (worlds, calls) = (total.worlds, total.calls);
            eprint!("{worlds} of {} worlds, {calls} calls, {broken} broken, {seconds} s{end}", self.seeds);
            let _ = std::io::stderr().flush();
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let calls_each = arguments.calls.div_ceil(arguments.seeds.max(1)) as usize;
    if let Some(seed) = arguments.seed {
        let mut chaos = Chaos::new(seed, Weather::of(seed), calls_each);
        chaos.world.trace_from = arguments.trace.then_some(chaos.world.now);
        let outcome = chaos.play();
        println!("{outcome:#?}");
        return if outcome.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let work = Work {
        next: AtomicU64::new(0),
        seeds: arguments.seeds,
        calls_each,
        done: Mutex::default(),
        begun: Instant::now(),
    };
    let threads = arguments.threads.or_else(|| std::thread::available_parallelism().ok().map(usize::from));
    std::thread::scope(|scope| {
        (0..threads.unwrap_or(1)).for_each(|_| drop(scope.spawn(|| work.run())));
    });
    let Ok((table, broken)) = work.done.into_inner() else { return ExitCode::FAILURE };
    println!("{table}");
    for outcome in broken.iter().take(MOST_PRINTED) {
        println!("seed {} ({}): {:#?}", outcome.seed, outcome.weather.name(), outcome.broken);
    }
    println!("{} worlds with a broken invariant; {} s", broken.len(), work.begun.elapsed().as_secs());
    if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
