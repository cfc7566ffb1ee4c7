//! Any text as a file of rules, and as the file of prefixes that it names: it loads or is refused with errors, and what
//! loads answers every question, the same with and without its index.

use std::net::{IpAddr, Ipv4Addr};

use routing_rules::{Files, Given, Names, Party, Query, Rules, Scratch, Zone};

const NAMES: Names<'_> = Names::new(&["freeswitch", "carrier"], &["browsers", "trunk"]);

/// Every file holds the same.
struct Same<'a>(&'a str);

impl Files for Same<'_> {
    fn read(&self, _: &str) -> Result<String, String> {
        Ok(self.0.to_owned())
    }
}

/// The text, and its last line as what the rules are asked about.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let rules = match Rules::load(text, "routes.toml", &NAMES, &Same(text)) {
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
    let mut scratch = Scratch::default();
    for (method, zone, registered) in
        [("INVITE", Zone::Public, false), ("REGISTER", Zone::Trunk, true), (user, Zone::Pool, true)]
    {
        for domain in ["example.com", user, ""] {
            let query = Query {
                method,
                listener: 1,
                zone,
                transport: "wss",
                source: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
                domain,
                user,
                from: Party { user, domain },
                to: Party { user: "100", domain: user },
                share: 5000,
                time: 1_800_000_000,
                region: user,
                lookup: &Given { registered, headers: &[("User-Agent", user), ("X-Trunk", "a")] },
            };
            let decision = rules.evaluate(&query, &mut scratch);
            let decided = (decision.rule.map(str::to_owned), rules.describe(&decision, NAMES.pools));
            assert!(!decided.1.chars().any(char::is_control), "a change adds a line: {:?}", decided.1);
            let explained = rules.explain(&query, &mut scratch).decision;
            assert_eq!((explained.rule.map(str::to_owned), rules.describe(&explained, NAMES.pools)), decided);
        }
    }
    assert_eq!(rules.names().count(), rules.len());
}
