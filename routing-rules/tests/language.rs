//! `LANGUAGE.md` is true: its examples answer as it says, and its tables list exactly the keys that exist.

use std::collections::BTreeSet;

use routing_rules::{Files, Given, Names, Party, Query, Rules, Scratch, Zone};
use toml::{Table, Value};

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
    fenced.filter_map(|block| block.split_once('\n')).filter(|(kind, _)| *kind != "toml,tests").collect()
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

/// What stands beside the routes file.
struct Beside;

impl Files for Beside {
    fn read(&self, name: &str) -> Result<String, String> {
        if name == "premium.csv" { Ok("+49900\n0900\n".to_owned()) } else { Err("no such file".to_owned()) }
    }
}

fn parse(rules: &str) -> Result<Rules, Vec<String>> {
    let listeners = LISTENERS.map(|(name, _, _)| name);
    Rules::load(rules, "routes.toml", &Names::new(&POOLS, &listeners), &Beside)
        .map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

fn party(text: &str) -> Party<'_> {
    let (user, domain) = text.split_once('@').unwrap_or(("", text));
    Party { user, domain }
}

/// What the rules answer to `METHOD [user@]domain from ADDRESS at LISTENER[, MORE]…`, as the page writes it.
fn answer(rules: &Rules, request: &str) -> Option<String> {
    let mut parts = request.split(", ");
    let words: Vec<&str> = parts.next()?.split(' ').collect();
    let [method, target, "from", source, "at", listener] = words[..] else {
        return None;
    };
    let Party { user, domain } = party(target);
    let id = LISTENERS.iter().position(|(name, _, _)| *name == listener)?;
    let (_, zone, transport) = LISTENERS[id];
    let (mut registered, mut headers) = (false, Vec::new());
    let (mut from, mut to) = (Party::default(), Party::default());
    let (mut share, mut time, mut region) = (5000, 0, "");
    for part in parts {
        match part.split_once(' ').unwrap_or((part, "")) {
            ("registered", _) => registered = true,
            ("share", text) => share = text.parse().ok()?,
            ("time", text) => time = text.parse::<jiff::Timestamp>().ok()?.as_second(),
            ("region", text) => region = text,
            ("caller", text) => from = party(text),
            ("called", text) => to = party(text),
            _ => headers.push(part.split_once(": ")?),
        }
    }
    let lookup = Given { registered, headers: &headers };
    let source = source.parse().ok()?;
    let query = Query {
        method,
        listener: id,
        zone,
        transport,
        source,
        domain,
        user,
        from,
        to,
        share,
        time,
        region,
        lookup: &lookup,
    };
    let mut scratch = Scratch::default();
    Some(rules.describe(&rules.evaluate(&query, &mut scratch), &POOLS))
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

/// Headings of tables of keys, and the key whose table it is.
const TABLES: [(&str, &str); 9] = [
    ("## Keys of a rule", ""),
    ("## Keys of `match`", "match"),
    ("## Keys of `time`", "time"),
    ("## Keys of `route`", "route"),
    ("## Keys of `reject`", "reject"),
    ("## Keys of `redirect`", "redirect"),
    ("## Keys of `set`", "set"),
    ("## Keys of `identity`", "identity"),
    ("## Keys of `limit`", "limit"),
];

#[test]
fn tables_list_the_keys_that_exist() {
    let tables = TABLES.map(|(heading, key)| match key {
        "" => (heading, "[[rule]]\nqqqqqqqq = 1".to_owned()),
        "time" => (heading, "[[rule]]\nmatch = { time = { qqqqqqqq = 1 } }".to_owned()),
        key => (heading, format!("[[rule]]\n{key} = {{ qqqqqqqq = 1 }}")),
    });
    for (heading, rule) in tables {
        assert_eq!(
            listed(heading).into_iter().map(str::to_owned).collect::<BTreeSet<_>>(),
            known(&rule),
            "{heading}"
        );
    }
}

/// Each key of a table in an accepted example, with the name of that table: that of `match`, for instance, also stands
/// for the table inside its `not`.
fn used(table: &Table, name: &'static str, keys: &mut BTreeSet<(&'static str, String)>) {
    for (key, value) in table {
        keys.insert((name, key.clone()));
        let inner = match (name, key.as_str()) {
            ("match", "not") => "match",
            ("match", "user") => "user",
            ("", key) | ("match", key @ "time") => {
                TABLES.iter().find(|(_, own)| *own == key).map_or("", |(_, own)| own)
            }
            _ => "",
        };
        let items = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        for table in items.iter().filter_map(Value::as_table).filter(|_| !inner.is_empty()) {
            used(table, inner, keys);
        }
    }
}

#[test]
fn each_key_has_an_example_that_is_accepted() {
    let mut keys = BTreeSet::new();
    for (rules, _) in examples().into_iter().filter(|(rules, _)| parse(rules).is_ok()) {
        let document: Table = rules.parse().expect("it was accepted");
        let rules = document["rule"].as_array().expect("rules");
        rules.iter().filter_map(Value::as_table).for_each(|rule| used(rule, "", &mut keys));
    }
    for (heading, name) in TABLES {
        for key in listed(heading) {
            assert!(keys.contains(&(name, key.to_owned())), "no example of {key} below {heading}");
        }
    }
    for way in known("[[rule]]\nmatch = { user = { qqqqqqqq = 1 } }") {
        assert!(keys.contains(&("user", way.clone())), "no example of {way} in user");
    }
}
