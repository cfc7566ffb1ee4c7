//! The SIP side as a value: a datagram, a time or news of the media goes in, commands come out.
//!
//! A user agent server (RFC 3261 §8.2, §13.3) that takes every call it has room for. It has no socket and no
//! clock. What cannot be answered is ignored; what is answered is answered again when it is repeated.

mod calls;
mod judge;

use std::collections::hash_map::RandomState;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::BuildHasher;
use std::net::SocketAddr;
use std::time::Instant;

use sbc_core::wire::{Framing, Index, Limits, Message};

use crate::Settings;
use crate::call::{Call, CallNumber, Stage};
use crate::dialog::tag_of_branch;
use crate::registrar::Registrar;
use crate::repeat::Due;
use crate::replies::Replies;
use crate::request::{self, Request, Status};
use calls::contact_of;
use judge::unsupported_extensions;

const ALLOW: &str = "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, UPDATE, INFO, MESSAGE\r\n";

/// Something happened.
#[derive(Debug)]
pub(crate) enum Input<'a> {
    /// A datagram came in.
    Received { source: SocketAddr, bytes: &'a [u8] },
    /// The time that [`Agent::next_deadline`] named has come.
    Deadline,
    /// The call's RTP port could not be opened.
    MediaFailed(CallNumber),
    /// No RTP has come for the longest silence.
    MediaSilent(CallNumber),
}

/// Something to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Send a datagram.
    Send { to: SocketAddr, bytes: Vec<u8> },
    /// Open the RTP port of a call.
    Open { call: CallNumber, port: u16 },
    /// Wait for the peer's media anew, and echo it or only listen.
    Media { call: CallNumber, echo: bool },
    /// Close the RTP port of a call.
    Close { call: CallNumber },
}

/// The state of all calls and registrations.
#[derive(Debug)]
pub(crate) struct Agent {
    local: SocketAddr,
    max_calls: usize,
    free_ports: VecDeque<u16>,
    calls: HashMap<CallNumber, Call>,
    by_invite: HashMap<u64, CallNumber>,
    timetable: BTreeSet<(Instant, CallNumber)>,
    replies: Replies,
    registrar: Registrar,
    index: Index,
    key: RandomState,
    numbers: u64,
}

impl Agent {
    /// An agent at the address `local`; `key` makes its tags unguessable.
    pub(crate) fn new(local: SocketAddr, settings: &Settings, key: RandomState) -> Self {
        Self {
            local,
            max_calls: settings.max_calls,
            // RTP takes even ports, so that the odd one above stays free for the peer's RTCP (RFC 3550 §11).
            free_ports: settings
                .rtp_ports
                .clone()
                .filter(|port| *port > 0 && port.is_multiple_of(2))
                .collect(),
            calls: HashMap::new(),
            by_invite: HashMap::new(),
            timetable: BTreeSet::new(),
            replies: Replies::default(),
            registrar: Registrar::default(),
            index: Index::new(),
            key,
            numbers: 0,
        }
    }

    /// When [`Input::Deadline`] is wanted.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.timetable.first().map(|(at, _)| *at)
    }

    /// Take one input; append what is to be done to `out`.
    pub(crate) fn handle(&mut self, now: Instant, input: Input<'_>, out: &mut Vec<Command>) {
        match input {
            Input::Received { source, bytes } => self.received(now, source, bytes, out),
            Input::Deadline => self.run_due(now, out),
            Input::MediaFailed(number) => self.decline(now, number, request::UNAVAILABLE, out),
            Input::MediaSilent(number) => {
                let lost = |call: &Call| call.speaks && matches!(call.stage, Stage::Confirmed);
                if self.calls.get(&number).is_some_and(lost) {
                    self.hang_up(now, number, "no RTP", out);
                }
            }
        }
    }

    fn received(&mut self, now: Instant, source: SocketAddr, bytes: &[u8], out: &mut Vec<Command>) {
        let mut index = std::mem::take(&mut self.index);
        if index.parse(bytes, Framing::Datagram, &Limits::default()).is_ok() {
            let message = Message::new(bytes, &index);
            if !message.is_request() {
                self.response(&message, out);
            } else if let Some(request) = Request::read(message, source) {
                self.request(now, &request, out);
            }
        }
        self.index = index;
    }

    /// Only our BYE is ever answered.
    fn response(&mut self, message: &Message<'_>, out: &mut Vec<Command>) {
        let Some(number) = tag_of_branch(message).and_then(CallNumber::of_tag) else {
            return;
        };
        let ours =
            |call: &Call| call.dialog.has_call_id_of(message) && matches!(call.stage, Stage::Leaving { .. });
        if message.status() >= 200 && self.calls.get(&number).is_some_and(ours) {
            self.finish(number, out);
        }
    }

    fn request(&mut self, now: Instant, request: &Request<'_>, out: &mut Vec<Command>) {
        if request.method == b"ACK" {
            return self.ack(now, request, out);
        }
        if let Some((to, bytes)) = self.replies.find(self.reply_key(request)) {
            out.push(Command::Send { to: *to, bytes: bytes.clone() });
            return;
        }
        if let Some(unsupported) = unsupported_extensions(request) {
            return self.reply(now, request, request::BAD_EXTENSION, &unsupported, "", out);
        }
        match request.method {
            b"INVITE" if request.to.tag().is_none() => self.invite(now, request, out),
            b"INVITE" => self.reinvite(now, request, out),
            b"CANCEL" => self.cancel(now, request, out),
            b"BYE" => self.bye(now, request, out),
            b"UPDATE" => self.update(now, request, out),
            b"INFO" => {
                if self.in_dialog(now, request, out).is_some() {
                    self.reply(now, request, request::OK, "", "", out);
                }
            }
            b"OPTIONS" => {
                let headers =
                    format!("{ALLOW}{}Accept: application/sdp\r\nSupported: timer, path\r\n", self.contact());
                self.reply(now, request, request::OK, &headers, "", out);
            }
            b"REGISTER" => match self.registrar.register(now, request) {
                Ok(headers) => self.reply(now, request, request::OK, &headers, "", out),
                Err(_) => self.reply(now, request, request::UNAVAILABLE, "Retry-After: 60\r\n", "", out),
            },
            b"MESSAGE" => self.reply(now, request, request::OK, "", "", out),
            b"SUBSCRIBE" => self.reply(now, request, request::BAD_EVENT, "", "", out),
            // No provisional response of ours is reliable, so a PRACK has nothing to match (RFC 3262 §3).
            b"PRACK" => self.reply(now, request, request::NO_DIALOG, "", "", out),
            _ => self.reply(now, request, request::METHOD_NOT_ALLOWED, ALLOW, "", out),
        }
    }

    fn run_due(&mut self, now: Instant, out: &mut Vec<Command>) {
        // Each call is looked at once: what it has to do next lies after `now`.
        for _ in 0..self.timetable.len() {
            match self.timetable.first() {
                Some((at, number)) if *at <= now => {
                    let number = *number;
                    self.run_call(now, number, out);
                    self.schedule(number);
                }
                _ => break,
            }
        }
    }

    fn run_call(&mut self, now: Instant, number: CallNumber, out: &mut Vec<Command>) {
        let Some(call) = self.calls.get_mut(&number) else {
            return;
        };
        let (due, is_answered) = match &mut call.stage {
            Stage::Ringing { .. } => return self.pick_up(now, number, out),
            Stage::Confirmed => {
                return self.hang_up(now, number, "the time of the session is over", out);
            }
            Stage::Answered { ok, .. } => (ok.due(now), true),
            Stage::Declined { refusal } => (refusal.due(now), false),
            Stage::Leaving { bye } => (bye.due(now), false),
        };
        match due {
            Due::Nothing => {}
            Due::Again(to, bytes) => out.push(Command::Send { to, bytes: bytes.to_vec() }),
            Due::GaveUp if is_answered => self.hang_up(now, number, "no ACK", out),
            Due::GaveUp => self.finish(number, out),
        }
    }

    /// Bring the timetable in line with the call.
    fn schedule(&mut self, number: CallNumber) {
        let Some(call) = self.calls.get_mut(&number) else {
            return;
        };
        if let Some(before) = call.scheduled {
            self.timetable.remove(&(before, number));
        }
        let at = call.due_at();
        call.scheduled = Some(at);
        self.timetable.insert((at, number));
    }

    /// The call that an in-dialog request belongs to; answers 481 or 500 itself.
    fn in_dialog(
        &mut self,
        now: Instant,
        request: &Request<'_>,
        out: &mut Vec<Command>,
    ) -> Option<CallNumber> {
        let Some(number) = self.find(request) else {
            self.reply(now, request, request::NO_DIALOG, "", "", out);
            return None;
        };
        if !self.calls.get_mut(&number)?.dialog.advances(request) {
            self.reply(now, request, request::SERVER_ERROR, "", "", out);
            return None;
        }
        Some(number)
    }

    fn find(&self, request: &Request<'_>) -> Option<CallNumber> {
        let number = request.to.tag().and_then(CallNumber::of_tag)?;
        self.calls.get(&number).filter(|call| call.dialog.owns(request)).map(|_| number)
    }

    fn new_number(&mut self) -> CallNumber {
        self.numbers += 1;
        CallNumber(self.key.hash_one(self.numbers))
    }

    fn contact(&self) -> String {
        contact_of(self.local)
    }

    /// Requests that differ only in their method have different responses.
    fn reply_key(&self, request: &Request<'_>) -> u64 {
        self.key.hash_one((request.transaction(&self.key), request.method))
    }

    /// Answer outside a dialog, or inside one whose tag the request has.
    fn reply(
        &mut self,
        now: Instant,
        request: &Request<'_>,
        status: Status,
        headers: &str,
        body: &str,
        out: &mut Vec<Command>,
    ) {
        let tag = self.new_number().tag();
        self.reply_as(now, request, status, &tag, headers, body, out);
    }

    #[allow(clippy::too_many_arguments)] // The parts of a response; a struct of them would be written only here.
    fn reply_as(
        &mut self,
        now: Instant,
        request: &Request<'_>,
        status: Status,
        tag: &str,
        headers: &str,
        body: &str,
        out: &mut Vec<Command>,
    ) {
        let bytes = request.reply(status, tag, headers, body);
        self.keep_and_send(now, request, request.reply_address(), bytes, out);
    }

    fn keep_and_send(
        &mut self,
        now: Instant,
        request: &Request<'_>,
        to: SocketAddr,
        bytes: Vec<u8>,
        out: &mut Vec<Command>,
    ) {
        self.replies.keep(now, self.reply_key(request), to, bytes.clone());
        out.push(Command::Send { to, bytes });
    }
}

#[cfg(test)]
mod tests;
