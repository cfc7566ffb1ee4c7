//! `sbc reload`

use std::process::ExitCode;

use super::client::Client;
use crate::admin::{Problems, ReloadRequest, Reloaded};
use crate::cli::Reload;

/// Asks the admin API, and prints what changed or why nothing did.
pub(super) fn reload(arguments: &Reload) -> anyhow::Result<ExitCode> {
    let client = Client::new(&arguments.admin);
    let answer = client.post("/api/v1/reload", &ReloadRequest { previous: arguments.previous })?;
    if answer.status == 200 {
        let reloaded: Reloaded = client.read(&answer)?;
        print!("{reloaded}");
        return Ok(ExitCode::SUCCESS);
    }
    let Problems { problems } = client.read(&answer)?;
    problems.iter().for_each(|problem| println!("{problem}"));
    eprintln!("nothing has changed");
    Ok(ExitCode::FAILURE)
}
