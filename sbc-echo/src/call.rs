//! One call: its stage, its dialog, its description, and when something is due.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sbc_core::wire::HeaderName;

use crate::dialog::Dialog;
use crate::repeat::Repeat;
use crate::request::Request;
use crate::sdp::{Local, Remote};

/// How long a call rings before it is answered.
pub(crate) const RING: Duration = Duration::from_millis(200);

/// The longest call.
pub(crate) const MAX_CALL: Duration = Duration::from_secs(3600);

/// The shortest session interval that is taken, in seconds (RFC 4028 §4).
pub(crate) const MIN_SESSION: u32 = 90;

/// Names one call; in hexadecimal it is our tag. Unguessable, because a tag has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CallNumber(pub(crate) u64);

impl CallNumber {
    pub(crate) fn tag(self) -> String {
        format!("{:016x}", self.0)
    }

    pub(crate) fn of_tag(tag: &[u8]) -> Option<Self> {
        let tag = std::str::from_utf8(tag).ok().filter(|tag| tag.len() == 16)?;
        u64::from_str_radix(tag, 16).ok().map(Self)
    }
}

/// Where a call stands.
#[derive(Debug)]
pub(crate) enum Stage {
    /// 180 is sent; the INVITE is answered when the time has come.
    Ringing { until: Instant, invite: Vec<u8>, source: SocketAddr },
    /// The 200 is repeated until the ACK with its CSeq. If we made the offer, that ACK brings the answer.
    Answered { ok: Repeat, cseq: u32, offered: bool },
    /// The ACK is here.
    Confirmed,
    /// A refusal after ringing is repeated until its ACK.
    Declined { refusal: Repeat },
    /// Our BYE is repeated until it is answered.
    Leaving { bye: Repeat },
}

#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) stage: Stage,
    pub(crate) dialog: Dialog,
    pub(crate) local: Local,
    pub(crate) port: u16,
    /// Key of the INVITE that set it up, by which a CANCEL finds it.
    pub(crate) invite: u64,
    /// The other side sends media, so silence means that it is gone.
    pub(crate) speaks: bool,
    /// Where this call stands in the agent's timetable.
    pub(crate) scheduled: Option<Instant>,
    max_end: Instant,
    session_end: Option<Instant>,
}

impl Call {
    pub(crate) fn new(
        now: Instant,
        request: &Request<'_>,
        invite: u64,
        dialog: Dialog,
        local: Local,
        port: u16,
    ) -> Self {
        let ringing = Stage::Ringing {
            until: now + RING,
            invite: request.message.bytes().to_vec(),
            source: request.source,
        };
        Self {
            stage: ringing,
            dialog,
            local,
            port,
            invite,
            speaks: true,
            scheduled: None,
            max_end: now + MAX_CALL,
            session_end: None,
        }
    }

    /// When this call next needs attention.
    pub(crate) fn due_at(&self) -> Instant {
        match &self.stage {
            Stage::Ringing { until, .. } => *until,
            Stage::Answered { ok: repeat, .. }
            | Stage::Declined { refusal: repeat }
            | Stage::Leaving { bye: repeat } => repeat.due_at(),
            Stage::Confirmed => self.session_end.unwrap_or(self.max_end).min(self.max_end),
        }
    }

    /// The description for a 2xx: an answer to the request's offer, or an offer of our own.
    pub(crate) fn describe(&mut self, offer: Option<&Remote<'_>>) -> String {
        match offer {
            Some(offer) => {
                self.speaks = offer.speaks();
                self.local.answer(offer)
            }
            None => self.local.offer(),
        }
    }

    /// Begin the session interval anew (RFC 4028 §10). Without one only the longest call is a limit.
    pub(crate) fn refresh_session(&mut self, now: Instant, interval: Option<u32>) {
        // The one who does not refresh hangs up a little before the end.
        self.session_end =
            interval.map(|seconds| now + Duration::from_secs((seconds - (seconds / 3).min(32)).into()));
    }
}

/// The session interval is shorter than [`MIN_SESSION`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooShort;

/// The session interval in seconds that a request asks for, if its sender will refresh it.
///
/// If the sender wants us to refresh, the call goes without an interval, as with a peer that does not know
/// the extension.
///
/// # Errors
/// [`TooShort`].
pub(crate) fn session_interval(request: &Request<'_>) -> Result<Option<u32>, TooShort> {
    let knows = request.lists(HeaderName::Supported, "timer") || request.lists(HeaderName::Require, "timer");
    let value = std::str::from_utf8(request.message.value(HeaderName::SessionExpires)).unwrap_or_default();
    let mut parts = value.split(';').map(str::trim);
    let seconds = parts.next().and_then(|seconds| seconds.parse::<u32>().ok()).filter(|_| knows);
    match seconds {
        Some(seconds) if seconds < MIN_SESSION => Err(TooShort),
        Some(_) if parts.any(|param| param.eq_ignore_ascii_case("refresher=uas")) => Ok(None),
        seconds => Ok(seconds),
    }
}
