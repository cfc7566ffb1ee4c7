//! A FreeSWITCH-like member as a process.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;

use serde_json::Value;

use super::{Process, Site, binaries, json, until};

/// A running `fs-member`.
#[derive(Debug)]
pub struct FsMember {
    http: SocketAddr,
    process: Process,
}

impl FsMember {
    /// Starts both members of a site. They ask every caller for credentials, each with nonces of its own.
    ///
    /// # Panics
    /// When one does not come up.
    pub fn pair(site: &Site, more: &[&str]) -> [Self; 2] {
        [Self::start(site, 0, more), Self::start(site, 1, more)]
    }

    fn start(site: &Site, index: usize, more: &[&str]) -> Self {
        let (sip, http) = (site.members[index], site.local_http());
        let name = format!("member-{index}");
        let mut command = Command::new(binaries::fs_member());
        command.args(["--sip", &sip.to_string(), "--http", &http.to_string(), "--name", &name]);
        command.args(["--users", "1000-1199"]);
        // The two of one pool trust each other, as FreeSWITCH servers of one house do.
        for peer in site.members.iter().filter(|peer| **peer != sip) {
            command.args(["--peer", &peer.to_string()]);
        }
        command.args(more);
        let process = Process::start(&name, site.directory(), &mut command).expect("fs-member starts");
        let member = Self { http, process };
        until("the member serves its status", || member.try_status().is_some());
        member
    }

    fn try_status(&self) -> Option<Value> {
        json(&format!("http://{}/status", self.http))
    }

    /// All that it tells.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn status(&self) -> Value {
        self.try_status().expect("a status")
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Its live bindings of a user.
    pub fn bindings(&self, user: &str) -> Vec<Value> {
        let status = self.status();
        let aor = format!("{user}@example.test");
        let all = status["bindings"].as_array().cloned().unwrap_or_default();
        all.into_iter().filter(|binding| binding["aor"] == aor.as_str()).collect()
    }

    /// Legs that are up.
    pub fn calls_up(&self) -> usize {
        let status = self.status();
        status["legs"].as_array().map_or(0, |legs| legs.iter().filter(|leg| leg["up"] == true).count())
    }

    /// What came of the INVITEs with each Call-ID: the counts of the member's own status, by their names there.
    pub fn invites(&self) -> BTreeMap<String, BTreeMap<String, u64>> {
        serde_json::from_value(self.status()["counters"]["invites"].clone()).expect("counts by Call-ID")
    }

    /// What peers did to it that they must not.
    pub fn violations(&self) -> Vec<String> {
        serde_json::from_value(self.status()["violations"].clone()).expect("a list of texts")
    }
}
