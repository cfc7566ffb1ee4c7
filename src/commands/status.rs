//! `sbc status`

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

use crate::admin;
use crate::cli;

/// Longer than a healthy node ever takes.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Asks the admin API; the exit code says whether the node is ready.
pub(super) fn status(arguments: &cli::Status) -> anyhow::Result<ExitCode> {
    let url = format!("{}/api/v1/status", arguments.admin.trim_end_matches('/'));
    let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).build().into();
    let text =
        agent.get(&url).call().and_then(|mut response| response.body_mut().read_to_string()).with_context(
            || format!("no status from {url}: is sbc running, and is this its `admin.bind`?"),
        )?;
    let status: admin::Status = serde_json::from_str(&text)
        .with_context(|| format!("{url} is not the admin API of this version of sbc"))?;
    if arguments.json {
        println!("{text}");
    } else {
        print!("{status}");
    }
    Ok(if status.ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
