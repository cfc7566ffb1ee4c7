//! Via (RFC 3261 §18.2.1, §8.1.1.7): where answers go, and the name of the transaction.

use crate::admission::{Judged, Refusal, Verdict, is_answerable};
use crate::count::Count;
use crate::flow::{Transport, is_websocket};
use crate::limits;
use crate::sip::COOKIE;
use crate::wire::eq_ignore_case;

/// §18.2.1: without a transport and a host in the top Via there is nowhere to answer to.
pub(super) fn top_via(judged: &Judged<'_>) -> Verdict {
    if is_answerable(&judged.message) {
        return Ok(());
    }
    Err(Refusal::silence(Count::BadVia).weighing(1))
}

/// §25.1: parameters with a name, and nothing after them.
pub(super) fn via_params(judged: &Judged<'_>) -> Verdict {
    match judged.top_via() {
        Some(_) => Ok(()),
        None => Err(Refusal::answer(400, "Bad Via", Count::ViaParams).weighing(1)),
    }
}

/// §8.1.1.7: the cookie promises a name for the transaction that nobody else uses. The cookie alone is the same name
/// for everybody.
pub(super) fn branch(judged: &Judged<'_>) -> Verdict {
    let via = judged.top_via();
    if via.and_then(|via| via.branch()) == Some(COOKIE) {
        return Err(Refusal::answer(400, "Bad Via Branch", Count::BadBranch));
    }
    Ok(())
}

/// §17.2.3: clients of RFC 2543 write no cookie, or no branch. Counted only: their transactions are told apart by more
/// headers.
pub(super) fn branch_cookie(judged: &Judged<'_>) -> Verdict {
    let via = judged.top_via();
    if via.and_then(|via| via.branch()).is_some_and(|branch| branch.starts_with(COOKIE)) {
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

/// §18.1.1: a Via that names WebSocket was written for one (RFC 7118 §5.2), so it does not come over anything else.
/// `WS` and `WSS` are the same here: something before us may have ended TLS.
pub(super) fn via_websocket(judged: &Judged<'_>) -> Verdict {
    let says_websocket = judged.top_via().is_some_and(|via| is_websocket_name(via.transport));
    if says_websocket && !is_websocket(judged.listener.transport) {
        return Err(Refusal::answer(400, "Via Names WebSocket", Count::ViaTransport).weighing(1));
    }
    Ok(())
}

/// §18.1.1: the transport of the top Via is the one it came by. Counted only: answers follow the flow, so it does no
/// harm, and gateways between a phone and us change the one without the other (RFC 4475 shows several).
pub(super) fn via_transport(judged: &Judged<'_>) -> Verdict {
    let arrived = judged.listener.transport;
    let agrees = judged.top_via().is_none_or(|via| match arrived {
        Transport::Ws | Transport::Wss => is_websocket_name(via.transport),
        // Judged already.
        _ if is_websocket_name(via.transport) => true,
        Transport::Udp => eq_ignore_case(via.transport, b"UDP"),
        // Something before us may have ended TLS here, too.
        _ => eq_ignore_case(via.transport, b"TCP") || eq_ignore_case(via.transport, b"TLS"),
    });
    if agrees { Ok(()) } else { Err(Refusal::answer(400, "Via Transport Differs", Count::ViaTransport)) }
}

fn is_websocket_name(transport: &[u8]) -> bool {
    eq_ignore_case(transport, b"WS") || eq_ignore_case(transport, b"WSS")
}
