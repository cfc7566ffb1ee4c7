//! How much one message may be (RFC 3261 §21.5.7). The index has its own limits: see `wire::Limits`.

use crate::admission::{Judged, Refusal, Verdict};
use crate::count::Count;
use crate::limits;

/// The operator's `max_message`.
pub(super) fn message_size(judged: &Judged<'_>) -> Verdict {
    if judged.message.bytes().len() > judged.admission.max_message {
        return Err(Refusal::answer(513, "Message Too Large", Count::TooLarge).weighing(1));
    }
    Ok(())
}

/// All headers together.
pub(super) fn head_size(judged: &Judged<'_>) -> Verdict {
    if judged.message.head_end() > limits::HEAD_BYTES {
        return Err(Refusal::answer(400, "Headers Too Large", Count::HeadTooLarge).weighing(1));
    }
    Ok(())
}

/// Parameters and list values: each is looked at by somebody, so there may not be any number of them.
pub(super) fn parameters(judged: &Judged<'_>) -> Verdict {
    let head = judged.message.bytes().get(..judged.message.head_end()).unwrap_or_default();
    if memchr::memchr2_iter(b';', b',', head).count() > limits::PARAMETERS {
        return Err(Refusal::answer(400, "Too Many Parameters", Count::TooManyParameters).weighing(1));
    }
    Ok(())
}
