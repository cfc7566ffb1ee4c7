//! One file per command.

mod bans;
mod check;
mod client;
mod keygen;
mod pool;
mod rehearse;
mod reload;
mod run;
mod status;

use std::process::ExitCode;

use crate::cli::{Cli, Command};

/// Runs the command.
///
/// # Errors
/// Whatever ends with exit code 1 and a message.
pub(crate) fn execute(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Check(arguments) => check::check(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Status(arguments) => status::status(&arguments),
        Command::Reload(arguments) => reload::reload(&arguments),
        Command::Bans(arguments) => bans::bans(&arguments),
        Command::Pool(arguments) => pool::pool(&arguments),
        Command::Keygen(arguments) => keygen::keygen(&arguments),
    }
}
