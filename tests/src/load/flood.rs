//! SIPp calls through a listener that a storm of datagrams hits: all of its calls succeed, and memory stays bounded.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::storm::{Storm, Weather};
use crate::process::{Balance, Caller, FsMember, Outcome, PATIENCE, Sbc, Site};

/// How long each call lasts.
const LENGTH: Duration = Duration::from_millis(500);
/// A call that has said nothing for so long is lost, and everything else over.
const SILENCE: Duration = Duration::from_secs(45);
/// What sources may cost, over what the program took at the start.
const MOST_GROWTH: u64 = 256 << 20;
/// From one look at the program to the next.
const LOOK: Duration = Duration::from_millis(500);

/// A storm, and the calls under it.
#[derive(Debug, Clone, Copy)]
pub struct Flood {
    /// What is sent.
    pub weather: Weather,
    /// Datagrams a second.
    pub rate: u32,
    /// Addresses they come from.
    pub sources: u32,
    /// Calls a second.
    pub calls: u32,
    /// How long calls are begun, in seconds.
    pub seconds: u32,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Flooded {
    /// What was asked for.
    pub flood: Flood,
    /// Datagrams a second that were really sent.
    pub rate: u64,
    /// Those that the kernel dropped at the listener, in a thousand.
    pub lost_per_mille: u64,
    /// What the caller counted.
    pub outcome: Outcome,
    /// Resident bytes before and at most.
    pub resident: [u64; 2],
    /// CPU time of the program for each datagram sent, in nanoseconds, calls included.
    pub nanos_per_datagram: u64,
    /// What the program dropped, by reason.
    pub dropped: Vec<(String, u64)>,
}

impl Flooded {
    /// What is not as it must be.
    pub fn broken(&self) -> Vec<String> {
        let Outcome { begun, answered, failed, unexpected, .. } = self.outcome;
        let wanted = u64::from(self.flood.calls) * u64::from(self.flood.seconds);
        let mut broken = Vec::new();
        if begun != wanted || answered != wanted || failed + unexpected > 0 {
            broken.push(format!("{:?}: of {wanted} calls {answered} succeeded", self.flood.weather));
        }
        if self.growth() > MOST_GROWTH {
            broken.push(format!("{:?}: memory grew by {} bytes", self.flood.weather, self.growth()));
        }
        broken
    }

    fn growth(&self) -> u64 {
        self.resident[1].saturating_sub(self.resident[0])
    }
}

impl fmt::Display for Flooded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Flood { weather, rate, sources, .. } = self.flood;
        let Outcome { begun, answered, failed, retransmitted, .. } = self.outcome;
        writeln!(f, "{weather:?} from {sources} sources, {rate} datagrams/s asked for")?;
        writeln!(f, "datagrams/s sent            {:>7}", self.rate)?;
        writeln!(f, "lost before sbc, in 1000    {:>7}", self.lost_per_mille)?;
        writeln!(f, "calls                       {begun:>7}")?;
        writeln!(f, "answered                    {answered:>7}")?;
        writeln!(f, "failed                      {failed:>7}")?;
        writeln!(f, "sent again by the caller    {retransmitted:>7}")?;
        writeln!(f, "CPU per datagram, ns        {:>7}", self.nanos_per_datagram)?;
        let [before, most] = self.resident.map(|bytes| bytes >> 20);
        writeln!(f, "resident before, MiB        {before:>7}")?;
        writeln!(f, "resident at most, MiB       {most:>7}")?;
        self.dropped.iter().try_for_each(|(reason, count)| writeln!(f, "  {reason:<26}{count:>9}"))
    }
}

impl Flood {
    /// Lets it loose. `tell` hears how many calls were answered.
    ///
    /// # Errors
    /// When there is nothing to send from.
    ///
    /// # Panics
    /// When a program does not start or does not end.
    pub fn run(self, mut tell: impl FnMut(u64)) -> io::Result<Flooded> {
        let site = Site::new("flood");
        let caller = site.outside();
        // Strangers are asked for credentials, the caller is known by its address.
        let _members = FsMember::pair(&site, &["--inbound-acl", &caller.ip().to_string()]);
        let sbc = Sbc::start(&site, Balance::CallId);
        let (before, cpu) = (sbc.resident_bytes(), sbc.cpu_time());
        let storm = Storm::start(self.weather, self.rate, self.sources, site.udp)?;
        let begun = Instant::now();
        let mut caller = Caller::start(&site, self.calls * self.seconds, self.calls, LENGTH);
        let mut most = before;
        let patience = Duration::from_secs(self.seconds.into()) + SILENCE + PATIENCE;
        while !caller.has_finished() && begun.elapsed() < patience {
            most = most.max(sbc.resident_bytes());
            tell(caller.answered());
            std::thread::sleep(LOOK);
        }
        let (rate, sent) = (storm.rate(), storm.sent());
        drop(storm);
        let spent = sbc.cpu_time().saturating_sub(cpu);
        let lost = dropped_by_kernel(site.udp);
        let outcome = caller.finish();
        Ok(Flooded {
            flood: self,
            rate,
            lost_per_mille: lost * 1000 / sent.max(1),
            outcome,
            resident: [before, most],
            nanos_per_datagram: u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX) / sent.max(1),
            dropped: sbc.counts("sbc_admission_dropped_total"),
        })
    }
}

/// Datagrams that found the receive buffers of this address full (the last column of /proc/net/udp).
fn dropped_by_kernel(address: SocketAddr) -> u64 {
    let SocketAddr::V4(address) = address else { return 0 };
    let shown = format!("{:08X}:{:04X}", address.ip().to_bits().to_be(), address.port());
    let table = std::fs::read_to_string("/proc/net/udp").unwrap_or_default();
    let of_line = |line: &str| {
        let mut columns = line.split_whitespace();
        let is_it = columns.nth(1) == Some(&shown);
        columns.next_back().filter(|_| is_it)?.parse::<u64>().ok()
    };
    table.lines().filter_map(of_line).sum()
}
