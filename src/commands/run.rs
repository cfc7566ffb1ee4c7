//! `sbc run`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::cli::Run;
use crate::config::{self, Machine, Settings};
use crate::{logging, run};

/// What is looked for when no file is named.
const DEFAULT_FILE: &str = "sbc.toml";
/// What runs when there is none.
const QUICKSTART: &str = include_str!("../quickstart.toml");

/// Runs until a signal says stop.
pub(super) fn run(arguments: &Run) -> anyhow::Result<ExitCode> {
    let machine = Machine::this();
    let file =
        arguments.config.clone().or_else(|| Some(PathBuf::from(DEFAULT_FILE)).filter(|file| file.exists()));
    let settings = match &file {
        Some(file) => config::load(file, &machine)?,
        None => config::parse("quickstart", QUICKSTART, Path::new(""), &machine)?,
    };
    logging::start(&settings.log)?;
    let up = || {
        if file.is_none() {
            print!("{}", greeting(&settings));
        }
    };
    run::run(&settings, up)?;
    Ok(ExitCode::SUCCESS)
}

/// What to do next.
fn greeting(settings: &Settings) -> String {
    let mut text =
        "\nsbc is up with the quickstart defaults: calls go to an echo peer. Next, in another terminal:\n\n"
            .to_owned();
    for listener in &settings.listeners {
        let port = listener.core.bind.port();
        match listener.core.transport.to_string().as_str() {
            _ if listener.core.zone != sbc_core::flow::Zone::Public => {}
            "UDP" => text.push_str(&format!(
                "  sipp -sn uac 127.0.0.1:{port} -i 127.0.0.1 -s 100 -m 1 -d 1000   one call over UDP\n"
            )),
            "WSS" => text.push_str(&format!("  wss://127.0.0.1:{port}   for browsers (self-signed: open https://127.0.0.1:{port} once and accept it)\n")),
            _ => text.push_str(&format!("  ws://127.0.0.1:{port}    for browsers, or behind a load balancer that ends TLS\n")),
        }
    }
    text.push_str("  sbc status                how it is\n\nCtrl-C stops it. `sbc run --config FILE` runs your own configuration.\n\n");
    text
}
