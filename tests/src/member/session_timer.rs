//! Session timers (RFC 4028) by FreeSWITCH's rules.

use std::time::Duration;

use sbc_core::time::Time;

use super::{Member, Task};
use crate::ua::message::{Body, Message};
use crate::ua::{LegId, Parts, ServerId};

/// Wait before a refresh that the leg was not ready for.
const RETRY: Duration = Duration::from_millis(500);

impl Member {
    /// 422 for an interval below the minimum; true when it has been sent.
    pub(super) fn refuse_short_session(&mut self, now: Time, id: &ServerId, message: &Message) -> bool {
        let minimum = self.config.minimum_session;
        let short = message.number("Session-Expires").is_some_and(|seconds| seconds < minimum);
        if short {
            self.ua.respond(now, id, 422, Parts::default().with("Min-SE", minimum.to_string()));
        }
        short
    }

    /// Headers for the 2xx to an INVITE or UPDATE; starts the leg's timer.
    pub(super) fn negotiate(&mut self, now: Time, leg: LegId, request: &Message) -> Vec<(String, String)> {
        let asked = request.number("Session-Expires");
        // A DTLS offer gets a timer only when it asks for one; an UPDATE or re-INVITE without SDP counts as plain.
        let dtls = request.body.contains("a=setup");
        if self.config.session_timeout == 0 || (dtls && asked.is_none()) {
            return Vec::new();
        }
        let seconds =
            asked.map_or(self.config.session_timeout, |asked| asked.min(self.config.session_timeout));
        let able = request.lists("Supported", "timer");
        let wants_us = request.get("Session-Expires").is_some_and(|value| value.contains("refresher=uas"));
        let ours = !able || wants_us;
        self.watch(now, leg, seconds, ours);
        let refresher = if ours { "uas" } else { "uac" };
        let mut headers = vec![("Session-Expires".to_owned(), format!("{seconds};refresher={refresher}"))];
        if able {
            headers.insert(0, ("Require".into(), "timer".into()));
        }
        headers
    }

    /// Start the timer of a leg that we called, by the 2xx to our INVITE.
    pub(super) fn watch_own_session(&mut self, now: Time, leg: LegId, answer: &Message) {
        let Some(seconds) = answer.number("Session-Expires") else {
            return;
        };
        let theirs = answer.get("Session-Expires").is_some_and(|value| value.contains("refresher=uas"));
        self.watch(now, leg, seconds, !theirs);
    }

    fn watch(&mut self, now: Time, leg: LegId, seconds: u64, ours: bool) {
        let interval = Duration::from_secs(seconds);
        let (refresh, expire) =
            if ours { (Some(now + interval / 2), None) } else { (None, Some(now + interval * 9 / 10)) };
        self.tasks.set(&Task::Refresh(leg), refresh);
        self.tasks.set(&Task::Expire(leg), expire);
    }

    /// Half of the interval is over.
    pub(super) fn refresh(&mut self, now: Time, leg: LegId) {
        if self.ua.leg(leg).is_some() && !self.send_refresh(now, leg) {
            self.tasks.set(&Task::Refresh(leg), Some(now + RETRY));
        }
    }

    /// A re-INVITE with the SDP unchanged; false when the leg is not ready for one.
    pub(super) fn send_refresh(&mut self, now: Time, leg: LegId) -> bool {
        let Some(call) = self.calls.get(&leg) else {
            return false;
        };
        let mut parts = Parts::body(Body::sdp(call.media.directed(call.kind, "sendrecv")));
        if self.config.session_timeout > 0 {
            parts = parts
                .with("Session-Expires", format!("{};refresher=uac", self.config.session_timeout))
                .with("Min-SE", self.config.minimum_session.to_string());
        }
        self.ua.request(now, leg, "INVITE", parts)
    }

    /// Our re-INVITE was answered. Where it was refused, the session lasts until it expires (RFC 4028 §10); a 491 is only
    /// glare.
    pub(super) fn on_refreshed(&mut self, now: Time, leg: LegId, message: Option<&Message>) {
        match message.map(|message| (message.status(), message)) {
            Some((200..300, message)) => self.watch_own_session(now, leg, message),
            Some((491, _)) => {}
            _ if self.config.session_timeout > 0 => {
                let left = Duration::from_secs(self.config.session_timeout) / 2;
                self.tasks.set(&Task::Expire(leg), Some(now + left));
            }
            _ => {}
        }
    }

    /// Nobody refreshed the session.
    pub(super) fn expire(&mut self, now: Time, leg: LegId) {
        self.hang_up(now, leg, Parts::default().with("Reason", "SIP;cause=408;text=\"Session timeout\""));
    }
}
