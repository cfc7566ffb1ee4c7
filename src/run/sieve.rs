//! What the core says of datagrams that nobody has read, made into rules for the kernel.

use std::cell::Cell;
use std::io;

use sbc_core::io::Sieve;
use sbc_core::{Core, Worker};
use sbc_udp::Rule;

use super::sockets::UdpSockets;

/// What a worker's sockets were told last.
#[derive(Debug, Default)]
pub(super) struct Told(Cell<Option<Sieve>>);

impl Told {
    /// Tell them what the core wants by now, if it is something else. Where the kernel takes no rules it is given none
    /// any more, and the core has everything read.
    pub(super) fn follow(&self, core: &Core, worker: &mut Worker, sockets: &[UdpSockets]) {
        let wanted = worker.sieve();
        if self.0.replace(Some(wanted)) == Some(wanted) {
            return;
        }
        if let Err(error) = tell(core, wanted, sockets) {
            tracing::warn!(%error, "the kernel drops nothing unread: in overload every request is read and refused");
            worker.set_sifts(false);
            let open = worker.sieve();
            self.0.set(Some(open));
            // Nothing is left to be done where this fails, too.
            let _ = tell(core, open, sockets);
        }
    }
}

fn tell(core: &Core, sieve: Sieve, sockets: &[UdpSockets]) -> io::Result<()> {
    const _: () = assert!(sbc_udp::WHOLE == sbc_core::admission::WHOLE);
    let except = core.unsifted();
    let rule = |(method, passes): (&str, u32)| Rule {
        begins: format!("{method} ").into_bytes(),
        except: except.clone(),
        passes,
    };
    let rules: Vec<Rule> = sieve.shares().map(rule).collect();
    sockets.iter().filter(|one| core.sifts(one.listener)).try_for_each(|one| one.own.sift(&rules))
}
