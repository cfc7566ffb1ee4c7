//! Mistakes in what rules look at beside the request line, and in what they do: each with its place and what would be
//! right.

use routing_rules::{Files, Names, Rules};

const NAMES: Names<'_> = Names::new(&["freeswitch", "carrier-a"], &["browsers", "carriers"]);

struct Beside;

impl Files for Beside {
    fn read(&self, name: &str) -> Result<String, String> {
        match name {
            "good.csv" => Ok("1\n2\n".to_owned()),
            "bad.csv" => Ok("prefix\n49\n4930\n\n+ 1\n".to_owned()),
            _ => Err("No such file or directory".to_owned()),
        }
    }
}

fn errors(text: &str) -> Vec<String> {
    let errors = Rules::load(text, "routes.toml", &NAMES, &Beside).expect_err("the text has a mistake");
    errors.iter().map(ToString::to_string).collect()
}

/// The one error of a rule "x" that has a route, and this line as the fourth.
#[track_caller]
fn check(line: &str, expected: &str) {
    let text = format!("[[rule]]\nname = \"x\"\nroute = {{ pool = \"freeswitch\" }}\n{line}\n");
    assert_eq!(errors(&text), [format!("routes.toml:4:{expected}")]);
}

/// The one error of a rule "x" without an action, and this line as the third.
#[track_caller]
fn check_action(line: &str, expected: &str) {
    assert_eq!(errors(&format!("[[rule]]\nname = \"x\"\n{line}\n")), [format!("routes.toml:3:{expected}")]);
}

#[test]
fn files_of_prefixes_must_be_there_and_right() {
    check(
        "match = { user = { prefixes = \"none.csv\" } }",
        "31: rule \"x\": match.user.prefixes: found \"none.csv\": No such file or directory, expected a file that can be \
         read, beside the routes file",
    );
    let rule = "[[rule]]\nname = \"x\"\nroute = { bindings = true }\nmatch = { user = { prefixes = \"bad.csv\" } }\n";
    assert_eq!(
        errors(rule),
        [
            "bad.csv:3:1: rule \"x\": match.user.prefixes: found \"4930\", which \"49\" on line 2 covers, expected one of \
             the two to be taken out",
            "bad.csv:5:1: rule \"x\": match.user.prefixes: found \"+ 1\", expected a prefix of 1 to 512 bytes without \
             blanks in the first column",
        ]
    );
}

#[test]
fn a_regex_that_no_text_matches_is_an_error() {
    check(
        "match = { user = { regex = '$00' } }",
        "28: rule \"x\": match.user.regex: found \"$00\", which no text matches, expected a regular expression that can \
         match",
    );
}

#[test]
fn captures_must_exist() {
    let with = |matching: &str| format!("match = {{ user = {matching} }}\nset = {{ user = \"+$2\" }}");
    let check = |matching: &str, expected: &str| {
        let text = format!("[[rule]]\nname = \"x\"\nroute = {{ bindings = true }}\n{}\n", with(matching));
        assert_eq!(errors(&text), [format!("routes.toml:5:16: rule \"x\": set.user: found {expected}")]);
    };
    check(
        "{ regex = '^00(\\d+)$' }",
        "\"${2}\", a capture that \"^00(\\\\d+)$\" does not have, expected $1, its only one",
    );
    check(
        "{ regex = '^00' }",
        "\"${2}\", a capture that \"^00\" does not have, expected a group in round brackets in the regex; it has none",
    );
    let not_always = "\"${2}\", but match.user does not always match by a regex, expected match.user to be regexes only, \
                      each with this capture";
    check("[{ regex = '^(0)(0)' }, \"100\"]", not_always);
    check("{ prefixes = 'good.csv' }", not_always);
}

#[test]
fn named_captures_must_exist_too() {
    check(
        "set = { host = \"${from.host}\" }",
        "16: rule \"x\": set.host: found \"${from.host}\", but match.from does not always match by a regex, expected \
         match.from to be regexes only, each with this capture",
    );
    check(
        "set = { user = \"5$\" }",
        "16: rule \"x\": set.user: found \"${}\", expected a capture such as $1, ${name} or ${from.1}, or ${user} or \
         ${domain}; $$ for a dollar",
    );
}

#[test]
fn what_holds_a_dialog_together_is_not_changed() {
    for name in ["Via", "call-id", "f", "Content-Length", "X-AUTH-IP"] {
        check(
            &format!("set = {{ headers = {{ {name} = \"x\" }} }}"),
            &format!(
                "21: rule \"x\": set.headers.{name}: found \"{name}\", which transactions, dialogs or the edge itself \
                 live by, expected another header"
            ),
        );
    }
    check(
        "set = { headers = { \"X-A: b\" = \"x\" } }",
        "21: rule \"x\": set.headers.X-A: b: found \"X-A: b\", expected the name of a header",
    );
}

#[test]
fn values_cannot_add_lines() {
    check(
        "set = { headers = { X-A = \"a\\r\\nX-B: c\" } }",
        "21: rule \"x\": set.headers.X-A: found \"a\\r\\nX-B: c\", expected a text without control characters, 1 to 1024 \
         bytes",
    );
    check(
        "set = { user = \"a b\" }",
        "16: rule \"x\": set.user: found \"a b\", expected a text without blanks, quotes and angle brackets, 1 to 1024 bytes",
    );
    check(
        "set = { host = \"a..b\" }",
        "16: rule \"x\": set.host: found \"a..b\", expected a host name or an address, without port and brackets",
    );
}

#[test]
fn a_user_is_set_in_one_way() {
    check(
        "set = { user = \"1\", strip = 2 }",
        "29: rule \"x\": set.strip: found set.strip beside user, expected either a whole user, or strip and prepend",
    );
}

#[test]
fn what_has_no_effect_is_an_error() {
    check_action(
        "set = { user = \"1\" }\nreject = { status = 403 }",
        "7: rule \"x\": set: found set beside an answer of our own, expected it only beside route or next = true",
    );
    let idle = "[[rule]]\nname = \"x\"\nnext = true\n";
    assert_eq!(
        errors(idle),
        [
            "routes.toml:1:1: rule \"x\": next: found nothing, expected something to do before going on: set, remove, limit, tag, …"
        ]
    );
    check_action("next = false", "8: rule \"x\": next: found false, expected true, or no such key");
}

#[test]
fn limits_have_a_number() {
    check("limit = {}", "9: rule \"x\": limit: found no limit, expected at least one of: calls, rate");
    check(
        "limit = { rate = \"50\" }",
        "18: rule \"x\": limit.rate: found \"50\", expected a rate such as 50/s, 300/m or 1000/h",
    );
    check(
        "limit = { burst = 5 }",
        "19: rule \"x\": limit.burst: found a burst without a rate, expected rate beside it",
    );
    check(
        "limit = { calls = 0 }",
        "19: rule \"x\": limit.calls: found 0, expected calls at one time, 1 to 1000000",
    );
}

#[test]
fn redirects_name_uris() {
    check_action(
        "redirect = { contact = \"alice@example.com\" }",
        "24: rule \"x\": redirect.contact: found \"alice@example.com\", expected a URI that begins with sip:, sips: or tel:",
    );
    check_action(
        "redirect = { contact = \"sip:a@b\", status = 303 }",
        "44: rule \"x\": redirect.status: found 303, expected one of: 300, 301, 302, 305, 380",
    );
}

#[test]
fn times_are_what_a_clock_shows() {
    check(
        "match = { time = { zone = \"Europe/Berin\", days = \"mon\" } }",
        "27: rule \"x\": match.time.zone: found \"Europe/Berin\", expected a time zone such as Europe/Berlin; did you mean \
         \"Europe/Berlin\"?",
    );
    check(
        "match = { time = { zone = \"UTC\" } }",
        "18: rule \"x\": match.time: found a zone alone, expected at least one of: days, inside, outside, dates",
    );
    for wrong in ["8:00-18:00", "08:00", "24:00-01:00", "08:60-09:00", "08:00-08:00"] {
        check(
            &format!("match = {{ time = {{ zone = \"UTC\", inside = \"{wrong}\" }} }}"),
            &format!(
                "43: rule \"x\": match.time.inside: found \"{wrong}\", expected hours such as 08:00-18:00"
            ),
        );
    }
    for wrong in ["2026-02-30", "13-01", "2026-01-02..2026-01-01", "12-24..2026-12-26"] {
        check(
            &format!("match = {{ time = {{ zone = \"UTC\", dates = \"{wrong}\" }} }}"),
            &format!(
                "42: rule \"x\": match.time.dates: found \"{wrong}\", expected a date such as 2026-12-24 or, for every \
                 year, 12-24; or two of them with .. between"
            ),
        );
    }
}

#[test]
fn sets_are_known_used_and_flat() {
    let rule =
        "[[rule]]\nname = \"x\"\nmatch = { domain = { set = \"our\" } }\nroute = { bindings = true }\n";
    assert_eq!(
        errors(&format!("[sets]\nours = [\"a.com\"]\n{rule}")),
        [
            "routes.toml:5:28: rule \"x\": match.domain.set: found \"our\", expected \"ours\"; did you mean \"ours\"?"
        ]
    );
    let plain = "[[rule]]\nname = \"x\"\nroute = { bindings = true }\n";
    assert_eq!(
        errors(&format!("[sets]\nours = [\"a.com\"]\n{plain}")),
        [
            "routes.toml:2:1: sets.ours: found a set that no rule uses, expected a rule that does, or no such set"
        ]
    );
    assert_eq!(
        errors(&format!("[sets]\nours = []\n{plain}")),
        ["routes.toml:2:1: sets.ours: found an empty list, expected a list of at least one item"]
    );
}

#[test]
fn shares_are_percentages() {
    for wrong in ["0", "100.5", "\"10%\""] {
        check(
            &format!("match = {{ percentage = {wrong} }}"),
            &format!("24: rule \"x\": match.percentage: found {wrong}, expected a number from 0.01 to 100"),
        );
    }
}

#[test]
fn a_rule_below_one_that_takes_all_is_found_by_every_key() {
    let pair = |first: &str, second: &str| {
        format!(
            "[[rule]]\nname = \"a\"\nreject = {{ status = 403 }}\nmatch = {{ {first} }}\n\
             [[rule]]\nname = \"b\"\nreject = {{ status = 404 }}\nmatch = {{ {second} }}\n"
        )
    };
    let shadowed = [
        ("percentage = 50", "percentage = 10, method = \"INVITE\""),
        ("from = { regex = '^a' }", "from = [\"a@b.com\", { regex = '^a' }]"),
        ("header = { X-A = [\"1\", \"2\"] }", "header = { x-a = \"1\", X-B = \"3\" }"),
        ("user = { prefixes = 'good.csv' }", "user = [\"12\", { prefix = \"2\" }]"),
        ("not = { user = \"1\" }", "not = { user = [\"1\", \"2\"] }"),
        ("region = [\"eu\", \"us\"]", "region = \"eu\""),
        ("time = { zone = \"UTC\", days = \"mon\" }", "time = { zone = \"UTC\", days = \"mon\" }"),
    ];
    for (first, second) in shadowed {
        assert_eq!(errors(&pair(first, second)).len(), 1, "{first} | {second}");
    }
    let reachable = [
        ("percentage = 10", "percentage = 50"),
        ("from = \"a@b.com\"", "to = \"a@b.com\""),
        ("header = { X-A = \"1\" }", "header = { X-B = \"1\" }"),
        ("not = { user = [\"1\", \"2\"] }", "not = { user = \"1\" }"),
        ("time = { zone = \"UTC\", days = \"mon\" }", "time = { zone = \"UTC\", days = \"tue\" }"),
    ];
    for (first, second) in reachable {
        let rules = Rules::load(&pair(first, second), "routes.toml", &NAMES, &Beside);
        assert!(rules.is_ok(), "{first} | {second}: {rules:?}");
    }
}

#[test]
fn a_rule_is_reachable_by_what_a_rule_between_changes() {
    let rules = |between: &str| {
        format!(
            "[[rule]]\nname = \"a\"\nmatch = {{ user = {{ prefix = \"+\" }} }}\nreject = {{ status = 403 }}\n\
             [[rule]]\nname = \"between\"\n{between}\nnext = true\n\
             [[rule]]\nname = \"b\"\nmatch = {{ user = \"+49\" }}\nreject = {{ status = 404 }}\n"
        )
    };
    let load = |between: &str| Rules::load(&rules(between), "routes.toml", &NAMES, &Beside);
    assert!(load("set = { prepend = \"+\" }").is_ok());
    assert!(load("set = { headers = { X-A = \"1\" } }").is_err());
}
