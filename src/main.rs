//! `sbc`: the program around `sbc-core`.
//!
//! It reads the command line and the configuration, binds the sockets, runs one thread per worker and the admin API.
//! It never looks into a SIP message: what to do with one is the core's word, alone.
#![forbid(unsafe_code)]

mod admin;
mod cli;
mod commands;
mod config;
mod keys;
mod logging;
mod metrics;
mod quickstart;
mod run;
mod state_dir;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match commands::execute(cli::Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
