//! Many worlds of chaos in virtual time, on all processors, and their figures: `make sim`.
#![forbid(unsafe_code)]

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use clap::Parser;
use sbc_tests::sim::chaos::{Chaos, Kills, Outcome, Table, Weather};

/// Loss while sbc is killed during call set-up, in the second run of that.
const LOSS_OF_KILLS: u64 = 5;
/// So many worlds for each one that several threads play: theirs take longer.
const WORLDS_PER_THREADED: u64 = 3;
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
    /// How often sbc is killed during call set-up.
    #[arg(long, default_value_t = 200)]
    kills: u64,
    /// Play this seed only.
    #[arg(long)]
    seed: Option<u64>,
    /// With --seed: play its kill, not its chaos.
    #[arg(long)]
    kill: bool,
    /// With --kill: so many of a hundred datagrams are lost.
    #[arg(long, default_value_t = 0)]
    loss: u64,
    /// With --seed: several threads in sbc at once. Such a world does not replay, but another may show the same.
    #[arg(long)]
    threaded: bool,
    /// With --seed: print every datagram.
    #[arg(long)]
    trace: bool,
    /// Threads; without it one for each processor.
    #[arg(long)]
    threads: Option<usize>,
}

/// What is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Chaos of all weathers.
    Chaos,
    /// The same with several threads in sbc at once.
    Threads,
    /// sbc killed during call set-up.
    Kills,
    /// The same where datagrams are lost too.
    LossyKills,
}

/// What came of it so far.
#[derive(Default)]
struct Done {
    table: Table,
    kills: Kills,
    broken: Vec<String>,
}

/// What the threads share.
struct Work {
    part: Part,
    next: AtomicU64,
    seeds: u64,
    calls_each: usize,
    done: Mutex<Done>,
    begun: Instant,
}

impl Work {
    fn new(part: Part, seeds: u64, calls: u64) -> Self {
        Self {
            part,
            next: AtomicU64::new(0),
            seeds,
            calls_each: calls.div_ceil(seeds.max(1)) as usize,
            done: Mutex::default(),
            begun: Instant::now(),
        }
    }

    /// Play all of it on so many threads.
    fn play(self, threads: usize) -> Done {
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| self.run());
            }
        });
        self.done.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        loop {
            let seed = self.next.fetch_add(1, Ordering::Relaxed);
            if seed >= self.seeds {
                return;
            }
            let weather = Weather::of(seed);
            match self.part {
                Part::Chaos => self.note(&Chaos::new(seed, weather, self.calls_each).play()),
                Part::Threads => {
                    self.note(&Chaos::threaded(seed, of_one_node(weather), self.calls_each).play())
                }
                Part::Kills => self.note_kill(Chaos::kill_once(seed, 0)),
                Part::LossyKills => self.note_kill(Chaos::kill_once(seed, LOSS_OF_KILLS)),
            }
        }
    }

    fn note(&self, outcome: &Outcome) {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.table.add(outcome);
        let name = outcome.weather.name();
        let told = outcome.broken.iter().map(|what| format!("seed {} ({name}): {what}", outcome.seed));
        done.broken.extend(told);
        let total = done.table.total();
        self.show(total.worlds, total.calls, done.broken.len());
    }

    fn note_kill(&self, kills: Kills) {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.broken.extend(kills.broken.iter().cloned());
        done.kills.add(kills);
        self.show(done.kills.kills, done.kills.calls, done.broken.len());
    }

    fn show(&self, worlds: u64, calls: u64, broken: usize) {
        let is_terminal = std::io::stderr().is_terminal();
        if is_terminal || worlds.is_multiple_of(100) {
            let end = if is_terminal { "\r" } else { "\n" };
            let (part, seconds) = (self.part, self.begun.elapsed().as_secs());
            eprint!(
                "{part:?}: {worlds} of {} worlds, {calls} calls, {broken} broken, {seconds} s{end}",
                self.seeds
            );
            let _ = std::io::stderr().flush();
        }
    }
}

/// Threads are those of one node.
const fn of_one_node(weather: Weather) -> Weather {
    match weather {
        Weather::NodeKilled => Weather::Killed,
        other => other,
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(seed) = arguments.seed {
        return replay(seed, &arguments);
    }
    let threads = arguments.threads.or_else(|| std::thread::available_parallelism().ok().map(usize::from));
    let threads = threads.unwrap_or(1);
    let begun = Instant::now();
    let chaos = Work::new(Part::Chaos, arguments.seeds, arguments.calls).play(threads);
    // These bring threads of their own.
    let (seeds, calls) =
        (arguments.seeds.div_ceil(WORLDS_PER_THREADED), arguments.calls.div_ceil(WORLDS_PER_THREADED));
    let threaded = Work::new(Part::Threads, seeds, calls).play(1);
    let kills = Work::new(Part::Kills, arguments.kills, 0).play(threads);
    let lossy = Work::new(Part::LossyKills, arguments.kills, 0).play(threads);
    println!("{}\nseveral threads in one core at once:\n{}", chaos.table, threaded.table);
    println!("nothing lost but by the kill:\n{}\n{LOSS_OF_KILLS} % lost:\n{}", kills.kills, lossy.kills);
    let parts = [chaos, threaded, kills, lossy];
    let is_good = parts[2].kills.is_good();
    let broken: Vec<_> =
        parts.into_iter().flat_map(|part| part.table.broken().into_iter().chain(part.broken)).collect();
    broken.iter().take(MOST_PRINTED).for_each(|what| println!("{what}"));
    println!("{} invariants broken; {} s", broken.len(), begun.elapsed().as_secs());
    if broken.is_empty() && is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One world again, and all that there is to say of it.
fn replay(seed: u64, arguments: &Arguments) -> ExitCode {
    let calls_each = arguments.calls.div_ceil(arguments.seeds.max(1)) as usize;
    let mut chaos = match arguments.kill {
        true => Chaos::before_kill(seed, arguments.loss),
        false if arguments.threaded => Chaos::threaded(seed, of_one_node(Weather::of(seed)), calls_each),
        false => Chaos::new(seed, Weather::of(seed), calls_each),
    };
    chaos.world.trace_from = arguments.trace.then_some(chaos.world.now);
    if arguments.kill {
        let kills = chaos.play_kill();
        println!("{kills}{:#?}", kills.broken);
        return if kills.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let outcome = chaos.play();
    println!("{outcome:#?}");
    if outcome.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
