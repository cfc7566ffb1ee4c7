//! `sbc explain`: what would become of one message, and why. It asks the core that serves traffic, and prints.

mod report;
mod text;

use std::io::Read;
use std::num::NonZeroU64;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use jiff::Timestamp;
use sbc_core::flow::{ConnectionId, Flow, ListenerId, Transport};
use sbc_core::time::Time;

use super::rehearse::idle_core;
use crate::cli;
use crate::config::{self, Machine, Settings, with_line_ends};
use report::Report;

/// As clap has it: the question was wrong, not the answer.
const USAGE: u8 = 2;
/// No message is as large as this; whatever is larger is another file.
const MOST_BYTES: u64 = 1 << 20;

/// Prints the way of the message; the exit code says whether it goes on.
pub(super) fn explain(arguments: &cli::Explain) -> anyhow::Result<ExitCode> {
    let report = match ask(arguments) {
        Ok(report) => report,
        Err(error) => {
            eprintln!("{error:#}");
            return Ok(ExitCode::from(USAGE));
        }
    };
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    Ok(if report.goes_on { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn ask(arguments: &cli::Explain) -> anyhow::Result<Report> {
    let settings = match config::load(&arguments.config, &Machine::this()) {
        Ok(settings) => settings,
        Err(problems) => bail!("{problems}"),
    };
    let flow = flow(arguments, &settings)?;
    let message = read(&arguments.message)?;
    let core = idle_core(&settings);
    core.set_unix_zero(Timestamp::now().as_second());
    let account = core.explain(flow, arguments.source, &message, Time::ZERO);
    Ok(Report::new(&settings, flow, arguments.source, &message, account))
}

/// The way in: a first connection, where the listener has some.
fn flow(arguments: &cli::Explain, settings: &Settings) -> anyhow::Result<Flow> {
    let mut listeners = (0_u16..).map(ListenerId).zip(&settings.listeners);
    let Some((id, listener)) = listeners.find(|(_, listener)| *listener.core.name == *arguments.listener)
    else {
        let names: Vec<&str> = settings.listeners.iter().map(|listener| &*listener.core.name).collect();
        bail!("--listener: found {:?}, expected one of: {}", arguments.listener, names.join(", "));
    };
    let connection = (listener.core.transport != Transport::Udp).then_some(ConnectionId(NonZeroU64::MIN));
    Ok(Flow { connection, ..Flow::to(id, arguments.source) })
}

/// The bytes as they are; a text without any CR gets the ends that SIP has.
fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut from: Box<dyn Read> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(path).with_context(|| path.display().to_string())?)
    };
    from.by_ref().take(MOST_BYTES + 1).read_to_end(&mut bytes).with_context(|| path.display().to_string())?;
    if bytes.len() as u64 > MOST_BYTES {
        bail!("{}: found more than {MOST_BYTES} bytes, expected one SIP message", path.display());
    }
    if bytes.trim_ascii().is_empty() {
        bail!("{}: found nothing, expected one SIP message", path.display());
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) if !text.contains('\r') => Ok(with_line_ends(text)),
        _ => Ok(bytes),
    }
}
