//! `sbc bans`

use std::process::ExitCode;

use super::client::Client;
use crate::admin::{Bans, Lift};
use crate::cli;

/// Prints the bans in force, or ends one; the exit code says whether there was one to end.
pub(super) fn bans(arguments: &cli::Bans) -> anyhow::Result<ExitCode> {
    let client = Client::new(&arguments.admin);
    if let Some(source) = arguments.lift {
        let answer = client.post("/api/v1/bans/lift", &Lift { source })?;
        let lifted = answer.status == 200;
        println!("{source} {}", if lifted { "is heard again" } else { "is not banned" });
        return Ok(if lifted { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let answer = client.get("/api/v1/bans")?;
    let bans: Bans = client.read(&answer)?;
    if arguments.json {
        println!("{}", answer.text);
    } else {
        print!("{bans}");
    }
    Ok(ExitCode::SUCCESS)
}
