//! Any text as a file of rules: it loads or is refused with errors, and what loads answers every question.

use std::net::{IpAddr, Ipv4Addr};

use routing_rules::{Names, Query, Rules, Zone};

const NAMES: Names<'_> = Names { pools: &["freeswitch", "carrier"], listeners: &["browsers", "trunk"] };

/// The text, and its last line as what the rules are asked about.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let rules = match Rules::parse(text, "routes.toml", &NAMES) {
        Ok(rules) => rules,
        Err(errors) => {
            assert!(!errors.is_empty(), "refused without a word");
            for error in errors {
                assert!(!error.to_string().contains('\n'), "an error is one line");
            }
            return;
        }
    };
    let user = text.lines().last().unwrap_or_default();
    for (method, zone, registered) in
        [("INVITE", Zone::Public, false), ("REGISTER", Zone::Trunk, true), (user, Zone::Pool, true)]
    {
        for domain in ["example.com", user, ""] {
            rules.evaluate(&Query {
                method,
                listener: 1,
                zone,
                transport: "wss",
                source: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
                domain,
                user,
                registered,
            });
        }
    }
    assert_eq!(rules.names().count(), rules.len());
}
