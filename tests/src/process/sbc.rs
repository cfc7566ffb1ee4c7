//! The program under test.

use std::process::Command;

use serde_json::Value;

use super::{Balance, Process, Site, binaries, json, until};

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

    fn spawn(site: &Site) -> Process {
        let mut command = Command::new(binaries::sbc());
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

    /// Writes one more rule, numbered, and lets it be read.
    ///
    /// # Panics
    /// When it is not taken over.
    pub fn reload_with_rule(&self, number: u32) {
        self.site.write_rules(&format!(
            "[[rule]]\nname = \"number {number}\"\nmatch = {{ user = \"{number}\" }}\nreject = {{ status = 404 }}\n"
        ));
        let url = format!("http://{}/api/v1/reload", self.site.admin);
        let request = ureq::post(&url).header("Content-Type", "application/json");
        let reply = request.send("{}").expect("the rules are taken over");
        assert_eq!(reply.status(), 200);
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
