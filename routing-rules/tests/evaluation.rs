//! Compiled rules answer as the plainest reading of the language does, over random rules and requests.

use std::net::IpAddr;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use routing_rules::{Action, Given, Names, Party, Query, Rules, Scratch, ToPool, Zone};

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
const USERS: [(&str, Means); 11] = [
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
    ("{ regex = '^(?:al|10)[a-z0-9]' }", |user| {
        let rest = user.strip_prefix("al").or_else(|| user.strip_prefix("10"));
        rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()))
    }),
    ("{ regex = '^[^a]?4' }", |user| {
        user.starts_with('4')
            || user.as_bytes().first().is_some_and(|first| *first != b'a')
                && user.as_bytes().get(1) == Some(&b'4')
    }),
    ("{ regex = 'li' }", |user| user.contains("li")),
];

/// Whether a Unix time is meant.
type MeansTime = fn(i64) -> bool;

/// Windows of time as TOML, and what they mean, in winter.
const TIMES: [(&str, MeansTime); 4] = [
    ("{ zone = 'UTC', days = 'mon-fri' }", |time| (time / 86_400 + 3) % 7 < 5),
    ("{ zone = 'UTC', inside = '08:00-18:00' }", |time| (28_800..64_800).contains(&(time % 86_400))),
    ("{ zone = 'Europe/Berlin', outside = '08:00-18:00' }", |time| {
        !(28_800..64_800).contains(&((time + 3_600) % 86_400))
    }),
    ("{ zone = 'America/New_York', inside = '22:00-06:00' }", |time| {
        !(21_600..79_200).contains(&((time - 18_000) % 86_400))
    }),
];

/// Addresses as TOML, and what they mean.
const PARTIES: [(&str, Means); 4] = [
    ("'bob@Example.com'", |party| party == "bob@example.com"),
    ("'example.com'", |party| party == "example.com"),
    ("{ prefix = 'bo' }", |party| party.starts_with("bo")),
    ("{ regex = '@example[.]com$' }", |party| party.ends_with("@example.com")),
];

/// Values of a header as TOML, and what they mean.
const VALUES: [(&str, Means); 3] = [
    ("'phone'", |value| value == "phone"),
    ("{ prefix = 'ph' }", |value| value.starts_with("ph")),
    ("{ regex = '[0-9]' }", |value| value.bytes().any(|byte| byte.is_ascii_digit())),
];

/// Users that a rule with `next` sets, as it writes them.
const CHANGES: [(&str, &str); 4] = [
    ("set = { user = '+49' }", "+49"),
    ("set = { user = 'alice' }", "alice"),
    ("set = { strip = 1 }", ""),
    ("tag = 'x'", ""),
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
    froms: Vec<usize>,
    values: Vec<usize>,
    share: Option<u16>,
    not_user: Option<usize>,
    time: Option<usize>,
    regions: Vec<&'static str>,
    /// Instead of deciding, it changes the user in this way, or not at all.
    next: Option<usize>,
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
            ("region", quoted(&self.regions)),
            ("user", users),
            ("from", self.froms.iter().map(|from| PARTIES[*from].0.to_owned()).collect()),
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
        keys.extend(self.share.map(|share| format!("percentage = {}.{:02}", share / 100, share % 100)));
        keys.extend(self.time.map(|time| format!("time = {}", TIMES[time].0)));
        keys.extend(self.not_user.map(|user| format!("not = {{ user = {} }}", USERS[user].0)));
        if !self.values.is_empty() {
            let values: Vec<&str> = self.values.iter().map(|value| VALUES[*value].0).collect();
            keys.push(format!("header = {{ X-Kind = [{}] }}", values.join(", ")));
        }
        let action = match self.next {
            Some(change) => format!("{}\nnext = true", CHANGES[change].0),
            None => "reject = { status = 403 }".to_owned(),
        };
        let matching =
            if keys.is_empty() { String::new() } else { format!("match = {{ {} }}\n", keys.join(", ")) };
        format!("[[rule]]\nname = '{index}'\n{action}\n{matching}")
    }

    /// `user` is the one that rules above have left.
    fn holds(&self, query: &Asked, user: &str) -> bool {
        fn any<T>(items: &[T], is: impl Fn(&T) -> bool) -> bool {
            items.is_empty() || items.iter().any(is)
        }
        let from = format!("bob@{}", query.from_domain);
        any(&self.methods, |method| *method == query.method)
            && any(&self.listeners, |listener| *listener == LISTENERS[query.listener])
            && any(&self.zones, |zone| *zone == query.zone)
            && any(&self.transports, |transport| *transport == query.transport)
            && any(&self.sources, |source| source_holds(source, query.source))
            && any(&self.domains, |domain| domain_holds(domain, query.domain))
            && any(&self.users, |index| USERS[*index].1(user))
            && self.registered.is_none_or(|registered| registered == query.registered)
            && any(&self.froms, |index| PARTIES[*index].1(&from))
            && any(&self.values, |index| query.kinds.iter().any(|value| VALUES[*index].1(value)))
            && self.share.is_none_or(|share| query.share < share)
            && self.not_user.is_none_or(|index| !USERS[index].1(user))
            && self.time.is_none_or(|index| TIMES[index].1(query.time))
            && any(&self.regions, |region| *region == query.region)
    }
}

/// The number of the rule that decides, by the plainest reading of the language.
fn decides(written: &[Written], query: &Asked) -> Option<usize> {
    let mut user = query.user.replace("%2B", "+").replace("%30", "0");
    for (index, rule) in written.iter().enumerate() {
        if !rule.holds(query, &user) {
            continue;
        }
        match rule.next {
            None => return Some(index),
            Some(2) => user = user.chars().skip(1).collect(),
            Some(3) => {}
            Some(change) => user = CHANGES[change].1.to_owned(),
        }
    }
    None
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
    fn seldom<T: std::fmt::Debug + Clone + 'static>(
        values: impl Strategy<Value = T> + 'static,
    ) -> impl Strategy<Value = Option<T>> {
        prop_oneof![5 => Just(None), 1 => values.prop_map(Some)]
    }
    let places = (some_of(&LISTENERS), some_of(&Zone::ALL), some_of(&TRANSPORTS), some_of(&SOURCES));
    let targets = (
        some_of(&METHODS),
        some_of(&DOMAINS),
        some_of(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        seldom(any::<bool>()),
    );
    let more = (
        some_of(&[0, 1, 2, 3]),
        some_of(&[0, 1, 2]),
        seldom(1_u16..=10_000),
        seldom(0..USERS.len()),
        seldom(0_usize..4),
        seldom(0..TIMES.len()),
        some_of(&["eu", "us"]),
    );
    (places, targets, more).prop_map(
        |(
            (listeners, zones, transports, sources),
            (methods, domains, users, registered),
            (froms, values, share, not_user, next, time, regions),
        )| Written {
            methods,
            listeners,
            zones,
            transports,
            sources,
            domains,
            users,
            registered,
            froms,
            values,
            share,
            not_user,
            time,
            regions,
            next,
        },
    )
}

/// A request.
#[derive(Debug, Clone)]
struct Asked {
    method: &'static str,
    listener: usize,
    zone: Zone,
    transport: &'static str,
    source: IpAddr,
    domain: &'static str,
    user: &'static str,
    registered: bool,
    from_domain: &'static str,
    kinds: Vec<&'static str>,
    share: u16,
    time: i64,
    region: &'static str,
}

impl Asked {
    fn with<R>(&self, ask: impl FnOnce(&Query<'_>) -> R) -> R {
        let headers: Vec<(&str, &str)> = self.kinds.iter().map(|kind| ("x-kind", *kind)).collect();
        let lookup = Given { registered: self.registered, headers: &headers };
        ask(&Query {
            method: self.method,
            listener: self.listener,
            zone: self.zone,
            transport: self.transport,
            source: self.source,
            domain: self.domain,
            user: self.user,
            from: Party { user: "bob", domain: self.from_domain },
            to: Party::default(),
            share: self.share,
            time: self.time,
            region: self.region,
            lookup: &lookup,
        })
    }
}

fn query() -> impl Strategy<Value = Asked> {
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
        "10%30", "+", "%", "x0",
    ]);
    let from_domains = select(vec!["example.com", "example.org"]);
    let kinds = prop::collection::vec(select(vec!["phone", "phone7", "", "desk"]), 0..3);
    let places = (0..LISTENERS.len(), select(Zone::ALL.to_vec()), transports, sources);
    // The first three weeks of 2026.
    let times = 1_767_225_600_i64..1_769_040_000;
    let more = (from_domains, kinds, 0_u16..10_000, times, select(vec!["", "eu", "us"]));
    (places, methods, domains, users, any::<bool>(), more).prop_map(
        |(
            (listener, zone, transport, source),
            method,
            domain,
            user,
            registered,
            (from_domain, kinds, share, time, region),
        )| {
            Asked {
                method,
                listener,
                zone,
                transport,
                source,
                domain,
                user,
                registered,
                from_domain,
                kinds,
                share,
                time,
                region,
            }
        },
    )
}

/// The rules, and the numbers of those that the parser calls unreachable.
fn compile(written: &[Written]) -> (Rules, Vec<usize>) {
    let names = Names::new(&[], &LISTENERS);
    let text = |without: &[usize]| -> String {
        let kept = written.iter().enumerate().filter(|(index, _)| !without.contains(index));
        kept.map(|(index, rule)| rule.to_toml(index)).collect()
    };
    let mut unreachable: Vec<usize> = Vec::new();
    // Without a rule that changes the user, one further down may be found out to be unreachable, too.
    loop {
        let errors = match Rules::parse(&text(&unreachable), "routes.toml", &names) {
            Ok(rules) => return (rules, unreachable),
            Err(errors) => errors,
        };
        // Of very many errors the last one only counts the rest.
        unreachable.extend(errors.iter().filter(|error| error.rule.is_some()).map(|error| {
            assert!(error.found.contains("can never match"), "{error}");
            let number = error.rule.as_deref().and_then(|name| name.parse::<usize>().ok());
            number.expect("the rule is named by its number")
        }));
    }
}

/// Compiled, explained and plainly read rules answer alike.
fn agree(written: &[Written], queries: &[Asked]) -> Result<(), TestCaseError> {
    let (rules, unreachable) = compile(written);
    let mut scratch = Scratch::default();
    for query in queries {
        let expected = decides(written, query);
        let name = |rule: Option<&str>| rule.map(str::to_owned);
        let (decided, has_action) = query.with(|query| {
            let decision = rules.evaluate(query, &mut scratch);
            (name(decision.rule), decision.action != Action::NoMatch)
        });
        prop_assert_eq!(&decided, &expected.map(|index| index.to_string()), "{:?}", query);
        prop_assert_eq!(has_action, expected.is_some());
        prop_assert!(expected.is_none_or(|index| !unreachable.contains(&index)));
        let (explained, last_held) = query.with(|query| {
            let explanation = rules.explain(query, &mut scratch);
            let held = explanation.tried.last().filter(|tried| tried.failed.is_none());
            (name(explanation.decision.rule), held.map(|tried| tried.rule.to_owned()))
        });
        prop_assert_eq!(&explained, &decided);
        prop_assert!(decided.is_none() || last_held == decided);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(40) })]

    #[test]
    fn of_many_rules_the_first_that_holds_decides(
        written in prop::collection::vec(rule(), 50..150),
        queries in prop::collection::vec(query(), 60),
    ) {
        agree(&written, &queries)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn the_first_rule_that_holds_decides(
        written in prop::collection::vec(rule(), 1..12),
        queries in prop::collection::vec(query(), 60),
    ) {
        agree(&written, &queries)?;
    }

    #[test]
    fn no_request_makes_evaluation_panic(
        method in ".*", transport in ".*", domain in ".*", user in "[%0-9a-f+é]{0,600}", value in ".*",
        rules in prop::collection::vec(rule(), 1..6), listener in any::<usize>(), time in any::<i64>(),
    ) {
        let query = Query {
            method: &method,
            listener,
            zone: Zone::Public,
            transport: &transport,
            source: IpAddr::from([192, 0, 2, 1]),
            domain: &domain,
            user: &user,
            from: Party { user: &value, domain: &domain },
            to: Party { user: &user, domain: &value },
            share: u16::MAX,
            time,
            region: &value,
            lookup: &Given { registered: false, headers: &[("X-Kind", &value)] },
        };
        compile(&rules).0.evaluate(&query, &mut Scratch::default());
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
        let names = Names::new(&["x"], &LISTENERS);
        if let Err(errors) = Rules::parse(&pieces.concat(), "routes.toml", &names) {
            prop_assert!(!errors.is_empty());
            for error in errors {
                prop_assert!(error.line >= 1 && error.column >= 1);
                prop_assert!(!error.to_string().chars().any(char::is_control), "{error:?}");
            }
        }
    }
}

/// A query about a user, and one header.
fn about<R>(user: &str, value: &str, ask: impl FnOnce(&Query<'_>) -> R) -> R {
    ask(&Query {
        method: "INVITE",
        listener: 0,
        zone: Zone::Public,
        transport: "udp",
        source: IpAddr::from([192, 0, 2, 1]),
        domain: "example.com",
        user,
        from: Party::default(),
        to: Party::default(),
        share: 0,
        time: 0,
        region: "",
        lookup: &Given { registered: false, headers: &[("User-Agent", value)] },
    })
}

#[test]
fn a_user_longer_than_the_limit_matches_nothing() {
    let rules = Rules::single_pool(3);
    let mut scratch = Scratch::default();
    let long = "1".repeat(routing_rules::MAX_USER_BYTES + 1);
    about(&long, "", |query| assert_eq!(rules.evaluate(query, &mut scratch).action, Action::NoMatch));
    about("1", "", |query| {
        let decision = rules.evaluate(query, &mut scratch);
        let to = ToPool { pool: 3, balance: None, tag: None, region: None, fallback: &[] };
        assert_eq!(decision.action, Action::Pool(to));
        assert_eq!(decision.rule, Some("default"));
    });
}

#[test]
fn a_compared_header_longer_than_the_limit_matches_nothing() {
    let text = "[[rule]]\nname = 'scanners'\nmatch = { header = { User-Agent = { regex = 'evil' } } }\n\
                reject = { status = 403 }\n[[rule]]\nname = 'all'\nreject = { status = 404 }";
    let rules = Rules::parse(text, "routes.toml", &Names::new(&[], &[])).expect("right");
    let mut scratch = Scratch::default();
    let mut rule_for =
        |value: &str| about("1", value, |query| rules.evaluate(query, &mut scratch).rule.map(str::to_owned));
    assert_eq!(rule_for("evil").as_deref(), Some("scanners"));
    assert_eq!(rule_for("good").as_deref(), Some("all"));
    let padded = format!("{}evil", " x".repeat(routing_rules::MAX_HEADER_BYTES));
    assert_eq!(rule_for(&padded), None, "nobody gets past a rule by length");
}

#[test]
fn rules_that_lie_inside_each_other_deeply_are_all_found() {
    let rule = |n: usize| {
        let prefix = "1".repeat(n + 1);
        format!(
            "[[rule]]\nname = '{n}'\nmatch = {{ method = 'INFO', user = {{ prefix = '{prefix}' }} }}\nreject = {{ status = 403 }}\n"
        )
    };
    let deep: String = (0..100).rev().map(rule).collect();
    let text = format!(
        "{deep}[[rule]]\nname = 'last'\nmatch = {{ user = {{ prefix = '1' }} }}\nreject = {{ status = 404 }}\n"
    );
    let rules = Rules::parse(&text, "routes.toml", &Names::new(&[], &[])).expect("right");
    let mut scratch = Scratch::default();
    about(&"1".repeat(200), "", |query| {
        assert_eq!(rules.evaluate(query, &mut scratch).rule, Some("last"));
    });
}

#[test]
fn without_rules_nothing_matches() {
    let rules = Rules::default();
    assert!(rules.is_empty());
    assert_eq!(rules.names().count(), rules.len());
}
