//! `sbc check --tests tests.toml`: the operator's own examples of what the rules answer.

use std::net::IpAddr;
use std::path::Path;

use jiff::Timestamp;
use sbc_core::flow::ListenerId;

use super::document::{Document, Keys, Section, Value};
use super::error::{Place, Problem, Problems};
use super::{Settings, read_text};

/// Most examples of one file.
const MOST_EXAMPLES: usize = 10_000;
const KEYS: Keys = Keys { known: &["test"], later: &[] };
const TEST: Keys = Keys {
    known: &[
        "name",
        "message",
        "file",
        "listener",
        "source",
        "registered",
        "time",
        "percentage",
        "rule",
        "answer",
    ],
    later: &[],
};

/// A message, and what the rules are expected to say about it.
#[derive(Debug)]
pub(crate) struct Example {
    /// What reports call it.
    pub name: String,
    /// Where it stands.
    pub place: Place,
    /// The request, its lines ended as SIP does.
    pub message: Vec<u8>,
    /// Where it came in.
    pub listener: ListenerId,
    /// Who sent it.
    pub source: IpAddr,
    /// Whether whoever it asks for has a binding here.
    pub registered: bool,
    /// Unix time in seconds; now, where the example does not say.
    pub time: i64,
    /// In which ten-thousandth of all calls it is, where the example says so.
    pub share: Option<u16>,
    /// The rule that decides; the outer `None`: not said, the inner one: none does.
    pub rule: Option<Option<String>>,
    /// The answer, as the manual writes it.
    pub answer: Option<String>,
}

/// Reads a file of examples.
///
/// # Errors
/// Everything that is wrong with it.
pub(crate) fn examples(path: &Path, settings: &Settings) -> Result<Vec<Example>, Problems> {
    let file = path.display().to_string();
    let unreadable = |why: String| Problems(vec![Problem::Unreadable { file: file.clone(), why }]);
    let text = read_text(path).map_err(unreadable)?;
    let document = Document::new(&file, &text);
    let table = document.parse();
    let root = document.root(&table, KEYS);
    let expected = "at least one [[test]] with a message and what is expected of it";
    let directory = path.parent().unwrap_or(Path::new(""));
    let read = root.require("test", expected).and_then(|tests| tests.list(MOST_EXAMPLES, expected)).and_then(
        |tests| {
            tests
                .iter()
                .map(|test| example(test, directory, settings))
                .collect::<Vec<_>>()
                .into_iter()
                .collect()
        },
    );
    drop(root);
    match (Problems::any(document.into_problems()), read) {
        (None, Some(examples)) => Ok(examples),
        (Some(problems), _) => Err(problems),
        (None, None) => Err(Problems(vec![Problem::Unreadable { file, why: "no examples".to_owned() }])),
    }
}

fn example(test: &Value<'_, '_>, directory: &Path, settings: &Settings) -> Option<Example> {
    let section = test.section(TEST)?;
    let name = section.require("name", "a name").and_then(|value| value.text("a name").map(str::to_owned));
    let message = message(&section, directory);
    let listener =
        section.require("listener", "the name of a listener").and_then(|value| listener(&value, settings));
    let source = section
        .require("source", "an IP address")
        .and_then(|value| value.parsed("an IP address", |text| text.parse().ok()));
    let registered = section.or("registered", false, Value::boolean);
    let time = section.or("time", Timestamp::now().as_second(), |value| {
        let expected = "a time such as 2026-01-05T10:00:00+01:00";
        value.parsed(expected, |text| text.parse::<Timestamp>().ok().map(Timestamp::as_second))
    });
    let share = section.maybe("percentage", share);
    let rule = section.maybe("rule", |value| {
        if value.is_false() {
            Some(None)
        } else {
            value.text("the name of a rule, or false for none").map(|text| Some(text.to_owned()))
        }
    });
    let answer = section
        .maybe("answer", |value| value.text("an answer such as \"pool freeswitch\"").map(str::to_owned));
    let (rule, answer) = (rule?.map(|at| at.value), answer?.map(|at| at.value));
    if rule.is_none() && answer.is_none() {
        let place = section.place("");
        section.document().report(place, "a test that expects nothing", "at least one of: rule, answer");
        return None;
    }
    Some(Example {
        name: name?,
        place: test.place(),
        message: message?,
        listener: listener?,
        source: source?,
        registered: registered?,
        time: time?,
        share: share?.map(|at| at.value),
        rule,
        answer,
    })
}

/// The request, from the file itself or from one beside it.
fn message(section: &Section<'_, '_>, directory: &Path) -> Option<Vec<u8>> {
    match (section.get("message"), section.get("file")) {
        (Some(message), None) => message.text("a SIP request").map(with_line_ends),
        (None, Some(file)) => {
            let name = file.text("the name of a file")?;
            match read_text(&directory.join(name)) {
                Ok(text) => Some(with_line_ends(&text)),
                Err(why) => file.wrong(format!("a readable file; {name}: {why}")),
            }
        }
        (Some(_), Some(file)) => file.wrong("either message or file"),
        (None, None) => {
            section.document().report(
                section.place("message"),
                "nothing",
                "a SIP request, or file = \"NAME\"",
            );
            None
        }
    }
}

/// As SIP ends lines; the empty line that ends the headers may be missing.
fn with_line_ends(text: &str) -> Vec<u8> {
    let mut message = Vec::new();
    for line in text.trim_start().lines() {
        message.extend_from_slice(line.as_bytes());
        message.extend_from_slice(b"\r\n");
    }
    if !message.windows(4).any(|end| end == b"\r\n\r\n") {
        message.extend_from_slice(b"\r\n");
    }
    message
}

fn listener(value: &Value<'_, '_>, settings: &Settings) -> Option<ListenerId> {
    let text = value.text("the name of a listener")?;
    let listeners = (0_u16..).map(ListenerId).zip(&settings.listeners);
    let known = listeners.clone().find(|(_, listener)| *listener.core.name == *text);
    known.map(|(id, _)| id).or_else(|| {
        let names: Vec<&str> = listeners.map(|(_, listener)| &*listener.core.name).collect();
        value.wrong(format!("one of: {}", names.join(", ")))
    })
}

/// Percent to ten-thousandths.
fn share(value: &Value<'_, '_>) -> Option<u16> {
    value.integer(0..=99).and_then(|percent| u16::try_from(percent * 100).ok())
}
