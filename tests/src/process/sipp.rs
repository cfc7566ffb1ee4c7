//! SIPp, as the members of a pool and as a caller.

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::public_view::split_messages;
use super::{PATIENCE, Process, Site, binaries, until_within};

/// Where the scenarios are.
const SCENARIOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/sipp");

/// The caller's scenario, and what its files are called.
const CALLER: &str = "caller";

fn scenario(name: &str) -> String {
    format!("{SCENARIOS}/{name}.xml")
}

/// SIPp without a terminal, at one address, with its statistics once a second in `<name>.csv`.
fn command(name: &str, scenario_name: &str, own: SocketAddr) -> Command {
    let mut command = Command::new(binaries::installed("sipp"));
    command.args(["-sf", &scenario(scenario_name), "-nostdin", "-nd", "-skip_rlimit"]);
    command.args(["-i", &own.ip().to_string(), "-p", &own.port().to_string()]);
    command.args(["-trace_stat", "-fd", "1", "-stf", &format!("{name}.csv")]);
    command.args(["-trace_err", "-error_file", &format!("{name}.err")]);
    command
}

/// The last line of a statistics file by the names of its columns.
fn statistics(path: &Path) -> HashMap<String, String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let mut lines = text.lines().filter(|line| !line.is_empty());
    let (Some(names), Some(values)) = (lines.next(), lines.next_back()) else {
        return HashMap::new();
    };
    let cells = |line: &str| line.split(';').map(str::to_owned).collect::<Vec<_>>();
    cells(names).into_iter().zip(cells(values)).collect()
}

fn number(statistics: &HashMap<String, String>, column: &str) -> u64 {
    statistics.get(column).and_then(|value| value.parse().ok()).unwrap_or(0)
}

/// SIPp as a member of the pool: answers calls, and OPTIONS.
#[derive(Debug)]
pub struct Member {
    process: Process,
    statistics: PathBuf,
    messages: PathBuf,
}

impl Member {
    /// Starts both members of a site.
    ///
    /// # Panics
    /// When SIPp does not start.
    pub fn pair(site: &Site) -> [Self; 2] {
        [Self::start(site, 0), Self::start(site, 1)]
    }

    fn start(site: &Site, index: usize) -> Self {
        let name = format!("member-{index}");
        let mut command = command(&name, "member", site.members[index]);
        command.arg("-aa");
        if site.is_by_tcp(index) {
            command.args(["-t", "t1"]);
        }
        let messages = format!("{name}.messages");
        command.args(["-trace_msg", "-message_file", &messages]);
        let process = Process::start(&name, site.directory(), &mut command).expect("sipp starts");
        let file = |name: &str| site.directory().join(name);
        Self { process, statistics: file(&format!("{name}.csv")), messages: file(&messages) }
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// SIGSTOP: the kernel takes what comes for it, and nobody reads it.
    pub fn stop(&self) {
        self.process.signal("STOP");
    }

    /// SIGCONT: it goes on with what came meanwhile.
    pub fn go_on(&self) {
        self.process.signal("CONT");
    }

    /// Calls that have reached it, as written last; SIPp writes once a second.
    pub fn calls(&self) -> u64 {
        number(&statistics(&self.statistics), "GenericCounter1(C)")
    }

    /// Every message that it has received.
    ///
    /// # Panics
    /// When SIPp wrote none.
    pub fn received(&self) -> Vec<Vec<u8>> {
        split_messages(&fs::read(&self.messages).expect("a log of messages"), false)
    }
}

/// What a finished caller counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Calls begun.
    pub begun: u64,
    /// Calls whose INVITE got its 200.
    pub answered: u64,
    /// Calls answered whose BYE found no member any more.
    pub orphaned: u64,
    /// Calls that failed, whatever the reason.
    pub failed: u64,
    /// Messages that the scenario did not expect.
    pub unexpected: u64,
    /// Requests sent again for want of an answer.
    pub retransmitted: u64,
}

/// SIPp calling through sbc over UDP or TCP.
#[derive(Debug)]
pub struct Caller {
    process: Process,
    statistics: PathBuf,
    messages: PathBuf,
}

impl Caller {
    /// Starts `calls` calls, `rate` a second, each `length` long.
    ///
    /// # Panics
    /// When SIPp does not start.
    pub fn start(site: &Site, calls: u32, rate: u32, length: Duration) -> Self {
        Self::begin(command(CALLER, CALLER, site.outside()), site, site.udp, (calls, rate, length))
    }

    /// The same over one TCP connection.
    ///
    /// # Panics
    /// When SIPp does not start, or the site has no streams.
    pub fn start_by_tcp(site: &Site, calls: u32, rate: u32, length: Duration) -> Self {
        let mut command = command(CALLER, CALLER, site.outside_tcp());
        command.args(["-t", "t1"]);
        let edge = site.streams.as_ref().expect("a site with streams").tcp;
        Self::begin(command, site, edge, (calls, rate, length))
    }

    fn begin(mut command: Command, site: &Site, edge: SocketAddr, calls: (u32, u32, Duration)) -> Self {
        let (calls, rate, length) = calls;
        command.arg(edge.to_string());
        command.args(["-m", &calls.to_string(), "-r", &rate.to_string(), "-l", &calls.to_string()]);
        command.args(["-d", &length.as_millis().to_string(), "-s", "9196"]);
        // A call that hears nothing for so long has failed; and some time everything has an end.
        command.args(["-recv_timeout", "45000", "-timeout", &(calls / rate + 120).to_string()]);
        command.args(["-trace_msg", "-message_file", "caller.messages"]);
        let process = Process::start(CALLER, site.directory(), &mut command).expect("sipp starts");
        let file = |name: &str| site.directory().join(name);
        Self { process, statistics: file("caller.csv"), messages: file("caller.messages") }
    }

    /// Calls begun so far, as written last.
    pub fn begun(&self) -> u64 {
        number(&statistics(&self.statistics), "TotalCallCreated")
    }

    /// Calls answered so far, as written last; SIPp writes once a second.
    pub fn answered(&self) -> u64 {
        number(&statistics(&self.statistics), "GenericCounter1(C)")
    }

    /// Whether all calls have ended.
    pub fn has_finished(&mut self) -> bool {
        self.process.ended().is_some()
    }

    /// Waits for the end of all calls.
    ///
    /// # Panics
    /// When they do not end.
    pub fn finish(&mut self) -> Outcome {
        self.finish_within(PATIENCE)
    }

    /// The same, for longer.
    ///
    /// # Panics
    /// When they do not end.
    pub fn finish_within(&mut self, patience: Duration) -> Outcome {
        assert!(until_within(patience, || self.process.ended().is_some()), "the caller has not finished");
        let seen = statistics(&self.statistics);
        Outcome {
            begun: number(&seen, "TotalCallCreated"),
            answered: number(&seen, "GenericCounter1(C)"),
            orphaned: number(&seen, "GenericCounter2(C)"),
            failed: number(&seen, "FailedCall(C)"),
            unexpected: number(&seen, "FailedUnexpectedMessage(C)"),
            retransmitted: number(&seen, "Retransmissions(C)"),
        }
    }

    /// Every message that it has received.
    ///
    /// # Panics
    /// When SIPp wrote none.
    pub fn received(&self) -> Vec<Vec<u8>> {
        split_messages(&fs::read(&self.messages).expect("a log of messages"), false)
    }

    /// Every message that it has sent, repetitions included.
    ///
    /// # Panics
    /// When SIPp wrote none.
    pub fn sent(&self) -> Vec<Vec<u8>> {
        split_messages(&fs::read(&self.messages).expect("a log of messages"), true)
    }
}
