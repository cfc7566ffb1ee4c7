//! The real program under kills and over bad paths, at full size, and the figures: `make load`.
//!
//! It runs in a network namespace of its own, where rules may lose packets without touching anybody else's.
#![forbid(unsafe_code)]

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use clap::Parser;
use sbc_tests::load::{Way, fail, kills, reload, travel};
use sbc_tests::process::Mood;

/// Set in the network namespace that the program has made for itself.
const INSIDE: &str = "SBC_LOAD_NAMESPACE";

/// sbc killed under SIPp, and calls over bad paths.
#[derive(Debug, Parser)]
struct Arguments {
    /// How often sbc is killed.
    #[arg(long, default_value_t = 20)]
    kills: u32,
    /// Calls a second meanwhile.
    #[arg(long, default_value_t = 50)]
    rate: u32,
    /// How often the configuration is read again under 200 calls a second.
    #[arg(long, default_value_t = 100)]
    reloads: u32,
    /// Calls over each bad path.
    #[arg(long, default_value_t = 400)]
    calls: usize,
}

fn progress(what: &str, done: usize, of: usize) {
    eprint!("\r{what}: {done} of {of} ");
    if done >= of {
        eprintln!();
    }
    let _ = std::io::stderr().flush();
}

/// The same program in a network namespace of its own; returns only when that is not possible.
fn enter_namespace() -> std::io::Error {
    let Ok(own) = std::env::current_exe() else { return std::io::Error::last_os_error() };
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--net", "--"]).arg(own).args(std::env::args_os().skip(1));
    command.env(INSIDE, "1").exec()
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
    let killed = kills(arguments.kills, arguments.rate, |done| {
        progress("kills", done as usize, arguments.kills as usize);
    });
    let mut broken = killed.broken();
    println!("{killed}");
    for mood in [Mood::Gone, Mood::Stopped, Mood::Full, Mood::Deaf] {
        let failed = fail(mood, arguments.rate);
        println!("{failed}");
        broken.extend(failed.broken());
    }
    let reloaded = reload(arguments.reloads, arguments.reloads * 40, 200);
    println!("{reloaded}");
    broken.extend(reloaded.broken());
    for way in [Way::Udp, Way::Wss] {
        let name = format!("{way:?} calls");
        match travel(way, arguments.calls, |done| progress(&name, done, arguments.calls)) {
            Ok(travelled) => {
                println!("{travelled}");
                broken.extend(travelled.broken());
            }
            Err(error) => broken.push(format!("{way:?} is not possible here: {error}")),
        }
    }
    broken.iter().for_each(|what| println!("{what}"));
    if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
