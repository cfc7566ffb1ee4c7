//! Evaluation costs no heap.

use std::net::{IpAddr, Ipv4Addr};

use routing_rules::{Action, Given, Names, Party, Query, Rules, Scratch, Zone};

const NAMES: Names<'_> = Names::new(&["freeswitch"], &["browsers"]);

const RULES: &str = r#"
[[rule]]
name = "refused"
match = { source = ["198.51.100.0/24", "2001:db8::/32"] }
reject = { status = 403 }

[[rule]]
name = "more"
match = { from = { regex = '^eve@' }, header = { User-Agent = "phone" }, time = { zone = "Europe/Berlin", days = "mon-sun" } }
tag = "evil"
route = { pool = "freeswitch" }

[[rule]]
name = "numbers"
match = { method = "INVITE", user = [{ regex = '^00\d{6,15}$' }, { prefix = ["+1", "+49"] }, "100"] }
route = { pool = "freeswitch" }

[[rule]]
name = "domains"
match = { domain = ["example.com", "*.example.com", "192.0.2.1", "2001:db8::1"], zone = "public", transport = "wss" }
route = { pool = "freeswitch", balance = "hash:aor" }
"#;

#[test]
fn evaluate_does_not_allocate() {
    let rules = Rules::parse(RULES, "routes.toml", &NAMES).expect("the rules are right");
    let query = |user, domain| Query {
        method: "INVITE",
        listener: 0,
        zone: Zone::Public,
        transport: "wss",
        source: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        domain,
        user,
        from: Party { user: "bob", domain: "example.com" },
        to: Party { user, domain },
        share: 1,
        time: 1_800_000_000,
        region: "eu",
        lookup: &Given { registered: false, headers: &[("User-Agent", "phone")] },
    };
    let queries = [
        query("00491234567", "example.com"),
        query("%2B49123", "example.com"),
        query("alice", "A.Example.COM."),
        query("alice", "2001:DB8::1"),
        query("alice", "elsewhere.example.org"),
    ];
    // Regexes and scratch make their working memory now.
    let mut scratch = Scratch::default();
    for query in &queries {
        rules.evaluate(query, &mut scratch);
    }
    let mut unmatched = 0;
    let allocations = allocation_counter::measure(|| {
        for query in &queries {
            unmatched += usize::from(rules.evaluate(query, &mut scratch).action == Action::NoMatch);
        }
    });
    assert_eq!(unmatched, 1);
    assert_eq!(allocations.count_total, 0);
}
