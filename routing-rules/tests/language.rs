//! `LANGUAGE.md` is true: its examples answer as it says, and its tables list exactly the keys that exist.

use std::collections::BTreeSet;

use routing_rules::{Action, Names, Query, Rules, Zone};

const PAGE: &str = include_str!("../LANGUAGE.md");

const POOLS: [&str; 2] = ["freeswitch", "carrier-a"];
const LISTENERS: [(&str, Zone, &str); 4] = [
    ("browsers", Zone::Public, "wss"),
    ("phones", Zone::Public, "udp"),
    ("carriers", Zone::Trunk, "udp"),
    ("inside", Zone::Pool, "udp"),
];

/// The blocks of the page in their order: what kind they say they are, and their text.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let fenced = PAGE.split("\n```").skip(1).step_by(2);
    fenced.filter_map(|block| block.split_once('\n')).collect()
}

/// Each example with the lines that say what comes of it.
fn examples() -> Vec<(&'static str, &'static str)> {
    blocks()
        .chunks(2)
        .map(|pair| match pair {
            [("toml", rules), ("text", lines)] => (*rules, *lines),
            other => panic!("not an example and its answers: {other:?}"),
        })
        .collect()
}

fn parse(rules: &str) -> Result<Rules, Vec<String>> {
    let listeners = LISTENERS.map(|(name, _, _)| name);
    Rules::parse(rules, "routes.toml", &Names { pools: &POOLS, listeners: &listeners })
        .map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

/// What the rules answer to `METHOD [user@]domain from ADDRESS at LISTENER[, registered]`, as the page writes it.
fn answer(rules: &Rules, request: &str) -> Option<String> {
    let (request, registered) = match request.strip_suffix(", registered") {
        Some(request) => (request, true),
        None => (request, false),
    };
    let words: Vec<&str> = request.split(' ').collect();
    let [method, target, "from", source, "at", listener] = words[..] else {
        return None;
    };
    let (user, domain) = target.split_once('@').unwrap_or(("", target));
    let id = LISTENERS.iter().position(|(name, _, _)| *name == listener)?;
    let (_, zone, transport) = LISTENERS[id];
    let source = source.parse().ok()?;
    let query = Query { method, listener: id, zone, transport, source, domain, user, registered };
    Some(match rules.evaluate(&query).action {
        Action::Pool { pool, balance: None } => format!("pool {}", POOLS[pool]),
        Action::Pool { pool, balance: Some(balance) } => format!("pool {} by {balance}", POOLS[pool]),
        Action::Bindings => "bindings".to_owned(),
        Action::Reject { status, reason, retry_after: None } => format!("{status} {reason}"),
        Action::Reject { status, reason, retry_after: Some(seconds) } => {
            format!("{status} {reason}, retry after {seconds}")
        }
        Action::NoMatch => "no rule".to_owned(),
    })
}

#[test]
fn examples_answer_as_they_say() {
    for (rules, lines) in examples() {
        let rules = match parse(rules) {
            Ok(rules) => rules,
            Err(errors) => {
                assert_eq!(errors, lines.lines().collect::<Vec<_>>());
                continue;
            }
        };
        for line in lines.lines() {
            let (request, expected) = line.split_once(" -> ").expect("a request and its answer");
            assert_eq!(answer(&rules, request).as_deref(), Some(expected), "{line}");
        }
    }
}

/// The keys in the table below a heading.
fn listed(heading: &str) -> BTreeSet<&'static str> {
    let below = PAGE.split_once(heading).expect("the heading exists").1;
    let table =
        below.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    table.filter_map(|row| row.strip_prefix("| `")?.split('`').next()).collect()
}

/// The keys that the parser names when it meets one that nobody knows.
fn known(rule_with_unknown_key: &str) -> BTreeSet<String> {
    let errors = parse(rule_with_unknown_key).expect_err("the key is unknown");
    let expected =
        errors.iter().find_map(|error| error.split_once("found an unknown key, expected one of: "));
    expected.expect("the known keys are named").1.split(", ").map(str::to_owned).collect()
}

#[test]
fn tables_list_the_keys_that_exist() {
    let tables = [
        ("## Keys of a rule", "[[rule]]\nqqqqqqqq = 1"),
        ("## Keys of `match`", "[[rule]]\nmatch = { qqqqqqqq = 1 }"),
        ("## Keys of `route`", "[[rule]]\nroute = { qqqqqqqq = 1 }"),
        ("## Keys of `reject`", "[[rule]]\nreject = { qqqqqqqq = 1 }"),
    ];
    for (heading, rule) in tables {
        assert_eq!(
            listed(heading).into_iter().map(str::to_owned).collect::<BTreeSet<_>>(),
            known(rule),
            "{heading}"
        );
    }
}

#[test]
fn each_key_has_an_example_that_is_accepted() {
    let accepted: String =
        examples().iter().map(|(rules, _)| *rules).filter(|rules| parse(rules).is_ok()).collect();
    for heading in ["## Keys of a rule", "## Keys of `match`", "## Keys of `route`", "## Keys of `reject`"] {
        for key in listed(heading) {
            assert!(accepted.contains(&format!("{key} = ")), "no example of {key}");
        }
    }
}
