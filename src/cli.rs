//! The command line. Usage errors exit with 2, as clap does.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Where the admin API is unless the configuration says otherwise.
const ADMIN: &str = "http://127.0.0.1:9090";

const EXAMPLES: &str = "\
Examples:
  sbc run                              every front end on its usual port, an echo peer behind
  sbc run --config /etc/sbc/sbc.toml   as the file says
  sbc check --config sbc.toml          all that is wrong with a file, before it matters
  sbc keygen --out sbc.key             a new key for `node.keys` or `node.path_key`
  sbc status --json                    what a running sbc says of itself
  sbc reload                           take over a changed file; calls go on
  sbc bans                             who is not heard, and why

Exit codes: 0 fine, 1 the answer is no, 2 wrong usage.";

/// A SIP session border controller: browsers and carriers outside, FreeSWITCH inside.
#[derive(Debug, Parser)]
#[command(name = "sbc", version, after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run until SIGTERM or SIGINT
    Run(Run),
    /// Check a configuration and all files it names; binds and writes nothing
    Check(Check),
    /// Make a secret key: 32 random bytes as base64
    Keygen(Keygen),
    /// Ask a running sbc how it is; exit code 1 when it is not ready for calls
    Status(Status),
    /// Let a running sbc take over its changed configuration; exit code 1 when it does not
    Reload(Reload),
    /// Show which sources are banned, why and until when; or end a ban
    Bans(Bans),
    /// Take a member of a pool out of work, or back into it
    Pool(Pool),
}

/// `sbc run`
#[derive(Debug, Args)]
#[command(after_help = "\
Without --config, ./sbc.toml is used if there is one; else the quickstart defaults:
  wss 8443 (self-signed), ws 8080, udp 5060, admin 127.0.0.1:9090, an echo peer as the pool.

Examples:
  sbc run
  sbc run --config /etc/sbc/sbc.toml
  RUST_LOG=sbc=debug sbc run           RUST_LOG goes before `log.level`")]
pub(crate) struct Run {
    /// The configuration
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// `sbc check`
#[derive(Debug, Args)]
#[command(after_help = "\
Prints every problem as FILE:LINE:COLUMN: KEY: found ..., expected ...

Examples:
  sbc check --config sbc.toml && systemctl restart sbc
  sbc check --tests tests.toml         the rules answer as these examples say")]
pub(crate) struct Check {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "sbc.toml")]
    pub config: PathBuf,
    /// Examples: messages, and what the rules are to say about each; exit code 1 when one differs
    #[arg(long, value_name = "FILE")]
    pub tests: Option<PathBuf>,
}

/// `sbc keygen`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sbc keygen --out sbc.key             then: keys = [\"file:sbc.key\"]
  SBC_KEY=$(sbc keygen) sbc run ...    then: keys = [\"env:SBC_KEY\"]")]
pub(crate) struct Keygen {
    /// Write it to a new file that only its owner may read, not to the terminal
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// `sbc status`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sbc status
  sbc status --admin http://10.0.1.5:9090 --json")]
pub(crate) struct Status {
    /// Where its admin API listens
    #[arg(long, value_name = "URL", default_value = ADMIN)]
    pub admin: String,
    /// JSON as the admin API gives it
    #[arg(long)]
    pub json: bool,
}

/// `sbc reload`
#[derive(Debug, Args)]
#[command(after_help = "\
The file is read and checked by the running sbc. If anything is wrong, nothing changes and every problem is
printed as FILE:LINE:COLUMN: KEY: found ..., expected .... SIGHUP does the same; then problems are in the log.

Examples:
  sbc reload
  sbc reload --previous                back to what ran before the last reload")]
pub(crate) struct Reload {
    /// Go back to the version that ran before
    #[arg(long)]
    pub previous: bool,
    /// Where its admin API listens
    #[arg(long, value_name = "URL", default_value = ADMIN)]
    pub admin: String,
}

/// `sbc bans`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sbc bans
  sbc bans --lift 192.0.2.7            hear this address again; exit code 1 when it is not banned")]
pub(crate) struct Bans {
    /// End the ban that this address is under
    #[arg(long, value_name = "IP")]
    pub lift: Option<std::net::IpAddr>,
    /// JSON as the admin API gives it
    #[arg(long)]
    pub json: bool,
    /// Where its admin API listens
    #[arg(long, value_name = "URL", default_value = ADMIN)]
    pub admin: String,
}

/// `sbc pool`
#[derive(Debug, Args)]
#[command(after_help = "\
A member is named by its URI as configured, or its address. A reload keeps what was said here, a restart does not.

Examples:
  sbc pool drain sip:10.0.2.10:5080    nothing new goes there; waits until its last call has ended
  sbc pool enable 10.0.2.10:5080")]
pub(crate) struct Pool {
    /// What to do.
    #[command(subcommand)]
    pub action: PoolAction,
    /// Where its admin API listens
    #[arg(long, global = true, value_name = "URL", default_value = ADMIN)]
    pub admin: String,
}

/// What to do with a member.
#[derive(Debug, Subcommand)]
pub(crate) enum PoolAction {
    /// Nothing new goes there; say when its last call has ended
    Drain {
        /// Its URI or address
        member: String,
        /// Do not wait for its calls to end
        #[arg(long)]
        no_wait: bool,
    },
    /// Nothing new goes there, and nobody waits for its calls
    Disable {
        /// Its URI or address
        member: String,
    },
    /// It takes its share again
    Enable {
        /// Its URI or address
        member: String,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        super::Cli::command().debug_assert();
    }
}
