//! What happens to one call, from its INVITE to its BYE.

use std::net::SocketAddr;
use std::time::Instant;

use sbc_core::wire::{Framing, Index, Limits, Message};

use super::judge::{judge_offer, judge_session};
use super::{ALLOW, Agent, Command};
use crate::call::{Call, CallNumber, Stage};
use crate::dialog::Dialog;
use crate::repeat::Repeat;
use crate::request::{self, Request, Status};
use crate::sdp::{Local, Remote};

impl Agent {
    pub(super) fn invite(&mut self, now: Instant, request: &Request<'_>, out: &mut Vec<Command>) {
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
        let call = Call::new(now, request, key, dialog, Local::new(self.local.ip(), port), port);
        self.calls.insert(number, call);
        self.by_invite.insert(key, number);
        self.schedule(number);
        out.push(Command::Open { call: number, port });
        self.reply(now, request, request::TRYING, "", "", out);
        let contact = self.contact();
        self.reply_as(now, request, request::RINGING, &number.tag(), &contact, "", out);
    }

    /// Ringing is over: send the 200 to the INVITE that is kept.
    pub(super) fn pick_up(&mut self, now: Instant, number: CallNumber, out: &mut Vec<Command>) {
        self.with_invite(number, |agent, request| {
            let outcome = judge_offer(request).and_then(|offer| Ok((offer, judge_session(request)?)));
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
        let headers =
            format!("{}{ALLOW}Supported: timer\r\n{}", contact_of(self.local), session_headers(interval));
        let bytes = request.reply(request::OK, call.dialog.tag(), &headers, &body);
        let to = request.reply_address();
        call.stage = Stage::Answered {
            ok: Repeat::new(now, to, bytes.clone()),
            cseq: request.cseq.number,
            offered: offer.is_none(),
        };
        self.schedule(number);
        out.push(Command::Media { call: number, echo: offer.is_none_or(Remote::listens) });
        self.keep_and_send(now, request, to, bytes, out);
    }

    pub(super) fn reinvite(&mut self, now: Instant, request: &Request<'_>, out: &mut Vec<Command>) {
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

    pub(super) fn update(&mut self, now: Instant, request: &Request<'_>, out: &mut Vec<Command>) {
        let Some(number) = self.in_dialog(now, request, out) else {
            return;
        };
        let Some(call) = self.calls.get_mut(&number) else {
            return;
        };
        let has_offer = !request.message.body().is_empty();
        if has_offer && !matches!(call.stage, Stage::Confirmed) {
            // An offer is still open (RFC 3311 §5.2).
            return self.reply(now, request, request::SERVER_ERROR, "Retry-After: 2\r\n", "", out);
        }
        match judge_offer(request).and_then(|offer| Ok((offer, judge_session(request)?))) {
            Ok((offer, interval)) => {
                call.dialog.refresh_target(request);
                call.refresh_session(now, interval);
                let body = offer.as_ref().map_or_else(String::new, |offer| call.describe(Some(offer)));
                if let Some(offer) = &offer {
                    out.push(Command::Media { call: number, echo: offer.listens() });
                }
                self.schedule(number);
                let headers = format!("{}{}", self.contact(), session_headers(interval));
                self.reply(now, request, request::OK, &headers, &body, out);
            }
            Err((status, headers)) => self.reply(now, request, status, &headers, "", out),
        }
    }

    pub(super) fn ack(&mut self, now: Instant, request: &Request<'_>, out: &mut Vec<Command>) {
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
    fn take_answer(&mut self, now: Instant, number: CallNumber, ack: &Request<'_>, out: &mut Vec<Command>) {
        match (Remote::read(ack.message.body()), self.calls.get_mut(&number)) {
            (Ok(answer), Some(call)) => {
                call.speaks = answer.speaks();
                out.push(Command::Media { call: number, echo: answer.listens() });
            }
            _ => self.hang_up(now, number, "no usable answer in the ACK", out),
        }
    }

    pub(super) fn cancel(&mut self, now: Instant, request: &Request<'_>, out: &mut Vec<Command>) {
        let Some(number) = self.by_invite.get(&request.transaction(&self.key)).copied() else {
            return self.reply(now, request, request::NO_DIALOG, "", "", out);
        };
        // After the final response a CANCEL is answered and changes nothing (RFC 3261 §9.2).
        self.reply_as(now, request, request::OK, &number.tag(), "", "", out);
        self.decline(now, number, request::TERMINATED, out);
    }

    pub(super) fn bye(&mut self, now: Instant, request: &Request<'_>, out: &mut Vec<Command>) {
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
    pub(super) fn decline(
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
                call.stage = Stage::Declined { refusal: Repeat::new(now, to, bytes.clone()) };
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
        if index.parse(&bytes, Framing::Datagram, &Limits::default()).is_ok()
            && let Some(request) = Request::read(Message::new(&bytes, &index), source)
        {
            act(self, &request);
        }
    }

    /// Send a BYE and wait for its answer.
    pub(super) fn hang_up(&mut self, now: Instant, number: CallNumber, why: &str, out: &mut Vec<Command>) {
        let local = self.local;
        let Some(call) = self.calls.get_mut(&number) else {
            return;
        };
        let reason = format!("Reason: SIP;cause=480;text=\"{why}\"\r\n");
        let (to, bytes) = call.dialog.request("BYE", local, &reason);
        call.stage = Stage::Leaving { bye: Repeat::new(now, to, bytes.clone()) };
        self.schedule(number);
        out.push(Command::Media { call: number, echo: false });
        out.push(Command::Send { to, bytes });
    }

    pub(super) fn finish(&mut self, number: CallNumber, out: &mut Vec<Command>) {
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
}

pub(super) fn contact_of(local: SocketAddr) -> String {
    format!("Contact: <sip:echo@{local}>\r\n")
}

fn session_headers(interval: Option<u32>) -> String {
    interval.map_or_else(String::new, |seconds| {
        format!("Require: timer\r\nSession-Expires: {seconds};refresher=uac\r\n")
    })
}
