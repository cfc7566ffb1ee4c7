//! Via (RFC 3261 §18.2.1, §8.1.1.7): where answers go, and the name of the transaction.

use crate::admission::{Judged, Refusal, Verdict};
use crate::count::Count;
use crate::limits;
use crate::sip::COOKIE;

/// §18.2.1: without a readable top Via there is nowhere to answer to.
pub(super) fn top_via(judged: &Judged<'_>) -> Verdict {
    match judged.top_via() {
        Some(_) => Ok(()),
        None => Err(Refusal::silence(Count::BadVia).weighing(1)),
    }
}

/// §8.1.1.7: the branch names the transaction. Clients of RFC 2543 write none, or the bare cookie: their transactions
/// are told apart by more headers, where they are let in.
pub(super) fn branch(judged: &Judged<'_>) -> Verdict {
    let via = judged.top_via();
    let branch = via.and_then(|via| via.branch()).unwrap_or(b"");
    if branch.starts_with(COOKIE) && branch.len() > COOKIE.len() {
        return Ok(());
    }
    Err(Refusal::answer(400, "Bad Via Branch", Count::BadBranch))
}

/// The branch is kept, hashed and sealed: it may not be of any length.
pub(super) fn branch_length(judged: &Judged<'_>) -> Verdict {
    let via = judged.top_via();
    if via.and_then(|via| via.branch()).is_some_and(|branch| branch.len() > limits::BRANCH_BYTES) {
        return Err(Refusal::answer(400, "Via Branch Too Long", Count::BranchTooLong).weighing(1));
    }
    Ok(())
}
