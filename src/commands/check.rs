//! `sbc check`

use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;

use super::rehearse::rehearse;
use crate::cli::Check;
use crate::config::{self, Machine, Problems, Settings};

/// Prints what the file amounts to, or everything that is wrong with it.
pub(super) fn check(arguments: &Check) -> anyhow::Result<ExitCode> {
    match config::load(&arguments.config, &Machine::this()) {
        Ok(settings) => {
            print!("{}", summary(&settings));
            settings.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
            Ok(arguments.tests.as_ref().map_or(ExitCode::SUCCESS, |tests| rehearse_all(&settings, tests)))
        }
        Err(problems) => Ok(refuse(&problems)),
    }
}

fn refuse(problems: &Problems) -> ExitCode {
    println!("{problems}");
    let count = problems.len();
    eprintln!("{count} {}", if count == 1 { "problem" } else { "problems" });
    ExitCode::FAILURE
}

/// Every example that differs, and how many do.
fn rehearse_all(settings: &Settings, tests: &Path) -> ExitCode {
    let rehearsed = match rehearse(settings, tests) {
        Ok(rehearsed) => rehearsed,
        Err(problems) => return refuse(&problems),
    };
    for different in &rehearsed.different {
        println!("{different}");
    }
    let (total, wrong) = (rehearsed.total, rehearsed.different.len());
    if wrong == 0 {
        println!("ok: {total} tests");
        return ExitCode::SUCCESS;
    }
    eprintln!("{wrong} of {total} tests differ");
    ExitCode::FAILURE
}

/// What would run, in a few lines: an operator sees what was derived.
fn summary(settings: &Settings) -> String {
    let mut text = String::new();
    for listener in &settings.listeners {
        let core = &listener.core;
        let transport = core.transport.to_string().to_lowercase();
        let _ =
            write!(text, "listener {}: {transport} {} is {} to peers", core.name, core.bind, core.advertise);
        let tls = listener.connection.as_ref().and_then(|connection| connection.tls.as_ref());
        if tls.is_some_and(|tls| tls.certificates.is_none()) {
            text.push_str(", with a self-signed certificate: clients will refuse it");
        }
        text.push('\n');
    }
    for pool in &settings.pools {
        let members: Vec<_> = pool.members.iter().map(|member| &*member.uri).collect();
        let _ = writeln!(text, "pool {}: {}, {}", pool.name, pool.balance, members.join(" "));
    }
    let rules = settings.rules.len();
    let _ = writeln!(
        text,
        "ok: {rules} {}, {} workers",
        if rules == 1 { "rule" } else { "rules" },
        settings.workers
    );
    text
}
