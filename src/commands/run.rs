//! `sbc run`

use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::Run;
use crate::config::{self, Machine};
use crate::{logging, quickstart, run};

/// What is looked for when no file is named.
const DEFAULT_FILE: &str = "sbc.toml";

/// Runs until a signal says stop.
pub(super) fn run(arguments: &Run) -> anyhow::Result<ExitCode> {
    let machine = Machine::this();
    let file =
        arguments.config.clone().or_else(|| Some(PathBuf::from(DEFAULT_FILE)).filter(|file| file.exists()));
    let settings = match &file {
        Some(file) => config::load(file, &machine)?,
        None => quickstart::settings(&machine)?,
    };
    logging::start(&settings.log)?;
    for warning in &settings.warnings {
        tracing::warn!(warning, "the configuration may be wrong");
    }
    let greeting = file.is_none().then(|| quickstart::greeting(&settings));
    run::run(settings, file, || print!("{}", greeting.unwrap_or_default()))?;
    Ok(ExitCode::SUCCESS)
}
