//! `ticket` of a `[[listener]]`: whose signature lets a client in, and where it stands in the upgrade.

use std::path::Path;
use std::sync::Arc;

use sbc_ws::{TicketAlgorithm, TicketPlace, TicketRules, Tickets};

use super::document::{Keys, Value};
use super::listener::file;

/// Longest name of a ticket, in bytes.
const LONGEST_NAME: usize = 64;
const KEYS: Keys =
    Keys { known: &["jwks", "key", "algorithm", "audience", "issuer", "from", "name"], later: &[] };

/// Reads the table.
pub(super) fn read(value: &Value<'_, '_>, directory: &Path) -> Option<Arc<Tickets>> {
    let section = value.section(KEYS)?;
    let audience = section
        .require("audience", "what the claim `aud` names")
        .and_then(|value| value.text("what the claim `aud` names").map(str::to_owned));
    let issuer = section.or("issuer", None, |value| {
        value.text("what the claim `iss` names").map(|issuer| Some(issuer.to_owned()))
    });
    let places = [
        ("query", TicketPlace::Query),
        ("cookie", TicketPlace::Cookie),
        ("sub-protocol", TicketPlace::SubProtocol),
    ];
    let place = section.or("from", TicketPlace::Query, |value| value.word(&places, &[]));
    let name = section.or("name", "ticket".into(), name);
    let jwks = section.maybe("jwks", |value| file(value, directory));
    let key = section.maybe("key", |value| file(value, directory));
    let words = [
        ("HS256", TicketAlgorithm::Hs256),
        ("ES256", TicketAlgorithm::Es256),
        ("RS256", TicketAlgorithm::Rs256),
    ];
    let algorithm = section.maybe("algorithm", |value| value.word(&words, &[]));
    let rules = TicketRules { audience: audience?, issuer: issuer?, place: place?, name: name? };
    let tickets = match (jwks?, key?, algorithm?) {
        (Some(jwks), None, None) => Tickets::from_jwks(&jwks.value, rules),
        (None, Some(key), Some(algorithm)) => Tickets::from_key_file(&key.value, algorithm.value, rules),
        _ => return value.wrong("either jwks, or key with its algorithm"),
    };
    match tickets {
        Ok(tickets) => Some(Arc::new(tickets)),
        Err(error) => value.wrong(format!("keys that verify tickets; {error}")),
    }
}

/// A word that may stand in a query, a cookie and a sub-protocol.
fn name(value: &Value<'_, '_>) -> Option<Box<str>> {
    let fits = |text: &str| {
        text.len() <= LONGEST_NAME && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    value.parsed("letters, digits and `-`", |text| fits(text).then(|| text.into()))
}
