//! The program under test.

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::{Balance, Process, Site, binaries, json, until};

/// The unit of times in /proc (`USER_HZ`).
const MILLIS_PER_TICK: u64 = 10;

/// A running `sbc`.
#[derive(Debug)]
pub struct Sbc<'s> {
    site: &'s Site,
    process: Process,
}

impl<'s> Sbc<'s> {
    /// Starts it with the site's listeners and pool, and waits until it is ready for calls: both members are up.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start(site: &'s Site, balance: Balance) -> Self {
        site.write_config(balance);
        let mut sbc = Self { site, process: Self::spawn(site) };
        sbc.wait_until_ready();
        sbc
    }

    /// The same with a configuration that `change` has made of the usual one.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start_with(site: &'s Site, balance: Balance, change: impl FnOnce(String) -> String) -> Self {
        let path = site.write_config(balance);
        let config = fs::read_to_string(&path).expect("the configuration");
        fs::write(&path, change(config)).expect("a file in the temporary directory");
        let mut sbc = Self { site, process: Self::spawn(site) };
        sbc.wait_until_ready();
        sbc
    }

    /// The same on one processor, the first, and with a configuration that `change` has made of the usual one.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start_on_one_processor(site: &'s Site, change: impl FnOnce(String) -> String) -> Self {
        let path = site.write_config(Balance::CallId);
        let config = fs::read_to_string(&path).expect("the configuration");
        fs::write(&path, change(config)).expect("a file in the temporary directory");
        let mut command = Command::new("taskset");
        command.args(["-c", "0"]).arg(binaries::sbc());
        let mut sbc = Self { site, process: Self::run(site, command) };
        sbc.wait_until_ready();
        sbc
    }

    fn spawn(site: &Site) -> Process {
        Self::run(site, Command::new(binaries::sbc()))
    }

    fn run(site: &Site, mut command: Command) -> Process {
        command.args(["run", "--config", "sbc.toml"]).env("HOME", site.directory());
        for variable in ["XDG_STATE_HOME", "RUST_LOG", "ECS_CONTAINER_METADATA_URI_V4"] {
            command.env_remove(variable);
        }
        Process::start("sbc", site.directory(), &mut command).expect("sbc starts")
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts again after [`Sbc::kill`], with the same configuration and state directory, and waits until it is ready.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn restart(&mut self) {
        self.process = Self::spawn(self.site);
        self.wait_until_ready();
    }

    fn wait_until_ready(&mut self) {
        until("sbc is ready, with every member up", || {
            assert!(self.process.ended().is_none(), "sbc ended; see {}", self.site.directory().display());
            let status = self.try_status();
            let pools = status.as_ref().and_then(|status| status["pools"].as_array().cloned());
            let members = pools.unwrap_or_default().into_iter().flat_map(|pool| members_of(&pool));
            let states: Vec<_> = members.map(|member| member["state"] == "up").collect();
            states.contains(&true) && !states.contains(&false)
        });
    }

    /// Lets it read its configuration again, or go back to what ran before. What has changed, as it says itself.
    ///
    /// # Panics
    /// When it is not taken over.
    pub fn reload(&self, previous: bool) -> Vec<String> {
        let url = format!("http://{}/api/v1/reload", self.site.admin);
        let request = ureq::post(&url).header("Content-Type", "application/json");
        let mut reply =
            request.send(format!("{{\"previous\":{previous}}}")).expect("the configuration is taken over");
        let reply = reply.body_mut().read_to_string().expect("text");
        let reply: Value = serde_json::from_str(&reply).expect("JSON");
        let changes = reply["changes"].as_array().cloned().unwrap_or_default();
        changes.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// The members that it has now, in the order of the file.
    pub fn members(&self) -> Vec<String> {
        let status = self.status();
        let members = members_of(&status["pools"][0]).into_iter();
        members.filter_map(|member| member["address"].as_str().map(str::to_owned)).collect()
    }

    /// Whether it gives calls to the member at this address.
    pub fn has_up(&self, member: std::net::SocketAddr) -> bool {
        let status = self.status();
        let pools = status["pools"].as_array().cloned().unwrap_or_default();
        let members = pools.iter().flat_map(members_of);
        members.into_iter().any(|one| one["address"] == member.to_string() && one["state"] == "up")
    }

    fn try_status(&self) -> Option<Value> {
        json(&format!("http://{}/api/v1/status", self.site.admin))
    }

    /// What its admin API says.
    ///
    /// # Panics
    /// When it says nothing.
    pub fn status(&self) -> Value {
        self.try_status().expect("a status")
    }

    /// The counts of a metric by their labels, those above zero.
    pub fn counts(&self, metric: &str) -> Vec<(String, u64)> {
        let url = format!("http://{}/metrics", self.site.admin);
        let text = ureq::get(&url).call().ok().and_then(|mut all| all.body_mut().read_to_string().ok());
        let count = |line: &str| {
            let (labels, value) = line.strip_prefix(metric)?.rsplit_once(' ')?;
            let label = labels.split('"').nth(1).unwrap_or_default().to_owned();
            Some((label, value.parse().ok()?))
        };
        text.unwrap_or_default().lines().filter_map(count).filter(|(_, value)| *value > 0).collect()
    }

    /// Memory that it has, in bytes, by what the kernel counts.
    pub fn resident_bytes(&self) -> u64 {
        let kibibytes = |line: &str| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok();
        self.proc_file("status").lines().find_map(kibibytes).unwrap_or(0_u64) * 1024
    }

    /// CPU time that it has taken so far.
    pub fn cpu_time(&self) -> Duration {
        let stat = self.proc_file("stat");
        // Behind the name, which may have blanks in it: user and system time are the 12th and 13th number.
        let numbers = stat.rsplit_once(')').map_or("", |(_, numbers)| numbers);
        let ticks: u64 =
            numbers.split_whitespace().skip(11).take(2).filter_map(|one| one.parse::<u64>().ok()).sum();
        Duration::from_millis(ticks * MILLIS_PER_TICK)
    }

    fn proc_file(&self, name: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{name}", self.process.id())).unwrap_or_default()
    }

    /// One value of `/metrics`, by its name with labels; 0 while there is none.
    ///
    /// # Panics
    /// When it says nothing.
    pub fn metric(&self, name: &str) -> u64 {
        let url = format!("http://{}/metrics", self.site.admin);
        let mut response = ureq::get(url).call().expect("metrics");
        let text = response.body_mut().read_to_string().expect("text");
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.unwrap_or(0)
    }

    /// Waits until it has no call any more.
    ///
    /// # Panics
    /// When calls stay.
    pub fn wait_for_no_calls(&self) {
        until("sbc has no calls left", || self.status()["calls"] == 0);
    }
}

fn members_of(pool: &Value) -> Vec<Value> {
    pool["members"].as_array().cloned().unwrap_or_default()
}
