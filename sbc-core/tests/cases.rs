//! The case files: a message, how strictly it is judged, and what becomes of it. One file for every check.
//!
//! A case begins with `== what it shows`, then the message, then what is expected of it:
//!
//! ```text
//! => strict 400 branch E0          refused: status, reason code, evidence (where it matters)
//! => strict silence via            refused without an answer
//! => tolerant passes branch        let pass, and counted
//! => strict passes                 nothing wrong
//! ```
//!
//! The message is a start line and what differs from an ordinary one: `Name: value` takes the place of that header,
//! `- Name` leaves it out, `+ Name: value` adds a line. `{5*text}` repeats, `{0x0d}` is a byte, `~` ends a line inside
//! a repetition. `raw:` takes the lines as they are, `@ name` says at which listener, `! bytes` sets `max_message`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use sbc_core::admission::{
    CHECKS, Check, Judged, Leniency, RESPONSE_CHECKS, Refusal, admit, admit_response, syntax,
};
use sbc_core::config::{Admission, Listener, Strictness};
use sbc_core::count::Count;
use sbc_core::flow::{Transport, Zone};
use sbc_core::wire::{Framing, Index, Limits, Message, ParseError};

/// What the operator of the cases allows.
const MAX_MESSAGE: usize = 32 * 1024;

/// One case.
#[derive(Debug, Default)]
struct Case {
    file: String,
    name: String,
    listener: String,
    max_message: usize,
    lines: Vec<String>,
    expected: Vec<String>,
}

/// How a message was judged.
#[derive(Debug, PartialEq, Eq)]
struct Judgement {
    refused: Option<Refusal>,
    tolerated: Vec<Count>,
}

fn manifest(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[expect(clippy::disallowed_methods, reason = "the crate reads no files, its test does")]
fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for entry in fs::read_dir(manifest("tests/cases")).expect("the case files") {
        let path = entry.expect("a case file").path();
        let file = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = read(&path);
        for part in text.split("\n== ").skip(1) {
            cases.push(case(&file, part));
        }
    }
    assert!(cases.len() > 100, "{} cases", cases.len());
    cases
}

fn case(file: &str, text: &str) -> Case {
    let mut lines = text.trim_end_matches('\n').lines();
    let mut case = Case { file: file.into(), max_message: MAX_MESSAGE, ..Case::default() };
    case.name = lines.next().expect("what it shows").to_owned();
    case.listener = "phones".to_owned();
    for line in lines {
        match line.split_once(' ') {
            Some(("=>", expected)) => case.expected.push(expected.to_owned()),
            Some(("@", listener)) => case.listener = listener.to_owned(),
            Some(("!", bytes)) => case.max_message = bytes.parse().expect("a number of bytes"),
            _ => case.lines.push(line.to_owned()),
        }
    }
    assert!(!case.expected.is_empty(), "{file}: {}: expects nothing", case.name);
    case
}

/// Repetitions, bytes and line ends.
fn expand(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        out.extend_from_slice(&rest.as_bytes()[..open]);
        let (what, after) = innermost(&rest[open + 1..]);
        match what.split_once('*').map(|(times, repeated)| (times.parse::<usize>(), repeated)) {
            Some((Ok(times), repeated)) => {
                let repeated = expand(&repeated.replace('~', "\r\n"));
                (0..times).for_each(|_| out.extend_from_slice(&repeated));
            }
            _ => match what.strip_prefix("0x").map(|digits| u8::from_str_radix(digits, 16)) {
                Some(Ok(byte)) => out.push(byte),
                _ => out.extend_from_slice(format!("{{{what}}}").as_bytes()),
            },
        }
        rest = after;
    }
    out.extend_from_slice(rest.as_bytes());
    out
}

/// What stands before the brace that closes, and what after it.
fn innermost(text: &str) -> (&str, &str) {
    let mut depth = 1;
    for (at, letter) in text.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => continue,
        }
        if depth == 0 {
            return (&text[..at], &text[at + 1..]);
        }
    }
    panic!("a brace that never closes: {text}")
}

fn message(case: &Case) -> Vec<u8> {
    if case.lines.first().is_some_and(|line| line == "raw:") {
        let cut = case.lines.last().is_some_and(|line| line == "{cut}");
        let lines: Vec<_> = case.lines[1..].iter().filter(|line| *line != "{cut}").cloned().collect();
        return expand(&(lines.join("\r\n") + if cut { "\r\n" } else { "\r\n\r\n" }));
    }
    let (start, rest) = case.lines.split_first().expect("a start line");
    let body_at = rest.iter().position(String::is_empty).unwrap_or(rest.len());
    let body: String = rest[body_at..].iter().skip(1).map(|line| format!("{line}\r\n")).collect();
    let body = expand(&body);
    let mut head = ordinary(start, case, body.len());
    for line in &rest[..body_at] {
        change(&mut head, line);
    }
    let mut out = expand(start);
    for (name, value) in head {
        out.extend_from_slice(b"\r\n");
        if !name.is_empty() {
            out.extend_from_slice(format!("{name}: ").as_bytes());
        }
        out.extend_from_slice(&value);
    }
    out.extend_from_slice(b"\r\n\r\n");
    out.extend_from_slice(&body);
    out
}

type Head = Vec<(String, Vec<u8>)>;

/// What an ordinary message with this start line has.
fn ordinary(start: &str, case: &Case, body: usize) -> Head {
    let method = start.split(' ').next().unwrap_or_default();
    let is_response = method.starts_with("SIP/");
    let transport = match case.listener.as_str() {
        "phones" | "inside" => "UDP",
        "streams" => "TCP",
        _ => "WSS",
    };
    let mut head = vec![("Via", format!("SIP/2.0/{transport} 192.0.2.31:5060;rport;branch=z9hG4bK77"))];
    if !is_response {
        head.push(("Max-Forwards", "70".to_owned()));
        head.push(("Contact", "<sip:1001@192.0.2.31:5060>".to_owned()));
    }
    head.push(("From", "<sip:1001@example.test>;tag=a".to_owned()));
    head.push(("To", format!("<sip:1002@example.test>{}", if is_response { ";tag=b" } else { "" })));
    head.push(("Call-ID", "c77@192.0.2.31".to_owned()));
    head.push(("CSeq", format!("1 {}", if is_response { "INVITE" } else { method })));
    head.push(("Content-Length", body.to_string()));
    head.into_iter().map(|(name, value)| (name.to_owned(), expand(&value))).collect()
}

fn change(head: &mut Head, line: &str) {
    if let Some(name) = line.strip_prefix("- ") {
        head.retain(|(own, _)| own != name);
        return;
    }
    if let Some(added) = line.strip_prefix("+ ") {
        head.insert(0, (String::new(), expand(added)));
        return;
    }
    if line.starts_with('{') {
        // `{5*+ X: y~}`: the repeated lines are added.
        let lines = expand(&line.replacen("*+ ", "*", 1));
        let lines = lines.strip_suffix(b"\r\n").unwrap_or(&lines).to_vec();
        head.insert(0, (String::new(), lines));
        return;
    }
    let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("no header: {line}"));
    head.retain(|(own, _)| own != name);
    let at = if name == "Via" { 0 } else { head.len() };
    head.insert(at, (name.to_owned(), expand(value)));
}

fn listener(name: &str, checks: Strictness) -> Listener {
    let (transport, zone) = match name {
        "phones" => (Transport::Udp, Zone::Public),
        "browsers" => (Transport::Wss, Zone::Public),
        "behind-alb" => (Transport::Ws, Zone::Public),
        "streams" => (Transport::Tcp, Zone::Public),
        "inside" => (Transport::Udp, Zone::Pool),
        other => panic!("no listener {other}"),
    };
    let bind = "198.51.100.7:5060".parse().expect("an address");
    Listener { checks, ..Listener::new(name, transport, bind, zone) }
}

fn judge(case: &Case, checks: Strictness, bytes: &[u8]) -> Judgement {
    let mut tolerated = Vec::new();
    let mut index = Index::new();
    let framing = if case.listener == "streams" { Framing::Stream } else { Framing::Datagram };
    if let Err(error) = index.parse(bytes, framing, &Limits::default()) {
        return Judgement { refused: Some(syntax(error)), tolerated };
    }
    let listener = listener(&case.listener, checks);
    let admission = Admission { max_message: case.max_message, ..Admission::default() };
    let judged = Judged {
        message: Message::new(bytes, &index),
        listener: &listener,
        source: "192.0.2.31:5060".parse().expect("an address"),
        admission: &admission,
    };
    let judge = if judged.message.is_request() { admit } else { admit_response };
    let refused = judge(&judged, &mut |fault: &Refusal| tolerated.push(fault.count)).err();
    Judgement { refused, tolerated }
}

fn told(judgement: &Judgement) -> String {
    match &judgement.refused {
        Some(refusal) => {
            let status = refusal.status.map_or("silence".to_owned(), |status| status.to_string());
            format!("{status} {} E{}", refusal.count.reason(), refusal.evidence)
        }
        None => {
            let reasons = judgement.tolerated.iter().map(|count| format!(" {}", count.reason()));
            format!("passes{}", reasons.collect::<String>())
        }
    }
}

/// Every expectation, judged: the case, what was expected, what became of it.
fn judgements() -> Vec<(Case, Vec<(String, Judgement)>)> {
    let judged = cases().into_iter().map(|case| {
        let bytes = message(&case);
        let judged = case.expected.iter().map(|expected| {
            let (strictness, _) = expected.split_once(' ').expect("a strictness");
            let checks = match strictness {
                "strict" => Strictness::Strict,
                "tolerant" => Strictness::Tolerant,
                other => panic!("{}: {other}", case.file),
            };
            (expected.clone(), judge(&case, checks, &bytes))
        });
        let judged = judged.collect();
        (case, judged)
    });
    judged.collect()
}

#[test]
fn every_message_is_judged_as_its_case_says() {
    let mut wrong = Vec::new();
    for (case, judged) in judgements() {
        for (expected, judgement) in judged {
            let (_, expected) = expected.split_once(' ').expect("an expectation");
            let told = told(&judgement);
            let agrees = told == expected || told.split(" E").next() == Some(expected);
            if !agrees {
                wrong.push(format!("{}: {}: expected {expected}, got {told}", case.file, case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn all_checks() -> impl Iterator<Item = &'static Check> {
    CHECKS.iter().chain(RESPONSE_CHECKS)
}

#[test]
fn every_reason_of_every_check_is_given_by_a_case_of_its_file() {
    let mut given: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for (case, judged) in judgements() {
        let counts = judged.iter().flat_map(|(_, judgement)| {
            judgement.refused.map(|refusal| refusal.count).into_iter().chain(judgement.tolerated.clone())
        });
        given.entry(case.file).or_default().extend(counts.map(Count::reason));
    }
    for check in all_checks() {
        let of_file = given.get(check.name).unwrap_or_else(|| panic!("no case file {}.case", check.name));
        for count in check.counts {
            assert!(of_file.contains(count.reason()), "{}.case never gives {}", check.name, count.reason());
        }
    }
    for error in ParseError::ALL {
        let reason = syntax(error).count.reason();
        assert!(given["syntax"].contains(reason), "syntax.case never gives {reason}");
    }
    let known: BTreeSet<_> = all_checks().map(|check| check.name).chain(["syntax"]).collect();
    let unknown: Vec<_> = given.keys().filter(|file| !known.contains(file.as_str())).collect();
    assert!(unknown.is_empty(), "case files of no check: {unknown:?}");
}

/// The statuses that the cases of a check were refused with.
fn statuses(check: &Check, judged: &[(Case, Vec<(String, Judgement)>)]) -> String {
    let refusals = judged
        .iter()
        .filter(|(case, _)| case.file == check.name)
        .flat_map(|(_, judged)| judged.iter().filter_map(|(_, judgement)| judgement.refused))
        .filter(|refusal| check.counts.contains(&refusal.count));
    let statuses: BTreeSet<_> =
        refusals.map(|one| one.status.map_or("silence".to_owned(), |status| status.to_string())).collect();
    statuses.into_iter().collect::<Vec<_>>().join(", ")
}

#[test]
fn the_document_lists_every_check_as_it_is() {
    let document = read(&manifest("SANITY.md"));
    let judged = judgements();
    let mut missing = Vec::new();
    for check in all_checks() {
        let reasons: Vec<_> = check.counts.iter().map(|count| count.reason()).collect();
        let tolerant = match check.leniency {
            Leniency::Never => "refused",
            Leniency::Tolerant => "counted",
            Leniency::Always => "counted, strict too",
        };
        let status = statuses(check, &judged);
        let line = format!(
            "| {} | `{}` | {} | {} | {tolerant} |",
            check.row,
            check.name,
            reasons.join(", "),
            if status.is_empty() { "-" } else { &status },
        );
        if !document.contains(&line) {
            missing.push(line);
        }
    }
    for row in 1..=53 {
        if !document.lines().any(|line| line.starts_with(&format!("| {row} |"))) {
            missing.push(format!("row {row}"));
        }
    }
    assert!(missing.is_empty(), "SANITY.md lacks:\n{}", missing.join("\n"));
}
