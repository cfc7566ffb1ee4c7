//! The last response to each recent request, for its retransmissions (RFC 3261 §17.2).

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

use crate::repeat::PATIENCE;

/// Most responses kept; the oldest leaves first. About 12 MiB when full.
const MAX_REPLIES: usize = 16 * 1024;

#[derive(Debug, Default)]
pub(crate) struct Replies {
    by_request: HashMap<u64, (SocketAddr, Vec<u8>)>,
    oldest_first: VecDeque<(Instant, u64)>,
}

impl Replies {
    /// The last response to a request, and where it went.
    pub(crate) fn find(&self, request: u64) -> Option<&(SocketAddr, Vec<u8>)> {
        self.by_request.get(&request)
    }

    /// Keep a response; a later one to the same request replaces it.
    pub(crate) fn keep(&mut self, now: Instant, request: u64, to: SocketAddr, bytes: Vec<u8>) {
        while self.oldest_first.len() >= MAX_REPLIES
            || self.oldest_first.front().is_some_and(|(since, _)| *since + PATIENCE <= now)
        {
            if let Some((_, oldest)) = self.oldest_first.pop_front() {
                self.by_request.remove(&oldest);
            }
        }
        if self.by_request.insert(request, (to, bytes)).is_none() {
            self.oldest_first.push_back((now, request));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_REPLIES, Replies};
    use crate::repeat::PATIENCE;
    use std::time::Instant;

    #[test]
    fn replies_leave_by_age_and_by_number() {
        let (mut replies, to, start) =
            (Replies::default(), "192.0.2.1:5060".parse().unwrap(), Instant::now());
        replies.keep(start, 1, to, vec![1]);
        replies.keep(start, 1, to, vec![2]);
        assert_eq!(replies.find(1), Some(&(to, vec![2])));
        replies.keep(start + PATIENCE, 2, to, vec![]);
        assert_eq!(replies.find(1), None);
        for request in 0..MAX_REPLIES as u64 {
            replies.keep(start + PATIENCE, 10 + request, to, vec![]);
        }
        assert_eq!(replies.find(2), None);
        assert_eq!(replies.by_request.len(), MAX_REPLIES);
        assert_eq!(replies.oldest_first.len(), MAX_REPLIES);
    }
}
