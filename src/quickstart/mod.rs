//! `sbc run` without a file: a configuration for trying it out, and the words that say how.

use std::path::Path;

use sbc_core::flow::{Transport, Zone};

use crate::config::{self, Machine, Problems, Settings};

const CONFIGURATION: &str = include_str!("sbc.toml");

/// The configuration that runs when there is no file. A machine without a network can be tried on itself.
///
/// # Errors
/// What the checker says; not expected of our own text.
pub(crate) fn settings(machine: &Machine) -> Result<Settings, Problems> {
    config::parse("quickstart", CONFIGURATION, Path::new(""), &machine.or_loopback())
}

/// What to do next, for people.
pub(crate) fn greeting(settings: &Settings) -> String {
    let mut text = "\nsbc is up. Calls go to an echo peer. Next, in another terminal:\n\n".to_owned();
    let public = settings.listeners.iter().map(|listener| &listener.core);
    for listener in public.filter(|listener| listener.zone == Zone::Public) {
        let port = listener.bind.port();
        let line = match listener.transport {
            Transport::Udp => {
                format!(
                    "  a call over UDP   sipp -sn uac 127.0.0.1:{port} -i 127.0.0.1 -s 100 -m 1 -d 1000\n"
                )
            }
            Transport::Wss => {
                format!(
                    "  for browsers      wss://127.0.0.1:{port} (self-signed: open https://127.0.0.1:{port} once and accept)\n"
                )
            }
            Transport::Ws => format!("  without TLS       ws://127.0.0.1:{port}\n"),
            _ => continue,
        };
        text.push_str(&line);
    }
    let admin = settings.admin.value;
    text.push_str(&format!(
        "  how it is         sbc status --admin http://{admin}, or http://{admin}/metrics\n"
    ));
    text.push_str("\nCtrl-C stops it. `sbc run --config sbc.toml` runs your own configuration.\n\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greeting_names_every_way_in_and_a_call_that_works() {
        let settings = settings(&Machine::this()).expect("no problems");
        let text = greeting(&settings);
        for expected in ["sipp -sn uac 127.0.0.1:5060", "wss://127.0.0.1:8443", "ws://127.0.0.1:8080"] {
            assert!(text.contains(expected), "{text}");
        }
        assert!(settings.echo.is_some());
    }
}
