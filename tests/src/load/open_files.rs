//! Sockets of a load are files, on this side and on the program's.

use std::io;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// What both sides need beside the sockets that are asked for.
const SLACK: u64 = 1024;

/// Allows this program, and the ones it starts, that many sockets.
///
/// # Errors
/// When the system's hard limit is below that.
pub(super) fn allow(sockets: usize) -> io::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let needed = u64::try_from(sockets).unwrap_or(u64::MAX).saturating_add(SLACK);
    if hard < needed {
        return Err(io::Error::other(format!("{needed} files must be open, `ulimit -Hn` says {hard}")));
    }
    Ok(setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?)
}
