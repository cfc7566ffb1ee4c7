//! What a check says about a message that it does not let in.

use crate::count::Count;

/// A message that is not let in. Nothing is ever answered to an ACK or a response, whatever stands here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The answer that a request is owed; `None`: silence.
    pub status: Option<u16>,
    /// The reason phrase, where it says more than the status's own.
    pub reason: Option<&'static str>,
    /// What is counted.
    pub count: Count,
    /// How much it weighs against its source, from 0: an honest peer may have sent it, to 3: only an attacker would.
    pub evidence: u8,
}

/// `Ok` lets the message pass this check.
pub type Verdict = Result<(), Refusal>;

impl Refusal {
    /// An answer that names what is wrong.
    pub const fn answer(status: u16, reason: &'static str, count: Count) -> Self {
        Self { status: Some(status), reason: Some(reason), count, evidence: 0 }
    }

    /// No answer at all.
    pub const fn silence(count: Count) -> Self {
        Self { status: None, reason: None, count, evidence: 0 }
    }

    /// The same, as evidence of this weight.
    pub const fn weighing(self, evidence: u8) -> Self {
        Self { evidence, ..self }
    }
}
