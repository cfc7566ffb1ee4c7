//! Calls over a path that loses 5 %, takes 100±50 ms and doubles datagrams: all of them complete.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::process::Command;
use std::time::Instant;

use crate::agent::{LegId, State};
use crate::process::{Balance, FsMember, Live, Path, Relay, Sbc, Site};

/// Endpoints that call.
const CALLERS: usize = 4;
/// Calls that each of them makes at once.
const AT_ONCE: usize = 5;

/// What the path carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Datagrams.
    Udp,
    /// SIP over WebSocket with TLS. Its packets are lost by a rule of this network namespace: call it in one
    /// of its own.
    Wss,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Travelled {
    /// What the path carried.
    pub way: Way,
    /// Calls begun.
    pub calls: u64,
    /// Answered, and ended by a BYE that was answered.
    pub completed: u64,
    /// Calls that were not one INVITE transaction at one member: by Call-ID, how many they were.
    pub not_once: BTreeMap<String, u64>,
    /// Calls at the members.
    pub at_members: u64,
    /// How long it took, in seconds.
    pub seconds: u64,
    /// What endpoints complain of.
    pub complaints: Vec<String>,
}

impl Travelled {
    /// What is not as it must be.
    pub fn broken(&self) -> Vec<String> {
        let mut broken = self.complaints.clone();
        if self.completed != self.calls {
            broken.push(format!("{} of {} calls completed", self.completed, self.calls));
        }
        if !self.not_once.is_empty() {
            broken.push(format!("not one INVITE each at the members: {:?}", self.not_once));
        }
        if self.at_members != self.calls {
            broken.push(format!("{} calls were {} at the members", self.calls, self.at_members));
        }
        broken
    }
}

impl fmt::Display for Travelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?}, 5 % loss, 100±50 ms", self.way)?;
        writeln!(f, "calls                       {:>7}", self.calls)?;
        writeln!(f, "completed                   {:>7}", self.completed)?;
        writeln!(f, "calls at the members        {:>7}", self.at_members)?;
        writeln!(f, "not one INVITE there        {:>7}", self.not_once.len())?;
        writeln!(f, "seconds                     {:>7}", self.seconds)
    }
}

/// Make so many calls over a bad path.
///
/// # Errors
/// Where the machine lacks what loses packets.
///
/// # Panics
/// When a program does not start.
pub fn travel(way: Way, calls: usize, mut tell: impl FnMut(usize)) -> io::Result<Travelled> {
    let mut site = Site::new(if way == Way::Udp { "path-udp" } else { "path-wss" });
    let relay = match way {
        Way::Udp => Relay::udp(site.outside(), site.udp, Path::BAD, 1),
        Way::Wss => Relay::tcp(site.outside_tcp(), site.wss, Path::BAD, 1),
    };
    if way == Way::Wss {
        lose_packets(relay.address().port(), Path::BAD.loss_percent)?;
    } else {
        site.advertised_udp = Some(relay.address());
    }
    let members = FsMember::pair(&site, &["--open"]);
    let _sbc = Sbc::start(&site, Balance::CallId);
    let caller = |number: usize| {
        let user = (1000 + number).to_string();
        match way {
            Way::Udp => Live::phone_at(&site, &user, relay.address()),
            Way::Wss => Live::browser_at(&site, &user, relay.address()),
        }
    };
    let callers: Vec<_> = (0..CALLERS).map(caller).collect();
    let begun = Instant::now();
    let (mut made, mut completed) = (0, 0);
    while made < calls {
        let legs: Vec<_> = (made..calls.min(made + CALLERS * AT_ONCE))
            .map(|at| (&callers[at % CALLERS], callers[at % CALLERS].call("9196")))
            .collect();
        made += legs.len();
        completed += legs.len() as u64 - unfinished(&legs);
        tell(made);
    }
    // A second INVITE of one call does not make up for one that never came.
    let mut invites: BTreeMap<String, u64> = BTreeMap::new();
    for (call_id, counts) in members.iter().flat_map(FsMember::invites) {
        *invites.entry(call_id).or_default() += counts["bare"];
    }
    let mut complaints: Vec<_> = callers.iter().flat_map(Live::violations).collect();
    complaints.extend(members.iter().flat_map(FsMember::violations));
    Ok(Travelled {
        way,
        calls: made as u64,
        completed,
        at_members: invites.len() as u64,
        not_once: invites.into_iter().filter(|(_, times)| *times != 1).collect(),
        seconds: begun.elapsed().as_secs(),
        complaints,
    })
}

/// Wait for the answers, hang up, wait for the ends; how many calls did not come so far.
fn unfinished(legs: &[(&Live, LegId)]) -> u64 {
    let mut lost = 0;
    for (caller, leg) in legs {
        let is_up =
            crate::process::until_within(crate::process::PATIENCE, || caller.state(*leg) == State::Up);
        if is_up {
            caller.act(|agent, now| agent.bye(now, *leg));
        } else {
            lost += 1;
        }
    }
    for (caller, leg) in legs {
        let reply = || caller.act(|agent, _| agent.call_of(*leg).and_then(|call| call.reply("BYE")));
        let was_up = matches!(caller.state(*leg), State::Ended { status: 200, .. });
        let is_over = crate::process::until_within(crate::process::PATIENCE, || reply().is_some());
        lost += u64::from(was_up && !(is_over && reply() == Some(200)));
    }
    lost
}

/// So many of a hundred TCP packets to and from this port are lost, by a rule of nftables in this namespace.
fn lose_packets(port: u16, percent: u64) -> io::Result<()> {
    let rule = |side: &str| format!("tcp {side} {port} numgen random mod 100 < {percent} counter drop\n");
    let rules = format!(
        "table inet path {{\nchain input {{\ntype filter hook input priority 0\n{}{}}}\n}}\n",
        rule("dport"),
        rule("sport")
    );
    let file = std::env::temp_dir().join(format!("sbc-path-{}.nft", std::process::id()));
    std::fs::write(&file, rules)?;
    let done = Command::new("nft").arg("-f").arg(&file).output();
    std::fs::remove_file(&file)?;
    let done = done.map_err(|error| {
        io::Error::new(error.kind(), format!("nft: {error}; `tests/prepare load` installs it"))
    })?;
    if done.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("nft: {}", String::from_utf8_lossy(&done.stderr).trim())))
}
