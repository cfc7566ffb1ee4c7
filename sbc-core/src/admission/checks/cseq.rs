//! CSeq (RFC 3261 §8.1.1.5).

use crate::admission::{Judged, Refusal, Verdict};
use crate::count::Count;
use crate::wire::{CSeq, HeaderName};

/// A number below 2^31 and a method.
pub(super) fn cseq(judged: &Judged<'_>) -> Verdict {
    match CSeq::parse(judged.message.value(HeaderName::CSeq)) {
        Ok(_) => Ok(()),
        Err(_) => Err(Refusal::answer(400, "Bad CSeq", Count::BadCSeq).weighing(1)),
    }
}

/// The method of the request, not another one: a transaction has one method.
pub(super) fn cseq_method(judged: &Judged<'_>) -> Verdict {
    let message = &judged.message;
    match CSeq::parse(message.value(HeaderName::CSeq)) {
        Ok(cseq) if cseq.method != message.method_text() => {
            Err(Refusal::answer(400, "CSeq Method Differs", Count::CSeqMethod).weighing(1))
        }
        _ => Ok(()),
    }
}
