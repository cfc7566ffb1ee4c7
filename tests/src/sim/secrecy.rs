//! Nothing of the inside in any header outside, and nobody's name in a session description: looked for in
//! every message that leaves.

/// What must never be seen: the inner network, and the software in it.
const SECRETS: [&str; 4] = ["10.0.1.", "10.0.2.", "freeswitch", "mod_sofia"];
/// What FreeSWITCH says to its like: looked for as a header alone, for a token may hold any letters.
const HEADER: &str = "x-fs-";

/// What a message to the outside tells of the inside, if anything.
///
/// Credentials are left out: the `uri` of a member's digest is part of what it hashed, so nobody on the
/// way can write another one (RFC 7616 §3.4). A gateway that names its carrier, and us only as its
/// outbound proxy, tells nothing there.
pub(super) fn told(message: &[u8]) -> Option<String> {
    let end = message.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(message.len());
    let head = String::from_utf8_lossy(&message[..end]).to_lowercase();
    let mut lines = head.lines().filter(|line| !line.contains("authorization: digest"));
    let in_head = lines.find_map(|line| {
        let is_told = |secret: &&&str| line.contains(**secret);
        let header = Some(&HEADER).filter(|header| line.starts_with(**header));
        let secret = header.or_else(|| SECRETS.iter().find(is_told))?;
        Some(format!("{secret:?} in {line:?}"))
    });
    in_head.or_else(|| told_by_body(&message[end..]))
}

/// Media passes by, so a description tells addresses; it need not tell whose they are.
fn told_by_body(body: &[u8]) -> Option<String> {
    let body = String::from_utf8_lossy(body).to_lowercase();
    let name =
        SECRETS.iter().filter(|secret| !secret.ends_with('.')).find(|secret| body.contains(**secret))?;
    Some(format!("{name:?} in a body"))
}
