//! What tests read of a member.

use std::collections::BTreeMap;

use sbc_core::time::Time;
use serde::Serialize;

use super::Member;
use crate::ua::LegState;
use crate::ua::registrar::Binding;
use crate::ua::transaction::Tally;

/// Call-IDs whose INVITEs are counted one by one; beyond it only the totals grow.
const MAX_CALL_IDS: usize = 100_000;

/// The INVITE transactions outside dialogs with one Call-ID.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Invites {
    /// Without credentials: more than one is a call set up twice.
    pub bare: u32,
    /// With credentials.
    pub with_credentials: u32,
    /// Answered with 407.
    pub challenged: u32,
    /// Calls begun: more than one is a call set up twice.
    pub started: u32,
    /// Calls answered with 200.
    pub answered: u32,
}

/// Counted since the start.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Counters {
    /// By Call-ID.
    pub invites: BTreeMap<String, Invites>,
    /// Calls answered by the member or, through it, by a called party.
    pub answered: u64,
    /// Legs that were up and have ended.
    pub ended: u64,
    /// INVITEs and other requests refused at `max-sessions`.
    pub refused_full: u64,
}

impl Counters {
    pub(super) fn invite(&mut self, call_id: &str, count: impl FnOnce(&mut Invites)) {
        if self.invites.len() < MAX_CALL_IDS || self.invites.contains_key(call_id) {
            count(self.invites.entry(call_id.to_owned()).or_default());
        }
    }
}

/// One leg as tests see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LegStatus {
    /// Its Call-ID.
    pub call_id: String,
    /// The number dialled, or the user called.
    pub number: String,
    /// True when answered.
    pub up: bool,
    /// True when the other side called.
    pub inbound: bool,
    /// Call-ID of the leg it is bridged with.
    pub partner: Option<String>,
}

/// All that tests read.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// The member's name.
    pub name: String,
    /// Every live binding.
    pub bindings: Vec<Binding>,
    /// Every live leg.
    pub legs: Vec<LegStatus>,
    /// Counted since the start.
    pub counters: Counters,
    /// Messages since the start.
    pub messages: Tally,
    /// The gateway is registered.
    pub gateway_registered: bool,
    /// What peers did that they must not.
    pub violations: Vec<String>,
}

impl Member {
    /// All that tests read.
    pub fn status(&self, now: Time) -> Status {
        let call_id = |leg| self.ua.leg(leg).map(|leg| leg.dialog.call_id.clone());
        let legs = self.ua.legs().map(|(id, leg)| {
            let call = self.calls.get(&id);
            LegStatus {
                call_id: leg.dialog.call_id.clone(),
                number: call.map(|call| call.number.clone()).unwrap_or_default(),
                up: leg.state == LegState::Up,
                inbound: call.is_some_and(|call| call.inbound),
                partner: call.and_then(|call| call.partner).and_then(call_id),
            }
        });
        Status {
            name: self.config.name.clone(),
            bindings: self.registrar.all().iter().filter(|binding| binding.expires > now).cloned().collect(),
            legs: legs.collect(),
            counters: self.counters.clone(),
            messages: self.ua.stack.tally.clone(),
            gateway_registered: self.registration.up,
            violations: self.ua.stack.violations.clone(),
        }
    }
}
