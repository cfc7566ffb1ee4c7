//! `sbc check --tests`: the operator's own examples of what the rules answer.

use crate::support::{Site, stderr, stdout};

const ROUTES: &str = r#"
[[rule]]
name = "no premium numbers"
match = { method = "INVITE", user = { prefixes = "premium.csv" } }
reject = { status = 403 }

[[rule]]
name = "national"
match = { user = { regex = '^0([1-9]\d+)$' } }
set = { user = "+49$1" }
route = { pool = "freeswitch" }
"#;

const TESTS: &str = r#"
[[test]]
name = "premium numbers are refused"
listener = "phones"
source = "192.0.2.1"
rule = "no premium numbers"
answer = "403 Forbidden"
message = """
INVITE sip:+49900123@example.com SIP/2.0
From: <sip:alice@example.com>;tag=1
To: <sip:+49900123@example.com>
"""

[[test]]
name = "others go on"
listener = "phones"
source = "192.0.2.1"
answer = "pool freeswitch; user +4930123"
file = "national.sip"

[[test]]
name = "names do not"
listener = "phones"
source = "192.0.2.1"
rule = false
message = "OPTIONS sip:alice@example.com SIP/2.0"
"#;

fn site(name: &str) -> Site {
    let site = Site::new(name);
    site.write("sbc.toml", &format!("routes = \"routes.toml\"\n{}", site.good()));
    site.write("routes.toml", ROUTES);
    site.write("premium.csv", "prefix,who\n+49900,premium\n+49137,voting\n");
    site.write("national.sip", "INVITE sip:030123@example.com SIP/2.0\nCall-ID: 1\n");
    site
}

#[test]
fn examples_that_hold_are_counted() {
    let site = site("examples");
    site.write("tests.toml", TESTS);
    let output = site.end(&["check", "--tests", "tests.toml"]);
    assert_eq!(output.status.code(), Some(0), "{}{}", stdout(&output), stderr(&output));
    assert!(stdout(&output).ends_with("ok: 3 tests\n"), "{}", stdout(&output));
}

#[test]
fn every_example_that_differs_is_shown_with_the_way_to_its_answer() {
    let site = site("examples-differ");
    site.write(
        "tests.toml",
        &TESTS.replace("+49900123@", "+49901123@").replace("rule = false", "rule = \"national\""),
    );
    let output = site.end(&["check", "--tests", "tests.toml"]);
    assert_eq!(output.status.code(), Some(1));
    let told = stdout(&output);
    let differing: Vec<&str> =
        told.lines().filter(|line| !line.contains(": udp ") && !line.contains("pool ")).collect();
    let expected = [
        "tests.toml:2:1: test \"premium numbers are refused\": found no rule: no rule, expected rule \"no premium numbers\": 403 Forbidden",
        "    rule \"no premium numbers\": match.user did not hold",
        "    rule \"national\": match.user did not hold",
        "tests.toml:21:1: test \"names do not\": found no rule: no rule, expected rule \"national\"",
        "    rule \"no premium numbers\": match.method did not hold",
        "    rule \"national\": match.user did not hold",
    ];
    for line in expected {
        let line = line.replacen(":1: test", ": test", 1);
        assert!(differing.contains(&line.as_str()), "{line}\nis not in\n{told}");
    }
    assert_eq!(stderr(&output).trim_end(), "2 of 3 tests differ");
}

#[test]
fn mistakes_in_examples_and_files_of_rules_come_all_at_once() {
    let site = site("examples-wrong");
    site.write(
        "tests.toml",
        &TESTS.replace("listener = \"phones\"", "listener = \"phone\"").replace("national.sip", "none.sip"),
    );
    let output = site.end(&["check", "--tests", "tests.toml"]);
    assert_eq!(output.status.code(), Some(1));
    let told = stdout(&output);
    assert_eq!(
        told.matches("found \"phone\", expected one of: browsers, phones, inside").count(),
        3,
        "{told}"
    );
    assert!(told.contains("found \"none.sip\", expected a readable file; none.sip: No such file"), "{told}");

    site.write("premium.csv", "+49900\n+499001\n");
    let output = site.end(&["check"]);
    assert_eq!(output.status.code(), Some(1));
    let expected = "premium.csv:2:1: rule \"no premium numbers\": match.user.prefixes: found \"+499001\", which \"+49900\" on line 1 \
                    covers, expected one of the two to be taken out\n";
    assert_eq!(stdout(&output), expected);
}
