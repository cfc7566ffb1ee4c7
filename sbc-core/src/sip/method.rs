//! Methods by name, and which of them can begin a dialog.

use rsip::Method;

/// The method of a start line or CSeq; methods are case-sensitive (RFC 3261 §7.1). `None`: an extension.
pub fn known_method(text: &[u8]) -> Option<Method> {
    Some(match text {
        b"INVITE" => Method::Invite,
        b"ACK" => Method::Ack,
        b"BYE" => Method::Bye,
        b"CANCEL" => Method::Cancel,
        b"OPTIONS" => Method::Options,
        b"REGISTER" => Method::Register,
        b"PRACK" => Method::PRack,
        b"SUBSCRIBE" => Method::Subscribe,
        b"NOTIFY" => Method::Notify,
        b"PUBLISH" => Method::Publish,
        b"INFO" => Method::Info,
        b"REFER" => Method::Refer,
        b"MESSAGE" => Method::Message,
        b"UPDATE" => Method::Update,
        _ => return None,
    })
}

/// Methods whose 2xx makes a dialog: a proxy that wants to stay in the way records its route
/// (RFC 3261 §12.1, RFC 6665, RFC 3515; NOTIFY makes one where it overtakes the 2xx to SUBSCRIBE).
pub const fn forms_dialog(method: Option<Method>) -> bool {
    matches!(method, Some(Method::Invite | Method::Subscribe | Method::Refer | Method::Notify))
}
