//! Loops, spirals and merged requests (RFC 3261 §16.3 item 4 and §8.2.2.2, RFC 5393 §4.2).
//!
//! Each branch of ours holds, sealed, a hash of everything our routing of the request hung on. A request that comes
//! by again under the same hash would go the same way again: that is a loop. Under another hash it is a spiral, and
//! goes on. The hash is made with the key that all nodes share, so that a loop through two of them ends as well.

use std::net::IpAddr;

use crate::count::Count;
use crate::flow::Zone;
use crate::hash::Digest;
use crate::limits;
use crate::proxy::core::Core;
use crate::proxy::hop::Answer;
use crate::proxy::incoming::Incoming;
use crate::proxy::settings::Settings;
use crate::sip::Method;
use crate::transaction::EntryId;
use crate::transaction::key::COOKIE;
use crate::wire::{CSeq, HeaderName, Via, is_zero, split};

/// What our routing of a request hangs on, and what tells one request from the next (RFC 5393 §4.2.2).
pub(crate) fn routing_hash(incoming: &Incoming<'_>, settings: &Settings) -> u32 {
    let message = &incoming.message;
    let Some(listener) = settings.listener(incoming.upstream.flow.listener) else { return 0 };
    let source = match incoming.upstream.source.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    let cseq = CSeq::parse(message.value(HeaderName::CSeq)).map_or(0, |cseq| cseq.number);
    let mut digest = settings.stable.of(&[
        b"routing",
        message.method_text(),
        listener.name.as_bytes(),
        &source.octets(),
        message.request_uri(),
        incoming.from_tag,
        incoming.to_tag.unwrap_or(b""),
        &cseq.to_be_bytes(),
    ]);
    for route in message.all(HeaderName::Route) {
        digest = settings.stable.of(&[&digest.to_be_bytes(), route.value]);
    }
    digest as u32
}

impl Core {
    /// The answer to a request that must not go on: it goes in circles, or may not be spread any further.
    pub(super) fn circles(&self, incoming: &Incoming<'_>, settings: &Settings) -> Option<Answer> {
        let answer = |status, count| Answer { status, reason: None, retry_after: None, count: Some(count) };
        if is_zero(incoming.message.value(HeaderName::MaxBreadth)) {
            return Some(answer(440, Count::MaxBreadth));
        }
        comes_round(incoming, settings).then(|| answer(482, Count::Loop))
    }

    /// Whether this INVITE came before by another way and is still being worked on (RFC 3261 §8.2.2.2): we judge
    /// for the pool, which would ring twice. One that a proxy before us forked to two of our users has another
    /// Request-URI; one that its client tries again after our failure finds the first attempt answered.
    pub(super) fn is_merged(&self, key: Digest, id: EntryId) -> bool {
        loop {
            let known = *self.merges.entry(key).or_insert(id);
            if known == id {
                return false;
            }
            // One without an entry is about to make it: an entry that leaves takes its key along first.
            let has_failed = self.entries.get(&known.0).is_some_and(|setup| setup.has_failed());
            if !has_failed {
                return true;
            }
            // Of several that try again the first one is it.
            self.merges.remove_if(&key, |_, owner| *owner == known);
        }
    }

    /// Under which an INVITE that begins a call is known, whichever way it comes. The pool's are its own affair.
    pub(super) fn merge_key(&self, incoming: &Incoming<'_>) -> Option<Digest> {
        let begins = incoming.method == Some(Method::Invite) && !incoming.is_in_dialog();
        if !begins || incoming.upstream.zone == Zone::Pool {
            return None;
        }
        let message = &incoming.message;
        let cseq = message.value(HeaderName::CSeq);
        let parts = [b"merge", incoming.call_id, incoming.from_tag, cseq, message.request_uri()];
        Some(self.hash.of(&parts))
    }
}

/// Whether a Via holds a branch of ours with the same routing hash.
fn comes_round(incoming: &Incoming<'_>, settings: &Settings) -> bool {
    let mut hash = None;
    let mut is_same = |branch: &[u8]| {
        let sealed = branch.strip_prefix(COOKIE).unwrap_or(b"");
        let opened = settings.tokens.open_branch(incoming.call_id, sealed, |seal| seal.routing);
        opened.is_ok_and(|known| known == *hash.get_or_insert_with(|| routing_hash(incoming, settings)))
    };
    let vias = incoming.message.all(HeaderName::Via).flat_map(|header| split(header.value));
    let vias = vias.take(limits::VIAS_READ).filter_map(|item| Via::parse(item.text).ok());
    vias.filter_map(|via| via.branch()).any(&mut is_same)
}
