//! BYE in the place of a dead member (RFC 3261 §15.1.1), and the ACK that its dialog may need before (§13.2.2.4): as
//! the member itself would write them, so that they pass as everything does that it sends.

use std::io::Write as _;
use std::net::SocketAddr;

use crate::config::Listener;
use crate::dialog::Farewell;
use crate::flow::Flow;
use crate::hash::KeyedHash;
use crate::proxy::incoming::tag_of;
use crate::proxy::reply::write_line;
use crate::proxy::route::write_own;
use crate::proxy::settings::Settings;
use crate::proxy::via::transport_word;
use crate::seal::{Kind, Peer};
use crate::wire::{CSeq, HeaderName, Message, NameAddr, split, write_unfolded};

/// Why a dialog is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Its server is gone.
    Gone,
    /// Its server does not know it.
    Unknown,
}

impl Cause {
    /// As the value of a Reason header (RFC 3326): nothing in it speaks of the inside.
    pub(crate) const fn reason(self) -> &'static [u8] {
        match self {
            Self::Gone => {
                b"SIP;cause=503;text=\"Service Unavailable\", Q.850;cause=41;text=\"Temporary failure\""
            }
            Self::Unknown => b"SIP;cause=481;text=\"Call/Transaction Does Not Exist\"",
        }
    }
}

/// A call between the outside and the pool, at its answer.
pub(crate) struct Begun<'a> {
    /// The INVITE as it came.
    pub(crate) invite: &'a Message<'a>,
    /// The answer as it came.
    pub(crate) answer: &'a Message<'a>,
    /// The party outside, as tokens name it.
    pub(crate) outside: &'a Peer,
    /// Where the member is spoken with.
    pub(crate) member: &'a Flow,
}

impl Begun<'_> {
    /// How a call ends that came from outside. The member is the callee: its route set is the Record-Route that it got,
    /// in that order (§12.1.1), ours on top.
    pub(crate) fn ended_by_callee(&self, settings: &Settings, hash: &KeyedHash) -> Option<Farewell> {
        let mut lines = Vec::new();
        self.write_own_route(settings, &mut lines)?;
        for item in self.invite.all(HeaderName::RecordRoute).flat_map(|header| split(header.value)) {
            write_line(b"Route", item.text, &mut lines);
        }
        write_line(b"From", self.answer.value(HeaderName::To), &mut lines);
        write_line(b"To", self.answer.value(HeaderName::From), &mut lines);
        write_line(b"Call-ID", self.invite.value(HeaderName::CallId), &mut lines);
        let tag = hash.of(&[tag_of(self.answer, HeaderName::To)?]);
        let target = contact(self.invite)?;
        Some(Farewell { target, lines: lines.into(), number: 0, unacknowledged: None, tag })
    }

    /// How a call of the pool ends. The member is the caller: its route set is the Record-Route of the answer in reverse
    /// (§12.1.2), of which ours was the last.
    pub(crate) fn ended_by_caller(&self, settings: &Settings, hash: &KeyedHash) -> Option<Farewell> {
        let mut lines = Vec::new();
        self.write_own_route(settings, &mut lines)?;
        let recorded = self.answer.all(HeaderName::RecordRoute).flat_map(|header| split(header.value));
        let recorded: Vec<_> = recorded.map(|item| item.text).collect();
        recorded.iter().rev().for_each(|value| write_line(b"Route", value, &mut lines));
        write_line(b"From", self.invite.value(HeaderName::From), &mut lines);
        lines.extend_from_slice(b"To: ");
        lines.extend_from_slice(self.invite.value(HeaderName::To));
        lines.extend_from_slice(b";tag=");
        lines.extend_from_slice(tag_of(self.answer, HeaderName::To)?);
        lines.extend_from_slice(b"\r\n");
        write_line(b"Call-ID", self.invite.value(HeaderName::CallId), &mut lines);
        let number = CSeq::parse(self.invite.value(HeaderName::CSeq)).ok()?.number;
        let tag = hash.of(&[tag_of(self.invite, HeaderName::From)?]);
        let target = contact(self.answer)?;
        Some(Farewell { target, lines: lines.into(), number, unacknowledged: Some(number), tag })
    }

    fn write_own_route(&self, settings: &Settings, lines: &mut Vec<u8>) -> Option<()> {
        let told = settings.told_to(self.member)?;
        write_own(b"Route", Kind::RecordRoute, self.outside, settings, told, lines);
        Some(())
    }
}

/// How a dialog ends of which nothing was known before, or that another member has taken over: as its last request said
/// where it goes. `request` is an INVITE or UPDATE as it came from the member.
pub(crate) fn as_asked(request: &Message<'_>, answer: &Message<'_>, hash: &KeyedHash) -> Option<Farewell> {
    let mut lines = Vec::new();
    let routes = request.all(HeaderName::Route);
    routes.for_each(|header| write_line(b"Route", header.value, &mut lines));
    // Without a Route, the Request-URI itself is what leads through us.
    let target = if lines.is_empty() { None } else { contact(answer) };
    for (name, header) in
        [(&b"From"[..], HeaderName::From), (b"To", HeaderName::To), (b"Call-ID", HeaderName::CallId)]
    {
        write_line(name, request.value(header), &mut lines);
    }
    let number = CSeq::parse(request.value(HeaderName::CSeq)).ok()?.number;
    let is_invite = request.method_text() == b"INVITE";
    Some(Farewell {
        target: target.unwrap_or_else(|| request.request_uri().into()),
        lines: lines.into(),
        number,
        unacknowledged: is_invite.then_some(number),
        tag: hash.of(&[tag_of(request, HeaderName::From)?]),
    })
}

/// The remote target that a message gives (§12.1), on one line.
pub(crate) fn contact(message: &Message<'_>) -> Option<Box<[u8]>> {
    let contact = NameAddr::parse(message.value(HeaderName::Contact)).ok()?;
    let mut uri = Vec::new();
    write_unfolded(&mut uri, contact.uri);
    Some(uri.into())
}

/// What is written in a member's place.
pub(crate) struct Ghost<'a> {
    pub(crate) farewell: &'a Farewell,
    pub(crate) member: SocketAddr,
    /// Where its messages come in.
    pub(crate) listener: &'a Listener,
    /// Of the Via, cookie included; the ACK's is another than the BYE's.
    pub(crate) branch: &'a str,
}

impl Ghost<'_> {
    /// Append the BYE.
    pub(crate) fn write_bye(&self, cause: Cause, out: &mut Vec<u8>) {
        self.write_head("BYE", self.farewell.number.saturating_add(1), out);
        write_line(b"Reason", cause.reason(), out);
        out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
    }

    /// Append the ACK of the 2xx to the member's INVITE of this number.
    pub(crate) fn write_ack(&self, number: u32, out: &mut Vec<u8>) {
        self.write_head("ACK", number, out);
        out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
    }

    fn write_head(&self, method: &str, number: u32, out: &mut Vec<u8>) {
        let transport = transport_word(self.listener.transport);
        let (member, branch) = (self.member, self.branch);
        out.extend_from_slice(method.as_bytes());
        out.push(b' ');
        out.extend_from_slice(&self.farewell.target);
        // Writing to a Vec cannot fail.
        let _ = write!(
            out,
            " SIP/2.0\r\nVia: SIP/2.0/{transport} {member};branch={branch}\r\nMax-Forwards: 70\r\n"
        );
        out.extend_from_slice(&self.farewell.lines);
        let _ = write!(out, "CSeq: {number} {method}\r\n");
    }
}
