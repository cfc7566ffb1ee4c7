//! The SIP side as a value: a datagram, a time or news of the media goes in, commands come out.
//!
//! A user agent server (RFC 3261 §8.2, §13.3) that takes every call it has room for. It has no socket and no
//! clock. What cannot be answered is ignored; what is answered is answered again when it is repeated.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::BuildHasher;
use std::net::SocketAddr;
use std::time::Instant;

use sbc_core::wire::{Framing, HeaderName, Index, Limits, Message};

use crate::Settings;
use crate::call::{Call, CallNumber, MIN_SESSION, Stage, TooShort, session_interval};
use crate::dialog::{Dialog, tag_of_branch};
use crate::registrar::Registrar;
use crate::repeat::{Due, Repeat};
use crate::replies::Replies;
use crate::request::{self, Request, Status};
use crate::sdp::{Local, Refusal, Remote};

/// Extensions that a Require header may name: we know them, or they concern only the registrar's answer.
const SUPPORTED: [&str; 3] = ["timer", "path", "outbound"];

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
        if index
            .parse(bytes, Framing::Datagram, &Limits::default())
            .is_ok()
        {
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
        let ours = |call: &Call| {
            call.dialog.has_call_id_of(message) && matches!(call.stage, Stage::Leaving { .. })
        };
        if message.status() >= 200 && self.calls.get(&number).is_some_and(ours) {
            self.finish(number, out);
        }
    }

    fn request(&mut self, now: Instant, request: &Request<'_>, out: &mut Vec<Command>) {
        if request.method == b"ACK" {
            return self.ack(now, request, out);
        }
        if let Some((to, bytes)) = self.replies.find(self.reply_key(request)) {
            out.push(Command::Send {
                to: *to,
                bytes: bytes.clone(),
            });
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
                let headers = format!(
                    "{ALLOW}{}Accept: application/sdp\r\nSupported: timer, path\r\n",
                    self.contact()
                );
                self.reply(now, request, request::OK, &headers, "", out);
            }
            b"REGISTER" => match self.registrar.register(now, request) {
                Ok(headers) => self.reply(now, request, request::OK, &headers, "", out),
                Err(_) => self.reply(
                    now,
                    request,
                    request::UNAVAILABLE,
                    "Retry-After: 60\r\n",
                    "",
                    out,
                ),
            },
            b"MESSAGE" => self.reply(now, request, request::OK, "", "", out),
            b"SUBSCRIBE" => self.reply(now, request, request::BAD_EVENT, "", "", out),
            // No provisional response of ours is reliable, so a PRACK has nothing to match (RFC 3262 §3).
            b"PRACK" => self.reply(now, request, request::NO_DIALOG, "", "", out),
            _ => self.reply(now, request, request::METHOD_NOT_ALLOWED, ALLOW, "", out),
        }
    }

    fn invite(&mut self, now: Instant, request: &Request<'_>, out: &mut Vec<Command>) {
        if let Err((status, headers)) = judge_offer(request).and_then(|_| judge_session(request)) {
            return self.reply(now, request, status, &headers, "", out);
        }
        if self.calls.len() >= self.max_calls {
            return self.reply(now, request, request::BUSY, "", "", out);
        }
        let Some(port) = self.free_ports.pop_front() else {
            return self.reply(now, request, request::BUSY, "", "", out);
        };
        let number = self.new_number();
        let key = request.transaction(&self.key);
        let dialog = Dialog::new(request, &number.tag());
        let call = Call::new(
            now,
            request,
            key,
            dialog,
            Local::new(self.local.ip(), port),
            port,
        );
        self.calls.insert(number, call);
        self.by_invite.insert(key, number);
        self.schedule(number);
        out.push(Command::Open { call: number, port });
        self.reply(now, request, request::TRYING, "", "", out);
        let contact = self.contact();
        self.reply_as(
            now,
            request,
            request::RINGING,
            &number.tag(),
            &contact,
            "",
            out,
        );
    }

    /// Ringing is over: send the 200 to the INVITE that is kept.
    fn pick_up(&mut self, now: Instant, number: CallNumber, out: &mut Vec<Command>) {
        self.with_invite(number, |agent, request| {
            let outcome =
                judge_offer(request).and_then(|offer| Ok((offer, judge_session(request)?)));
            if let Ok((offer, interval)) = outcome {
                agent.accept(now, number, request, offer.as_ref(), interval, out);
            }
        });
    }

    /// Send the 200 of an INVITE, with the description that belongs into it.
    fn accept(
        &mut self,
        now: Instant,
        number: CallNumber,
        request: &Request<'_>,
        offer: Option<&Remote<'_>>,
        interval: Option<u32>,
        out: &mut Vec<Command>,
    ) {
        let Some(call) = self.calls.get_mut(&number) else {
            return;
        };
        call.refresh_session(now, interval);
        let body = call.describe(offer);
        let headers = format!(
            "{}{ALLOW}Supported: timer\r\n{}",
            contact_of(self.local),
            session_headers(interval)
        );
        let bytes = request.reply(request::OK, call.dialog.tag(), &headers, &body);
        let to = request.reply_address();
        call.stage = Stage::Answered {
            ok: Repeat::new(now, to, bytes.clone()),
            cseq: request.cseq.number,
            offered: offer.is_none(),
        };
        self.schedule(number);
        out.push(Command::Media {
            call: number,
            echo: offer.is_none_or(Remote::listens),
        });
        self.keep_and_send(now, request, to, bytes, out);
    }

    fn reinvite(&mut self, now: Instant, request: &Request<'_>, out: &mut Vec<Command>) {
        let Some(number) = self.in_dialog(now, request, out) else {
            return;
        };
        let Some(call) = self.calls.get_mut(&number) else {
            return;
        };
        if !matches!(call.stage, Stage::Confirmed) {
            return self.reply(now, request, request::PENDING, "", "", out);
        }
        match judge_offer(request).and_then(|offer| Ok((offer, judge_session(request)?))) {
            Ok((offer, interval)) => {
                call.dialog.refresh_target(request);
                self.accept(now, number, request, offer.as_ref(), interval, out);
            }
            // The session goes on as it was (RFC 3261 §14.2).
            Err((status, headers)) => self.reply(now, request, status, &headers, "", out),
        }
    }

    fn update(&mut self, now: Instant, request: &Request<'_>, out: &mut Vec<Command>) {
        let Some(number) = self.in_dialog(now, request, out) else {
            return;
        };
        let Some(call) = self.calls.get_mut(&number) else {
            return;
        };
        let has_offer = !request.message.body().is_empty();
        if has_offer && !matches!(call.stage, Stage::Confirmed) {
            // An offer is still open (RFC 3311 §5.2).
            return self.reply(
                now,
                request,
                request::SERVER_ERROR,
                "Retry-After: 2\r\n",
                "",
                out,
            );
        }
        match judge_offer(request).and_then(|offer| Ok((offer, judge_session(request)?))) {
            Ok((offer, interval)) => {
                call.dialog.refresh_target(request);
                call.refresh_session(now, interval);
                let body = offer
                    .as_ref()
                    .map_or_else(String::new, |offer| call.describe(Some(offer)));
                if let Some(offer) = &offer {
                    out.push(Command::Media {
                        call: number,
                        echo: offer.listens(),
                    });
                }
                self.schedule(number);
                let headers = format!("{}{}", self.contact(), session_headers(interval));
                self.reply(now, request, request::OK, &headers, &body, out);
            }
            Err((status, headers)) => self.reply(now, request, status, &headers, "", out),
        }
    }

    fn ack(&mut self, now: Instant, request: &Request<'_>, out: &mut Vec<Command>) {
        let Some(number) = self.find(request) else {
            return;
        };
        let Some(call) = self.calls.get_mut(&number) else {
            return;
        };
        match call.stage {
            Stage::Declined { .. } => self.finish(number, out),
            Stage::Answered { cseq, offered, .. } if cseq == request.cseq.number => {
                call.stage = Stage::Confirmed;
                self.schedule(number);
                if offered {
                    self.take_answer(now, number, request, out);
                }
            }
            _ => {}
        }
    }

    /// We offered in the 200, so the ACK brings the answer. Without a usable one the call cannot go on.
    fn take_answer(
        &mut self,
        now: Instant,
        number: CallNumber,
        ack: &Request<'_>,
        out: &mut Vec<Command>,
    ) {
        match (
            Remote::read(ack.message.body()),
            self.calls.get_mut(&number),
        ) {
            (Ok(answer), Some(call)) => {
                call.speaks = answer.speaks();
                out.push(Command::Media {
                    call: number,
                    echo: answer.listens(),
                });
            }
            _ => self.hang_up(now, number, "no usable answer in the ACK", out),
        }
    }

    fn cancel(&mut self, now: Instant, request: &Request<'_>, out: &mut Vec<Command>) {
        let Some(number) = self.by_invite.get(&request.transaction(&self.key)).copied() else {
            return self.reply(now, request, request::NO_DIALOG, "", "", out);
        };
        // After the final response a CANCEL is answered and changes nothing (RFC 3261 §9.2).
        self.reply_as(now, request, request::OK, &number.tag(), "", "", out);
        self.decline(now, number, request::TERMINATED, out);
    }

    fn bye(&mut self, now: Instant, request: &Request<'_>, out: &mut Vec<Command>) {
        let Some(number) = self.in_dialog(now, request, out) else {
            return;
        };
        self.reply(now, request, request::OK, "", "", out);
        match self.calls.get(&number).map(|call| &call.stage) {
            Some(Stage::Ringing { .. }) => self.decline(now, number, request::TERMINATED, out),
            Some(Stage::Declined { .. }) => {}
            _ => self.finish(number, out),
        }
    }

    /// Refuse a call that rings; any other stays as it is.
    fn decline(
        &mut self,
        now: Instant,
        number: CallNumber,
        status: Status,
        out: &mut Vec<Command>,
    ) {
        self.with_invite(number, |agent, request| {
            let bytes = request.reply(status, &number.tag(), "", "");
            let to = request.reply_address();
            if let Some(call) = agent.calls.get_mut(&number) {
                call.stage = Stage::Declined {
                    refusal: Repeat::new(now, to, bytes.clone()),
                };
            }
            agent.schedule(number);
            agent.keep_and_send(now, request, to, bytes, out);
        });
    }

    /// Read the INVITE of a ringing call again.
    fn with_invite(&mut self, number: CallNumber, act: impl FnOnce(&mut Self, &Request<'_>)) {
        let Some(call) = self.calls.get_mut(&number) else {
            return;
        };
        let Stage::Ringing { invite, source, .. } = &mut call.stage else {
            return;
        };
        let (bytes, source) = (std::mem::take(invite), *source);
        let mut index = Index::new();
        if index
            .parse(&bytes, Framing::Datagram, &Limits::default())
            .is_ok()
            && let Some(request) = Request::read(Message::new(&bytes, &index), source)
        {
            act(self, &request);
        }
    }

    /// Send a BYE and wait for its answer.
    fn hang_up(&mut self, now: Instant, number: CallNumber, why: &str, out: &mut Vec<Command>) {
        let local = self.local;
        let Some(call) = self.calls.get_mut(&number) else {
            return;
        };
        let reason = format!("Reason: SIP;cause=480;text=\"{why}\"\r\n");
        let (to, bytes) = call.dialog.request("BYE", local, &reason);
        call.stage = Stage::Leaving {
            bye: Repeat::new(now, to, bytes.clone()),
        };
        self.schedule(number);
        out.push(Command::Media {
            call: number,
            echo: false,
        });
        out.push(Command::Send { to, bytes });
    }

    fn finish(&mut self, number: CallNumber, out: &mut Vec<Command>) {
        let Some(call) = self.calls.remove(&number) else {
            return;
        };
        if let Some(at) = call.scheduled {
            self.timetable.remove(&(at, number));
        }
        self.by_invite.remove(&call.invite);
        self.free_ports.push_back(call.port);
        out.push(Command::Close { call: number });
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
            Due::Again(to, bytes) => out.push(Command::Send {
                to,
                bytes: bytes.to_vec(),
            }),
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
        self.calls
            .get(&number)
            .filter(|call| call.dialog.owns(request))
            .map(|_| number)
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
        self.key
            .hash_one((request.transaction(&self.key), request.method))
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
        self.replies
            .keep(now, self.reply_key(request), to, bytes.clone());
        out.push(Command::Send { to, bytes });
    }
}

fn contact_of(local: SocketAddr) -> String {
    format!("Contact: <sip:echo@{local}>\r\n")
}

fn session_headers(interval: Option<u32>) -> String {
    interval.map_or_else(String::new, |seconds| {
        format!("Require: timer\r\nSession-Expires: {seconds};refresher=uac\r\n")
    })
}

type Judged<T> = Result<T, (Status, String)>;

/// The offer in a request, if it has a body.
fn judge_offer<'a>(request: &Request<'a>) -> Judged<Option<Remote<'a>>> {
    let body = request.message.body();
    if body.is_empty() {
        return Ok(None);
    }
    let kind = request
        .message
        .value(HeaderName::ContentType)
        .split(|byte| *byte == b';')
        .next()
        .unwrap_or_default();
    if !kind.trim_ascii().eq_ignore_ascii_case(b"application/sdp") {
        return Err((
            request::UNSUPPORTED_MEDIA_TYPE,
            "Accept: application/sdp\r\n".to_owned(),
        ));
    }
    let refused = |refusal: Refusal| format!("Warning: 399 sbc-echo \"{}\"\r\n", refusal.text());
    Remote::read(body)
        .map(Some)
        .map_err(|refusal| (request::NOT_ACCEPTABLE, refused(refusal)))
}

fn judge_session(request: &Request<'_>) -> Judged<Option<u32>> {
    session_interval(request).map_err(|TooShort| {
        (
            request::INTERVAL_TOO_SMALL,
            format!("Min-SE: {MIN_SESSION}\r\n"),
        )
    })
}

/// An Unsupported header, if the request requires what we do not know.
fn unsupported_extensions(request: &Request<'_>) -> Option<String> {
    if request.method == b"CANCEL" {
        return None;
    }
    let known = |option: &[u8]| {
        SUPPORTED
            .iter()
            .any(|known| option.eq_ignore_ascii_case(known.as_bytes()))
    };
    let unknown: Vec<_> = request
        .options(HeaderName::Require)
        .filter(|option| !known(option))
        .map(String::from_utf8_lossy)
        .collect();
    (!unknown.is_empty()).then(|| format!("Unsupported: {}\r\n", unknown.join(", ")))
}

#[cfg(test)]
mod tests;
