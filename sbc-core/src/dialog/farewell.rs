//! What the BYE to the outside party of a dialog would say, were its member to send one: kept from the moment of the
//! answer, so that the dialog can be ended when that member is dead.

use std::net::SocketAddr;

use crate::hash::Digest;
use crate::limits;
use crate::time::Time;

/// The BYE of the pool's side, as far as it is known before it is wanted.
#[derive(Debug, Clone)]
pub struct Farewell {
    /// The remote target of the outside party: the Request-URI.
    pub target: Box<[u8]>,
    /// Route, From, To and Call-ID, as header lines.
    pub lines: Box<[u8]>,
    /// The number of the newest request of the pool's side in the dialog (RFC 3261 §12.2.1.1).
    pub number: u32,
    /// The number of an INVITE of the pool's side whose 2xx it has not acknowledged, as far as we saw.
    pub unacknowledged: Option<u32>,
    /// The tag of the pool's side, hashed.
    pub tag: Digest,
}

/// What a record says of its dialog's end.
#[derive(Debug, Default)]
pub(super) struct Ending {
    farewell: Option<Box<Farewell>>,
    /// When another member last asked for the dialog.
    wanted: Option<Time>,
    /// Our BYE is on its way.
    pub(super) is_said: bool,
}

impl Ending {
    /// How it is to end from now on.
    pub(super) fn set(&mut self, farewell: Option<Box<Farewell>>) {
        self.farewell = farewell;
    }

    /// Whether it is neither known nor said.
    pub(super) const fn is_open(&self) -> bool {
        self.farewell.is_none() && !self.is_said
    }

    /// The pool's side asks something.
    pub(super) fn asked(&mut self, number: u32, is_invite: bool) {
        let Some(farewell) = &mut self.farewell else { return };
        farewell.number = farewell.number.max(number);
        if is_invite {
            farewell.unacknowledged = Some(number);
        }
    }

    /// Another member than the dialog's own asks for it.
    pub(super) fn wanted(&mut self, now: Time) {
        self.wanted = Some(now);
    }

    /// The pool's side has acknowledged the 2xx to its INVITE.
    pub(super) fn acknowledged(&mut self, number: u32) {
        if let Some(farewell) = &mut self.farewell
            && farewell.unacknowledged == Some(number)
        {
            farewell.unacknowledged = None;
        }
    }

    /// Whether the outside party is reached by another URI than this.
    pub(super) fn leads_elsewhere(&self, target: &[u8]) -> bool {
        self.farewell.as_ref().is_some_and(|farewell| *farewell.target != *target)
    }

    /// The outside party is reached by another URI.
    pub(super) fn retarget(&mut self, target: Box<[u8]>) {
        if let Some(farewell) = &mut self.farewell {
            farewell.target = target;
        }
    }

    /// Whether the dialog can be ended for its member, and nobody wants it to go on.
    pub(super) fn is_due(&self, now: Time) -> bool {
        let is_wanted = self.wanted.is_some_and(|at| now.since(at) < limits::TAKING_OVER);
        self.farewell.is_some() && !self.is_said && !is_wanted
    }

    /// The tag of the pool's side, hashed.
    pub(super) fn tag(&self) -> Option<Digest> {
        self.farewell.as_ref().map(|farewell| farewell.tag)
    }

    /// It is ended now.
    pub(super) fn say(&mut self) -> Option<Box<Farewell>> {
        let farewell = self.farewell.take()?;
        self.is_said = true;
        Some(farewell)
    }
}

/// A request of the pool's side inside a dialog.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// Who sent it.
    pub member: SocketAddr,
    /// The number in its CSeq.
    pub number: u32,
    /// It is an INVITE.
    pub is_invite: bool,
    /// Granted by the outside party, it makes the sender the member that has the dialog.
    pub takes_over: bool,
}
