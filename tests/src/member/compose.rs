//! Headers that are FreeSWITCH's habit.

use super::Member;
use crate::ua::message::{Body, Message, uri_user};
use crate::ua::{LegId, Parts};

/// What FreeSWITCH copies from one leg to the other: X- headers but its own, and Diversion.
pub(super) fn passed_on(message: &Message) -> Vec<(String, String)> {
    let copied = |name: &str| {
        let name = name.to_ascii_lowercase();
        (name.starts_with("x-") && !name.starts_with("x-fs-")) || name == "diversion"
    };
    message.headers.iter().filter(|(name, _)| copied(name)).cloned().collect()
}

impl Member {
    /// What follows Content-Length in answers to an INVITE.
    pub(super) fn extras(&self, leg: LegId) -> Parts {
        let number = self.calls.get(&leg).map(|call| call.number.as_str()).unwrap_or_default();
        let value =
            format!("\"{number}\" <sip:{number}@{}>;party=calling;privacy=off;screen=no", self.config.domain);
        Parts { tail: vec![("Remote-Party-ID".into(), value)], ..Parts::default() }
    }

    /// The user that a leg's own party is known by.
    pub(super) fn caller_of(&self, leg: LegId) -> String {
        let Some((leg, call)) = self.ua.leg(leg).zip(self.calls.get(&leg)) else {
            return "0000000000".into();
        };
        if call.inbound {
            leg.invite.uri_of("From").map(|uri| uri_user(&uri)).unwrap_or_default()
        } else {
            call.number.clone()
        }
    }

    /// Headers and body of an INVITE that the member sends for `caller`.
    pub(super) fn invite_parts(&self, caller: LegId, host: &str, offer: String) -> Parts {
        let name = self.caller_of(caller);
        let mut parts = Parts::body(Body::sdp(offer));
        if self.config.session_timeout > 0 {
            parts = parts
                .with("Session-Expires", format!("{};refresher=uac", self.config.session_timeout))
                .with("Min-SE", self.config.minimum_session.to_string());
        }
        parts.tail.push(("X-FS-Support".into(), "update_display,send_info".into()));
        if let Some(leg) =
            self.ua.leg(caller).filter(|_| self.calls.get(&caller).is_some_and(|call| call.inbound))
        {
            parts.tail.extend(passed_on(&leg.invite));
        }
        let identity = format!("\"{name}\" <sip:{name}@{host}>;party=calling;screen=yes;privacy=off");
        parts.tail.push(("Remote-Party-ID".into(), identity));
        parts
    }

    /// From without a tag, of an INVITE that the member sends for `caller`.
    pub(super) fn identity_of(&self, caller: LegId, host: &str) -> String {
        let name = self.caller_of(caller);
        format!("\"{name}\" <sip:{name}@{host}>")
    }

    /// Max-Forwards of an INVITE that the member sends for `caller`: one less than it came with.
    pub(super) fn forwards(&self, caller: LegId) -> u32 {
        let received = self.ua.leg(caller).and_then(|leg| leg.invite.number("Max-Forwards")).unwrap_or(70);
        u32::try_from(received.saturating_sub(1)).unwrap_or(69)
    }
}
