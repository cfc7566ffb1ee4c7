//! `sbc keygen`

use std::process::ExitCode;

use anyhow::Context;

use crate::cli::Keygen;
use crate::keys;

/// Makes a key and shows or keeps it.
pub(super) fn keygen(arguments: &Keygen) -> anyhow::Result<ExitCode> {
    let key = keys::generate().context("no randomness from the system")?;
    match &arguments.out {
        None => println!("{}", keys::show(&key)),
        Some(path) => {
            keys::write_new(path, &key).with_context(|| format!("cannot write {}", path.display()))?
        }
    }
    Ok(ExitCode::SUCCESS)
}
