//! Which transaction a message belongs to (RFC 3261 §17.1.3 and §17.2.3).

use crate::hash::{Digest, KeyedHash};
pub use crate::sip::COOKIE;
use crate::wire::{HeaderName, Message, Via};

/// One server transaction, or one call set-up: the hash of what its client wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EntryId(pub Digest);

/// The parts of a request that name its server transaction. ACK and CANCEL name that of their INVITE.
pub fn server_key(hash: &KeyedHash, message: &Message<'_>, via: &Via<'_>) -> EntryId {
    EntryId(hash.of(&key_parts(message, via)))
}

/// The same parts hashed with a stable key: what a branch of ours proves.
pub fn proof(hash: &KeyedHash, message: &Message<'_>, via: &Via<'_>) -> u32 {
    hash.of(&key_parts(message, via)) as u32
}

fn key_parts<'a>(message: &Message<'a>, via: &Via<'a>) -> [&'a [u8]; 6] {
    let method: &[u8] = match message.method_text() {
        b"ACK" | b"CANCEL" => b"INVITE",
        other => other,
    };
    let call_id = message.value(HeaderName::CallId);
    match via.branch() {
        // §17.2.3: branch, sent-by and method; the Call-ID costs nothing and keeps careless clients apart.
        Some(branch) if branch.starts_with(COOKIE) && branch.len() > COOKIE.len() => {
            [method, branch, via.sent_by_text(), call_id, b"", b""]
        }
        // RFC 2543 clients: Request-URI, From, Call-ID, CSeq number and the whole top Via. To is left
        // out, because the ACK to a failure has a tag there that the INVITE had not.
        _ => {
            let cseq = message.value(HeaderName::CSeq);
            let number = cseq.split(|byte| !byte.is_ascii_digit()).next().unwrap_or(b"");
            [
                method,
                message.request_uri(),
                message.value(HeaderName::From),
                call_id,
                number,
                via.sent_by_text(),
            ]
        }
    }
}
