//! Every mistake is reported with its place, what was found and what would be right; all mistakes at once.

use routing_rules::{Labels, MAX_FILE_BYTES, MAX_RULES, Names, Rules};

const NAMES: Names<'_> = Names::new(&["freeswitch", "carrier-a"], &["browsers", "carriers"]);

/// All errors of a text, without the file name, which each must begin with.
fn errors(text: &str) -> Vec<String> {
    let errors = Rules::parse(text, "routes.toml", &NAMES).expect_err("the text has a mistake");
    let lines = errors.iter().map(ToString::to_string);
    lines
        .map(|line| {
            assert!(!line.contains('\n'), "more than one line: {line:?}");
            line.strip_prefix("routes.toml:").expect("the file comes first").to_owned()
        })
        .collect()
}

/// The errors of a rule "x" that has a route, and these lines from line 4 on.
#[track_caller]
fn check_rule(lines: &str, expected: &[&str]) {
    assert_eq!(
        errors(&format!("[[rule]]\nname = \"x\"\nroute = {{ bindings = true }}\n{lines}\n")),
        expected
    );
}

/// The errors of a rule "x" without an action, and these lines from line 3 on.
#[track_caller]
fn check_action(lines: &str, expected: &[&str]) {
    assert_eq!(errors(&format!("[[rule]]\nname = \"x\"\n{lines}\n")), expected);
}

#[test]
fn a_syntax_error_is_one_line() {
    assert_eq!(
        errors("[[rule]]\nname = \"x\n"),
        ["2:10: toml: found a TOML syntax error, expected valid TOML (invalid basic string, expected `\"`)"]
    );
    assert_eq!(errors("x = 1\nx = 2\n"), ["2:1: toml: found \"x\", expected valid TOML (duplicate key)"]);
}

#[test]
fn a_file_without_rules_is_an_error() {
    assert_eq!(errors(""), ["1:1: rule: found nothing, expected at least one [[rule]]"]);
    assert_eq!(errors("\nrule = []"), ["2:8: rule: found no table, expected at least one [[rule]]"]);
    assert_eq!(
        errors("[rule]\nname = \"x\""),
        ["1:1: rule: found a single table, expected a list of rules, each opened by [[rule]]"]
    );
    assert_eq!(
        errors("rule = [1]"),
        ["1:9: rule: found an item that is no table, expected a [[rule]] with name, match and an action"]
    );
}

#[test]
fn an_unknown_key_names_the_nearest() {
    assert_eq!(
        errors("[[rules]]\nname = \"x\"\n"),
        ["1:3: rules: found an unknown key, expected one of: rule, sets; did you mean \"rule\"?"]
    );
    check_rule(
        "macth = { method = \"INVITE\" }",
        &[
            "4:1: rule \"x\": macth: found an unknown key, expected one of: name, match, set, remove, identity, limit, tag, media, route, reject, redirect, next; did you mean \"match\"?",
        ],
    );
    check_rule(
        "match = { domian = \"example.com\" }",
        &[
            "4:11: rule \"x\": match.domian: found an unknown key, expected one of: registered, zone, listener, method, \
             transport, region, percentage, source, domain, user, from, to, header, time, not; did you mean \"domain\"?",
        ],
    );
    check_action(
        "route = { poool = \"freeswitch\" }",
        &[
            "3:11: rule \"x\": route.poool: found an unknown key, expected one of: pool, balance, tag, region, fallback, bindings, fork; did you mean \
             \"pool\"?",
        ],
    );
    check_action(
        "reject = { code = 403 }",
        &[
            "3:12: rule \"x\": reject.code: found an unknown key, expected one of: status, reason, retry_after",
        ],
    );
}

#[test]
fn a_key_with_control_characters_stays_on_one_line() {
    check_rule(
        "\"a\\nb\" = 1",
        &[
            "4:1: rule \"x\": a\\nb: found an unknown key, expected one of: name, match, set, remove, identity, limit, tag, media, route, reject, redirect, next",
        ],
    );
}

#[test]
fn an_unknown_balance_is_told_what_exists() {
    check_action(
        "route = { pool = \"freeswitch\", balance = \"fastest\" }",
        &[
            "3:42: rule \"x\": route.balance: found \"fastest\", expected one of: hash:call-id, hash:aor, round-robin, weighted, least-calls, priority",
        ],
    );
}

#[test]
fn what_only_pools_or_only_bindings_have_is_said() {
    check_action(
        "route = { pool = \"freeswitch\", fork = true }",
        &["3:39: rule \"x\": route.fork: found a fork beside pool, expected a fork only beside bindings"],
    );
    check_action(
        "route = { bindings = true, tag = \"gpu\" }",
        &["3:34: rule \"x\": route.tag: found a tag beside bindings, expected a tag only beside pool"],
    );
}

#[test]
fn tags_and_regions_are_those_of_members() {
    let labels = Labels { tags: &["gpu", "canary"], regions: &["eu", "us"] };
    let names = Names { members: &[Some(labels), Some(Labels::default())], ..NAMES };
    let errors = |route: &str| -> Vec<String> {
        let text = format!("[[rule]]\nname = \"x\"\nroute = {{ {route} }}\n");
        let errors = Rules::parse(&text, "", &names).err().unwrap_or_default();
        errors
            .iter()
            .map(|error| format!("{}: found {}, expected {}", error.key, error.found, error.expected))
            .collect()
    };
    let right = [
        "pool = 'freeswitch', tag = 'gpu', region = 'us'",
        "pool = 'carrier-a', fallback = 'freeswitch', region = 'us'",
    ];
    for route in right {
        assert_eq!(errors(route), [""; 0], "{route}");
    }
    assert_eq!(
        errors("pool = 'freeswitch', tag = 'gpuu', region = 'ue'"),
        [
            "route.tag: found \"gpuu\", expected one of: gpu, canary; did you mean \"gpu\"?",
            "route.region: found \"ue\", expected one of: eu, us; did you mean \"eu\"?",
        ]
    );
    assert_eq!(
        errors("pool = 'carrier-a', tag = 'gpu'"),
        ["route.tag: found \"gpu\", expected none, because none is configured"]
    );
    let unknown = Names { members: &[None], ..NAMES };
    let text = "[[rule]]\nname = \"x\"\nroute = { pool = \"freeswitch\", tag = \"any\", region = \"any\" }\n";
    assert!(Rules::parse(text, "", &unknown).is_ok(), "nobody knows those members");
}

#[test]
fn a_rule_needs_a_name_of_its_own() {
    assert_eq!(
        errors("\n[[rule]]\nroute = { bindings = true }\n"),
        ["2:1: name: found nothing, expected a name of 1 to 128 characters that no other rule has"]
    );
    assert_eq!(
        errors("[[rule]]\nname = \" \"\nroute = { bindings = true }\n"),
        ["2:8: name: found \" \", expected a name of 1 to 128 characters that no other rule has"]
    );
    assert_eq!(
        errors(
            "[[rule]]\nname = \"x\"\nmatch = { zone = \"pool\" }\nroute = { bindings = true }\n\
             [[rule]]\nname = \"x\"\nroute = { pool = \"freeswitch\" }\n"
        ),
        ["6:8: rule \"x\": name: found \"x\", the name of the rule on line 2, expected a name of its own"]
    );
}

#[test]
fn a_rule_needs_exactly_one_action() {
    check_action(
        "",
        &["1:1: rule \"x\": route: found nothing, expected exactly one of: route, reject, redirect, next"],
    );
    check_rule(
        "reject = { status = 403 }",
        &[
            "4:10: rule \"x\": reject: found a second action beside route, expected exactly one of: route, reject, redirect, next",
        ],
    );
}

#[test]
fn a_route_needs_exactly_one_target() {
    let one_target = "expected exactly one of: pool, bindings";
    check_action("route = {}", &[&format!("3:9: rule \"x\": route: found no target, {one_target}")]);
    check_action(
        "route = { pool = \"freeswitch\", bindings = true }",
        &[&format!("3:43: rule \"x\": route.bindings: found a second target beside pool, {one_target}")],
    );
    check_action(
        "route = { bindings = false }",
        &["3:22: rule \"x\": route.bindings: found false, expected true, or a pool instead"],
    );
    check_action(
        "route = { bindings = true, balance = \"hash:aor\" }",
        &[
            "3:38: rule \"x\": route.balance: found a balance beside bindings, expected a balance only beside pool",
        ],
    );
    check_action(
        "route = \"freeswitch\"",
        &[
            "3:9: rule \"x\": route: found \"freeswitch\", expected a table with keys of: pool, balance, tag, region, fallback, bindings, fork",
        ],
    );
}

#[test]
fn pools_and_listeners_must_exist() {
    check_action(
        "route = { pool = \"freeswich\" }",
        &[
            "3:18: rule \"x\": route.pool: found \"freeswich\", expected one of: freeswitch, carrier-a; did you mean \
             \"freeswitch\"?",
        ],
    );
    check_rule(
        "match = { listener = [\"browsers\", \"browser\"] }",
        &[
            "4:35: rule \"x\": match.listener: found \"browser\", expected one of: browsers, carriers; did you mean \
             \"browsers\"?",
        ],
    );
    let nothing = Names::new(&[], &[]);
    let errors =
        Rules::parse("[[rule]]\nname = \"x\"\nroute = { pool = \"a\" }\n", "r", &nothing).unwrap_err();
    assert_eq!(
        errors.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["r:3:18: rule \"x\": route.pool: found \"a\", expected none, because none is configured"]
    );
}

#[test]
fn a_method_is_spelt_in_upper_case() {
    let methods = "ACK, BYE, CANCEL, INFO, INVITE, MESSAGE, NOTIFY, OPTIONS, PRACK, PUBLISH, REFER, REGISTER, SUBSCRIBE, \
                   UPDATE";
    check_rule(
        "match = { method = \"invite\" }",
        &[&format!(
            "4:20: rule \"x\": match.method: found \"invite\", expected one of: {methods}; did you mean \"INVITE\"?"
        )],
    );
    check_rule(
        "match = { method = 7 }",
        &[&format!("4:20: rule \"x\": match.method: found 7, expected one of: {methods}")],
    );
}

#[test]
fn zones_and_transports_are_words() {
    check_rule(
        "match = { zone = \"inside\", transport = \"TLS\", registered = \"yes\" }",
        &[
            "4:18: rule \"x\": match.zone: found \"inside\", expected one of: public, trunk, pool",
            "4:40: rule \"x\": match.transport: found \"TLS\", expected one of: udp, tcp, tls, ws, wss; did you mean \"tls\"?",
            "4:60: rule \"x\": match.registered: found \"yes\", expected true or false",
        ],
    );
}

#[test]
fn an_empty_match_or_list_is_an_error() {
    check_rule(
        "match = {}",
        &[
            "4:9: rule \"x\": match: found an empty table, expected at least one key, or no match at all for every request",
        ],
    );
    for key in ["method", "domain", "user", "source", "listener", "zone", "transport"] {
        let column = 14 + key.len();
        check_rule(
            &format!("match = {{ {key} = [] }}"),
            &[&format!(
                "4:{column}: rule \"x\": match.{key}: found an empty list, expected at least one item, or no such key"
            )],
        );
    }
    check_rule(
        "match = { user = { prefix = [] } }",
        &[
            "4:29: rule \"x\": match.user.prefix: found an empty list, expected at least one item, or no such key",
        ],
    );
}

#[test]
fn sources_are_addresses_or_whole_networks() {
    let expected = "an IP address or a network such as 192.0.2.0/24";
    check_rule(
        "match = { source = [\"192.0.2.1/24\", \"192.0.2.0/33\", \"example.com\", \"::ffff:192.0.2.1\"] }",
        &[
            "4:21: rule \"x\": match.source: found \"192.0.2.1/24\", expected the network 192.0.2.0/24 or the address 192.0.2.1",
            &format!("4:37: rule \"x\": match.source: found \"192.0.2.0/33\", expected {expected}"),
            &format!("4:53: rule \"x\": match.source: found \"example.com\", expected {expected}"),
            "4:68: rule \"x\": match.source: found \"::ffff:192.0.2.1\", IPv4 in IPv6, expected its IPv4 form, such as 192.0.2.1",
        ],
    );
}

#[test]
fn domains_are_names_or_addresses() {
    let expected = "expected a domain such as example.com, *.example.com or 192.0.2.1";
    for wrong in [
        "",
        "*",
        "*.",
        "a*.example.com",
        "*.*.example.com",
        "example.com:5060",
        "sip:example.com",
        "a..b",
        "ä.de",
    ] {
        check_rule(
            &format!("match = {{ domain = \"{wrong}\" }}"),
            &[&format!("4:20: rule \"x\": match.domain: found \"{wrong}\", {expected}")],
        );
    }
    check_rule(
        "match = { domain = \"[2001:db8::1]\" }",
        &[
            "4:20: rule \"x\": match.domain: found \"[2001:db8::1]\", expected the address without brackets: 2001:db8::1",
        ],
    );
}

#[test]
fn users_are_whole_or_have_one_way_to_compare() {
    let one_way = "expected exactly one of: prefix, regex, prefixes";
    check_rule(
        "match = { user = {} }",
        &[&format!("4:18: rule \"x\": match.user: found an empty table, {one_way}")],
    );
    check_rule(
        "match = { user = { prefix = \"1\", regex = \"1\" } }",
        &[&format!("4:42: rule \"x\": match.user.regex: found a regex beside prefix, {one_way}")],
    );
    check_rule(
        "match = { user = { prefix = \"\" } }",
        &["4:29: rule \"x\": match.user.prefix: found \"\", expected a prefix of at least one character"],
    );
    check_rule(
        "match = { user = 100 }",
        &[
            "4:18: rule \"x\": match.user: found 100, expected a user, or a table with prefix, regex or prefixes",
        ],
    );
}

#[test]
fn a_regex_must_compile_and_stay_small() {
    check_rule(
        "match = { user = { regex = \"^(00\" } }",
        &[
            "4:28: rule \"x\": match.user.regex: found \"^(00\": unclosed group, expected a valid regular expression",
        ],
    );
    check_rule(
        "match = { user = { regex = \"((a{1000}){1000})\" } }",
        &[
            "4:28: rule \"x\": match.user.regex: found \"((a{1000}){1000})\", expected a regular expression of less than \
             262144 bytes when compiled",
        ],
    );
    check_rule(
        "match = { user = { regex = \"\" } }",
        &[
            "4:28: rule \"x\": match.user.regex: found \"\", expected a regular expression of at least one character",
        ],
    );
}

#[test]
fn a_rejection_is_a_final_response() {
    check_action(
        "reject = {}",
        &["3:10: rule \"x\": reject.status: found nothing, expected a status from 300 to 699"],
    );
    for status in ["299", "700", "-403", "\"403\"", "403.0", "99999999999"] {
        check_action(
            &format!("reject = {{ status = {status} }}"),
            &[&format!("3:21: rule \"x\": reject.status: found {status}, expected a status from 300 to 699")],
        );
    }
    check_action(
        "reject = { status = 499 }",
        &[
            "3:10: rule \"x\": reject.reason: found nothing, expected a reason phrase, because this status has no usual one",
        ],
    );
    check_action(
        "reject = { status = 403, reason = \"No\\r\\nX: y\", retry_after = 0 }",
        &[
            "3:35: rule \"x\": reject.reason: found \"No\\r\\nX: y\", expected 1 to 128 characters, no control characters",
            "3:63: rule \"x\": reject.retry_after: found 0, expected seconds, a whole number from 1 to 86400",
        ],
    );
}

#[test]
fn a_rule_that_can_never_match_is_an_error() {
    let pair = |first: &str, second: &str| {
        let matching = |keys: &str| {
            if keys.is_empty() { String::new() } else { format!("match = {{ {keys} }}\n") }
        };
        format!(
            "[[rule]]\nname = \"a\"\nreject = {{ status = 403 }}\n{}[[rule]]\nname = \"b\"\nreject = {{ status = 404 }}\n{}",
            matching(first),
            matching(second)
        )
    };
    let shadowed = [
        ("", ""),
        ("", "method = \"INVITE\""),
        ("method = [\"INVITE\", \"BYE\"]", "method = \"BYE\", zone = \"pool\""),
        ("domain = \"*.example.com\"", "domain = [\"A.example.com\", \"*.b.example.com\"]"),
        ("domain = \"2001:db8::1\"", "domain = \"2001:DB8:0::1\""),
        ("user = { prefix = \"+4\" }", "user = [\"+49\", { prefix = \"+4930\" }]"),
        ("user = { regex = \"^1\" }", "user = [\"12\", { regex = \"^1\" }]"),
        ("source = [\"192.0.2.0/25\", \"192.0.2.128/25\"]", "source = \"192.0.2.0/24\""),
        ("listener = [\"browsers\", \"carriers\"]", "listener = \"carriers\""),
    ];
    for (first, second) in shadowed {
        let found = errors(&pair(first, second));
        let line = if first.is_empty() { 5 } else { 6 };
        assert_eq!(
            found,
            [format!(
                "{line}:8: rule \"b\": match: found a rule that can never match: \"a\" on line 2 takes all that it would, \
                 expected it above that rule, or a narrower match there"
            )],
            "{first} | {second}"
        );
    }
    let reachable = [
        ("method = \"INVITE\"", ""),
        ("method = \"INVITE\", zone = \"pool\"", "method = \"INVITE\""),
        ("domain = \"*.example.com\"", "domain = \"example.com\""),
        ("domain = \"*.example.com\"", "domain = \"*.com\""),
        ("domain = \"example.com\"", "domain = \"*.example.com\""),
        ("user = { prefix = \"+49\" }", "user = { prefix = \"+4\" }"),
        ("user = { regex = \"^1\" }", "user = { prefix = \"1\" }"),
        ("source = \"192.0.2.0/25\"", "source = \"192.0.2.0/24\""),
        ("registered = true", "registered = false"),
    ];
    for (first, second) in reachable {
        let rules = Rules::parse(&pair(first, second), "routes.toml", &NAMES);
        assert!(rules.is_ok(), "{first} | {second}: {rules:?}");
    }
}

#[test]
fn all_errors_come_at_once_in_the_order_of_the_file() {
    let text = "\
[[rule]]
match = { metod = \"INVITE\" }
route = { pool = \"a\" }

[[rule]]
name = \"second\"
reject = { status = 1 }
";
    let lines: Vec<String> =
        errors(text).iter().filter_map(|error| error.split(": found").next().map(str::to_owned)).collect();
    assert_eq!(
        lines,
        ["1:1: name", "2:11: match.metod", "3:18: route.pool", "7:21: rule \"second\": reject.status"]
    );
}

#[test]
fn columns_count_characters() {
    check_rule(
        "match = { user = \"äöü€\", zone = \"x\" }",
        &["4:33: rule \"x\": match.zone: found \"x\", expected one of: public, trunk, pool"],
    );
}

#[test]
fn files_rules_and_errors_have_limits() {
    assert_eq!(
        errors(&"#".repeat(MAX_FILE_BYTES + 1)),
        ["1:1: toml: found a file of 4194305 bytes, expected at most 4194304 bytes"]
    );
    let many: String =
        (0..=MAX_RULES).map(|n| format!("[[rule]]\nname = \"{n}\"\nreject = {{ status = 0 }}\n")).collect();
    assert_eq!(errors(&many), ["1:1: rule: found 20001 rules, expected at most 20000"]);
    let fewer: String =
        (0..150).map(|n| format!("[[rule]]\nname = \"{n}\"\nreject = {{ status = 0 }}\n")).collect();
    let errors = errors(&fewer);
    assert_eq!(errors.len(), 101);
    assert_eq!(
        errors.last().map(String::as_str),
        Some("451:1: rule: found 50 more errors, not shown, expected none")
    );
}

#[test]
fn regexes_are_counted_over_all_rules() {
    let rule = |n: usize| {
        format!(
            "[[rule]]\nname = \"{n}\"\nmatch = {{ user = {{ regex = \"^{n}$\" }} }}\nreject = {{ status = 403 }}\n"
        )
    };
    let rules: String = (1..=1025).map(rule).collect();
    assert_eq!(
        errors(&rules),
        [
            "4099:28: rule \"1025\": match.user.regex: found one regex more, expected at most 1024 different ones in all rules together"
        ]
    );
}

#[test]
fn what_is_found_is_shown_only_in_part_when_long() {
    let long = "a".repeat(1000);
    check_rule(
        &format!("match = {{ zone = \"{long}\" }}"),
        &[&format!(
            "4:18: rule \"x\": match.zone: found \"{}\"…, expected one of: public, trunk, pool",
            "a".repeat(80)
        )],
    );
}
