//! Prints what one hop of an INVITE costs on `sbc_core::wire` and on rsip, and what the nastiest messages cost.
#![forbid(unsafe_code)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use allocation_counter::measure;
use anyhow::{Result, ensure};
use sbc_bench::{INVITE, Judging, WireHop, hostile_params, hostile_vias, nastiest, rsip_hop};

/// Rounds of one measurement; the fastest counts, because only a disturbance can make a round slower. Each is shorter
/// than a time slice, so that on a busy machine some pass undisturbed.
const ROUNDS: u32 = 500;

fn main() -> Result<()> {
    let mut hop = WireHop::default();
    let ours = hop.run(INVITE)?.to_vec();
    let theirs = rsip_hop(INVITE)?;
    ensure!(!ours.is_empty() && !theirs.is_empty(), "a hop wrote nothing");
    println!("one hop of an INVITE, {} bytes in, {} bytes out", INVITE.len(), ours.len());

    let mut wire = || {
        black_box(hop.run(black_box(INVITE)).map(<[u8]>::len).unwrap_or(0));
    };
    report("wire", fastest(500, &mut wire), measure(&mut wire).count_total);
    let mut rsip = || {
        black_box(rsip_hop(black_box(INVITE)).map(|out| out.len()).unwrap_or(0));
    };
    report("rsip", fastest(50, &mut rsip), measure(rsip).count_total);

    for (name, message) in
        [("64 KiB of parameters", hostile_params()), ("64 KiB of Via values", hostile_vias())]
    {
        let mut read = || {
            black_box(hop.read_hostile(black_box(&message)));
        };
        report(name, fastest(5, &mut read), measure(&mut read).count_total);
    }
    let mut judging = Judging::default();
    for (name, message) in nastiest() {
        let refusal = judging.run(&message);
        let mut judge = || {
            black_box(judging.run(black_box(&message)));
        };
        report(name, fastest(5, &mut judge), measure(&mut judge).count_total);
        println!("{:<22} {}", "", refusal.map_or("passes", |refusal| refusal.count.reason()));
    }
    Ok(())
}

/// The time of one call of `work`, in the fastest of several rounds of `calls` calls.
fn fastest(calls: u32, work: &mut impl FnMut()) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..calls {
            work();
        }
        best = best.min(start.elapsed() / calls);
    }
    best
}

fn report(name: &str, time: Duration, allocations: u64) {
    println!("{name:<22} {:>9} ns/message {allocations:>6} allocations/message", time.as_nanos());
}
