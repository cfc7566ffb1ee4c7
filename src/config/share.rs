//! What a member takes of its pool's requests: of one in the file, and of those that DNS lists.

use sbc_core::config::Share;

use super::document::{At, Keys, Section, Value};
use super::{Source, listener};

/// Most tags of one member.
const MOST_TAGS: usize = 16;
const DISCOVERED_KEYS: Keys =
    Keys { known: &["weight", "priority", "region", "tags", "max_calls", "max_cps"], later: &[] };

/// Reads `discovered` of a pool whose `discover` is `source`; `None` within where it is not there, and around that
/// where it is wrong by itself.
pub(super) fn discovered(pool: &Section<'_, '_>, source: Option<Option<&At<Source>>>) -> Option<Share> {
    let Some(value) = pool.get("discovered") else { return Some(Share::default()) };
    let section = value.section(DISCOVERED_KEYS)?;
    let share = share(&section);
    let without_effect = |value: &Value<'_, '_>, expected: &str| {
        section.document().report(value.place(), "a key without effect here", expected);
    };
    match source? {
        None => {
            without_effect(&value, "`discover` beside it, or `max_calls` and the like in each of `members`");
            return None;
        }
        Some(source) if source.value.has_weights() => {
            let told: Vec<_> = ["weight", "priority"].iter().filter_map(|name| section.get(name)).collect();
            for value in &told {
                without_effect(value, "neither `weight` nor `priority`: SRV records say them");
            }
            told.is_empty().then_some(())?;
        }
        Some(_) => {}
    }
    share
}

/// What it takes of the pool's requests.
pub(super) fn share(section: &Section<'_, '_>) -> Option<Share> {
    let whole = Share::default();
    let weight = section.or("weight", whole.weight, |value| {
        value.integer(1..=1000).and_then(|weight| u16::try_from(weight).ok())
    });
    let priority = section.or("priority", whole.priority, |value| {
        value.integer(0..=255).and_then(|priority| u8::try_from(priority).ok())
    });
    let region = section.maybe("region", |value| listener::name_of(value).map(|name| name.value));
    let tags = section.or("tags", Box::default(), tags);
    let max_calls = section.maybe("max_calls", |value| value.integer(1..=1_000_000));
    let max_cps = section.maybe("max_cps", |value| value.integer(1..=100_000));
    Some(Share {
        weight: weight?,
        priority: priority?,
        region: region?.map(|region| region.value.into()),
        tags: tags?,
        max_calls: max_calls?.map(|most| most.value),
        max_cps: max_cps?.map(|most| most.value),
    })
}

/// The words by which routes choose among the members.
fn tags(value: &Value<'_, '_>) -> Option<Box<[Box<str>]>> {
    let expected = "a list of 1 or more tags as [\"large\"]";
    let tags = value.list_of(MOST_TAGS, expected, |item| listener::name_of(item).map(|tag| tag.value))?;
    if tags.is_empty() {
        return value.wrong(expected);
    }
    Some(tags.into_iter().map(Into::into).collect())
}
