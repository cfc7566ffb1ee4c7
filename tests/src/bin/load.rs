//! The real program under kills, over bad paths and under attack, at full size, and the figures: `make load`.
//!
//! It runs in a network namespace of its own, where rules may lose packets without touching anybody else's.
#![forbid(unsafe_code)]

use std::fmt::Display;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use clap::{Parser, ValueEnum};
use sbc_core::flow::Transport;
use sbc_tests::load::{
    Flood, Way, Weather, deafen, fail, kills, overload, reload, silence, stop_process, travel,
};
use sbc_tests::process::Mood;

/// Set in the network namespace that the program has made for itself.
const INSIDE: &str = "SBC_LOAD_NAMESPACE";

/// sbc killed under SIPp, calls over bad paths, and calls under attack.
#[derive(Debug, Parser)]
struct Arguments {
    /// Only these.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Scenario>,
    /// How often sbc is killed.
    #[arg(long, default_value_t = 20)]
    kills: u32,
    /// Calls a second meanwhile, and under floods.
    #[arg(long, default_value_t = 50)]
    rate: u32,
    /// How often the configuration is read again under 200 calls a second.
    #[arg(long, default_value_t = 100)]
    reloads: u32,
    /// Calls over each bad path.
    #[arg(long, default_value_t = 400)]
    calls: usize,
    /// How long each flood lasts, in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Datagrams of garbage a second.
    #[arg(long, default_value_t = 60_000)]
    garbage: u32,
    /// Requests of strangers a second.
    #[arg(long, default_value_t = 20_000)]
    strangers: u32,
    /// TLS clients that say nothing, or too little.
    #[arg(long, default_value_t = 5_000)]
    silent: usize,
    /// Browsers that never read.
    #[arg(long, default_value_t = 2_000)]
    deaf: usize,
    /// How many times of what one processor manages it is offered.
    #[arg(long, default_value_t = 10)]
    times: u32,
}

/// One run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// sbc is killed under calls.
    Kills,
    /// One of three members is gone, stopped, full, paused, or hears nothing, under calls.
    Faults,
    /// The configuration is read again under calls.
    Reloads,
    /// Calls over UDP that loses datagrams.
    Udp,
    /// Calls over wss that loses packets.
    Wss,
    /// Calls while garbage comes from 100,000 sources.
    Garbage,
    /// Calls while 100,000 strangers ask for something.
    Strangers,
    /// TLS clients that say nothing, while others connect.
    Silent,
    /// Browsers that never read, while another one calls.
    Deaf,
    /// Ever more calls for one processor.
    Overload,
}

/// Addresses that floods come from.
const SOURCES: u32 = 100_000;

fn progress(what: &str, done: usize, of: usize) {
    eprint!("\r{what}: {done} of {of} ");
    if done >= of {
        eprintln!();
    }
    let _ = io::stderr().flush();
}

/// The same program in a network namespace of its own; returns only when that is not possible.
fn enter_namespace() -> io::Error {
    let Ok(own) = std::env::current_exe() else { return io::Error::last_os_error() };
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--net", "--"]).arg(own).args(std::env::args_os().skip(1));
    command.env(INSIDE, "1").exec()
}

/// Prints the figures; what is not as it must be.
fn told(figures: &impl Display, broken: Vec<String>) -> Vec<String> {
    println!("{figures}");
    broken
}

impl Scenario {
    fn run(self, arguments: &Arguments) -> io::Result<Vec<String>> {
        match self {
            Self::Kills => {
                let of = arguments.kills as usize;
                let killed =
                    kills(arguments.kills, arguments.rate, |done| progress("kills", done as usize, of));
                Ok(told(&killed, killed.broken()))
            }
            Self::Faults => {
                let by_udp = [Mood::Gone, Mood::Stopped, Mood::Full, Mood::Paused, Mood::Deaf];
                let by_udp = by_udp.map(|mood| (mood, Transport::Udp));
                let by_tcp = [Mood::Gone, Mood::Stopped].map(|mood| (mood, Transport::Tcp));
                let all = by_udp.into_iter().chain(by_tcp);
                let failed = all.map(|(mood, transport)| fail(mood, transport, arguments.rate));
                let failed = failed.chain(std::iter::once_with(|| stop_process(arguments.rate)));
                Ok(failed.flat_map(|failed| told(&failed, failed.broken())).collect())
            }
            Self::Reloads => {
                let reloaded = reload(arguments.reloads, arguments.reloads * 40, 200);
                Ok(told(&reloaded, reloaded.broken()))
            }
            Self::Udp => Self::calls_over(Way::Udp, arguments),
            Self::Wss => Self::calls_over(Way::Wss, arguments),
            Self::Garbage => Self::calls_under(Weather::Garbage, arguments.garbage, arguments),
            Self::Strangers => Self::calls_under(Weather::Strangers, arguments.strangers, arguments),
            Self::Silent => {
                let of = arguments.silent;
                let silenced = silence(of, |closed| progress("silent clients closed", closed, of))?;
                Ok(told(&silenced, silenced.broken()))
            }
            Self::Deaf => {
                let of = arguments.deaf;
                let deafened = deafen(of, true, |what, done| progress(what, done, of))?;
                Ok(told(&deafened, deafened.broken()))
            }
            Self::Overload => {
                let overloaded = overload(arguments.times, |what| eprintln!("{what}"));
                Ok(told(&overloaded, overloaded.broken()))
            }
        }
    }

    fn calls_over(way: Way, arguments: &Arguments) -> io::Result<Vec<String>> {
        let name = format!("{way:?} calls");
        let travelled = travel(way, arguments.calls, |done| progress(&name, done, arguments.calls))?;
        Ok(told(&travelled, travelled.broken()))
    }

    fn calls_under(weather: Weather, rate: u32, arguments: &Arguments) -> io::Result<Vec<String>> {
        let Arguments { rate: calls, seconds, .. } = *arguments;
        let name = format!("calls under {weather:?}");
        let of = (calls * seconds) as usize;
        let flood = Flood { weather, rate, sources: SOURCES, calls, seconds };
        let flooded = flood.run(|answered| progress(&name, answered as usize, of))?;
        Ok(told(&flooded, flooded.broken()))
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if std::env::var_os(INSIDE).is_none() {
        let error = enter_namespace();
        eprintln!("no network namespace here, and so no lost packets: unshare: {error}");
        return ExitCode::FAILURE;
    }
    if !Command::new("ip").args(["link", "set", "lo", "up"]).status().is_ok_and(|status| status.success()) {
        eprintln!("no loopback in the network namespace: is ip (iproute2) installed?");
        return ExitCode::FAILURE;
    }
    let asked = |scenario: &Scenario| arguments.only.is_empty() || arguments.only.contains(scenario);
    let mut broken = Vec::new();
    for scenario in Scenario::value_variants().iter().copied().filter(asked) {
        match scenario.run(&arguments) {
            Ok(found) => broken.extend(found),
            Err(error) => broken.push(format!("{scenario:?} is not possible here: {error}")),
        }
    }
    broken.iter().for_each(|what| println!("{what}"));
    if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
