//! How many files the process may open: a WebSocket connection is one.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Kept free for UDP sockets, files, the admin API and handshakes under way.
const RESERVED: usize = 512;
/// Below this the node is too small for a site; the default of many systems is 1,024.
const FEW: usize = 4096;
/// However small the limit is, somebody gets in.
const LEAST_CONNECTIONS: usize = 64;

/// Raises the soft limit to the hard one and returns it.
pub(super) fn raise() -> usize {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return RESERVED;
    };
    let raised = match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => hard,
        Err(errno) => {
            tracing::warn!(soft, hard, %errno, "the limit of open files cannot be raised");
            soft
        }
    };
    let raised = usize::try_from(raised).unwrap_or(usize::MAX);
    if raised < FEW {
        tracing::warn!(
            limit = raised,
            "few files may be open, each WebSocket connection is one: raise `ulimit -n`"
        );
    }
    raised
}

/// The part of the limit that a listener's connections may take.
pub(super) fn for_connections(limit: usize) -> usize {
    limit.saturating_sub(RESERVED).max(LEAST_CONNECTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_for_everything_else() {
        assert_eq!(for_connections(65_536), 65_536 - RESERVED);
        assert_eq!(for_connections(10), LEAST_CONNECTIONS);
    }
}
