//! `sbc explain`: what would become of one message, and why.

use std::io::Write;
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::support::{Site, stderr, stdout};

const ROUTES: &str = r#"
[[rule]]
name = "no premium numbers"
match = { method = "INVITE", user = { prefix = "+49900" } }
reject = { status = 403 }

[[rule]]
name = "national"
match = { user = { regex = '^0([1-9]\d+)$' } }
set = { user = "+49$1" }
route = { pool = "freeswitch" }

[[rule]]
name = "users"
match = { user = "bob" }
route = { bindings = true }
"#;

const INVITE: &str = "\
INVITE sip:030123@example.com SIP/2.0
Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;rport
Max-Forwards: 70
From: <sip:alice@example.com>;tag=1
To: <sip:030123@example.com>
Call-ID: one
CSeq: 1 INVITE
Contact: <sip:alice@192.0.2.1>
Content-Length: 0
";

fn site(name: &str) -> Site {
    let site = Site::new(name);
    let admission = "[admission]\ndeny = [\"203.0.113.0/24\"]\ndomains = [\"example.com\"]\n";
    site.write("sbc.toml", &format!("routes = \"routes.toml\"\n{}{admission}", site.good()));
    site.write("routes.toml", ROUTES);
    site
}

/// Explains a message from standard input.
fn explain(site: &Site, source: &str, message: &str, more: &[&str]) -> Output {
    let mut arguments = vec!["explain", "--source", source, "--listener", "phones", "-"];
    arguments.extend(more);
    let mut command = site.command(&arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(message.as_bytes()).expect("it reads its input");
    drop(input);
    child.wait_with_output().expect("it ends")
}

fn json(output: &Output) -> Value {
    serde_json::from_str(&stdout(output)).unwrap_or_else(|error| panic!("{error}: {}", stderr(output)))
}

#[test]
fn a_call_is_shown_with_its_checks_rules_and_the_bytes_that_leave() {
    let site = site("explain");
    site.write("invite.sip", INVITE);
    let output = site.end(&["explain", "--source", "192.0.2.1", "--listener", "phones", "invite.sip"]);
    let told = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{told}{}", stderr(&output));
    let member = format!("pool freeswitch, member sip:{}:5080", site.ip);
    let expected = [
        "from 192.0.2.1:5060 at listener phones (udp, public)".to_owned(),
        "  mandatory_headers  passed".to_owned(),
        "  line 2, rule \"no premium numbers\": match.user did not hold".to_owned(),
        "  line 7, rule \"national\": held".to_owned(),
        "  decided by rule \"national\": pool freeswitch; user +4930123".to_owned(),
        format!("leaves by listener inside to {}:5080, {member}: ", site.ip),
        "  INVITE sip:+4930123@example.com SIP/2.0".to_owned(),
        "  Max-Forwards: 69".to_owned(),
        "  X-AUTH-IP: 192.0.2.1".to_owned(),
        format!("verdict: let in, and goes to {member}"),
    ];
    for line in expected {
        assert!(told.contains(&format!("\n{line}")), "{line}\nis not in\n{told}");
    }
    assert!(!site.directory.join("state").exists(), "it wrote something");
}

#[test]
fn what_is_refused_says_by_which_check_and_counts_as_live_traffic_does() {
    let site = site("explain-refused");
    let friendly = format!("{INVITE}User-Agent: friendly-scanner\n");
    let cases = [
        ("203.0.113.9", INVITE.to_owned(), "access", "denied"),
        ("192.0.2.1", INVITE.replace("SIP/2.0\nVia", "SIP/3.0\nVia"), "syntax", "version"),
        ("192.0.2.1", friendly, "scanner", "scanner"),
        ("192.0.2.1", INVITE.replace("CSeq: 1 INVITE", "CSeq: 1 BYE"), "cseq_method", "cseq_method"),
        ("192.0.2.1", INVITE.replace("Forwards: 70", "Forwards: 0"), "max_forwards", "max_forwards"),
        ("192.0.2.1", INVITE.replace("Max-F", "Max-Breadth: 0\nMax-F"), "loop", "max_breadth"),
        (
            "192.0.2.1",
            INVITE.replace("example.com>\nCall", "example.com>;tag=2\nCall"),
            "sealed_address",
            "no_token",
        ),
        ("192.0.2.1", INVITE.replace("example.com SIP", "example.org SIP"), "served_domain", "not_served"),
    ];
    for (source, message, check, reason) in cases {
        let output = explain(&site, source, &message, &["--json"]);
        assert_eq!(output.status.code(), Some(1), "{check}");
        let told = json(&output);
        let last = told["checks"].as_array().and_then(|checks| checks.last()).expect("checks");
        assert_eq!((&last["name"], &last["verdict"]), (&check.into(), &"refused".into()), "{told:#}");
        assert_eq!(last["reason"], reason, "{told:#}");
        let counted = told["counted"].as_array().expect("counters");
        assert!(counted.iter().any(|counted| counted["reason"] == reason), "{told:#}");
        let answer = told["leaves"].as_array().and_then(|leaves| leaves.first());
        assert_eq!(answer.map_or(&Value::Null, |answer| &answer["status"]), &last["status"], "{told:#}");
        assert_eq!(told["rules"], Value::Null, "{told:#}");
    }
}

#[test]
fn rules_refuse_or_lead_to_bindings() {
    let site = site("explain-rules");
    let output = explain(&site, "192.0.2.1:7", &INVITE.replace("030123@", "+49900123@"), &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let told = json(&output);
    assert_eq!(told["rules"]["rule"], "no premium numbers");
    assert_eq!(told["rules"]["answer"], "403 Forbidden");
    assert_eq!(told["leaves"][0]["status"], 403);
    assert_eq!(told["leaves"][0]["to"], "192.0.2.1:7");

    let output = explain(&site, "192.0.2.1", &INVITE.replace("030123@", "bob@"), &["--json"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(json(&output)["rules"]["answer"], "bindings");

    let output = explain(&site, "192.0.2.1", &INVITE.replace("030123@", "carol@"), &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let told = json(&output);
    assert_eq!((&told["rules"]["rule"], &told["leaves"][0]["status"]), (&Value::Null, &404.into()));
}

#[test]
fn what_a_stranger_wrote_commands_no_terminal() {
    let site = site("explain-terminal");
    let output = explain(&site, "192.0.2.1", &INVITE.replace("one", "\u{9b}31m\u{1b}[2J"), &[]);
    let told = stdout(&output);
    assert!(!told.contains(['\u{1b}', '\u{9b}']), "{told:?}");
}

#[test]
fn a_question_that_cannot_be_answered_is_wrong_usage() {
    let site = site("explain-usage");
    site.write("invite.sip", INVITE);
    site.write("empty.sip", "\n");
    let cases: [(&[&str], &str); 5] = [
        (
            &["--source", "192.0.2.1", "--listener", "phone", "invite.sip"],
            "expected one of: browsers, phones, inside",
        ),
        (&["--source", "192.0.2.1", "--listener", "phones", "none.sip"], "none.sip: No such file"),
        (&["--source", "192.0.2.1", "--listener", "phones", "empty.sip"], "empty.sip: found nothing"),
        (&["--source", "here", "--listener", "phones", "invite.sip"], "expected an address such as"),
        (&["--config", "none.toml", "--source", "::1", "--listener", "phones", "invite.sip"], "none.toml"),
    ];
    for (arguments, expected) in cases {
        let output = site.end(&[&["explain"], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    }
}
