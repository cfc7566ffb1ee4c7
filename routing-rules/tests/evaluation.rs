//! Compiled rules answer as the plainest reading of the language does, over random rules and requests.

use std::net::IpAddr;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use routing_rules::{Action, Names, Query, Rules, Zone};

const LISTENERS: [&str; 3] = ["browsers", "phones", "inside"];
const METHODS: [&str; 4] = ["INVITE", "REGISTER", "BYE", "OPTIONS"];
const TRANSPORTS: [&str; 3] = ["udp", "ws", "wss"];
const DOMAINS: [&str; 9] = [
    "example.com",
    "*.example.com",
    "*.a.example.com",
    "A.example.com",
    "*.com",
    "example.org",
    "192.0.2.1",
    "2001:db8::1",
    "b-example.com",
];
const SOURCES: [&str; 7] =
    ["192.0.2.0/24", "192.0.2.0/25", "192.0.2.128/25", "192.0.2.7", "0.0.0.0/0", "2001:db8::/32", "::1"];
/// Whether a user, its escapes undone, is meant.
type Means = fn(&str) -> bool;

/// Users as TOML, and what they mean.
const USERS: [(&str, Means); 8] = [
    ("''", |user| user.is_empty()),
    ("'100'", |user| user == "100"),
    ("'alice'", |user| user == "alice"),
    ("{ prefix = '+4' }", |user| user.starts_with("+4")),
    ("{ prefix = ['+49', '1', '10'] }", |user| user.starts_with("+49") || user.starts_with('1')),
    ("{ prefix = 'al' }", |user| user.starts_with("al")),
    ("{ regex = '^00[0-9]+$' }", |user| {
        user.strip_prefix("00")
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
    }),
    ("{ regex = '0$' }", |user| user.ends_with('0')),
];

/// A rule as it is written; an empty list means that the key is absent.
#[derive(Debug, Clone)]
struct Written {
    methods: Vec<&'static str>,
    listeners: Vec<&'static str>,
    zones: Vec<Zone>,
    transports: Vec<&'static str>,
    sources: Vec<&'static str>,
    domains: Vec<&'static str>,
    users: Vec<usize>,
    registered: Option<bool>,
}

impl Written {
    fn to_toml(&self, index: usize) -> String {
        let quoted = |words: &[&str]| words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>();
        let zones: Vec<&str> = self.zones.iter().map(|zone| zone.as_str()).collect();
        let users = self.users.iter().map(|user| USERS[*user].0.to_owned()).collect();
        let lists = [
            ("method", quoted(&self.methods)),
            ("listener", quoted(&self.listeners)),
            ("zone", quoted(&zones)),
            ("transport", quoted(&self.transports)),
            ("source", quoted(&self.sources)),
            ("domain", quoted(&self.domains)),
            ("user", users),
        ];
        let mut keys: Vec<String> = lists
            .iter()
            .filter(|(_, items)| !items.is_empty())
            .map(|(key, items)| match &items[..] {
                [only] => format!("{key} = {only}"),
                _ => format!("{key} = [{}]", items.join(", ")),
            })
            .collect();
        keys.extend(self.registered.map(|registered| format!("registered = {registered}")));
        let matching =
            if keys.is_empty() { String::new() } else { format!("match = {{ {} }}\n", keys.join(", ")) };
        format!("[[rule]]\nname = '{index}'\nreject = {{ status = 403 }}\n{matching}")
    }

    fn holds(&self, query: &Query<'_>) -> bool {
        fn any<T>(items: &[T], is: impl Fn(&T) -> bool) -> bool {
            items.is_empty() || items.iter().any(is)
        }
        let user = query.user.replace("%2B", "+").replace("%30", "0");
        any(&self.methods, |method| *method == query.method)
            && any(&self.listeners, |listener| *listener == LISTENERS[query.listener])
            && any(&self.zones, |zone| *zone == query.zone)
            && any(&self.transports, |transport| *transport == query.transport)
            && any(&self.sources, |source| source_holds(source, query.source))
            && any(&self.domains, |domain| domain_holds(domain, query.domain))
            && any(&self.users, |index| USERS[*index].1(&user))
            && self.registered.is_none_or(|registered| registered == query.registered)
    }
}

fn source_holds(source: &str, address: IpAddr) -> bool {
    let address = address.to_canonical();
    match source.parse::<ipnet::IpNet>() {
        Ok(network) => network.contains(&address),
        Err(_) => source.parse() == Ok(address),
    }
}

fn domain_holds(pattern: &str, domain: &str) -> bool {
    let (pattern, domain) = (pattern.to_lowercase(), domain.to_lowercase());
    let domain = domain.strip_suffix('.').unwrap_or(&domain);
    match (pattern.strip_prefix('*'), pattern.parse::<IpAddr>()) {
        (Some(ending), _) => domain.ends_with(ending) && domain.len() > ending.len(),
        (None, Ok(address)) => domain.parse() == Ok(address),
        (None, Err(_)) => domain == pattern,
    }
}

/// Absent three times out of four, so that rules are neither all alike nor never true.
fn some_of<T: Clone + std::fmt::Debug + 'static>(items: &[T]) -> impl Strategy<Value = Vec<T>> + use<T> {
    let all = items.len().min(3);
    prop_oneof![3 => Just(Vec::new()), 1 => subsequence(items.to_vec(), 1..=all)]
}

fn rule() -> impl Strategy<Value = Written> {
    let registered = prop_oneof![4 => Just(None), 1 => any::<bool>().prop_map(Some)];
    let places = (some_of(&LISTENERS), some_of(&Zone::ALL), some_of(&TRANSPORTS), some_of(&SOURCES));
    let targets = (some_of(&METHODS), some_of(&DOMAINS), some_of(&[0, 1, 2, 3, 4, 5, 6, 7]), registered);
    (places, targets).prop_map(
        |((listeners, zones, transports, sources), (methods, domains, users, registered))| Written {
            methods,
            listeners,
            zones,
            transports,
            sources,
            domains,
            users,
            registered,
        },
    )
}

fn query() -> impl Strategy<Value = Query<'static>> {
    let methods = select(vec!["INVITE", "REGISTER", "BYE", "OPTIONS", "invite", "FROB", ""]);
    let transports = select(vec!["udp", "ws", "wss", "tcp", "UDP"]);
    let addresses =
        ["192.0.2.7", "192.0.2.200", "::ffff:192.0.2.7", "198.51.100.1", "2001:db8::5", "::1", "fe80::1"];
    let sources = select(addresses.map(|address| address.parse::<IpAddr>().expect("an address")).to_vec());
    let domains = select(vec![
        "example.com",
        "EXAMPLE.com.",
        "a.example.com",
        "b.A.example.com",
        "xexample.com",
        "b-example.com",
        ".example.com",
        "example.org",
        "com",
        "192.0.2.1",
        "192.0.2.2",
        "2001:DB8:0::1",
        "",
        ".",
        "ä.example.com",
    ]);
    let users = select(vec![
        "", "100", "1", "10", "alice", "Alice", "al", "+49", "+4", "%2B49", "%2B", "0012", "00", "001a",
        "10%30", "+", "%", "ü0",
    ]);
    (
        methods,
        0..LISTENERS.len(),
        select(Zone::ALL.to_vec()),
        transports,
        sources,
        domains,
        users,
        any::<bool>(),
    )
        .prop_map(|(method, listener, zone, transport, source, domain, user, registered)| Query {
            method,
            listener,
            zone,
            transport,
            source,
            domain,
            user,
            registered,
        })
}

/// The rules, and the numbers of those that the parser calls unreachable.
fn compile(written: &[Written]) -> (Rules, Vec<usize>) {
    let names = Names { pools: &[], listeners: &LISTENERS };
    let text = |without: &[usize]| -> String {
        let kept = written.iter().enumerate().filter(|(index, _)| !without.contains(index));
        kept.map(|(index, rule)| rule.to_toml(index)).collect()
    };
    let unreachable: Vec<usize> = match Rules::parse(&text(&[]), "routes.toml", &names) {
        Ok(rules) => return (rules, Vec::new()),
        Err(errors) => errors
            .iter()
            .map(|error| {
                assert!(error.found.contains("can never match"), "{error}");
                error
                    .rule
                    .as_deref()
                    .and_then(|name| name.parse().ok())
                    .expect("the rule is named by its number")
            })
            .collect(),
    };
    let rules =
        Rules::parse(&text(&unreachable), "routes.toml", &names).expect("only those rules were wrong");
    (rules, unreachable)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn the_first_rule_that_holds_decides(
        written in prop::collection::vec(rule(), 1..12),
        queries in prop::collection::vec(query(), 60),
    ) {
        let (rules, unreachable) = compile(&written);
        for query in &queries {
            let expected = written.iter().position(|rule| rule.holds(query));
            let decision = rules.evaluate(query);
            prop_assert_eq!(decision.rule.map(str::to_owned), expected.map(|index| index.to_string()), "{:?}", query);
            prop_assert_eq!(decision.action == Action::NoMatch, expected.is_none());
            prop_assert!(expected.is_none_or(|index| !unreachable.contains(&index)));
        }
    }

    #[test]
    fn no_request_makes_evaluation_panic(
        method in ".*", transport in ".*", domain in ".*", user in "[%0-9a-f+é]{0,600}",
        rules in prop::collection::vec(rule(), 1..6), listener in any::<usize>(),
    ) {
        let source = IpAddr::from([192, 0, 2, 1]);
        let (zone, registered) = (Zone::Public, false);
        let query = Query {
            method: &method, listener, zone, transport: &transport, source, domain: &domain, user: &user, registered,
        };
        compile(&rules).0.evaluate(&query);
    }

    #[test]
    fn no_text_makes_parsing_panic(
        pieces in prop::collection::vec(
            select(vec![
                "[[rule]]", "\n", "name", "match", "route", "reject", " = ", "{", "}", "[", "]", ",", "'", "\"", ".", "'x'",
                "user", "regex", "prefix", "domain", "source", "status", "403", "true", "pool", "é", "\u{0}", "\\", "#",
            ]),
            0..60,
        ),
    ) {
        let names = Names { pools: &["x"], listeners: &LISTENERS };
        if let Err(errors) = Rules::parse(&pieces.concat(), "routes.toml", &names) {
            prop_assert!(!errors.is_empty());
            for error in errors {
                prop_assert!(error.line >= 1 && error.column >= 1);
                prop_assert!(!error.to_string().chars().any(char::is_control), "{error:?}");
            }
        }
    }
}

#[test]
fn a_user_longer_than_the_limit_matches_nothing() {
    let rules = Rules::single_pool(3);
    let long = "1".repeat(routing_rules::MAX_USER_BYTES + 1);
    let query = |user| Query {
        method: "INVITE",
        listener: 0,
        zone: Zone::Public,
        transport: "udp",
        source: IpAddr::from([192, 0, 2, 1]),
        domain: "example.com",
        user,
        registered: false,
    };
    assert_eq!(rules.evaluate(&query(&long)).action, Action::NoMatch);
    assert_eq!(rules.evaluate(&query("1")).action, Action::Pool { pool: 3, balance: None });
    assert_eq!(rules.evaluate(&query("1")).rule, Some("default"));
}

#[test]
fn without_rules_nothing_matches() {
    let rules = Rules::default();
    assert!(rules.is_empty());
    assert_eq!(rules.names().count(), rules.len());
}
