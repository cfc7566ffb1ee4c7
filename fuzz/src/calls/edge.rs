//! The configuration that scripts meet, read as the program reads it; and the addresses in it.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use sbc_core::config::{CallerIdentity, Config, Key};
use sbc_core::flow::ListenerId;

use crate::{config, settings};

/// Over TLS and WebSocket.
pub(super) const BROWSERS: ListenerId = ListenerId(0);
/// Over UDP, from anywhere.
pub(super) const PHONES: ListenerId = ListenerId(1);
/// Over UDP, from carriers.
pub(super) const TRUNK: ListenerId = ListenerId(2);
/// Over UDP, from the members.
pub(super) const INSIDE: ListenerId = ListenerId(3);

/// The servers behind us.
pub(super) const MEMBERS: [&str; 2] = ["10.0.2.10:5080", "10.0.2.11:5080"];
/// The one that rules send calls to.
pub(super) const CARRIER: &str = "203.0.113.10:5060";

/// The same without the last of the members, as somebody may write it while calls are up.
pub(super) fn without_a_member(config: &Config) -> Arc<Config> {
    let mut config = config.clone();
    config.pools[0].members.pop();
    Arc::new(config)
}

/// With callers under any name, or under their own alone.
pub(super) fn config(own_names: bool) -> Arc<Config> {
    static ANY: LazyLock<Arc<Config>> = LazyLock::new(|| Arc::new(read()));
    static OWN: LazyLock<Arc<Config>> = LazyLock::new(|| {
        let mut config = read();
        config.admission.caller_identity = CallerIdentity::Replace;
        Arc::new(config)
    });
    Arc::clone(if own_names { &OWN } else { &ANY })
}

fn read() -> Config {
    let directory = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/calls"));
    let settings =
        config::load(&directory.join("sbc.toml"), &settings::machine()).expect("a right configuration");
    settings.core(vec![Key([7; 32])], Key([9; 32]))
}
