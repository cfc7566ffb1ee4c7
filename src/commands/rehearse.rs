//! `sbc check --tests`: asks the rules about the operator's examples, and shows what differs.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use sbc_core::config::Key;
use sbc_core::time::Time;
use sbc_core::{Core, Rehearsal};

use crate::config::{self, Example, Problems, Settings};

/// What came of the examples.
pub(super) struct Rehearsed {
    /// How many there are.
    pub total: usize,
    /// Each that differs, in lines to print.
    pub different: Vec<String>,
}

/// Asks the rules of `settings` about every example of a file.
///
/// # Errors
/// What is wrong with the file.
pub(super) fn rehearse(settings: &Settings, path: &Path) -> Result<Rehearsed, Problems> {
    let examples = config::examples(path, settings)?;
    // Nothing is sealed or sent: where keys live in the state directory, any will do.
    let any = || Key([0; 32]);
    let keys = settings.keys.clone().unwrap_or_else(|| vec![any()]);
    let path_key = settings.path_key.clone().unwrap_or_else(any);
    let core = Core::new(Arc::new(settings.core(keys, path_key)), [0; 32], Time::ZERO);
    let different = examples.iter().filter_map(|example| difference(example, settings, &core)).collect();
    Ok(Rehearsed { total: examples.len(), different })
}

/// What the rules say instead, and the way to it; `None` where they say what is expected.
fn difference(example: &Example, settings: &Settings, core: &Core) -> Option<String> {
    let rehearsal = Rehearsal {
        listener: example.listener,
        source: example.source,
        message: &example.message,
        registered: example.registered,
        unix_time: example.time,
        share: example.share,
    };
    let pools: Vec<&str> = settings.pools.iter().map(|pool| &*pool.name).collect();
    let mut text = format!("{}:{}: test {:?}: ", example.place.file, example.place.line, example.name);
    let told = core.rehearse(&rehearsal, |rules, explanation| {
        let rule = explanation.decision.rule.map(str::to_owned);
        let answer = rules.describe(&explanation.decision, &pools);
        let as_expected = example.rule.as_ref().is_none_or(|expected| *expected == rule)
            && example.answer.as_ref().is_none_or(|expected| *expected == answer);
        let tried: Vec<(String, Option<String>)> =
            explanation.tried.iter().map(|tried| (tried.rule.to_owned(), tried.failed.clone())).collect();
        (as_expected, rule, answer, tried)
    });
    let (as_expected, rule, answer, tried) = match told {
        Ok(told) => told,
        Err(unreadable) => return Some(format!("{text}the message cannot be read: {}", unreadable.0)),
    };
    if as_expected {
        return None;
    }
    let name =
        |rule: &Option<String>| rule.as_ref().map_or("no rule".to_owned(), |rule| format!("rule {rule:?}"));
    // Writing to a String cannot fail.
    let _ = write!(text, "found {}: {answer}, expected ", name(&rule));
    let expected = [example.rule.as_ref().map(name), example.answer.clone()];
    let _ = write!(text, "{}", expected.into_iter().flatten().collect::<Vec<_>>().join(": "));
    for (rule, failed) in tried {
        let why = failed.map_or("held".to_owned(), |key| format!("match.{key} did not hold"));
        let _ = write!(text, "\n    rule {rule:?}: {why}");
    }
    Some(text)
}
