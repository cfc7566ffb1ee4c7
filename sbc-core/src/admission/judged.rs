//! What a check may look at.

use std::net::SocketAddr;

use crate::config::{Admission, Listener, Strictness};
use crate::wire::{CSeq, HeaderName, Message, Via, split};

/// A message, and how it came.
#[derive(Debug, Clone, Copy)]
pub struct Judged<'a> {
    /// The message, of which the index found nothing wrong.
    pub message: Message<'a>,
    /// Where it came in: zone, transport, strictness.
    pub listener: &'a Listener,
    /// The client's true address.
    pub source: SocketAddr,
    /// What the operator set.
    pub admission: &'a Admission,
}

impl<'a> Judged<'a> {
    /// Whether what an honest peer might have got wrong is let pass.
    pub fn is_tolerant(&self) -> bool {
        self.listener.checks == Strictness::Tolerant
    }

    /// The method of the request, or of the request that is answered.
    pub fn method(&self) -> &'a [u8] {
        if self.message.is_request() {
            return self.message.method_text();
        }
        CSeq::parse(self.message.value(HeaderName::CSeq)).map_or(b"", |cseq| cseq.method)
    }

    /// The top Via, if it can be read.
    pub fn top_via(&self) -> Option<Via<'a>> {
        let first = self.message.first(HeaderName::Via)?;
        Via::parse(split(first.value).next()?.text).ok()
    }
}
