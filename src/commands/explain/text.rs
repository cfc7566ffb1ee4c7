//! The way of a message as text for people.

use std::fmt;

use super::report::{Check, Counted, Message, Report, Rules};
use crate::commands::rehearse::held;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, listener, transport, zone, .. } = self;
        writeln!(f, "{}", harmless(&self.message))?;
        writeln!(f, "from {source} at listener {listener} ({transport}, {zone})\n\nchecks")?;
        self.checks.iter().try_for_each(|check| write!(f, "{check}"))?;
        if let Some(sealed) = &self.sealed_address {
            writeln!(f, "\nsealed address\n  {} leads on; the rules are not asked", harmless(sealed))?;
        }
        if let Some(rules) = &self.rules {
            write!(f, "\nrules\n{rules}")?;
        }
        for message in &self.leaves {
            write!(f, "\n{message}")?;
        }
        if !self.counted.is_empty() {
            writeln!(f, "\ncounted")?;
        }
        self.counted.iter().try_for_each(|counted| write!(f, "{counted}"))?;
        writeln!(f, "\nverdict: {}", self.verdict)
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, verdict, refusal } = self;
        let Some(fault) = refusal else { return writeln!(f, "  {name:<18} {verdict}") };
        write!(f, "  {name:<18} {verdict}: {}; ", fault.reason)?;
        match fault.status {
            Some(status) => write!(f, "{status}")?,
            None => write!(f, "silence")?,
        }
        if let Some(phrase) = fault.phrase {
            write!(f, " {phrase}")?;
        }
        writeln!(f, "; evidence {} ({})", fault.evidence, fault.what)
    }
}

impl fmt::Display for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for tried in &self.tried {
            writeln!(f, "  line {}, rule {:?}: {}", tried.line, tried.rule, held(tried.failed.as_deref()))?;
        }
        match &self.rule {
            Some(rule) => writeln!(f, "  decided by rule {rule:?}: {}", self.answer),
            None => writeln!(f, "  no rule decided: {}", self.answer),
        }
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { listener, to, bytes, .. } = self;
        write!(f, "leaves by listener {listener} to {to}")?;
        if let (Some(pool), Some(member)) = (&self.pool, &self.member) {
            write!(f, ", pool {pool}, member {member}")?;
        }
        writeln!(f, ": {bytes} bytes")?;
        self.text.lines().try_for_each(|line| writeln!(f, "  {}", harmless(line)).map(drop))
    }
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason {
            "" => writeln!(f, "  {}", self.metric),
            reason => writeln!(f, "  {}{{reason=\"{reason}\"}}", self.metric),
        }
    }
}

/// What strangers wrote must not command a terminal.
fn harmless(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() && letter != '\t' {
            safe.extend(letter.escape_default());
        } else {
            safe.push(letter);
        }
    }
    safe
}
