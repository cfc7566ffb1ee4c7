//! Requests, and the time that each takes to be decided.
//!
//! A request is measured with all others before it comes again, so it never finds in the caches what it left there
//! itself. Its time is the median of many passes: what the scheduler of a busy machine takes away, it takes from a few
//! of them only.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use routing_rules::{Given, Party, Query, Rules, Scratch, Zone};

/// As many different requests there are.
pub(crate) const DIFFERENT: u32 = 8192;
/// How often all of them are asked, one after the other; once more before that, unmeasured.
pub(crate) const PASSES: usize = 25;
/// How often they are asked with other work in between.
const COLD_PASSES: usize = 3;
/// As much memory does that other work touch: more than the first cache of a core has, less than the second.
pub(crate) const OTHER_WORK: usize = 256 * 1024;

/// Nanoseconds.
pub(crate) struct Times {
    pub(crate) p50: u32,
    pub(crate) p99: u32,
    pub(crate) worst: u32,
    pub(crate) single: u32,
    pub(crate) cold: u32,
}

/// Knows what looking at it costs.
pub(crate) struct Clock {
    empty: u32,
}

impl Clock {
    pub(crate) fn new() -> Self {
        let times = (0..100_000).map(|_| since(Instant::now())).collect();
        Self { empty: at(&sorted(times), 500) }
    }

    /// What it measures when nothing happens, in ns.
    pub(crate) fn empty(&self) -> u32 {
        self.empty
    }

    fn time(&self, act: impl FnOnce()) -> u32 {
        let start = Instant::now();
        act();
        since(start).saturating_sub(self.empty)
    }
}

fn since(start: Instant) -> u32 {
    u32::try_from(start.elapsed().as_nanos()).unwrap_or(u32::MAX)
}

/// Asks requests that suit so many rules.
pub(crate) fn ask(rules: &Rules, suiting: u32, clock: &Clock) -> Times {
    let requests: Vec<Request> = (0..DIFFERENT).map(|number| Request::new(number, suiting)).collect();
    let mut scratch = Scratch::default();
    passes(rules, &requests, 1, &mut scratch, clock, || ());
    let times = passes(rules, &requests, PASSES, &mut scratch, clock, || ());
    let mut other = vec![0_u8; OTHER_WORK];
    let cold = passes(rules, &requests, COLD_PASSES, &mut scratch, clock, || {
        other.iter_mut().step_by(64).for_each(|byte| *byte = byte.wrapping_add(1));
        black_box(&mut other);
    });
    let usual = medians(&times);
    Times {
        p50: at(&usual, 500),
        p99: at(&usual, 990),
        worst: usual.last().copied().unwrap_or_default(),
        single: at(&sorted(times), 990),
        cold: at(&medians(&cold), 990),
    }
}

/// The times of all passes, one after the other.
fn passes(
    rules: &Rules,
    requests: &[Request],
    passes: usize,
    scratch: &mut Scratch,
    clock: &Clock,
    mut between: impl FnMut(),
) -> Vec<u32> {
    let mut times = Vec::with_capacity(passes * requests.len());
    for _ in 0..passes {
        for (number, request) in requests.iter().enumerate() {
            let headers = [("X-Trunk", request.trunk.as_str()), ("User-Agent", "phone 1.2")];
            let lookup = Given { registered: number % 2 == 0, headers: &headers };
            let query = request.query(&lookup);
            between();
            times.push(clock.time(|| {
                black_box(rules.evaluate(black_box(&query), scratch).rule);
            }));
        }
    }
    times
}

/// The median of each request, in ascending order.
fn medians(times: &[u32]) -> Vec<u32> {
    let requests = DIFFERENT as usize;
    let of =
        |request: usize| at(&sorted(times.iter().skip(request).step_by(requests).copied().collect()), 500);
    sorted((0..requests).map(of).collect())
}

fn sorted(mut times: Vec<u32>) -> Vec<u32> {
    times.sort_unstable();
    times
}

/// What so many thousandths are below.
fn at(sorted: &[u32], share: usize) -> u32 {
    sorted.get(sorted.len() * share / 1000).copied().unwrap_or_default()
}

/// One request; what it asks for is in the rules three times out of four.
struct Request {
    user: String,
    domain: String,
    caller: String,
    trunk: String,
    source: IpAddr,
}

impl Request {
    fn new(number: u32, rules: u32) -> Self {
        // A walk that touches everything in no order.
        let mixed = number.wrapping_mul(2_654_435_761);
        let many = mixed % (rules * 4 / 3);
        let user = match number % 5 {
            0 => format!("{many}"),
            1 => format!("+49{many:05}123"),
            2 => format!("00{many}"),
            3 => format!("+{}", 100_000_000 + mixed % 13_000_000 * 60),
            _ => format!("user-{many}"),
        };
        Self {
            user,
            domain: format!("tenant-{many}.example.com"),
            caller: format!("{}", many + 7),
            trunk: format!("trunk-{many}"),
            source: Ipv4Addr::from(0x0A00_0000 + many * 256 + 1).into(),
        }
    }

    fn query<'a>(&'a self, lookup: &'a Given<'a>) -> Query<'a> {
        Query {
            method: "INVITE",
            listener: 1,
            zone: Zone::Trunk,
            transport: "udp",
            source: self.source,
            domain: &self.domain,
            user: &self.user,
            from: Party { user: &self.caller, domain: &self.domain },
            to: Party { user: &self.user, domain: &self.domain },
            share: 17,
            time: 1_800_000_000,
            region: "eu",
            lookup,
        }
    }
}
