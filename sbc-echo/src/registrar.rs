//! Who registered (RFC 3261 §10.3, RFC 3327). Everybody may; nothing is forwarded to a binding.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use sbc_core::wire::{HeaderName, NameAddr, trim};

use crate::request::Request;

/// Most bindings of all addresses of record.
const MAX_BINDINGS: usize = 10_000;

/// Most bindings of one address of record.
const MAX_BINDINGS_OF_ONE: usize = 16;

/// What a REGISTER without Expires gets, in seconds.
const DEFAULT_EXPIRES: u32 = 3600;

/// The longest that is granted, in seconds.
const MAX_EXPIRES: u32 = 7200;

#[derive(Debug, Default)]
pub(crate) struct Registrar {
    records: HashMap<Vec<u8>, Vec<Binding>>,
    count: usize,
}

#[derive(Debug, Clone)]
struct Binding {
    uri: Vec<u8>,
    path: Vec<Vec<u8>>,
    /// Contact parameters but `expires`, as they came.
    params: Vec<u8>,
    expires_at: Instant,
}

/// No room for another binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

impl Registrar {
    /// Change the bindings as the REGISTER says. Returns the header lines of its 200.
    ///
    /// # Errors
    /// [`Full`] when no room is left; nothing is changed then.
    pub(crate) fn register(&mut self, now: Instant, request: &Request<'_>) -> Result<String, Full> {
        let asked = expires_of(request.message.value(HeaderName::Expires)).unwrap_or(DEFAULT_EXPIRES);
        let path: Vec<Vec<u8>> = request.options(HeaderName::Path).map(<[u8]>::to_vec).collect();
        let before = self.records.remove(request.to.uri).unwrap_or_default();
        self.count -= before.len();
        let mut record = before.clone();
        record.retain(|binding| binding.expires_at > now);
        let mut fits = true;
        for contact in request.options(HeaderName::Contact) {
            if trim(contact) == b"*" {
                record.clear();
            } else if let Ok(contact) = NameAddr::parse(contact) {
                record.retain(|binding| binding.uri != contact.uri || binding.path != path);
                fits &= self.add(now, &mut record, &contact, &path, asked);
            }
        }
        let headers = describe(now, &record, &path);
        // All changes of a request are made, or none is (RFC 3261 §10.3).
        let record = if fits { record } else { before };
        self.count += record.len();
        if !record.is_empty() {
            self.records.insert(request.to.uri.to_vec(), record);
        }
        if fits { Ok(headers) } else { Err(Full) }
    }

    /// False when there is no room. A binding asked for with 0 seconds is none.
    fn add(
        &mut self,
        now: Instant,
        record: &mut Vec<Binding>,
        contact: &NameAddr<'_>,
        path: &[Vec<u8>],
        asked: u32,
    ) -> bool {
        let seconds = contact.params.value("expires").and_then(expires_of).unwrap_or(asked).min(MAX_EXPIRES);
        if seconds == 0 {
            return true;
        }
        if self.count + record.len() >= MAX_BINDINGS {
            self.forget_expired(now);
        }
        if record.len() >= MAX_BINDINGS_OF_ONE || self.count + record.len() >= MAX_BINDINGS {
            return false;
        }
        let expires_at = now + Duration::from_secs(seconds.into());
        let raw = contact.params.raw();
        let kept = contact.params.iter().filter(|param| !param.name.eq_ignore_ascii_case(b"expires"));
        let params = kept.flat_map(|param| raw.get(param.range).unwrap_or_default().to_vec()).collect();
        record.push(Binding { uri: contact.uri.to_vec(), path: path.to_vec(), params, expires_at });
        true
    }

    fn forget_expired(&mut self, now: Instant) {
        self.records.retain(|_, record| {
            record.retain(|binding| binding.expires_at > now);
            !record.is_empty()
        });
        self.count = self.records.values().map(Vec::len).sum();
    }
}

/// Seconds; anything that is not a number is none.
fn expires_of(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(trim(text)).ok()?.parse().ok()
}

/// All bindings of the address of record, and the Path of this request.
fn describe(now: Instant, record: &[Binding], path: &[Vec<u8>]) -> String {
    let mut headers = String::new();
    for binding in record {
        let left = binding.expires_at.saturating_duration_since(now).as_secs();
        let (uri, params) = (String::from_utf8_lossy(&binding.uri), String::from_utf8_lossy(&binding.params));
        headers += &format!("Contact: <{uri}>{params};expires={left}\r\n");
    }
    for hop in path {
        headers += &format!("Path: {}\r\n", String::from_utf8_lossy(hop));
    }
    headers
}
