//! What became of each call by itself: sums look perfect where as many calls are lost as are doubled.

use std::collections::{BTreeMap, BTreeSet};

use crate::ua::message::Message;

/// One call, by what its caller and the members saw of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Seen {
    /// Its caller asked for it.
    begun: bool,
    /// Final answers that its caller got, by status and tag: the same one twice is a repetition.
    finals: BTreeSet<(u16, String)>,
    /// INVITE transactions at the members, by member and top Via.
    at_members: BTreeSet<(usize, String)>,
}

/// All calls by Call-ID.
#[derive(Debug, Clone, Default)]
pub(super) struct Calls(BTreeMap<String, Seen>);

impl Calls {
    /// Take in what a caller sent.
    pub(super) fn sent(&mut self, messages: &[Vec<u8>]) {
        for invite in set_ups(messages).filter(Message::is_request) {
            self.0.entry(invite.call_id().to_owned()).or_default().begun = true;
        }
    }

    /// Take in what a caller received.
    pub(super) fn heard(&mut self, messages: &[Vec<u8>]) {
        for answer in set_ups(messages).filter(|message| !message.is_request() && message.status() >= 200) {
            let seen = self.0.entry(answer.call_id().to_owned()).or_default();
            seen.finals.insert((answer.status(), answer.tag("To")));
        }
    }

    /// Take in what a member received.
    pub(super) fn reached(&mut self, member: usize, messages: &[Vec<u8>]) {
        for invite in set_ups(messages).filter(Message::is_request) {
            let branch = invite.top_via().map(|(branch, _)| branch).unwrap_or_default();
            self.0.entry(invite.call_id().to_owned()).or_default().at_members.insert((member, branch));
        }
    }

    pub(super) fn begun(&self) -> usize {
        self.0.values().filter(|call| call.begun).count()
    }

    /// Calls whose caller got no final answer.
    pub(super) fn unanswered(&self) -> Vec<&str> {
        self.those(|call| call.begun && call.finals.is_empty())
    }

    /// Calls whose caller got several final answers that are not the same.
    pub(super) fn answered_twice(&self) -> Vec<&str> {
        self.those(|call| call.finals.len() > 1)
    }

    /// Calls that were set up more than once at the members, or at several of them.
    pub(super) fn doubled(&self) -> Vec<&str> {
        self.those(|call| call.at_members.len() > 1)
    }

    /// Calls at the members that nobody asked for.
    pub(super) fn invented(&self) -> Vec<&str> {
        self.those(|call| !call.begun)
    }

    fn those(&self, is_meant: impl Fn(&Seen) -> bool) -> Vec<&str> {
        self.0.iter().filter(|(_, call)| is_meant(call)).map(|(id, _)| id.as_str()).collect()
    }
}

/// The INVITEs outside dialogs, and the answers to INVITEs: these callers send no other ones.
fn set_ups(messages: &[Vec<u8>]) -> impl Iterator<Item = Message> {
    let read = messages.iter().filter_map(|bytes| Message::read(bytes).ok());
    read.filter(|message| message.method() == "INVITE")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(start: &str, call: &str, branch: &str, tag: &str) -> Vec<u8> {
        format!(
            "{start}\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{branch}\r\nFrom: <sip:a@b>;tag=f\r\n\
             To: <sip:b@b>{tag}\r\nCall-ID: {call}\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
        )
        .into_bytes()
    }

    fn invite(call: &str, branch: &str) -> Vec<u8> {
        message("INVITE sip:b@b SIP/2.0", call, branch, "")
    }

    fn ok(call: &str, tag: &str) -> Vec<u8> {
        message("SIP/2.0 200 OK", call, "caller", &format!(";tag={tag}"))
    }

    #[test]
    fn a_lost_call_does_not_make_up_for_one_that_was_doubled() {
        let mut calls = Calls::default();
        calls.sent(&[invite("lost", "caller"), invite("twice", "caller"), invite("once", "caller")]);
        calls.heard(&[ok("twice", "m0"), ok("twice", "m1"), ok("once", "m0"), ok("once", "m0")]);
        calls.reached(0, &[invite("twice", "x"), invite("once", "y"), invite("once", "y")]);
        calls.reached(1, &[invite("twice", "x")]);
        assert_eq!(calls.begun(), 3);
        assert_eq!(calls.unanswered(), ["lost"]);
        assert_eq!(calls.answered_twice(), ["twice"]);
        assert_eq!(calls.doubled(), ["twice"]);
        assert!(calls.invented().is_empty());
        calls.reached(0, &[invite("nobody's", "z")]);
        assert_eq!(calls.invented(), ["nobody's"]);
    }
}
