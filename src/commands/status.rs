//! `sbc status`

use std::process::ExitCode;

use super::client::Client;
use crate::admin;
use crate::cli;

/// Asks the admin API; the exit code says whether the node is ready.
pub(super) fn status(arguments: &cli::Status) -> anyhow::Result<ExitCode> {
    let client = Client::new(&arguments.admin);
    let answer = client.get("/api/v1/status")?;
    let status: admin::Status = client.read(&answer)?;
    if arguments.json {
        println!("{}", answer.text);
    } else {
        print!("{status}");
    }
    Ok(if status.ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
