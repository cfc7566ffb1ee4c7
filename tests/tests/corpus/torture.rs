//! RFC 4475 and RFC 5118: every message ends as its manifest allows.

use std::path::Path;

use serde_json::Value;

use super::stage::{Outcome, Stage, Way};
use super::{corpus, listed, text};

/// Whether `outcome` is what one entry of a manifest says: `forward`, `drop`, `reject[400,501]`, `accept[200]`.
fn agrees(outcome: &Outcome, entry: &str) -> bool {
    let codes = |kind: &str| {
        let inside = entry.strip_prefix(kind).and_then(|rest| rest.strip_prefix('[')?.strip_suffix(']'));
        inside.map(|codes| codes.split(',').filter_map(|code| code.trim().parse().ok()).collect::<Vec<u16>>())
    };
    match outcome {
        Outcome::Forwarded => entry == "forward",
        Outcome::Dropped => matches!(entry, "drop" | "reject-or-drop"),
        Outcome::Answered(status) => match codes("reject").or_else(|| codes("accept")) {
            Some(codes) => codes.contains(status),
            None => entry == "reject-or-drop" && *status >= 400,
        },
    }
}

fn is_allowed(outcome: &Outcome, listed: &Value) -> bool {
    let also = listed["also_ok"].as_array().into_iter().flatten().filter_map(Value::as_str);
    also.chain([text(listed, "expect")]).any(|entry| agrees(outcome, entry))
}

fn play(set: &Path) -> usize {
    let messages = listed(set);
    let mut wrong = Vec::new();
    for way in Way::BOTH {
        for listed in &messages {
            // Some share their Call-ID and branch: to one core the second would be a repetition.
            let mut stage = Stage::new(way);
            let file = [text(listed, "wire_file"), text(listed, "file")];
            let file = file.into_iter().find(|name| !name.is_empty()).expect("a file");
            let bytes = std::fs::read(set.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            let outcome = stage.judge(&bytes);
            if !is_allowed(&outcome, listed) {
                wrong.push(format!(
                    "{file} over {way:?}: {outcome:?}, not {} or {}",
                    listed["expect"], listed["also_ok"]
                ));
            }
            stage.assert_alive();
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    messages.len()
}

#[test]
fn every_torture_test_of_the_rfcs_ends_as_it_may() {
    let Some(corpus) = corpus() else { return println!("no messages at hand") };
    let counts = ["rfc4475", "rfc5118"].map(|set| play(&corpus.join(set)));
    println!("{counts:?} messages, each over UDP and over WebSocket");
    assert_eq!(counts, [50, 12]);
}
