//! Bindings of users, kept as mod_sofia keeps them: by AoR, Contact URI and Path.

use std::time::Duration;

use sbc_core::time::Time;
use serde::Serialize;

use super::message::{Message, address_uri};

/// Bindings kept of all users together.
const MAX_BINDINGS: usize = 100_000;
/// Expires when a REGISTER says nothing (RFC 3261 §10.2.1.1).
const DEFAULT_EXPIRES: u64 = 3600;

/// FreeSWITCH's `multiple-registrations`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Multiple {
    /// `contact`: one binding for each Contact and Path.
    #[default]
    Contact,
    /// `false`: a new REGISTER replaces the old one.
    One,
}

/// One binding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Binding {
    /// `user@domain`.
    pub aor: String,
    /// Contact URI as registered, without header parameters.
    pub contact: String,
    /// Path values, in order, with brackets.
    pub path: Vec<String>,
    /// Call-ID of the REGISTER that made it.
    pub call_id: String,
    /// REGISTERs that made or refreshed it.
    pub refreshes: u64,
    /// When it ends, on the member's clock.
    #[serde(skip)]
    pub expires: Time,
}

/// All bindings.
#[derive(Debug, Default)]
pub struct Registrar {
    multiple: Multiple,
    bindings: Vec<Binding>,
}

impl Registrar {
    /// None yet.
    pub const fn new(multiple: Multiple) -> Self {
        Self { multiple, bindings: Vec::new() }
    }

    /// Take in one REGISTER whose sender may do so; the Contact values of its 200, in order.
    pub fn register(&mut self, now: Time, aor: &str, request: &Message) -> Vec<String> {
        self.bindings.retain(|binding| binding.expires > now);
        // Only the first Contact counts: FreeSWITCH stores no other.
        if let Some(contact) = request.list("Contact").first() {
            let expires =
                contact_expires(contact).or_else(|| request.number("Expires")).unwrap_or(DEFAULT_EXPIRES);
            if contact == "*" {
                // In contact mode the star removes nothing, as seen there.
                if self.multiple == Multiple::One && expires == 0 {
                    self.bindings.retain(|binding| binding.aor != aor);
                }
            } else if let Some(uri) = address_uri(contact) {
                self.store(now, aor, uri, expires, request);
            }
        }
        self.of(now, aor)
            .map(|binding| format!("<{}>;expires={}", binding.contact, left(now, binding)))
            .collect()
    }

    fn store(&mut self, now: Time, aor: &str, contact: String, expires: u64, request: &Message) {
        let path = request.list("Path");
        let same =
            |binding: &Binding| binding.aor == aor && binding.contact == contact && binding.path == path;
        let refreshes =
            self.bindings.iter().find(|binding| same(binding)).map_or(0, |binding| binding.refreshes);
        match self.multiple {
            Multiple::Contact => self.bindings.retain(|binding| !same(binding)),
            Multiple::One => self.bindings.retain(|binding| binding.aor != aor),
        }
        if expires > 0 && self.bindings.len() < MAX_BINDINGS {
            self.bindings.push(Binding {
                aor: aor.into(),
                contact,
                path,
                call_id: request.call_id().into(),
                refreshes: refreshes + 1,
                expires: now + Duration::from_secs(expires),
            });
        }
    }

    /// The live bindings of one AoR.
    pub fn of(&self, now: Time, aor: &str) -> impl Iterator<Item = &Binding> {
        self.bindings.iter().filter(move |binding| binding.aor == aor && binding.expires > now)
    }

    /// Take over what another member that shares the database has stored.
    pub fn share(&mut self, others: &[Binding]) {
        for other in others {
            let same = |own: &Binding| {
                own.aor == other.aor && own.contact == other.contact && own.path == other.path
            };
            if !self.bindings.iter().any(same) && self.bindings.len() < MAX_BINDINGS {
                self.bindings.push(other.clone());
            }
        }
    }

    /// Every binding stored.
    pub fn all(&self) -> &[Binding] {
        &self.bindings
    }
}

fn left(now: Time, binding: &Binding) -> u64 {
    binding.expires.since(now).as_secs()
}

/// The `expires` parameter of a Contact.
fn contact_expires(contact: &str) -> Option<u64> {
    let address = sbc_core::wire::NameAddr::parse(contact.as_bytes()).ok()?;
    std::str::from_utf8(address.params.value("expires")?).ok()?.parse().ok()
}
